"""The kinds of the groups beside kubevirt.io. Source: the names and columns that KubeVirt's clients know."""

from kobune.api.backup import VirtualMachineBackup
from kobune.api.cdi import DataVolume
from kobune.api.clone import VirtualMachineClone
from kobune.api.crd.kubevirt_kinds import AGE, PHASE, SCALED
from kobune.api.crd.model import Column, Definition
from kobune.api.export import VirtualMachineExport
from kobune.api.instancetype import (
    VirtualMachineClusterInstancetype,
    VirtualMachineClusterPreference,
    VirtualMachineInstancetype,
    VirtualMachinePreference,
)
from kobune.api.migrations import MigrationPolicy
from kobune.api.pool import VirtualMachinePool
from kobune.api.snapshot import VirtualMachineRestore, VirtualMachineSnapshot, VirtualMachineSnapshotContent

__all__ = ["OTHERS"]

_SOURCE = (
    Column("SourceKind", "string", ".spec.source.kind"),
    Column("SourceName", "string", ".spec.source.name"),
)
_SNAPSHOT = (
    Column("ReadyToUse", "boolean", ".status.readyToUse"),
    Column("CreationTime", "date", ".status.creationTime"),
    Column("Error", "string", ".status.error.message"),
)

_OLD_EXPORTS = tuple(
    (
        version,
        f"export.kubevirt.io/{version} VirtualMachineExport is now deprecated and will be removed in a future version.",
    )
    for version in ("v1beta1", "v1alpha1")
)

OTHERS = (
    Definition(
        "cdi.kubevirt.io", ("v1beta1",), "DataVolume", DataVolume, "datavolumes", ("dv", "dvs"),
        (
            PHASE,
            Column("Progress", "string", ".status.progress"),
            Column("Restarts", "integer", ".status.restartCount"),
            AGE,
        ),
    ),
    Definition(
        "instancetype.kubevirt.io", ("v1beta1",), "VirtualMachineInstancetype", VirtualMachineInstancetype,
        "virtualmachineinstancetypes", ("vminstancetype", "vminstancetypes", "vmf", "vmfs"), (AGE,), status=False,
    ),
    Definition(
        "instancetype.kubevirt.io", ("v1beta1",), "VirtualMachineClusterInstancetype",
        VirtualMachineClusterInstancetype, "virtualmachineclusterinstancetypes",
        ("vmclusterinstancetype", "vmclusterinstancetypes", "vmcf", "vmcfs"), (AGE,), namespaced=False, status=False,
        categories=(),
    ),
    Definition(
        "instancetype.kubevirt.io", ("v1beta1",), "VirtualMachinePreference", VirtualMachinePreference,
        "virtualmachinepreferences", ("vmpref", "vmprefs", "vmp", "vmps"), (AGE,), status=False,
    ),
    Definition(
        "instancetype.kubevirt.io", ("v1beta1",), "VirtualMachineClusterPreference", VirtualMachineClusterPreference,
        "virtualmachineclusterpreferences", ("vmcp", "vmcps"), (AGE,), namespaced=False, status=False, categories=(),
    ),
    Definition(
        "snapshot.kubevirt.io", ("v1beta1", "v1alpha1"), "VirtualMachineSnapshot", VirtualMachineSnapshot,
        "virtualmachinesnapshots", ("vmsnapshot", "vmsnapshots"), (*_SOURCE, PHASE, *_SNAPSHOT),
    ),
    Definition(
        "snapshot.kubevirt.io", ("v1beta1", "v1alpha1"), "VirtualMachineSnapshotContent",
        VirtualMachineSnapshotContent, "virtualmachinesnapshotcontents", ("vmsnapshotcontent", "vmsnapshotcontents"),
        _SNAPSHOT,
    ),
    Definition(
        "snapshot.kubevirt.io", ("v1beta1", "v1alpha1"), "VirtualMachineRestore", VirtualMachineRestore,
        "virtualmachinerestores", ("vmrestore", "vmrestores"),
        (
            Column("TargetKind", "string", ".spec.target.kind"),
            Column("TargetName", "string", ".spec.target.name"),
            Column("Complete", "boolean", ".status.complete"),
            Column("RestoreTime", "date", ".status.restoreTime"),
        ),
    ),
    Definition(
        "clone.kubevirt.io", ("v1beta1", "v1alpha1"), "VirtualMachineClone", VirtualMachineClone,
        "virtualmachineclones", ("vmclone", "vmclones"),
        (
            PHASE,
            Column("SourceVirtualMachine", "string", ".spec.source.name"),
            Column("TargetVirtualMachine", "string", ".spec.target.name"),
        ),
    ),
    Definition(
        "export.kubevirt.io", ("v1", "v1beta1", "v1alpha1"), "VirtualMachineExport", VirtualMachineExport,
        "virtualmachineexports", ("vmexport", "vmexports"), (*_SOURCE, PHASE),
        deprecations=_OLD_EXPORTS,
    ),
    Definition(
        "pool.kubevirt.io", ("v1beta1", "v1alpha1"), "VirtualMachinePool", VirtualMachinePool,
        "virtualmachinepools", ("vmpool", "vmpools"), SCALED, scale_selector=".status.labelSelector",
    ),
    Definition(
        "migrations.kubevirt.io", ("v1alpha1",), "MigrationPolicy", MigrationPolicy, "migrationpolicies", (), (),
        namespaced=False, status=False, categories=(),
    ),
    Definition(
        "backup.kubevirt.io", ("v1alpha1",), "VirtualMachineBackup", VirtualMachineBackup,
        "virtualmachinebackups", ("vmbackup", "vmbackups"),
    ),
)  # fmt: skip
