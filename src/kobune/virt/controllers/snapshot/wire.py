"""Observing snapshots, and which changes make the controller look at one."""

from kobune.api.snapshot import VirtualMachineSnapshot
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_SNAPSHOT_CONTENTS, VIRTUAL_MACHINE_SNAPSHOTS
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch, naming_keys
from kobune.virt.controllers.snapshot.decide import Observed, content_name, decide

__all__ = ["wire"]


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    snapshots = process.informers.of(VIRTUAL_MACHINE_SNAPSHOTS)
    contents = process.informers.of(VIRTUAL_MACHINE_SNAPSHOT_CONTENTS)
    machines = process.informers.of(VIRTUAL_MACHINES)

    async def observe(key: Key) -> Observed | None:
        snapshot = snapshots.get(key)
        if snapshot is None:
            return None
        vm = machines.get(Key(key.namespace, snapshot.spec.source.name))
        content = contents.get(Key(key.namespace, content_name(snapshot)))
        return Observed(snapshot, vm, content, process.clock.now())

    def of_content(content: object) -> list[Key]:
        found = contents.get(key_of(content))
        name = found.spec.virtual_machine_snapshot_name if found is not None else None
        if name:
            return [Key(key_of(content).namespace, name)]
        # It is gone: whoever waits for that.
        return [key_of(item) for item in snapshots.list(key_of(content).namespace) if item.metadata.deletion_timestamp]

    return process.add(
        "virtualmachinesnapshot",
        primary=snapshots,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        watches=(Watch(contents, of_content), Watch(machines, naming_keys(snapshots, _awaited))),
    )


def _awaited(snapshot: VirtualMachineSnapshot) -> tuple[str, ...]:
    """The machine that it waits for, until it is ready."""
    return () if snapshot.status.ready_to_use else (snapshot.spec.source.name,)
