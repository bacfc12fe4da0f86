"""metav1: the types that every API group shares."""

from kobune.api.meta.types import (
    Condition,
    IntOrString,
    LabelSelector,
    LabelSelectorRequirement,
    ListMeta,
    Object,
    ObjectMeta,
    OwnerReference,
    QuantityValue,
    Time,
)

__all__ = [
    "Condition",
    "IntOrString",
    "LabelSelector",
    "LabelSelectorRequirement",
    "ListMeta",
    "Object",
    "ObjectMeta",
    "OwnerReference",
    "QuantityValue",
    "Time",
]
