"""Fills in, from a preference, what a specification leaves open. Works on decoded JSON; pure.

Source: instancetype.kubevirt.io's published semantics; what a user has written stays, field by field.
"""

import copy
from typing import Any, Final

__all__ = ["AUTOATTACHED_INPUT", "prefer", "prefer_platform"]

Document = dict[str, Any]

AUTOATTACHED_INPUT: Final = "default-0"
"""The name of the input device that `autoattachInputDevice` adds."""

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
    "preferredKvm": "kvm",
    "preferredPvspinlock": "pvspinlock",
    "preferredSmm": "smm",
}
_BINDINGS: Final = ("bridge", "masquerade", "sriov", "slirp", "macvtap", "passt", "passtBinding", "binding")


def prefer(spec: Document, preference: Document) -> None:
    """Fill in what is open in the specification of an instance."""
    domain = spec.setdefault("domain", {})
    devices = domain.setdefault("devices", {})
    wanted = preference.get("devices") or {}
    _simple_devices(devices, wanted)
    _attach(spec, devices, wanted)
    _disks(devices, wanted)
    _interfaces(spec, devices, wanted)
    _other_devices(devices, wanted)
    _features(domain, preference.get("features") or {})
    _cpu_features(domain, (preference.get("cpu") or {}).get("preferredCPUFeatures") or [])
    prefer_platform(spec, preference)
    _firmware(domain, preference.get("firmware") or {})
    _clock(domain, preference.get("clock") or {})
    for name, field in (
        ("preferredSubdomain", "subdomain"),
        ("preferredTerminationGracePeriodSeconds", "terminationGracePeriodSeconds"),
    ):
        if name in preference:
            spec.setdefault(field, preference[name])
    if "preferredLaunchSecurity" in preference:
        domain.setdefault("launchSecurity", preference["preferredLaunchSecurity"])


def prefer_platform(spec: Document, preference: Document) -> None:
    """Architecture and machine type, which are decided before anything else is filled in."""
    if preference.get("preferredArchitecture") and not spec.get("architecture"):
        spec["architecture"] = preference["preferredArchitecture"]
    machine = (preference.get("machine") or {}).get("preferredMachineType")
    domain = spec.setdefault("domain", {})
    if machine and not (domain.get("machine") or {}).get("type"):
        domain["machine"] = {**(domain.get("machine") or {}), "type": machine}


def _simple_devices(devices: Document, wanted: Document) -> None:
    for name, field in _SIMPLE_DEVICES.items():
        if name in wanted:
            devices.setdefault(field, copy.deepcopy(wanted[name]))


def _attach(spec: Document, devices: Document, wanted: Document) -> None:
    """Disks, interface and input that would be added anyway: added here, so that preferences hold for them too."""
    used = {item.get("name") for key in ("disks", "filesystems") for item in devices.get(key) or ()}
    unused = [
        {"name": volume["name"]}
        for volume in spec.get("volumes") or ()
        if volume.get("name") and volume["name"] not in used and volume.get("memoryDump") is None
    ]
    if unused:
        devices["disks"] = [*(devices.get("disks") or ()), *unused]
    if devices.get("autoattachInputDevice") is True and not devices.get("inputs"):
        devices["inputs"] = [{"name": AUTOATTACHED_INPUT}]
    wants_network = devices.get("autoattachPodInterface") is not False
    if wants_network and "preferredInterfaceMasquerade" in wanted and not spec.get("networks"):
        devices.setdefault("interfaces", [])
        if not devices["interfaces"]:
            devices["interfaces"] = [{"name": "default"}]
            spec["networks"] = [{"name": "default", "pod": {}}]


def _disks(devices: Document, wanted: Document) -> None:
    if not wanted:
        return
    for disk in devices.get("disks") or ():
        if all(disk.get(kind) is None for kind in ("disk", "cdrom", "lun")):
            disk["disk"] = {}
        for kind, name in (("disk", "preferredDiskBus"), ("cdrom", "preferredCdromBus"), ("lun", "preferredLunBus")):
            if disk.get(kind) is not None and not disk[kind].get("bus") and wanted.get(name):
                disk[kind]["bus"] = wanted[name]
        if disk.get("disk") is None:
            continue
        for name, field in (
            ("preferredDiskBlockSize", "blockSize"),
            ("preferredDiskCache", "cache"),
            ("preferredDiskIO", "io"),
        ):
            if wanted.get(name) and not disk.get(field):
                disk[field] = copy.deepcopy(wanted[name])
        if "preferredDiskDedicatedIoThread" in wanted and disk["disk"].get("bus") == "virtio":
            disk.setdefault("dedicatedIOThread", wanted["preferredDiskDedicatedIoThread"])


