"""Webhooks whose checks need the object alone: which check belongs to which path. Pure."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from kobune.api.clone import VirtualMachineClone
from kobune.api.export import VirtualMachineExport
from kobune.api.instancetype import (
    VirtualMachineClusterInstancetype,
    VirtualMachineClusterPreference,
    VirtualMachineInstancetype,
    VirtualMachinePreference,
)
from kobune.api.kubevirt import KubeVirt, VirtualMachineInstancePreset
from kobune.api.migrations import MigrationPolicy
from kobune.api.snapshot import VirtualMachineSnapshot
from kobune.virt.admission.review import AdmissionRequest, Problem, Reason, Verdict
from kobune.virt.admission.validation.copies import check_clone, check_export, check_snapshot
from kobune.virt.admission.validation.groups import (
    check_instancetype,
    check_migration_policy,
    check_preference,
    check_preset,
    instancetype_warnings,
    preference_warnings,
)
from kobune.virt.admission.validation.installation import check_installation, installation_warnings

__all__ = ["PLAIN_WEBHOOKS", "Webhook", "frozen_spec"]

Webhook = Callable[[AdmissionRequest], Awaitable[Verdict]]


def frozen_spec(request: AdmissionRequest) -> Verdict:
    """What such objects ask for is carried out once, so it cannot change."""
    if (request.old or {}).get("spec") == request.obj.get("spec"):
        return Verdict()
    return Verdict((Problem("spec", Reason.INVALID, "spec is immutable after creation"),))


def _plain(kind: type[Any], check: Callable[[Any], list[Problem]], warn: Callable[[Any], list[str]]) -> Webhook:
    async def answer(request: AdmissionRequest) -> Verdict:
        if kind in _FIXED and request.old is not None:
            return frozen_spec(request)
        obj = msgspec.convert(request.obj, kind)
        warnings = tuple(warn(obj))
        if request.old is not None and request.old.get("spec") == request.obj.get("spec"):
            # What is stored stays manageable, whatever rules are newer.
            return Verdict(warnings=warnings)
        return Verdict(tuple(check(obj)), warnings)

    return answer


_FIXED: Final = (VirtualMachineSnapshot, VirtualMachineExport)


def _silent(_: Any) -> list[str]:
    return []


_INSTANCETYPES: Final = (
    ("/virtualmachineinstancetype-validator", VirtualMachineInstancetype),
    ("/virtualmachineclusterinstancetype-validator", VirtualMachineClusterInstancetype),
)
_PREFERENCES: Final = (
    ("/virtualmachinepreference-validator", VirtualMachinePreference),
    ("/virtualmachineclusterpreference-validator", VirtualMachineClusterPreference),
)

PLAIN_WEBHOOKS: Final[dict[str, Webhook]] = {
    "/virtualmachinesnapshot-validator": _plain(VirtualMachineSnapshot, check_snapshot, _silent),
    "/vm-clone-validator": _plain(VirtualMachineClone, check_clone, _silent),
    "/virtualmachineexport-validator": _plain(VirtualMachineExport, check_export, _silent),
    "/virtualmachinepreset-validator": _plain(VirtualMachineInstancePreset, check_preset, _silent),
    "/migration-policy-validator": _plain(MigrationPolicy, check_migration_policy, _silent),
    "/kubevirt-update-validator": _plain(KubeVirt, check_installation, installation_warnings),
    **{
        path: _plain(kind, lambda obj: check_instancetype(obj.spec), lambda obj: instancetype_warnings(obj.spec))
        for path, kind in _INSTANCETYPES
    },
    **{
        path: _plain(kind, lambda obj: check_preference(obj.spec), lambda obj: preference_warnings(obj.spec))
        for path, kind in _PREFERENCES
    },
}
"""By path; a webhook of a kind that is carried out once refuses changes."""
