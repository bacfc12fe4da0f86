"""How the kinds of the groups beside kubevirt.io are addressed."""

from kobune.api.cdi import DataVolume
from kobune.api.clone import VirtualMachineClone
from kobune.api.export import VirtualMachineExport
from kobune.api.instancetype import (
    VirtualMachineClusterInstancetype,
    VirtualMachineClusterPreference,
    VirtualMachineInstancetype,
    VirtualMachinePreference,
)
from kobune.api.pool import VirtualMachinePool
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot, VirtualMachineSnapshotContent
from kobune.kube.client.resource import Resource

__all__ = [
    "CLUSTER_INSTANCETYPES",
    "CLUSTER_PREFERENCES",
    "DATA_VOLUMES",
    "INSTANCETYPES",
    "PREFERENCES",
    "VIRTUAL_MACHINE_CLONES",
    "VIRTUAL_MACHINE_EXPORTS",
    "VIRTUAL_MACHINE_POOLS",
    "VIRTUAL_MACHINE_RESTORES",
    "VIRTUAL_MACHINE_SNAPSHOTS",
    "VIRTUAL_MACHINE_SNAPSHOT_CONTENTS",
]

DATA_VOLUMES = Resource("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume", True, DataVolume)

_TYPES = "instancetype.kubevirt.io"

INSTANCETYPES = Resource(
    _TYPES, "v1beta1", "virtualmachineinstancetypes", "VirtualMachineInstancetype", True, VirtualMachineInstancetype
)
CLUSTER_INSTANCETYPES = Resource(
    _TYPES, "v1beta1", "virtualmachineclusterinstancetypes", "VirtualMachineClusterInstancetype", False,
    VirtualMachineClusterInstancetype,
)  # fmt: skip
PREFERENCES = Resource(
    _TYPES, "v1beta1", "virtualmachinepreferences", "VirtualMachinePreference", True, VirtualMachinePreference
)
CLUSTER_PREFERENCES = Resource(
    _TYPES, "v1beta1", "virtualmachineclusterpreferences", "VirtualMachineClusterPreference", False,
    VirtualMachineClusterPreference,
)  # fmt: skip
VIRTUAL_MACHINE_POOLS = Resource(
    "pool.kubevirt.io", "v1beta1", "virtualmachinepools", "VirtualMachinePool", True, VirtualMachinePool
)
VIRTUAL_MACHINE_SNAPSHOTS = Resource(
    "snapshot.kubevirt.io", "v1beta1", "virtualmachinesnapshots", "VirtualMachineSnapshot", True,
    VirtualMachineSnapshot,
)  # fmt: skip
VIRTUAL_MACHINE_SNAPSHOT_CONTENTS = Resource(
    "snapshot.kubevirt.io", "v1beta1", "virtualmachinesnapshotcontents", "VirtualMachineSnapshotContent", True,
    VirtualMachineSnapshotContent,
)  # fmt: skip
VIRTUAL_MACHINE_RESTORES = Resource(
    "snapshot.kubevirt.io", "v1beta1", "virtualmachinerestores", "VirtualMachineRestore", True, VirtualMachineRestore
)
VIRTUAL_MACHINE_CLONES = Resource(
    "clone.kubevirt.io", "v1beta1", "virtualmachineclones", "VirtualMachineClone", True, VirtualMachineClone
)
VIRTUAL_MACHINE_EXPORTS = Resource(
    "export.kubevirt.io", "v1", "virtualmachineexports", "VirtualMachineExport", True, VirtualMachineExport
)
