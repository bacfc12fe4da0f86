"""Observing restores, and which changes make the controller look at one."""

from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import (
    VIRTUAL_MACHINE_RESTORES,
    VIRTUAL_MACHINE_SNAPSHOT_CONTENTS,
    VIRTUAL_MACHINE_SNAPSHOTS,
)
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch
from kobune.virt.controllers.restore.decide import Observed, decide

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    restores = process.informers.of(VIRTUAL_MACHINE_RESTORES)
    snapshots = process.informers.of(VIRTUAL_MACHINE_SNAPSHOTS)
    contents = process.informers.of(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS)
    machines = process.informers.of(VIRTUAL_MACHINES)

    async def observe(key: Key) -> Observed | None:
        restore = restores.get(key)
        if restore is None:
            return None
        vm = machines.get(Key(key.namespace, restore.spec.target.name))
        snapshot = snapshots.get(Key(key.namespace, restore.spec.virtual_machine_snapshot_name))
        name = snapshot.status.virtual_machine_snapshot_content_name if snapshot is not None else None
        content = contents.get(Key(key.namespace, name)) if name else None
        return Observed(restore, vm, snapshot, content, process.clock.now())

    def open_ones(obj: object) -> list[Key]:
        """Restores that wait for the machine or the snapshot of that name."""
        key = key_of(obj)
        waiting = (item for item in restores.list(key.namespace) if not item.status.complete)
        return [
            key_of(item)
            for item in waiting
            if key.name in (item.spec.target.name, item.spec.virtual_machine_snapshot_name)
        ]

    return process.add(
        "virtualmachinerestore",
        primary=restores,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        watches=(Watch(machines, open_ones), Watch(snapshots, open_ones)),
        reads=(contents,),
    )
