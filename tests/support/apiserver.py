"""A real API server in the test's own process and event loop, on a free loopback port.

    @pytest.fixture
    async def api(tmp_path):
        async with api_server(tmp_path) as server: yield server

`server.kubeconfig` is an administrator's kubeconfig, `server.token` its bearer token, `server.url` the address.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from kobune.embedded.apiserver.run import ApiServerConfig, Running, serve

__all__ = ["Running", "api_server"]


@contextlib.asynccontextmanager
async def api_server(data_dir: Path, *, in_memory: bool = True, **more: Any) -> AsyncIterator[Running]:
    """Start a server and stop it at the end; `more` are further fields of ApiServerConfig."""
    config = ApiServerConfig(data_dir=data_dir, listen_port=0, in_memory=in_memory, **more)
    async with serve(config) as running:
        yield running
