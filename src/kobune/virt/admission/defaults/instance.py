"""Defaults of VirtualMachineInstances. Source: KubeVirt's published behaviour and defaults."""

import uuid
from decimal import ROUND_CEILING
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachineInstanceSpec
from kobune.base.quantity import QuantityError, format_quantity, parse_quantity, to_bytes
from kobune.virt.admission.validation.hyperv import HYPERV_NEEDS
from kobune.virt.admission.validation.live_memory import why_memory_stays

__all__ = [
    "PCI_TOPOLOGY_ANNOTATION",
    "PREBUILT_IMAGES",
    "attach_default_devices",
    "default_instance",
    "default_platform",
    "default_size",
    "default_template",
]

Document = dict[str, Any]

VMI_FINALIZER: Final = "kubevirt.io/foregroundDeleteVirtualMachine"
PCI_TOPOLOGY_ANNOTATION: Final = "kubevirt.io/pci-topology-version"
PCI_TOPOLOGY_VERSION: Final = "v3"
MAX_RATIO: Final = 4
"""How often a guest's sockets and memory may grow into what it has at its start."""
MOST_VCPUS: Final = 512
"""KubeVirt's bound for sockets that nobody asked for."""
PREBUILT_IMAGES: Final = frozenset({"kobune/demo", "docker.io/kobune/demo"})
"""Container disks that come with Kobune's nodes and in no registry: nothing would be won by pulling them."""


def default_instance(obj: Document, *, new_uuid: uuid.UUID, binding: str = "bridge") -> None:
    """Fill in a VirtualMachineInstance that is being created."""
    metadata = obj.setdefault("metadata", {})
    _annotate(metadata)
    finalizers = metadata.setdefault("finalizers", [])
    if VMI_FINALIZER not in finalizers:
        finalizers.insert(0, VMI_FINALIZER)
    obj.setdefault("status", {}).setdefault("phase", "Pending")
    spec = obj["spec"]
    default_platform(spec)
    domain = spec["domain"]
    domain.setdefault("firmware", {}).setdefault("uuid", str(new_uuid))
    spec.setdefault("evictionStrategy", "None")
    _network(spec, domain["devices"], binding)
    _cpu(domain)
    _memory(domain)
    _features(domain)
    _attach_volumes(spec, domain["devices"])
    _disks(domain["devices"])
    _images(spec)
    for name in ("livenessProbe", "readinessProbe"):
        if spec.get(name):
            _probe(spec[name])
    _most_memory(spec)
    watchdog = domain["devices"].get("watchdog")
    if watchdog and watchdog.get("i6300esb") is not None:
        watchdog["i6300esb"].setdefault("action", "reset")


def default_platform(spec: Document) -> None:
    """Architecture and machine type, which templates of machines get as well."""
    if not spec.get("architecture"):
        spec["architecture"] = "amd64"
    domain = spec["domain"]
    machine = domain.setdefault("machine", {})
    if not machine.get("type"):
        machine["type"] = "q35"
    domain.setdefault("resources", {})


def default_size(domain: Document) -> None:
    """vCPUs and memory that requests and limits stand for."""
    _topology(domain)
    _memory(domain)


def attach_default_devices(spec: Document, binding: str) -> None:
    """Disks and the interface that an instance gets unasked."""
    devices = spec["domain"].setdefault("devices", {})
    _attach_volumes(spec, devices)
    _network(spec, devices, binding)


def default_template(spec: Document) -> None:
    """What an instance of a shown, expanded machine would get, short of what depends on the node."""
    default_platform(spec)
    default_size(spec["domain"])
    spec.setdefault("evictionStrategy", "None")
    _images(spec)


def annotate_template(template: Document) -> None:
    """The layout of PCI devices that the guest keeps over its lives."""
    _annotate(template.setdefault("metadata", {}))


def _annotate(metadata: Document) -> None:
    annotations = metadata.get("annotations") or {}
    annotations.setdefault(PCI_TOPOLOGY_ANNOTATION, PCI_TOPOLOGY_VERSION)
    metadata["annotations"] = annotations


def _network(spec: Document, devices: Document, binding: str) -> None:
    """Without any network: the pod's, by the installation's binding."""
    if devices.get("autoattachPodInterface") is False or devices.get("interfaces") or spec.get("networks"):
        return
    devices["interfaces"] = [{"name": "default", binding: {}}]
    spec["networks"] = [{"name": "default", "pod": {}}]


def _topology(domain: Document) -> None:
    """A limit is a request as well; without a topology, what is requested becomes sockets."""
    cpu = domain.setdefault("cpu", {})
    resources = domain.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if "cpu" in limits and "cpu" not in requests:
        requests = {**requests, "cpu": limits["cpu"]}
        domain["resources"] = {**resources, "requests": requests}
    if not any(cpu.get(part) for part in ("cores", "sockets", "threads")):
        sockets = _whole(limits.get("cpu", requests.get("cpu")))
        cpu.update(cores=1, sockets=sockets, threads=1)


