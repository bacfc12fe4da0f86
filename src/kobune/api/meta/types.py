"""metav1 types. Source: the Kubernetes API conventions and apimachinery's meta/v1."""

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Struct, field

__all__ = [
    "Condition",
    "Int32",
    "Int64",
    "IntOrString",
    "LabelSelector",
    "LabelSelectorRequirement",
    "ListMeta",
    "Object",
    "ObjectMeta",
    "OwnerReference",
    "QuantityValue",
    "Time",
    "UInt32",
]

Time: TypeAlias = Annotated[str, Meta(extra={"format": "date-time", "nullable": True})]
"""RFC 3339 text; `kobune.base.clock` parses and renders it."""

IntOrString: TypeAlias = int | str
"""A number, or text such as a port's name or a percentage."""

Int32: TypeAlias = Annotated[int, Meta(extra={"format": "int32"})]
"""A whole number whose schema says int32; the API server checks the range, decoding does not."""

Int64: TypeAlias = Annotated[int, Meta(extra={"format": "int64"})]
"""A whole number whose schema says int64."""

UInt32: TypeAlias = Annotated[int, Meta(extra={"format": "int32", "minimum": 0})]
"""A whole number that cannot be negative; checksums for instance."""

QuantityValue: TypeAlias = str | int | float
"""A quantity as it was written; `kobune.base.quantity` gives its amount."""


class Object(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of all API types: frozen, keyword-only, camelCase on the wire, unknown fields ignored."""


class OwnerReference(Object, frozen=True, kw_only=True):
    """Names the object that this one belongs to; the garbage collector follows it by uid."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Object, frozen=True, kw_only=True):
    """What every stored object carries. `generate_name` is a prefix; times are RFC 3339."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[OwnerReference] = []
    finalizers: list[str] = []
    managed_fields: list[dict[str, Any]] = []


class ListMeta(Object, frozen=True, kw_only=True):
    """Metadata of a list: the revision it shows and, for a page, the token of the next one."""

    resource_version: str = ""
    continue_: str = field(name="continue", default="")
    remaining_item_count: int | None = None


class Condition(Object, frozen=True, kw_only=True):
    """metav1.Condition: `status` is True, False or Unknown; `reason` is one CamelCase word."""

    type: str
    """Which condition it is."""
    status: str
    """True, False or Unknown."""
    reason: str = ""
    """One word for programs."""
    message: str = ""
    """What it means, for people."""
    last_probe_time: Time | None = None
    """When it was last looked at."""
    last_transition_time: Time | None = None
    """When the status last changed."""
    observed_generation: int = 0
    """The generation that it was true of."""


class LabelSelectorRequirement(Object, frozen=True, kw_only=True):
    """`operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    """The label's key."""
    operator: str
    """How key and values relate."""
    values: list[str] = []
    """Values; none for Exists and DoesNotExist."""


class LabelSelector(Object, frozen=True, kw_only=True):
    """All of `match_labels` and of `match_expressions` must hold; an empty selector matches everything."""

    match_labels: dict[str, str] = {}
    """Keys with the values that they must have."""
    match_expressions: list[LabelSelectorRequirement] = []
    """Requirements on labels."""
