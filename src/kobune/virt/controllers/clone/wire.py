"""Observing clones, and which changes make the controller look at one."""

from kobune.api.clone import VirtualMachineClone
from kobune.api.snapshot.types import VirtualMachine as KeptMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import (
    VIRTUAL_MACHINE_CLONES,
    VIRTUAL_MACHINE_SNAPSHOT_CONTENTS,
    VIRTUAL_MACHINE_SNAPSHOTS,
)
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, naming_keys
from kobune.virt.controllers.clone.decide import Observed, decide

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    clones = process.informers.of(VIRTUAL_MACHINE_CLONES)
    machines = process.informers.of(VIRTUAL_MACHINES)
    snapshots = process.informers.of(VIRTUAL_MACHINE_SNAPSHOTS)
    contents = process.informers.of(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS)

    def kept(key: Key) -> KeptMachine | None:
        """The machine that a snapshot keeps, once it is ready."""
        snapshot = snapshots.get(key)
        if snapshot is None or not snapshot.status.ready_to_use:
            return None
        content = contents.get(Key(key.namespace, snapshot.status.virtual_machine_snapshot_content_name or ""))
        return content.spec.source.virtual_machine if content is not None else None

    async def observe(key: Key) -> Observed | None:
        clone = clones.get(key)
        if clone is None:
            return None
        named = Key(key.namespace, clone.spec.source.name)
        source = kept(named) if clone.spec.source.kind == "VirtualMachineSnapshot" else machines.get(named)
        target = clone.spec.target
        found = machines.get(Key(key.namespace, target.name)) if target is not None else None
        return Observed(
            clone,
            to_builtins(source) if source is not None else None,
            to_builtins(found) if found is not None else None,
            process.clock.now(),
        )

    return process.add(
        "virtualmachineclone",
        primary=clones,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        watches=(Watch(machines, naming_keys(clones, _machines)), Watch(snapshots, naming_keys(clones, _machines))),
        reads=(contents,),
        workers=2,
    )


def _machines(clone: VirtualMachineClone) -> tuple[str, ...]:
    """The source, machine or snapshot, and the target."""
    return (clone.spec.source.name, clone.spec.target.name if clone.spec.target is not None else "")
