"""ConfigMap, Secret, ServiceAccount, Namespace. Source: core/v1."""

from kobune.api.core.reference import LocalObjectReference, ObjectReference
from kobune.api.meta import Condition, Object, ObjectMeta

__all__ = [
    "ConfigMap",
    "Namespace",
    "NamespaceSpec",
    "NamespaceStatus",
    "Secret",
    "ServiceAccount",
]


class ConfigMap(Object, frozen=True, kw_only=True):
    """`binary_data` is base64 text."""

    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool | None = None


class Secret(Object, frozen=True, kw_only=True):
    """`data` is base64 text; `string_data` is write-only."""

    metadata: ObjectMeta = ObjectMeta()
    type: str = ""
    data: dict[str, str] = {}
    string_data: dict[str, str] = {}
    immutable: bool | None = None


class ServiceAccount(Object, frozen=True, kw_only=True):
    """An identity of pods."""

    metadata: ObjectMeta = ObjectMeta()
    secrets: list[ObjectReference] = []
    image_pull_secrets: list[LocalObjectReference] = []
    automount_service_account_token: bool | None = None


class NamespaceSpec(Object, frozen=True, kw_only=True):
    """The finalizer `kubernetes` stands for the content."""

    finalizers: list[str] = []


class NamespaceStatus(Object, frozen=True, kw_only=True):
    """`phase` is Active or Terminating."""

    phase: str = ""
    conditions: list[Condition] = []


class Namespace(Object, frozen=True, kw_only=True):
    """A scope of names."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()
