"""The kinds of kubevirt.io. Source: the names and columns that KubeVirt's clients know."""

from kobune.api.crd.model import Column, Definition
from kobune.api.kubevirt import (
    KubeVirt,
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineInstanceMigration,
    VirtualMachineInstancePreset,
    VirtualMachineInstanceReplicaSet,
)

__all__ = ["AGE", "KUBEVIRT", "PHASE", "SCALED"]

AGE = Column("Age", "date", ".metadata.creationTimestamp")
PHASE = Column("Phase", "string", ".status.phase")
_READY = Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status")
SCALED = (
    Column("Desired", "integer", ".spec.replicas"),
    Column("Current", "integer", ".status.replicas"),
    Column("Ready", "integer", ".status.readyReplicas"),
    AGE,
)
_KUBEVIRT_VERSIONS = ("v1", "v1alpha3")
_OLD = (("v1alpha3", "kubevirt.io/v1alpha3 is now deprecated and will be removed in a future release."),)
_OLD_PRESETS = (
    ("v1", "kubevirt.io/v1 VirtualMachineInstancePresets is now deprecated and will be removed in v2."),
    ("v1alpha3", "kubevirt.io/v1alpha3 VirtualMachineInstancePresets is now deprecated and will be removed in v2."),
)

KUBEVIRT = (
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachine", VirtualMachine, "virtualmachines", ("vm", "vms"),
        (AGE, Column("Status", "string", ".status.printableStatus"), _READY), deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstance", VirtualMachineInstance,
        "virtualmachineinstances", ("vmi", "vmis"),
        (
            AGE,
            PHASE,
            Column("IP", "string", ".status.interfaces[0].ipAddress"),
            Column("NodeName", "string", ".status.nodeName"),
            _READY,
            Column("Live-Migratable", "string", ".status.conditions[?(@.type=='LiveMigratable')].status", 1),
            Column("Paused", "string", ".status.conditions[?(@.type=='Paused')].status", 1),
        ),
        status=False, deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstanceReplicaSet", VirtualMachineInstanceReplicaSet,
        "virtualmachineinstancereplicasets", ("vmirs", "vmirss"), SCALED, scale_selector=".status.labelSelector",
        deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstancePreset", VirtualMachineInstancePreset,
        "virtualmachineinstancepresets", ("vmipreset", "vmipresets"), (AGE,), status=False, deprecations=_OLD_PRESETS,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstanceMigration", VirtualMachineInstanceMigration,
        "virtualmachineinstancemigrations", ("vmim", "vmims"),
        (PHASE, Column("VMI", "string", ".spec.vmiName")), deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "KubeVirt", KubeVirt, "kubevirts", ("kv", "kvs"), (AGE, PHASE),
        deprecations=_OLD,
    ),
)  # fmt: skip
