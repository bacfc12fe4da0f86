"""DataVolumes of a machine's templates: made once, owned by the machine, filled by somebody else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import DataVolumeTemplateSpec, VirtualMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import DATA_VOLUMES
from kobune.kube.client.objects import owner_reference
from kobune.kube.runtime.decision import Create

__all__ = ["DiskState", "disk_state", "missing_data_volumes", "volume_names"]


def missing_data_volumes(vm: VirtualMachine, there: dict[str, DataVolume]) -> list[Create]:
    """A creation for each template whose DataVolume is not there; one that somebody else made is used as it is."""
    return [
        Create(DATA_VOLUMES, vm.metadata.namespace, _data_volume(vm, template), vm.metadata.uid)
        for template in vm.spec.data_volume_templates
        if template.metadata.name and template.metadata.name not in there
    ]


@dataclass(frozen=True, slots=True)
class DiskState:
    """What keeps the disks of a machine from being used."""

    provisioning: bool = False
    """One is still being filled."""
    failed: bool = False
    """One could not be filled."""
    unbound: bool = False
    """One has no volume yet."""


def volume_names(vm: VirtualMachine) -> set[str]:
    """The claims that the machine's volumes use; a DataVolume's claim has its name."""
    spec = vm.spec.template.spec
    names: set[str] = set()
    for volume in spec.volumes if spec is not None else ():
        if volume.data_volume is not None:
            names.add(volume.data_volume.name)
        elif volume.persistent_volume_claim is not None:
            names.add(volume.persistent_volume_claim.claim_name)
    return names


def disk_state(vm: VirtualMachine, data_volumes: dict[str, DataVolume], claims: Mapping[str, str]) -> DiskState:
    """The state of the disks in the machine's template; `claims` has the phases of claims by name."""
    used = volume_names(vm)
    names = {template.metadata.name for template in vm.spec.data_volume_templates} | used
    volumes = [data_volumes[name] for name in names if name in data_volumes]
    return DiskState(
        provisioning=any(_is_provisioning(volume) for volume in volumes),
        failed=any(_has_failed(volume) for volume in volumes),
        unbound=any(claims.get(name, "Bound") != "Bound" for name in used),
    )


def _is_provisioning(volume: DataVolume) -> bool:
    """One whose claim has no volume cannot be filled yet, and is not being filled."""
    bound = next((item.status for item in volume.status.conditions if item.type == "Bound"), "True")
    return volume.status.phase != "Succeeded" and bound == "True"


def _has_failed(volume: DataVolume) -> bool:
    running = next((item for item in volume.status.conditions if item.type == "Running"), None)
    return volume.status.phase == "Failed" or (
        running is not None and running.status == "False" and running.reason == "Error"
    )


def _data_volume(vm: VirtualMachine, template: DataVolumeTemplateSpec) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": template.metadata.name,
        "labels": {**template.metadata.labels, "kubevirt.io/created-by": vm.metadata.uid},
        "ownerReferences": [owner_reference(VIRTUAL_MACHINES, vm)],
    }
    if template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    return {"metadata": metadata, "spec": msgspec.to_builtins(template.spec)}
