"""virt-controller: the process that runs all of virt's controllers."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kobune.kube.client.config import load_config
from kobune.kube.client.http import HttpClient
from kobune.kube.client.resource import Key
from kobune.kube.runtime import ControllerProcess, LeaderElection
from kobune.virt.controllers.clone.wire import wire as wire_clone
from kobune.virt.controllers.installation.wire import wire as wire_installation
from kobune.virt.controllers.node.wire import wire as wire_node
from kobune.virt.controllers.pending.wire import wire as wire_pending
from kobune.virt.controllers.pool.wire import wire as wire_pool
from kobune.virt.controllers.replicaset.wire import wire as wire_replica_set
from kobune.virt.controllers.restore.wire import wire as wire_restore
from kobune.virt.controllers.snapshot.wire import wire as wire_snapshot
from kobune.virt.controllers.virtualmachine.wire import wire as wire_virtual_machine
from kobune.virt.controllers.virtualmachineinstance.wire import wire as wire_instance

__all__ = ["VirtControllerConfig", "run"]

LEASE: Final = "kobune-virt-controller"


@dataclass(frozen=True, slots=True)
class VirtControllerConfig:
    """What virt-controller needs to know. Without `kubeconfig`, the pod's service account is used."""

    launcher_image: str
    kubeconfig: Path | None = None
    image_pull_policy: str = "IfNotPresent"
    identity: str = ""
    """Names this replica in the election of a leader; empty where there is only one, which then works at once."""
    namespace: str = "kobune"


async def run(config: VirtControllerConfig, *, ready: asyncio.Event | None = None) -> None:
    """Run until cancelled; `ready` is set once the caches are filled."""
    client = HttpClient(load_config(config.kubeconfig))
    try:
        process = ControllerProcess(client, component="virtualmachine-controller")
        wire_virtual_machine(process)
        wire_instance(process, launcher_image=config.launcher_image, image_pull_policy=config.image_pull_policy)
        wire_node(
            process,
            launcher_image=config.launcher_image,
            image_pull_policy=config.image_pull_policy,
            namespace=config.namespace,
        )
        wire_replica_set(process)
        wire_pool(process)
        wire_clone(process)
        wire_snapshot(process)
        wire_restore(process)
        wire_pending(process)
        wire_installation(process)
        if config.identity:
            lease = Key(config.namespace, LEASE)
            await LeaderElection(client, lease, config.identity).run(lambda: process.run(ready=ready))
        else:
            await process.run(ready=ready)
    finally:
        await client.close()
