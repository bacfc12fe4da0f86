"""The embedded API server, reached by the HTTP client, keeps the contract of every client."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.kube.client.config import load_config
from kobune.kube.client.core import SERVICE_ACCOUNTS
from kobune.kube.client.http import HttpClient
from kobune.kube.client.protocol import Client
from support.apiserver import api_server
from support.client_contract import ClientContract


class TestHttpClient(ClientContract):
    @pytest.fixture
    async def client(self, tmp_path: Path) -> AsyncIterator[Client]:
        async with api_server(tmp_path) as server:
            client = HttpClient(load_config(server.kubeconfig))
            # What a controller would make; pods are not admitted without it.
            await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, "default")
            yield client
            await client.close()