def _cpu(domain: Document) -> None:
    _topology(domain)
    cpu = domain["cpu"]
    if not cpu.get("maxSockets") and cpu.get("sockets"):
        cpu["maxSockets"] = most_sockets(cpu["sockets"], cpu.get("cores") or 0, cpu.get("threads") or 0)
    cpu.setdefault("model", "host-model")


def most_sockets(sockets: int, cores: int, threads: int) -> int:
    """How far sockets may grow while the guest runs: four times, within what any machine type has for vCPUs."""
    most = sockets * MAX_RATIO
    if most * cores * threads > MOST_VCPUS:
        return max(MOST_VCPUS // (cores * threads), sockets)
    return most


def _whole(amount: Any) -> int:
    try:
        return max(1, int(parse_quantity(amount).to_integral_value(ROUND_CEILING)))
    except (QuantityError, TypeError, ValueError):
        return 1


def _memory(domain: Document) -> None:
    resources = domain.get("resources") or {}
    memory = domain.get("memory") or {}
    if memory.get("guest") is None:
        amounts = [(resources.get(kind) or {}).get("memory") for kind in ("requests", "limits")]
        amounts.append((memory.get("hugepages") or {}).get("pageSize"))
        given = next((amount for amount in amounts if amount not in (None, "", 0, "0")), None)
        if given is not None:
            domain["memory"] = memory = {**memory, "guest": given}


def _most_memory(spec: Document) -> None:
    """How far memory may grow while the guest runs: four times, where that is possible at all."""
    memory = spec["domain"].get("memory") or {}
    if memory.get("guest") is None or memory.get("maxGuest") is not None:
        return
    try:
        most = format_quantity(to_bytes(memory["guest"]) * MAX_RATIO, binary=True)
        grown = {**spec, "domain": {**spec["domain"], "memory": {**memory, "maxGuest": most}}}
        stays = why_memory_stays(msgspec.convert(grown, VirtualMachineInstanceSpec))
    except (QuantityError, TypeError, msgspec.ValidationError):
        return  # the validation has words for it
    if not stays:
        memory["maxGuest"] = most


def _features(domain: Document) -> None:
    features = domain.setdefault("features", {})
    acpi = features.get("acpi") or {}
    acpi.setdefault("enabled", True)
    features["acpi"] = acpi
    for name, feature in list(features.items()):
        if name in ("apic", "smm", "pvspinlock") and feature is not None:
            feature.setdefault("enabled", True)
    hyperv = features.get("hyperv")
    if not hyperv:
        return
    for feature in hyperv.values():
        if isinstance(feature, dict):
            feature.setdefault("enabled", True)
    wanted = [name for name, feature in hyperv.items() if isinstance(feature, dict) and feature.get("enabled")]
    while wanted:
        name = wanted.pop()
        for needed in HYPERV_NEEDS.get(name, ()):
            # One that was turned off stays so; the validation has words for it.
            if hyperv.get(needed) is None:
                hyperv[needed] = {"enabled": True}
                wanted.append(needed)
    if (hyperv.get("evmcs") or {}).get("enabled"):
        _require_vmx(domain)


def _require_vmx(domain: Document) -> None:
    """Enlightened VMCS is of use to a guest that runs guests itself."""
    cpu = domain.setdefault("cpu", {})
    others = [feature for feature in cpu.get("features") or () if feature.get("name") != "vmx"]
    cpu["features"] = [*others, {"name": "vmx", "policy": "require"}]


def _attach_volumes(spec: Document, devices: Document) -> None:
    """A volume that nothing uses becomes a disk: manifests from `create vm` list volumes only."""
    used = {item.get("name") for key in ("disks", "filesystems") for item in devices.get(key) or ()}
    named = [volume["name"] for volume in spec.get("volumes") or () if volume.get("name")]
    unused = [name for name in named if name not in used]
    if unused:
        devices["disks"] = [*(devices.get("disks") or ()), *({"name": name} for name in unused)]


def _disks(devices: Document) -> None:
    for disk in devices.get("disks") or ():
        kind = next((name for name in ("disk", "lun", "cdrom") if disk.get(name) is not None), "disk")
        target: Document = disk.setdefault(kind, {})
        if not target.get("bus"):
            target["bus"] = "sata"


def _images(spec: Document) -> None:
    for volume in spec.get("volumes") or ():
        disk = volume.get("containerDisk")
        if disk is not None and not disk.get("imagePullPolicy"):
            image = disk.get("image", "")
            moving = image.endswith(":latest") or not any(mark in image for mark in ":@")
            disk["imagePullPolicy"] = "Always" if moving and image not in PREBUILT_IMAGES else "IfNotPresent"


def _probe(probe: Document) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(name):
            probe[name] = value
