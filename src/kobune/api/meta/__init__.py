"""metav1: the types that every API group shares."""

from kobune.api.meta.types import (
    Condition,
    Int32,
    Int64,
    IntOrString,
    LabelSelector,
    LabelSelectorRequirement,
    ListMeta,
    Object,
    ObjectMeta,
    OwnerReference,
    QuantityValue,
    Time,
    UInt32,
)

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
