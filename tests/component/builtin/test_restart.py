"""Controllers outlive the API server: they go on where they were once it is back."""

import asyncio
import socket
from pathlib import Path

from kobune.embedded.apiserver.run import ApiServerConfig, serve
from kobune.embedded.builtin.run import run
from kobune.kube.client.config import load_config
from kobune.kube.client.core import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.informer import Informer
from kobune.kube.testing import eventually, eventually_true


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def test_the_api_comes_back_and_work_goes_on(tmp_path: Path) -> None:
    config = ApiServerConfig(data_dir=tmp_path, listen_port=free_port())
    async with serve(config) as server:
        ready = asyncio.Event()
        controllers = asyncio.create_task(run(server.kubeconfig, ready=ready))
        client = HttpClient(load_config(server.kubeconfig))
        informer = Informer(client, CONFIG_MAPS, namespace="default")
        watching = asyncio.create_task(informer.run())
        await asyncio.wait_for(ready.wait(), 20)
        await informer.wait_synced(10)
        await client.create(CONFIG_MAPS, {"metadata": {"name": "before"}}, "default")
    async with serve(config) as server:
        await client.create(CONFIG_MAPS, {"metadata": {"name": "after"}}, "default")
        await client.create(NAMESPACES, {"metadata": {"name": "new"}})

        async def has_account() -> bool:
            try:
                await client.get(SERVICE_ACCOUNTS, "default", "new")
            except NotFound:
                return False
            return True

        await eventually_true(has_account, "the new namespace has its account", timeout_s=30)
        await eventually(
            lambda: {"before", "after"} <= {item.metadata.name for item in informer.list()},
            "the cache has both",
            timeout_s=60,
        )
        # The history survived: the watch was resumed, nothing was listed again.
        assert informer.relists == 1
        for task in (controllers, watching):
            task.cancel()
        await asyncio.gather(controllers, watching, return_exceptions=True)
        await client.close()
