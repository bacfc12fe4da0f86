"""snapshot.storage.k8s.io/v1: snapshots of volumes, as storage drivers make them."""

from kobune.api.volumesnapshot.types import (
    TopologySelectorLabelRequirement,
    TopologySelectorTerm,
    VolumeSnapshot,
    VolumeSnapshotClass,
    VolumeSnapshotContent,
    VolumeSnapshotContentSource,
    VolumeSnapshotContentSpec,
    VolumeSnapshotContentStatus,
    VolumeSnapshotError,
    VolumeSnapshotSource,
    VolumeSnapshotSpec,
    VolumeSnapshotStatus,
)

__all__ = [
    "TopologySelectorLabelRequirement",
    "TopologySelectorTerm",
    "VolumeSnapshot",
    "VolumeSnapshotClass",
    "VolumeSnapshotContent",
    "VolumeSnapshotContentSource",
    "VolumeSnapshotContentSpec",
    "VolumeSnapshotContentStatus",
    "VolumeSnapshotError",
    "VolumeSnapshotSource",
    "VolumeSnapshotSpec",
    "VolumeSnapshotStatus",
]
