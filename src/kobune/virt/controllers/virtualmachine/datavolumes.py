"""DataVolumes of a machine's templates: made once, owned by the machine, filled by somebody else."""

from typing import Any

import msgspec

from kobune.api.cdi import DataVolume
from kobune.api.kubevirt import DataVolumeTemplateSpec, VirtualMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.kubevirt_groups import DATA_VOLUMES
from kobune.kube.client.objects import owner_reference
from kobune.kube.runtime.decision import Create

__all__ = ["is_provisioning", "missing_data_volumes"]


def missing_data_volumes(vm: VirtualMachine, there: dict[str, DataVolume]) -> list[Create]:
    """A creation for each template whose DataVolume is not there; one that somebody else made is used as it is."""
    return [
        Create(DATA_VOLUMES, vm.metadata.namespace, _data_volume(vm, template), vm.metadata.uid)
        for template in vm.spec.data_volume_templates
        if template.metadata.name and template.metadata.name not in there
    ]


def is_provisioning(vm: VirtualMachine, there: dict[str, DataVolume]) -> bool:
    """Whether a disk of the machine is still being filled."""
    volumes = (there.get(template.metadata.name) for template in vm.spec.data_volume_templates)
    return any(volume is not None and volume.status.phase != "Succeeded" for volume in volumes)


def _data_volume(vm: VirtualMachine, template: DataVolumeTemplateSpec) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": template.metadata.name,
        "labels": {**template.metadata.labels, "kubevirt.io/created-by": vm.metadata.uid},
        "ownerReferences": [owner_reference(VIRTUAL_MACHINES, vm)],
    }
    if template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    return {"metadata": metadata, "spec": msgspec.to_builtins(template.spec)}
