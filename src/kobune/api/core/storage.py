"""PersistentVolumeClaim and PersistentVolume. Source: core/v1."""

from typing import Any

from kobune.api.core.container import ResourceRequirements
from kobune.api.core.reference import NodeSelector, ObjectReference, TypedLocalObjectReference, TypedObjectReference
from kobune.api.meta import LabelSelector, Object, ObjectMeta, QuantityValue, Time

__all__ = [
    "HostPathVolumeSource",
    "LocalVolumeSource",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PersistentVolumeClaimCondition",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeClaimStatus",
    "PersistentVolumeSpec",
    "PersistentVolumeStatus",
    "StorageClass",
    "VolumeNodeAffinity",
]


class PersistentVolumeClaimSpec(Object, frozen=True, kw_only=True):
    """`storage_class_name` None means the default class, an empty one means none; `volume_mode` Filesystem or Block."""

    access_modes: list[str] = []
    """How it may be mounted, such as ReadWriteOnce."""
    selector: LabelSelector | None = None
    resources: ResourceRequirements = ResourceRequirements()
    volume_name: str = ""
    """The volume to bind to."""
    storage_class_name: str | None = None
    """The StorageClass."""
    volume_mode: str | None = None
    """Filesystem or Block; Filesystem if left out."""
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    volume_attributes_class_name: str | None = None
    """The class of volume attributes."""


class PersistentVolumeClaimCondition(Object, frozen=True, kw_only=True):
    """Such as Resizing or FileSystemResizePending."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None


class PersistentVolumeClaimStatus(Object, frozen=True, kw_only=True):
    """`phase` is Pending, Bound or Lost."""

    phase: str = ""
    access_modes: list[str] = []
    capacity: dict[str, QuantityValue] = {}
    conditions: list[PersistentVolumeClaimCondition] = []
    allocated_resources: dict[str, QuantityValue] = {}


class PersistentVolumeClaim(Object, frozen=True, kw_only=True):
    """A request for storage."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class LocalVolumeSource(Object, frozen=True, kw_only=True):
    """A directory or block device of one node."""

    path: str
    fs_type: str | None = None


class HostPathVolumeSource(Object, frozen=True, kw_only=True):
    """`type` is empty, DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice or BlockDevice."""

    path: str
    type: str | None = None


class VolumeNodeAffinity(Object, frozen=True, kw_only=True):
    """The nodes that can reach the volume."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(Object, frozen=True, kw_only=True):
    """Exactly one source is set."""

    capacity: dict[str, QuantityValue] = {}
    access_modes: list[str] = []
    claim_ref: ObjectReference | None = None
    persistent_volume_reclaim_policy: str = ""
    storage_class_name: str = ""
    volume_mode: str | None = None
    mount_options: list[str] = []
    node_affinity: VolumeNodeAffinity | None = None
    local: LocalVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    csi: dict[str, Any] | None = None
    nfs: dict[str, Any] | None = None


class PersistentVolumeStatus(Object, frozen=True, kw_only=True):
    """`phase` is Pending, Available, Bound, Released or Failed."""

    phase: str = ""
    message: str = ""
    reason: str = ""


class PersistentVolume(Object, frozen=True, kw_only=True):
    """A piece of storage."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()


class StorageClass(Object, frozen=True, kw_only=True):
    """storage.k8s.io/v1: who makes volumes, and when: `volume_binding_mode` Immediate or WaitForFirstConsumer."""

    metadata: ObjectMeta = ObjectMeta()
    provisioner: str = ""
    parameters: dict[str, str] = {}
    reclaim_policy: str | None = None
    volume_binding_mode: str | None = None
    allow_volume_expansion: bool | None = None
    mount_options: list[str] = []
