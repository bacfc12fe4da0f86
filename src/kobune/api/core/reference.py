"""References from one object to another, and selectors of keys. Source: core/v1."""

from msgspec import field

from kobune.api.meta import Object

__all__ = [
    "KeySelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorRequirement",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "ResourceFieldSelector",
    "SecretReference",
    "TypedLocalObjectReference",
    "TypedObjectReference",
]


class ObjectReference(Object, frozen=True, kw_only=True):
    """Names any object, as an Event does."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class LocalObjectReference(Object, frozen=True, kw_only=True):
    """An object in the same namespace."""

    name: str = ""


class SecretReference(Object, frozen=True, kw_only=True):
    """A Secret in any namespace."""

    name: str = ""
    namespace: str = ""


class TypedLocalObjectReference(Object, frozen=True, kw_only=True):
    """An object of any kind in the same namespace."""

    api_group: str | None = None
    kind: str
    name: str


class TypedObjectReference(Object, frozen=True, kw_only=True):
    """An object of any kind; another namespace needs a ReferenceGrant."""

    api_group: str | None = None
    kind: str
    name: str
    namespace: str | None = None


class KeySelector(Object, frozen=True, kw_only=True):
    """One key of a ConfigMap or Secret."""

    name: str = ""
    key: str
    optional: bool | None = None


class ObjectFieldSelector(Object, frozen=True, kw_only=True):
    """A field of the pod, such as `metadata.name` or `status.podIP`."""

    field_path: str
    api_version: str = ""


class ResourceFieldSelector(Object, frozen=True, kw_only=True):
    """A container's request or limit, such as `limits.memory`, in units of `divisor`."""

    resource: str
    container_name: str = ""
    divisor: str | int | float = field(default="0")


class NodeSelectorRequirement(Object, frozen=True, kw_only=True):
    """`operator` is In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: list[str] = []


class NodeSelectorTerm(Object, frozen=True, kw_only=True):
    """All requirements must hold; a term without any matches no node."""

    match_expressions: list[NodeSelectorRequirement] = []
    match_fields: list[NodeSelectorRequirement] = []


class NodeSelector(Object, frozen=True, kw_only=True):
    """One of the terms must hold."""

    node_selector_terms: list[NodeSelectorTerm] = []