def _interfaces(spec: Document, devices: Document, wanted: Document) -> None:
    pods = {network.get("name") for network in spec.get("networks") or () if network.get("pod") is not None}
    for interface in devices.get("interfaces") or ():
        if wanted.get("preferredInterfaceModel") and not interface.get("model"):
            interface["model"] = wanted["preferredInterfaceModel"]
        unbound = all(interface.get(binding) is None for binding in _BINDINGS)
        if "preferredInterfaceMasquerade" in wanted and unbound and interface.get("name") in pods:
            interface["masquerade"] = copy.deepcopy(wanted["preferredInterfaceMasquerade"])


def _other_devices(devices: Document, wanted: Document) -> None:
    for device in devices.get("inputs") or ():
        for name, field in (("preferredInputBus", "bus"), ("preferredInputType", "type")):
            if wanted.get(name) and not device.get(field):
                device[field] = wanted[name]
    if devices.get("sound") is not None and wanted.get("preferredSoundModel") and not devices["sound"].get("model"):
        devices["sound"]["model"] = wanted["preferredSoundModel"]
    if wanted.get("preferredVideoType") and devices.get("autoattachGraphicsDevice") is not False:
        devices.setdefault("video", {"type": wanted["preferredVideoType"]})
    if model := wanted.get("preferredPanicDeviceModel"):
        panic = devices.get("panicDevices") or [{}]
        devices["panicDevices"] = [{**device, "model": device.get("model") or model} for device in panic]
    if options := wanted.get("preferredVirtualGPUOptions"):
        for gpu in devices.get("gpus") or ():
            gpu.setdefault("virtualGPUOptions", copy.deepcopy(options))


def _features(domain: Document, wanted: Document) -> None:
    if not wanted:
        return
    features = domain.get("features") or {}
    for name, field in _FEATURES.items():
        if name in wanted and features.get(field) is None:
            features[field] = copy.deepcopy(wanted[name])
    passthrough = (features.get("hypervPassthrough") or {}).get("enabled") is True
    if wanted.get("preferredHyperv") is not None and not passthrough:
        features["hyperv"] = {**copy.deepcopy(wanted["preferredHyperv"]), **(features.get("hyperv") or {})}
    domain["features"] = features


def _cpu_features(domain: Document, wanted: list[Document]) -> None:
    if not wanted:
        return
    cpu = domain.get("cpu") or {}
    have = {item["name"] for item in cpu.get("features") or ()}
    added = [copy.deepcopy(item) for item in wanted if item["name"] not in have]
    domain["cpu"] = {**cpu, "features": [*(cpu.get("features") or ()), *added]}


def _clock(domain: Document, wanted: Document) -> None:
    own = domain.get("clock") or {}
    if (offset := wanted.get("preferredClockOffset")) and own.get("utc") is None and own.get("timezone") is None:
        own = {**own, **copy.deepcopy(offset)}
    if (timer := wanted.get("preferredTimer")) and own.get("timer") is None:
        own = {**own, "timer": copy.deepcopy(timer)}
    if own:
        domain["clock"] = own


def _firmware(domain: Document, wanted: Document) -> None:
    firmware = domain.get("firmware") or {}
    loader = copy.deepcopy(firmware.get("bootloader") or {})
    open_ = loader.get("efi") is None and loader.get("bios") is None
    if open_ and wanted.get("preferredUseBios"):
        loader["bios"] = {}
    elif open_ and wanted.get("preferredEfi") is not None:
        loader["efi"] = copy.deepcopy(wanted["preferredEfi"])
    elif open_ and wanted.get("preferredUseEfi"):
        loader["efi"] = {}
    if loader.get("bios") is not None and "preferredUseBiosSerial" in wanted:
        loader["bios"].setdefault("useSerial", wanted["preferredUseBiosSerial"])
    if loader.get("efi") is not None and "preferredUseSecureBoot" in wanted and "preferredEfi" not in wanted:
        loader["efi"].setdefault("secureBoot", wanted["preferredUseSecureBoot"])
    if loader:
        domain["firmware"] = {**firmware, "bootloader": loader}
