"""Volumes of a machine's template that come to its running instance, and leave it, without a restart. Pure.

Owns which volumes an instance gets from its machine. Volumes that were plugged into the instance alone are not the
machine's. A changed volume leaves first, and comes back as it is wanted once nothing is left of it.
"""

from typing import Any

import msgspec

from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import key_of
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, PatchObject
from kobune.virt.domain.hotplug import ephemeral_volumes, hotplug_volumes

__all__ = ["plug_volumes", "without_plugged"]


def plug_volumes(vm: VirtualMachine, vmi: VirtualMachineInstance) -> list[Action]:
    """The change of the instance, if there is one. Only of one that runs: a later one is made from the template."""
    template = vm.spec.template.spec
    if vmi.status.phase != "Running" or vmi.metadata.deletion_timestamp is not None or template is None:
        return []
    wanted, plugged = hotplug_volumes(template), hotplug_volumes(vmi.spec)
    own = set(plugged) - ephemeral_volumes(vmi.metadata.annotations)
    leaving = {name for name in own if wanted.get(name) != plugged[name]}
    present = {volume.name for volume in vmi.spec.volumes} | {found.name for found in vmi.status.volume_status}
    coming = [name for name in wanted if name not in present]
    if not leaving and not coming:
        return []
    disks = {disk.name: disk for disk in template.domain.devices.disks}
    volumes = [volume for volume in vmi.spec.volumes if volume.name not in leaving] + [wanted[name] for name in coming]
    shown = [disk for disk in vmi.spec.domain.devices.disks if disk.name not in leaving]
    shown += [disks[name] for name in coming]
    body: dict[str, Any] = {
        # The lists are replaced as they are known here.
        "metadata": {"resourceVersion": vmi.metadata.resource_version},
        "spec": {
            "volumes": msgspec.to_builtins(volumes),
            "domain": {"devices": {"disks": msgspec.to_builtins(shown)}},
        },
    }
    return [PatchObject(VIRTUAL_MACHINE_INSTANCES, key_of(vmi), Patch.merge(body))]


def without_plugged(spec: dict[str, Any]) -> dict[str, Any]:
    """A template's specification without what can change while the guest runs; `spec` is decoded JSON."""
    names = set(hotplug_volumes(msgspec.convert(spec, VirtualMachineInstanceSpec)))
    if not names:
        return _without_empty(spec)
    domain = spec.get("domain") or {}
    devices = domain.get("devices") or {}
    kept = {
        **spec,
        "volumes": [item for item in spec.get("volumes") or () if item["name"] not in names],
        "domain": {
            **domain,
            "devices": {**devices, "disks": [d for d in devices.get("disks") or () if d["name"] not in names]},
        },
    }
    return _without_empty(kept)


def _without_empty(spec: dict[str, Any]) -> dict[str, Any]:
    """No list and an empty list are the same: the last volume may go."""
    domain = spec.get("domain") or {}
    devices = {key: value for key, value in (domain.get("devices") or {}).items() if key != "disks" or value}
    shown = {key: value for key, value in spec.items() if key != "volumes" or value}
    return {**shown, "domain": {**domain, "devices": devices}}
