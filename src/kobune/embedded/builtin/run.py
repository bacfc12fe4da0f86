"""The process of the built-in controllers."""

import asyncio
from pathlib import Path

from kobune.embedded.builtin.certificates import wire as certificates
from kobune.embedded.builtin.claims import wire as claims
from kobune.embedded.builtin.deployments import wire as deployments
from kobune.embedded.builtin.disruption import wire as disruption
from kobune.embedded.builtin.endpoints import wire as endpoints
from kobune.embedded.builtin.garbage.wire import GarbageCollector
from kobune.embedded.builtin.namespaces import wire as namespaces
from kobune.embedded.builtin.nodes import wire as nodes
from kobune.embedded.builtin.pods import wire as pods
from kobune.embedded.builtin.quotas import wire as quotas
from kobune.embedded.builtin.replicasets import wire as replicasets
from kobune.embedded.builtin.roles import wire as roles
from kobune.embedded.builtin.serviceaccounts import wire as serviceaccounts
from kobune.embedded.builtin.volumes import wire as volumes
from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from kobune.kube.runtime import ControllerProcess

__all__ = ["run"]


async def run(kubeconfig: Path, *, authority: Path | None = None, ready: asyncio.Event | None = None) -> None:
    """Run all built-in controllers until cancelled; `ready` is set once their caches are filled.

    `authority` is the directory with ca.crt and ca.key that certificate requests are signed with; None signs none.
    """
    config = load_config(kubeconfig)
    client = HttpClient(config, user_agent="kobune-controllers")
    try:
        process = ControllerProcess(client, component="kobune-controllers")
        serviceaccounts.add_to(process, config.ca_pem.decode() if config.ca_pem else "")
        certificates.add_to(process, authority)
        for controller in (
            namespaces,
            roles,
            nodes,
            pods,
            endpoints,
            disruption,
            quotas,
            claims,
            volumes,
            replicasets,
            deployments,
        ):
            controller.add_to(process)
        collector = GarbageCollector(process)
        async with asyncio.TaskGroup() as group:
            group.create_task(process.run(ready=ready), name="controllers")
            group.create_task(collector.run(), name="garbage collector")
    finally:
        await client.close()
