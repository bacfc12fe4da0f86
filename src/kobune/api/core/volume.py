"""Volumes of a pod. Source: core/v1; sources that Kobune only passes on stay unstructured."""

from typing import Any

from msgspec import field

from kobune.api.core.reference import (
    LocalObjectReference,
    ObjectFieldSelector,
    ResourceFieldSelector,
)
from kobune.api.core.storage import HostPathVolumeSource, PersistentVolumeClaimSpec
from kobune.api.meta import LabelSelector, Object, ObjectMeta, QuantityValue

__all__ = [
    "CSIVolumeSource",
    "ClusterTrustBundleProjection",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "DownwardAPIProjection",
    "DownwardAPIVolumeFile",
    "DownwardAPIVolumeSource",
    "EmptyDirVolumeSource",
    "EphemeralVolumeSource",
    "ImageVolumeSource",
    "KeyToPath",
    "PersistentVolumeClaimTemplate",
    "PersistentVolumeClaimVolumeSource",
    "ProjectedVolumeSource",
    "SecretProjection",
    "SecretVolumeSource",
    "ServiceAccountTokenProjection",
    "Volume",
    "VolumeProjection",
]


class KeyToPath(Object, frozen=True, kw_only=True):
    """One key as a file at a relative path."""

    key: str
    path: str
    mode: int | None = None


class EmptyDirVolumeSource(Object, frozen=True, kw_only=True):
    """`medium` is empty (disk), Memory or HugePages-SIZE."""

    medium: str = ""
    size_limit: QuantityValue | None = None


class ConfigMapVolumeSource(Object, frozen=True, kw_only=True):
    """Keys as files; no items means all keys."""

    name: str = ""
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool | None = None


class SecretVolumeSource(Object, frozen=True, kw_only=True):
    """Keys as files; no items means all keys."""

    secret_name: str = ""
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool | None = None


class DownwardAPIVolumeFile(Object, frozen=True, kw_only=True):
    """One field of the pod, or one resource of a container, as a file."""

    path: str
    """Relative path of the file."""
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None
    """Permission bits of the file."""


class DownwardAPIVolumeSource(Object, frozen=True, kw_only=True):
    """The pod's own fields as files."""

    items: list[DownwardAPIVolumeFile] = []
    default_mode: int | None = None


class DownwardAPIProjection(Object, frozen=True, kw_only=True):
    """The pod's own fields inside a projected volume."""

    items: list[DownwardAPIVolumeFile] = []


class ConfigMapProjection(Object, frozen=True, kw_only=True):
    """A ConfigMap inside a projected volume."""

    name: str = ""
    items: list[KeyToPath] = []
    optional: bool | None = None


class SecretProjection(Object, frozen=True, kw_only=True):
    """A Secret inside a projected volume."""

    name: str = ""
    items: list[KeyToPath] = []
    optional: bool | None = None


class ServiceAccountTokenProjection(Object, frozen=True, kw_only=True):
    """A token of the pod's ServiceAccount; `expiration_seconds` defaults to an hour."""

    path: str
    audience: str = ""
    expiration_seconds: int | None = None


class ClusterTrustBundleProjection(Object, frozen=True, kw_only=True):
    """Trust anchors as one PEM file."""

    path: str
    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool | None = None


class VolumeProjection(Object, frozen=True, kw_only=True):
    """Exactly one is set."""

    config_map: ConfigMapProjection | None = None
    secret: SecretProjection | None = None
    downward_api: DownwardAPIProjection | None = field(name="downwardAPI", default=None)
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None


class ProjectedVolumeSource(Object, frozen=True, kw_only=True):
    """Several sources in one directory."""

    sources: list[VolumeProjection] = []
    default_mode: int | None = None


class PersistentVolumeClaimVolumeSource(Object, frozen=True, kw_only=True):
    """A claim in the pod's namespace."""

    claim_name: str
    """The claim, in the VM's namespace."""
    read_only: bool = False
    """Whether the claim is mounted read-only."""


class PersistentVolumeClaimTemplate(Object, frozen=True, kw_only=True):
    """A claim that lives as long as the pod."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeClaimSpec


class EphemeralVolumeSource(Object, frozen=True, kw_only=True):
    """A claim made from a template."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class ImageVolumeSource(Object, frozen=True, kw_only=True):
    """The root file system of an image, read-only."""

    reference: str = ""
    pull_policy: str = ""


class CSIVolumeSource(Object, frozen=True, kw_only=True):
    """An inline volume of a CSI driver."""

    driver: str
    read_only: bool | None = None
    fs_type: str | None = None
    volume_attributes: dict[str, str] = {}
    node_publish_secret_ref: LocalObjectReference | None = None


class Volume(Object, frozen=True, kw_only=True):
    """Exactly one source is set."""

    name: str
    empty_dir: EmptyDirVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = field(name="downwardAPI", default=None)
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    nfs: dict[str, Any] | None = None
    iscsi: dict[str, Any] | None = None
