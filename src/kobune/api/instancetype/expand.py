"""Applies an instancetype and a preference to the specification of an instance.

An instancetype decides: what the specification says as well is a conflict. A preference fills in only what the
specification leaves open. Works on decoded JSON; pure. Source: instancetype.kubevirt.io's published semantics.
"""

import copy
from decimal import Decimal
from typing import Any, Final

import msgspec

from kobune.api.instancetype.types import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.base.quantity import format_quantity, to_bytes

__all__ = ["MAX_SOCKETS_RATIO", "conflicts", "expand"]

Document = dict[str, Any]

MAX_SOCKETS_RATIO: Final = 4
_SIMPLE_DEVICES: Final = {
    "preferredAutoattachGraphicsDevice": "autoattachGraphicsDevice",
    "preferredAutoattachInputDevice": "autoattachInputDevice",
    "preferredAutoattachMemBalloon": "autoattachMemBalloon",
    "preferredAutoattachPodInterface": "autoattachPodInterface",
    "preferredAutoattachSerialConsole": "autoattachSerialConsole",
    "preferredBlockMultiQueue": "blockMultiQueue",
    "preferredDisableHotplug": "disableHotplug",
    "preferredNetworkInterfaceMultiQueue": "networkInterfaceMultiqueue",
    "preferredUseVirtioTransitional": "useVirtioTransitional",
    "preferredRng": "rng",
    "preferredTPM": "tpm",
}
_FEATURES: Final = {
    "preferredAcpi": "acpi",
    "preferredApic": "apic",
    "preferredHyperv": "hyperv",
    "preferredKvm": "kvm",
    "preferredPvspinlock": "pvspinlock",
    "preferredSmm": "smm",
}


def conflicts(spec: Document, instancetype: VirtualMachineInstancetypeSpec) -> list[str]:
    """Paths below `domain` or the specification that the instancetype decides and the specification gives as well."""
    domain = spec.get("domain") or {}
    cpu, memory = domain.get("cpu") or {}, domain.get("memory") or {}
    resources = domain.get("resources") or {}
    found = [f"domain.cpu.{name}" for name in ("cores", "sockets", "threads", "model") if cpu.get(name)]
    found += [f"domain.memory.{name}" for name in ("guest", "hugepages") if memory.get(name) is not None]
    for kind in ("requests", "limits"):
        found += [
            f"domain.resources.{kind}.{name}" for name in ("cpu", "memory") if name in (resources.get(kind) or {})
        ]
    given = {
        "domain.ioThreadsPolicy": (domain.get("ioThreadsPolicy"), instancetype.io_threads_policy),
        "domain.launchSecurity": (domain.get("launchSecurity"), instancetype.launch_security),
        "domain.devices.gpus": ((domain.get("devices") or {}).get("gpus"), instancetype.gpus),
        "domain.devices.hostDevices": ((domain.get("devices") or {}).get("hostDevices"), instancetype.host_devices),
    }
    return found + [path for path, (own, decided) in given.items() if own and decided]


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
    elif preference is not None and not domain.get("cpu"):
        domain["cpu"] = {"cores": 1, "sockets": 1, "threads": 1}
    if preference is not None:
        _prefer(spec, domain, msgspec.to_builtins(preference))
    return spec


def _cpu(
    domain: Document,
    instancetype: VirtualMachineInstancetypeSpec,
    preference: VirtualMachinePreferenceSpec | None,
) -> None:
    decided = instancetype.cpu
    cpu: Document = domain.setdefault("cpu", {})
    cpu.update(_topology(decided.guest, preference))
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


def _topology(count: int, preference: VirtualMachinePreferenceSpec | None) -> Document:
    """vCPUs as sockets, unless the preference says otherwise."""
    cpu = preference.cpu if preference is not None else None
    wanted = (cpu.preferred_cpu_topology if cpu is not None else None) or "sockets"
    shape = {"cores": 1, "sockets": 1, "threads": 1}
    kind = wanted.removeprefix("prefer").lower()
    if kind in ("cores", "threads"):
        shape[kind] = count
    elif kind == "spread":
        ratio = (cpu.spread_options.ratio if cpu is not None and cpu.spread_options is not None else None) or 2
        if count % ratio:
            ratio = 1
        shape["sockets"], shape["cores"] = count // ratio, ratio
    else:
        shape["sockets"] = count
    return shape


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


