"""A real API server with the built-in controllers running against it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.embedded.builtin.run import run
from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from support.apiserver import api_server


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[HttpClient]:
    async with api_server(tmp_path) as server:
        ready = asyncio.Event()
        controllers = asyncio.create_task(run(server.kubeconfig, ready=ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([controllers, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), controllers
        client = HttpClient(load_config(server.kubeconfig))
        yield client
        await client.close()
        controllers.cancel()
        await asyncio.gather(controllers, waiting, return_exceptions=True)
