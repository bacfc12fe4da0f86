"""What the API server knows about one served resource version: names, verbs, subresources and schema.

Owns: the value types that describe a resource, whether built in or defined by a CustomResourceDefinition. Must not
hold state of requests.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.shape import Shape

__all__ = [
    "ALL_VERBS",
    "Column",
    "ObjectSchema",
    "ResourceInfo",
    "ScaleInfo",
    "SubresourceInfo",
]

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class ObjectSchema(Protocol):
    """The compiled schema of one kind and version. All methods mutate or read plain JSON values, no copies."""

    @property
    def shape(self) -> Shape:
        """The structure of the type (list types, keys, patch strategies), for patches and field ownership."""
        ...

    @property
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI v3 schema of the kind (with $ref into components for built-in kinds)."""
        ...

    def decode(self, obj: dict[str, Any], *, default: bool = True) -> list[str]:
        """Bring a decoded JSON object into the form the server stores, in place.

        Drops unknown fields and returns their paths (`spec.ports[0].bogus`, for fieldValidation Warn and Strict:
        the text is `unknown field "PATH"`), drops nulls and empty optional values as the real server does, and fills
        in defaults. Raises DecodeError (400) when a value's JSON type can't be that field (built-in kinds only;
        custom resources report wrong types from `validate`).
        """
        ...

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None, *, part: str = "") -> list[FieldError]:
        """Errors of the schema itself (types, enums, limits, CEL rules) beyond `decode`. Empty when valid.

        `old` is the stored object on update: CEL transition rules need it, and unchanged invalid values are tolerated
        (ratcheting) as the real server does. `part` limits the check to one top-level field (status, on the status
        subresource).
        """
        ...


@dataclass(frozen=True, slots=True)
class SubresourceInfo:
    """One subresource: `name` is status, scale, binding, ...; `kind` with group/version is what it takes and gives."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ScaleInfo:
    """Where replicas, their status and the label selector are (JSON paths such as .spec.replicas)."""

    spec_replicas_path: str
    status_replicas_path: str
    label_selector_path: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column of a custom resource; `json_path` as in kubectl's -o jsonpath without braces."""

    name: str
    type: str
    json_path: str
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ResourceInfo:
    """One resource in one served version. `group` is empty for core."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    schema: ObjectSchema
    list_kind: str = ""
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[SubresourceInfo, ...] = ()
    columns: tuple[Column, ...] | None = None
    """Printer columns of a custom resource; None for built-in kinds, whose columns are in `table`."""
    selectable_fields: tuple[str, ...] = ()
    """Paths usable in field selectors besides metadata.name and metadata.namespace, without a leading dot."""
    scale: ScaleInfo | None = None
    storage_version: str = ""
    """The version objects are stored in; the same as `version` for built-in kinds."""
    custom: bool = False
    stored: bool = True
    """False for kinds that are only answered (TokenReview, SubjectAccessReview, Binding)."""
    deprecated_warning: str | None = None
    """Warning header text sent with every answer of a deprecated version."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def group_version(self) -> str:
        """`v1` or `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether status is a subresource (then writes to the main resource leave it alone)."""
        return any(s.name == "status" for s in self.subresources)

    @property
    def qualified(self) -> str:
        """`plural` or `plural.group`, as error messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural
