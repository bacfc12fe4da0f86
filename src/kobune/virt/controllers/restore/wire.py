"""Observing restores, and which changes make the controller look at one."""

from kobune.api.snapshot import VirtualMachineRestore
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import (
    VIRTUAL_MACHINE_RESTORES,
    VIRTUAL_MACHINE_SNAPSHOT_CONTENTS,
    VIRTUAL_MACHINE_SNAPSHOTS,
)
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, naming_keys
from kobune.virt.controllers.restore.decide import Observed, decide

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    restores = process.informers.of(VIRTUAL_MACHINE_RESTORES)
    snapshots = process.informers.of(VIRTUAL_MACHINE_SNAPSHOTS)
    contents = process.informers.of(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS)
    machines = process.informers.of(VIRTUAL_MACHINES)

    waiting = naming_keys(restores, _awaited)

    async def observe(key: Key) -> Observed | None:
        restore = restores.get(key)
        if restore is None:
            return None
        vm = machines.get(Key(key.namespace, restore.spec.target.name))
        snapshot = snapshots.get(Key(key.namespace, restore.spec.virtual_machine_snapshot_name))
        name = snapshot.status.virtual_machine_snapshot_content_name if snapshot is not None else None
        content = contents.get(Key(key.namespace, name)) if name else None
        return Observed(restore, vm, snapshot, content, process.clock.now())

    return process.add(
        "virtualmachinerestore",
        primary=restores,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        watches=(Watch(machines, waiting), Watch(snapshots, waiting)),
        reads=(contents,),
    )


def _awaited(restore: VirtualMachineRestore) -> tuple[str, ...]:
    """The machine and the snapshot that it waits for, until it is complete."""
    spec = restore.spec
    return () if restore.status.complete else (spec.target.name, spec.virtual_machine_snapshot_name)
