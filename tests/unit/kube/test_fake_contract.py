"""The in-memory API keeps the contract of every client."""

import pytest

from kobune.kube.client.protocol import Client
from kobune.kube.testing import FakeApi
from support.client_contract import ClientContract


class TestFakeApi(ClientContract):
    @pytest.fixture
    def client(self) -> Client:
        return FakeApi()
