"""A dump of a machine's memory, from the request in its status to its file. Pure.

Each phase is in `status.memoryDumpRequest`, so that it goes on from there whoever has died. Phases, their order and
the claim's annotation are KubeVirt's. The claim becomes a volume of the template and of the instance for the time of
the dump; in the template it stays until the dump is removed, and a new instance is made without it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance, Volume
from kobune.base.clock import format_time
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, PatchObject

__all__ = ["DUMP_ANNOTATION", "DumpStep", "follow_dump", "without_dumps"]

DUMP_ANNOTATION: Final = "kubevirt.io/memory-dump"
_FAILED_ANNOTATION: Final = "Memory dump failed"
_STOPPED: Final = "the virtual machine was stopped before its memory was written"

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DumpStep:
    """What to do now, and the request afterwards; None once there is none any more."""

    actions: tuple[Action, ...] = ()
    request: Request | None = None


def follow_dump(vm: VirtualMachine, vmi: VirtualMachineInstance | None, now: datetime) -> DumpStep:
    """The next step; without a request there is none."""
    present = vm.status.memory_dump_request
    if present is None:
        return DumpStep()
    request: Request = msgspec.to_builtins(present)
    claim = present.claim_name
    if present.remove and present.phase != "Dissociating":
        return DumpStep((), {**request, "phase": "Dissociating"})
    match present.phase:
        case "Associating":
            return _associate(vm, vmi, claim, request)
        case "InProgress":
            return DumpStep((), _progress(vmi, claim, request, now))
        case "Unmounting":
            if _in_instance(vmi, claim):
                return DumpStep(_from_instance(vmi, claim), request)
            return DumpStep((_annotate(vm, claim, present.file_name or ""),), {**request, "phase": "Completed"})
        case "Failed":
            left = _from_instance(vmi, claim)
            return DumpStep((*left, _annotate(vm, claim, _FAILED_ANNOTATION)) if left else (), request)
        case "Dissociating":
            actions = (*_from_instance(vmi, claim), *_from_template(vm, claim))
            return DumpStep(actions, request if actions or _in_instance(vmi, claim) else None)
    return DumpStep((), request)


def without_dumps(spec: dict[str, Any]) -> dict[str, Any]:
    """A specification, as decoded JSON, without the volumes of dumps."""
    volumes = spec.get("volumes")
    if not volumes or all(volume.get("memoryDump") is None for volume in volumes):
        return spec
    return {**spec, "volumes": [volume for volume in volumes if volume.get("memoryDump") is None]}


def _associate(vm: VirtualMachine, vmi: VirtualMachineInstance | None, claim: str, request: Request) -> DumpStep:
    if vmi is None or vmi.metadata.deletion_timestamp is not None or vmi.status.phase != "Running":
        return DumpStep((), request)
    template = vm.spec.template.spec
    volumes = template.volumes if template is not None else []
    if all(volume.name != claim for volume in volumes):
        # The instance follows in the next pass, which sees this one's change.
        more = [*volumes, _volume(claim)]
        body = {"spec": {"template": {"spec": {"volumes": msgspec.to_builtins(more)}}}}
        return DumpStep((_patch(VIRTUAL_MACHINES, vm, body),), request)
    if any(volume.name == claim for volume in vmi.spec.volumes):
        return DumpStep((), {**request, "phase": "InProgress"})
    if any(found.name == claim for found in vmi.status.volume_status):
        return DumpStep((), request)  # what an earlier dump has left is on its way out
    body = {"spec": {"volumes": msgspec.to_builtins([*vmi.spec.volumes, _volume(claim)])}}
    return DumpStep((_patch(VIRTUAL_MACHINE_INSTANCES, vmi, body),), request)


def _progress(vmi: VirtualMachineInstance | None, claim: str, request: Request, now: datetime) -> Request:
    if not _in_instance(vmi, claim) or vmi is None or vmi.metadata.deletion_timestamp is not None:
        return {**request, "phase": "Failed", "message": _STOPPED, "endTimestamp": format_time(now)}
    found = next((each for each in vmi.status.volume_status if each.name == claim), None)
    told = found.memory_dump_volume if found is not None else None
    if found is None or told is None:
        return request
    if told.start_timestamp:
        request = {**request, "startTimestamp": told.start_timestamp}
    if found.phase == "MemoryDumpCompleted":
        done = {"phase": "Unmounting", "endTimestamp": told.end_timestamp, "fileName": told.target_file_name}
        return {**request, **{key: value for key, value in done.items() if value}}
    if found.phase == "MemoryDumpFailed":
        done = {"phase": "Failed", "endTimestamp": told.end_timestamp, "message": found.message}
        return {**request, **{key: value for key, value in done.items() if value}}
    return request


def _in_instance(vmi: VirtualMachineInstance | None, claim: str) -> bool:
    """Whether anything of the volume is left in the instance."""
    if vmi is None:
        return False
    names = [volume.name for volume in vmi.spec.volumes] + [found.name for found in vmi.status.volume_status]
    return claim in names


def _volume(claim: str) -> Volume:
    return msgspec.convert({"name": claim, "memoryDump": {"claimName": claim, "hotpluggable": True}}, Volume)


def _from_instance(vmi: VirtualMachineInstance | None, claim: str) -> tuple[Action, ...]:
    if vmi is None or all(volume.name != claim for volume in vmi.spec.volumes):
        return ()
    rest = [volume for volume in vmi.spec.volumes if volume.name != claim]
    return (_patch(VIRTUAL_MACHINE_INSTANCES, vmi, {"spec": {"volumes": msgspec.to_builtins(rest)}}),)


def _from_template(vm: VirtualMachine, claim: str) -> tuple[Action, ...]:
    template = vm.spec.template.spec
    volumes = template.volumes if template is not None else []
    if all(volume.name != claim for volume in volumes):
        return ()
    rest = msgspec.to_builtins([volume for volume in volumes if volume.name != claim])
    return (_patch(VIRTUAL_MACHINES, vm, {"spec": {"template": {"spec": {"volumes": rest}}}}),)


def _annotate(vm: VirtualMachine, claim: str, value: str) -> Action:
    body = {"metadata": {"annotations": {DUMP_ANNOTATION: value}}}
    return PatchObject(PERSISTENT_VOLUME_CLAIMS, Key(vm.metadata.namespace, claim), Patch.merge(body))


def _patch(resource: Any, target: VirtualMachine | VirtualMachineInstance, body: dict[str, Any]) -> Action:
    # The lists are replaced as they are known here.
    version = {"resourceVersion": target.metadata.resource_version}
    return PatchObject(resource, key_of(target), Patch.merge({"metadata": version, **body}))
