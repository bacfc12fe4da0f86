"""What of a machine's template reaches the instance that it has already, and what needs a restart. Pure.

Where a guest may run (node selector, affinity, tolerations) is brought to the instance at any time: it counts when the
guest is moved. CPU sockets follow while the guest is not handed over to its node yet; a guest that runs gets them, and
memory, at its next start. Source: KubeVirt's rules for live updates, and its words.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kobune.api.instancetype.expand import expand
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import key_of
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, PatchObject
from kobune.virt.controllers.virtualmachine.hotplug import without_plugged
from kobune.virt.controllers.virtualmachine.memorydump import without_dumps
from kobune.virt.controllers.virtualmachine.networks import networks_need_restart, without_networks
from kobune.virt.controllers.virtualmachine.sizing import Sizing
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["follow", "restart_reason"]

OTHER_FIELD: Final = "a non-live-updatable field was changed in the template spec"
TOO_MANY_SOCKETS: Final = "CPU sockets updated in template spec to a value higher than what's available"
FEWER_SOCKETS: Final = "Reduction of CPU socket count requires a restart"
MULTIQUEUE: Final = "Changes to CPU sockets require a restart when NetworkInterfaceMultiQueue is enabled"
RUNS_ALREADY: Final = "CPU sockets updated in template spec: a guest that runs gets them when it is restarted"
MEMORY: Final = "memory updated in template spec: a guest that runs gets it when it is restarted"

_PLACEMENT: Final = ("nodeSelector", "affinity", "tolerations")
_BEFORE_HANDOVER: Final = (None, "", "Pending", "Scheduling")

Document = dict[str, Any]


def follow(vm: VirtualMachine, vmi: VirtualMachineInstance, sizing: Sizing) -> list[Action]:
    """Bring to the instance what it can take now."""
    template = vm.spec.template.spec
    if template is None or vmi.metadata.deletion_timestamp is not None or vmi.status.phase in FINAL_PHASES:
        return []
    wanted = expand(msgspec.to_builtins(template), sizing.instancetype_spec(), sizing.preference_spec())
    present: Document = msgspec.to_builtins(vmi.spec)
    operations: list[Document] = []
    for name in _PLACEMENT:
        value, had = wanted.get(name) or None, present.get(name) or None
        if value == had:
            continue
        operations.append(
            {"op": "remove", "path": f"/spec/{name}"}
            if value is None
            else {"op": "add", "path": f"/spec/{name}", "value": value}
        )
    sockets = _sockets(wanted)
    if sockets != _sockets(present) and sockets is not None and not _sockets_need_restart(sockets, vmi):
        operations.append({"op": "replace", "path": "/spec/domain/cpu/sockets", "value": sockets})
    if not operations:
        return []
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": vmi.metadata.resource_version}
    return [PatchObject(VIRTUAL_MACHINE_INSTANCES, key_of(vmi), Patch.json(version, *operations))]


def restart_reason(revision: Mapping[str, Any] | None, vm: VirtualMachine, vmi: VirtualMachineInstance | None) -> str:
    """Why the guest has to be restarted to be as the machine is now, empty when it has not.

    `revision` is the ControllerRevision that the instance was made from.
    """
    if revision is None or vmi is None or vmi.status.phase in FINAL_PHASES:
        return ""
    spec = (revision.get("data") or {}).get("spec") or {}
    then: Document | None = (spec.get("template") or {}).get("spec")
    now = vm.spec.template.spec
    if then is None:
        return ""
    if now is not None and networks_need_restart(msgspec.convert(then, VirtualMachineInstanceSpec), now):
        return OTHER_FIELD
    template: Document = msgspec.to_builtins(now) or {}
    if _fixed(then, template) != _fixed(template, then):
        return OTHER_FIELD
    sockets = _sockets(template)
    present = vmi.spec.domain.cpu.sockets if vmi.spec.domain.cpu is not None else None
    if sockets is not None and sockets not in (_sockets(then), present):
        return _sockets_need_restart(sockets, vmi)
    return MEMORY if _guest(template) != _guest(then) else ""


def _fixed(spec: Document, other: Document) -> Document:
    """A template's specification without what has rules of its own; `other` is the one that it is compared to."""
    placed = {key: value for key, value in spec.items() if key not in _PLACEMENT}
    rest = without_plugged(without_dumps(without_networks(placed)))
    domain = dict(rest.get("domain") or {})
    # A part that only one of them has is a change as a whole.
    for part, field in (("cpu", "sockets"), ("memory", "guest")):
        if domain.get(part) is not None and (other.get("domain") or {}).get(part) is not None:
            domain[part] = {key: value for key, value in domain[part].items() if key != field}
    return {**rest, "domain": domain}


def _sockets_need_restart(sockets: int, vmi: VirtualMachineInstance) -> str:
    cpu = vmi.spec.domain.cpu
    if cpu is None or sockets > (cpu.max_sockets or cpu.sockets or 0):
        return TOO_MANY_SOCKETS
    if sockets < (cpu.sockets or 0):
        return FEWER_SOCKETS
    if vmi.spec.domain.devices.network_interface_multiqueue:
        return MULTIQUEUE
    # The pod has the CPUs that a pinned guest had when it was made.
    may_follow = vmi.status.phase in _BEFORE_HANDOVER and not cpu.dedicated_cpu_placement
    return "" if may_follow else RUNS_ALREADY


def _sockets(spec: Document) -> int | None:
    return ((spec.get("domain") or {}).get("cpu") or {}).get("sockets")


def _guest(spec: Document) -> Any:
    return ((spec.get("domain") or {}).get("memory") or {}).get("guest")
