"""Composes the scheduler and runs it until cancelled."""

import asyncio
from pathlib import Path

from kobune.embedded.scheduler.wire import SCHEDULER_NAME, add_scheduler
from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from kobune.kube.client.protocol import Client
from kobune.kube.runtime import ControllerProcess

__all__ = ["run", "run_with_client"]


async def run(kubeconfig: Path, *, ready: asyncio.Event | None = None) -> None:
    """Schedule pods of the API that `kubeconfig` names."""
    client = HttpClient(load_config(kubeconfig), user_agent="kobune-scheduler")
    try:
        await run_with_client(client, ready=ready)
    finally:
        await client.close()


async def run_with_client(client: Client, *, ready: asyncio.Event | None = None) -> None:
    """As `run`, with a client that the caller made."""
    process = ControllerProcess(client, component=SCHEDULER_NAME)
    add_scheduler(process)
    await process.run(ready=ready)