def _prefer(spec: Document, domain: Document, preference: Document) -> None:
    """Fill in what is open; `preference` as decoded JSON."""
    _prefer_devices(domain["devices"], preference.get("devices") or {})
    wanted = preference.get("features") or {}
    for name, feature in _FEATURES.items():
        if name in wanted:
            domain.setdefault("features", {}).setdefault(feature, wanted[name])
    features = (preference.get("cpu") or {}).get("preferredCPUFeatures")
    if features:
        cpu = domain.setdefault("cpu", {})
        have = {item["name"] for item in cpu.get("features", ())}
        cpu["features"] = [*cpu.get("features", ()), *(item for item in features if item["name"] not in have)]
    machine = (preference.get("machine") or {}).get("preferredMachineType")
    if machine and not (domain.get("machine") or {}).get("type"):
        domain["machine"] = {"type": machine}
    _prefer_firmware(domain, preference.get("firmware") or {})
    clock = preference.get("clock") or {}
    own = domain.get("clock") or {}
    if (offset := clock.get("preferredClockOffset")) and "utc" not in own and "timezone" not in own:
        domain["clock"] = {**own, **offset}
    if timer := clock.get("preferredTimer"):
        own = domain.get("clock") or {}
        domain["clock"] = {**own, "timer": {**timer, **own.get("timer", {})}}
    for name, field in (
        ("preferredSubdomain", "subdomain"),
        ("preferredTerminationGracePeriodSeconds", "terminationGracePeriodSeconds"),
    ):
        if name in preference:
            spec.setdefault(field, preference[name])
    if "preferredLaunchSecurity" in preference:
        domain.setdefault("launchSecurity", preference["preferredLaunchSecurity"])


def _prefer_devices(devices: Document, wanted: Document) -> None:
    for name, field in _SIMPLE_DEVICES.items():
        if name in wanted:
            devices.setdefault(field, wanted[name])
    for disk in devices.get("disks") or ():
        for kind, name in (("disk", "preferredDiskBus"), ("cdrom", "preferredCdromBus"), ("lun", "preferredLunBus")):
            if disk.get(kind) is not None and not disk[kind].get("bus") and wanted.get(name):
                disk[kind]["bus"] = wanted[name]
        if disk.get("disk") is not None:
            for name, field in (
                ("preferredDiskBlockSize", "blockSize"),
                ("preferredDiskCache", "cache"),
                ("preferredDiskIO", "io"),
                ("preferredDiskDedicatedIoThread", "dedicatedIOThread"),
            ):
                if name in wanted:
                    disk.setdefault(field, wanted[name])
    for interface in devices.get("interfaces") or ():
        if wanted.get("preferredInterfaceModel"):
            interface.setdefault("model", wanted["preferredInterfaceModel"])
    for device in devices.get("inputs") or ():
        for name, field in (("preferredInputBus", "bus"), ("preferredInputType", "type")):
            if wanted.get(name) and not device.get(field):
                device[field] = wanted[name]
    if devices.get("sound") is not None and wanted.get("preferredSoundModel"):
        devices["sound"].setdefault("model", wanted["preferredSoundModel"])
    if wanted.get("preferredVideoType") and devices.get("autoattachGraphicsDevice") is not False:
        devices.setdefault("video", {"type": wanted["preferredVideoType"]})


def _prefer_firmware(domain: Document, wanted: Document) -> None:
    firmware = domain.get("firmware") or {}
    if firmware.get("bootloader"):
        return
    if efi := wanted.get("preferredEfi"):
        domain["firmware"] = {**firmware, "bootloader": {"efi": efi}}
    elif wanted.get("preferredUseEfi"):
        secure = bool(wanted.get("preferredUseSecureBoot"))
        domain["firmware"] = {**firmware, "bootloader": {"efi": {"secureBoot": secure}}}
    elif wanted.get("preferredUseBios"):
        bios = {"useSerial": True} if wanted.get("preferredUseBiosSerial") else {}
        domain["firmware"] = {**firmware, "bootloader": {"bios": bios}}
