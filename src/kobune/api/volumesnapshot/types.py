"""Requests for snapshots of volumes, and what stands for a snapshot on the storage.

Source: snapshot.storage.k8s.io/v1 as the CSI snapshotter publishes it, with its rules of what may change.
"""

from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from kobune.api.core import ObjectReference
from kobune.api.meta import Int64, Object, ObjectMeta, QuantityValue, Time

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


def _rule(rule: str, message: str) -> dict[str, Any]:
    """What the schema says of a field: one CEL rule."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


DeletionPolicy: TypeAlias = Annotated[str, Meta(extra={"enum": ["Delete", "Retain"]})]
"""Whether the snapshot on the storage goes with its VolumeSnapshot."""

ClassName: TypeAlias = Annotated[
    str, Meta(extra=_rule("size(self) > 0", "volumeSnapshotClassName must not be the empty string when set"))
]


class VolumeSnapshotError(Object, frozen=True, kw_only=True):
    """The last failure to make the snapshot; absent once it worked."""

    message: str | None = None
    time: Time | None = None


class VolumeSnapshotSource(Object, frozen=True, kw_only=True):
    """A claim of the same namespace to take a snapshot of, or a content that exists already: one of them, for ever."""

    persistent_volume_claim_name: (
        Annotated[str, Meta(extra=_rule("self == oldSelf", "persistentVolumeClaimName is immutable"))] | None
    ) = None
    volume_snapshot_content_name: (
        Annotated[str, Meta(extra=_rule("self == oldSelf", "volumeSnapshotContentName is immutable"))] | None
    ) = None


class VolumeSnapshotSpec(Object, frozen=True, kw_only=True):
    """`volume_snapshot_class_name` absent means the default class of the volume's driver."""

    source: VolumeSnapshotSource
    volume_snapshot_class_name: ClassName | None = None


class VolumeSnapshotStatus(Object, frozen=True, kw_only=True):
    """`restore_size` is the least size of a volume made from it; the content is bound when both name each other."""

    bound_volume_snapshot_content_name: str | None = None
    creation_time: Time | None = None
    error: VolumeSnapshotError | None = None
    ready_to_use: bool | None = None
    restore_size: QuantityValue | None = None
    volume_group_snapshot_name: str | None = None


class VolumeSnapshot(Object, frozen=True, kw_only=True):
    """A user's request for a snapshot of a volume, or for the use of one that exists."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VolumeSnapshotSpec
    status: VolumeSnapshotStatus | None = None


class TopologySelectorLabelRequirement(Object, frozen=True, kw_only=True):
    """One of `values` must be the label's value."""

    key: str
    values: list[str]


class TopologySelectorTerm(Object, frozen=True, kw_only=True):
    """Nodes with all of these labels."""

    match_label_expressions: list[TopologySelectorLabelRequirement] = []


class VolumeSnapshotClass(Object, frozen=True, kw_only=True):
    """How a driver makes snapshots; `parameters` mean something to the driver alone."""

    metadata: ObjectMeta = ObjectMeta()
    driver: str
    deletion_policy: DeletionPolicy
    parameters: dict[str, str] = {}
    allowed_topologies: list[TopologySelectorTerm] = []


class VolumeSnapshotContentSource(Object, frozen=True, kw_only=True):
    """The driver's handle of the volume to take, or of the snapshot that exists: one of them, for ever."""

    snapshot_handle: Annotated[str, Meta(extra=_rule("self == oldSelf", "snapshotHandle is immutable"))] | None = None
    volume_handle: Annotated[str, Meta(extra=_rule("self == oldSelf", "volumeHandle is immutable"))] | None = None


class VolumeSnapshotContentSpec(Object, frozen=True, kw_only=True):
    """`source_volume_mode` is Filesystem or Block, absent when nobody knows."""

    deletion_policy: DeletionPolicy
    driver: str
    source: VolumeSnapshotContentSource
    source_volume_mode: Annotated[str, Meta(extra=_rule("self == oldSelf", "sourceVolumeMode is immutable"))] | None = (
        None
    )
    volume_snapshot_class_name: ClassName | None = None
    volume_snapshot_ref: Annotated[
        ObjectReference,
        Meta(
            extra={
                "x-kubernetes-map-type": "atomic",
                **_rule(
                    "has(self.name) && has(self.__namespace__)",
                    "both spec.volumeSnapshotRef.name and spec.volumeSnapshotRef.namespace must be set",
                ),
            }
        ),
    ]


class VolumeSnapshotContentStatus(Object, frozen=True, kw_only=True):
    """`creation_time` in nanoseconds since 1970, `restore_size` in bytes."""

    creation_time: Int64 | None = None
    error: VolumeSnapshotError | None = None
    ready_to_use: bool | None = None
    restore_size: Annotated[int, Meta(extra={"format": "int64", "minimum": 0})] | None = None
    snapshot_handle: str | None = None
    volume_group_snapshot_handle: str | None = None


class VolumeSnapshotContent(Object, frozen=True, kw_only=True):
    """A snapshot on the storage."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VolumeSnapshotContentSpec
    status: VolumeSnapshotContentStatus | None = None
