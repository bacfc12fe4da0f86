"""One small controller per kind that is not acted upon yet."""

from typing import Any

from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCE_MIGRATIONS
from kobune.kube.client.kubevirt_groups import (
    DATA_VOLUMES,
    VIRTUAL_MACHINE_EXPORTS,
    VIRTUAL_MACHINE_RESTORES,
    VIRTUAL_MACHINE_SNAPSHOTS,
)
from kobune.kube.client.resource import Key, Resource
from kobune.kube.runtime import ControllerProcess
from kobune.virt.controllers.pending.decide import Observed, decide

__all__ = ["wire"]


def wire(process: ControllerProcess) -> None:
    """Add the controllers to the process."""
    for typed in (
        DATA_VOLUMES,
        VIRTUAL_MACHINE_SNAPSHOTS,
        VIRTUAL_MACHINE_RESTORES,
        VIRTUAL_MACHINE_EXPORTS,
        VIRTUAL_MACHINE_INSTANCE_MIGRATIONS,
    ):
        _wire(process, Resource(typed.group, typed.version, typed.plural, typed.kind, typed.namespaced, dict))


def _wire(process: ControllerProcess, resource: Resource[dict[str, Any]]) -> None:
    objects = process.informers.of(resource)

    async def observe(key: Key) -> Observed | None:
        obj = objects.get(key)
        return Observed(resource, obj, process.clock.now()) if obj is not None else None

    process.add(
        resource.plural, primary=objects, observe=observe, decide=decide, execute=process.writer.execute, workers=1
    )
