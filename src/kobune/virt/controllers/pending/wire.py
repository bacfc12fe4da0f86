"""One small controller per kind that is not acted upon yet."""

from typing import Any

from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCE_MIGRATIONS, VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import (
    DATA_VOLUMES,
    VIRTUAL_MACHINE_EXPORTS,
)
from kobune.kube.client.resource import Key, Resource
from kobune.kube.runtime import ControllerProcess
from kobune.virt.controllers.pending.decide import Observed, decide

__all__ = ["wire"]


def wire(process: ControllerProcess) -> None:
    """Add the controllers to the process."""
    for typed in (
        DATA_VOLUMES,
        VIRTUAL_MACHINE_EXPORTS,
        VIRTUAL_MACHINE_INSTANCE_MIGRATIONS,
    ):
        _wire(process, Resource(typed.group, typed.version, typed.plural, typed.kind, typed.namespaced, dict))


def _wire(process: ControllerProcess, resource: Resource[dict[str, Any]]) -> None:
    objects = process.informers.of(resource)
    machines = process.informers.of(VIRTUAL_MACHINES)

    async def observe(key: Key) -> Observed | None:
        obj = objects.get(key)
        if obj is None:
            return None
        named = (obj.get("spec") or {}).get("source") or {}
        exported = resource.kind == "VirtualMachineExport" and named.get("kind") == "VirtualMachine"
        source = machines.get(Key(key.namespace, named.get("name") or "")) if exported else None
        return Observed(resource, obj, process.clock.now(), source)

    process.add(
        resource.plural,
        primary=objects,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        workers=1,
        reads=(machines,),
    )
