"""Kinds that other projects define and that Kobune works with.

On a cluster they come with its storage and network add-ons and belong to those; only embedded mode, where nobody else
brings them, installs them. Source: names and columns as those projects publish them.
"""

from kobune.api.cni import NetworkAttachmentDefinition
from kobune.api.crd.kubevirt_kinds import AGE
from kobune.api.crd.model import Column, Definition
from kobune.api.volumesnapshot import VolumeSnapshot, VolumeSnapshotClass, VolumeSnapshotContent

__all__ = ["COMPANIONS"]

_SNAPSHOTS = "snapshot.storage.k8s.io"
_READY = Column("ReadyToUse", "boolean", ".status.readyToUse")
_POLICY = "DeletionPolicy"


def _approved(number: int) -> tuple[tuple[str, str], ...]:
    """Where Kubernetes' API reviewers approved a kind of a group that ends in k8s.io; such groups need it."""
    return (("api-approved.kubernetes.io", f"https://github.com/kubernetes-csi/external-snapshotter/pull/{number}"),)


COMPANIONS = (
    Definition(
        "k8s.cni.cncf.io", ("v1",), "NetworkAttachmentDefinition", NetworkAttachmentDefinition,
        "network-attachment-definitions", ("net-attach-def",), singular="network-attachment-definition",
        status=False, categories=(),
    ),
    Definition(
        _SNAPSHOTS, ("v1",), "VolumeSnapshot", VolumeSnapshot, "volumesnapshots", ("vs",),
        (
            _READY,
            Column("SourcePVC", "string", ".spec.source.persistentVolumeClaimName"),
            Column("SourceSnapshotContent", "string", ".spec.source.volumeSnapshotContentName"),
            Column("RestoreSize", "string", ".status.restoreSize"),
            Column("SnapshotClass", "string", ".spec.volumeSnapshotClassName"),
            Column("SnapshotContent", "string", ".status.boundVolumeSnapshotContentName"),
            Column("CreationTime", "date", ".status.creationTime"),
            AGE,
        ),
        categories=(), annotations=_approved(814),
    ),
    Definition(
        _SNAPSHOTS, ("v1",), "VolumeSnapshotClass", VolumeSnapshotClass, "volumesnapshotclasses",
        ("vsclass", "vsclasses"),
        (Column("Driver", "string", ".driver"), Column(_POLICY, "string", ".deletionPolicy"), AGE),
        namespaced=False, status=False, categories=(), annotations=_approved(814),
    ),
    Definition(
        _SNAPSHOTS, ("v1",), "VolumeSnapshotContent", VolumeSnapshotContent, "volumesnapshotcontents",
        ("vsc", "vscs"),
        (
            _READY,
            Column("RestoreSize", "integer", ".status.restoreSize"),
            Column(_POLICY, "string", ".spec.deletionPolicy"),
            Column("Driver", "string", ".spec.driver"),
            Column("VolumeSnapshotClass", "string", ".spec.volumeSnapshotClassName"),
            Column("VolumeSnapshot", "string", ".spec.volumeSnapshotRef.name"),
            Column("VolumeSnapshotNamespace", "string", ".spec.volumeSnapshotRef.namespace"),
            AGE,
        ),
        namespaced=False, categories=(), annotations=_approved(955),
    ),
)  # fmt: skip
