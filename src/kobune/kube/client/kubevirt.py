"""How the kubevirt.io kinds are addressed; version v1 is the one that Kobune reads and writes."""

from kobune.api.kubevirt import (
    KubeVirt,
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineInstanceMigration,
    VirtualMachineInstancePreset,
    VirtualMachineInstanceReplicaSet,
)
from kobune.kube.client.resource import Resource

__all__ = [
    "GROUP",
    "KUBEVIRTS",
    "VIRTUAL_MACHINES",
    "VIRTUAL_MACHINE_INSTANCES",
    "VIRTUAL_MACHINE_INSTANCE_MIGRATIONS",
    "VIRTUAL_MACHINE_INSTANCE_PRESETS",
    "VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS",
]

GROUP = "kubevirt.io"

VIRTUAL_MACHINES = Resource(GROUP, "v1", "virtualmachines", "VirtualMachine", True, VirtualMachine)
VIRTUAL_MACHINE_INSTANCES = Resource(
    GROUP, "v1", "virtualmachineinstances", "VirtualMachineInstance", True, VirtualMachineInstance,
    status_subresource=False,
)  # fmt: skip
VIRTUAL_MACHINE_INSTANCE_REPLICA_SETS = Resource(
    GROUP, "v1", "virtualmachineinstancereplicasets", "VirtualMachineInstanceReplicaSet", True,
    VirtualMachineInstanceReplicaSet,
)  # fmt: skip
VIRTUAL_MACHINE_INSTANCE_PRESETS = Resource(
    GROUP, "v1", "virtualmachineinstancepresets", "VirtualMachineInstancePreset", True, VirtualMachineInstancePreset
)
VIRTUAL_MACHINE_INSTANCE_MIGRATIONS = Resource(
    GROUP, "v1", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration", True,
    VirtualMachineInstanceMigration,
)  # fmt: skip
KUBEVIRTS = Resource(GROUP, "v1", "kubevirts", "KubeVirt", True, KubeVirt)
