"""Applies an instancetype and a preference to the specification of an instance.

An instancetype decides: what the specification says as well is a conflict (`conflicts`). A preference fills in only
what the specification leaves open (`prefer`). Works on decoded JSON; pure. Source: instancetype.kubevirt.io's
published semantics.
"""

import copy
from decimal import Decimal
from typing import Any, Final

import msgspec

from kobune.api.instancetype.prefer import prefer
from kobune.api.instancetype.topology import arrange
from kobune.api.instancetype.types import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.base.quantity import format_quantity, to_bytes

__all__ = ["MAX_SOCKETS_RATIO", "expand"]

Document = dict[str, Any]

MAX_SOCKETS_RATIO: Final = 4


def expand(
    spec: Document,
    instancetype: VirtualMachineInstancetypeSpec | None,
    preference: VirtualMachinePreferenceSpec | None,
) -> Document:
    """A copy of `spec` with both applied."""
    spec = copy.deepcopy(spec)
    domain = spec.setdefault("domain", {})
    domain.setdefault("devices", {})
    if instancetype is not None:
        _cpu(domain, instancetype, preference)
        _memory(domain, instancetype)
        _rest(spec, domain, instancetype)
    if preference is not None:
        prefer(spec, msgspec.to_builtins(preference))
    return spec


def _cpu(
    domain: Document,
    instancetype: VirtualMachineInstancetypeSpec,
    preference: VirtualMachinePreferenceSpec | None,
) -> None:
    decided = instancetype.cpu
    cpu: Document = domain.setdefault("cpu", {})
    cpu.update(arrange(decided.guest, preference))
    for name, value in (
        ("model", decided.model),
        ("dedicatedCpuPlacement", decided.dedicated_cpu_placement),
        ("isolateEmulatorThread", decided.isolate_emulator_thread),
        ("maxSockets", decided.max_sockets),
        ("numa", decided.numa),
        ("realtime", decided.realtime),
    ):
        if value is not None:
            cpu[name] = msgspec.to_builtins(value)


def _memory(domain: Document, instancetype: VirtualMachineInstancetypeSpec) -> None:
    decided = instancetype.memory
    memory: Document = domain.setdefault("memory", {})
    memory["guest"] = decided.guest
    if decided.hugepages is not None:
        memory["hugepages"] = msgspec.to_builtins(decided.hugepages)
    if decided.max_guest is not None:
        memory["maxGuest"] = decided.max_guest
    if decided.overcommit_percent:
        amount = Decimal(to_bytes(decided.guest)) * (100 - decided.overcommit_percent) / 100
        requests = domain.setdefault("resources", {}).setdefault("requests", {})
        requests["memory"] = format_quantity(int(amount), binary=True)


def _rest(spec: Document, domain: Document, instancetype: VirtualMachineInstancetypeSpec) -> None:
    devices = domain["devices"]
    for target, name, value in (
        (domain, "ioThreadsPolicy", instancetype.io_threads_policy),
        (domain, "ioThreads", instancetype.io_threads),
        (domain, "launchSecurity", instancetype.launch_security),
        (devices, "gpus", instancetype.gpus or None),
        (devices, "hostDevices", instancetype.host_devices or None),
        (spec, "schedulerName", instancetype.scheduler_name),
    ):
        if value is not None:
            target[name] = msgspec.to_builtins(value)
    if instancetype.node_selector:
        spec["nodeSelector"] = {**spec.get("nodeSelector", {}), **instancetype.node_selector}
