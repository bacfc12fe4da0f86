"""Whether a machine is large enough for what its preference says its guest needs. Works on decoded JSON; pure."""

from dataclasses import dataclass
from typing import Any, Final

from kobune.api.instancetype.topology import preferred_topology, spread_options
from kobune.api.instancetype.types import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.base.quantity import parse_quantity

__all__ = ["Shortage", "shortage"]

Document = dict[str, Any]

_DOMAIN: Final = "spec.template.spec.domain"
_SPREAD: Final = {
    "SocketsCores": ("sockets", "cores"),
    "CoresThreads": ("cores", "threads"),
    "SocketsCoresThreads": ("sockets", "cores", "threads"),
}


@dataclass(frozen=True, slots=True)
class Shortage:
    """The fields that are too small, and the message."""

    fields: tuple[str, ...]
    message: str


def shortage(
    spec: Document,
    instancetype: VirtualMachineInstancetypeSpec | None,
    preference: VirtualMachinePreferenceSpec | None,
) -> Shortage | None:
    """What `spec` (with both applied, and defaults filled in) lacks; None when it is enough."""
    needed = preference.requirements if preference is not None else None
    if needed is None or preference is None:
        return None
    if needed.cpu is not None and (found := _cpu(spec, instancetype, preference, needed.cpu.guest)):
        return found
    if needed.memory is not None and (found := _memory(spec, instancetype, needed.memory.guest)):
        return found
    if needed.architecture and spec.get("architecture") != needed.architecture:
        message = (
            f"preference requires architecture {needed.architecture} but {spec.get('architecture')} is being requested"
        )
        return Shortage(("spec.template.spec.architecture",), message)
    return None


def _cpu(
    spec: Document,
    instancetype: VirtualMachineInstancetypeSpec | None,
    preference: VirtualMachinePreferenceSpec,
    needed: int,
) -> Shortage | None:
    if instancetype is not None:
        have = instancetype.cpu.guest
        if have >= needed:
            return None
        message = (
            f"insufficient CPU resources of {have} vCPU provided by instance type, preference requires {needed} vCPU"
        )
        return Shortage(("spec.instancetype",), message)
    cpu = spec["domain"].get("cpu")
    if not cpu:
        message = f"no CPU resources provided by VirtualMachine, preference requires {needed} vCPU"
        return Shortage((f"{_DOMAIN}.cpu",), message)
    topology = preferred_topology(preference)
    parts: tuple[str, ...] = (topology,)
    kind = topology
    if topology == "any":
        parts, kind = ("cores", "sockets", "threads"), "cores, sockets and threads"
    elif topology == "spread":
        _, kind = spread_options(preference)
        parts = _SPREAD.get(kind, ("sockets", "cores"))
    have = 1
    for part in parts:
        have *= cpu.get(part) or 1
    if have >= needed:
        return None
    message = (
        f"insufficient CPU resources of {have} vCPU provided by VirtualMachine, preference requires {needed} vCPU "
        f"provided as {kind}"
    )
    return Shortage(tuple(f"{_DOMAIN}.cpu.{part}" for part in parts), message)


def _memory(spec: Document, instancetype: VirtualMachineInstancetypeSpec | None, needed: Any) -> Shortage | None:
    have: Any = (spec["domain"].get("memory") or {}).get("guest")
    where, who = f"{_DOMAIN}.memory", "VirtualMachine"
    if instancetype is not None:
        have, where, who = instancetype.memory.guest, "spec.instancetype", "instance type"
    if have is None or parse_quantity(have) >= parse_quantity(needed):
        return None
    return Shortage(
        (where,), f"insufficient Memory resources of {have} provided by {who}, preference requires {needed}"
    )
