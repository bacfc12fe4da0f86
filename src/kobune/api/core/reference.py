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
    """Its name."""


class SecretReference(Object, frozen=True, kw_only=True):
    """A Secret in any namespace."""

    name: str = ""
    namespace: str = ""


class TypedLocalObjectReference(Object, frozen=True, kw_only=True):
    """An object of any kind in the same namespace."""

    api_group: str | None = None
    """The group; the core group if left out."""
    kind: str
    """The kind."""
    name: str
    """The name."""


class TypedObjectReference(Object, frozen=True, kw_only=True):
    """An object of any kind; another namespace needs a ReferenceGrant."""

    api_group: str | None = None
    """The group; the core group if left out."""
    kind: str
    """The kind."""
    name: str
    """The name."""
    namespace: str | None = None
    """The namespace; the claim's own if left out."""


class KeySelector(Object, frozen=True, kw_only=True):
    """One key of a ConfigMap or Secret."""

    name: str = ""
    key: str
    optional: bool | None = None


class ObjectFieldSelector(Object, frozen=True, kw_only=True):
    """A field of the pod, such as `metadata.name` or `status.podIP`."""

    field_path: str
    """The field."""
    api_version: str = ""
    """The version that the path is written for; v1 if left out."""


class ResourceFieldSelector(Object, frozen=True, kw_only=True):
    """A container's request or limit, such as `limits.memory`, in units of `divisor`."""

    resource: str
    """The resource."""
    container_name: str = ""
    """The container."""
    divisor: str | int | float = field(default="0")
    """The unit; 1 if left out."""


class NodeSelectorRequirement(Object, frozen=True, kw_only=True):
    """`operator` is In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    """The label's key."""
    operator: str
    """How key and values relate."""
    values: list[str] = []
    """Values; none for Exists and DoesNotExist, one number for Gt and Lt."""


class NodeSelectorTerm(Object, frozen=True, kw_only=True):
    """All requirements must hold; a term without any matches no node."""

    match_expressions: list[NodeSelectorRequirement] = []
    """Requirements on labels."""
    match_fields: list[NodeSelectorRequirement] = []
    """Requirements on fields; metadata.name is the only one."""


class NodeSelector(Object, frozen=True, kw_only=True):
    """One of the terms must hold."""

    node_selector_terms: list[NodeSelectorTerm] = []
    """Terms, of which one must hold."""
