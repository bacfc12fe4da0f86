"""Small checks that the rules of several kinds share."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kobune.base.quantity import QuantityError, parse_quantity
from kobune.embedded.apiserver.schema.errors import FieldError

__all__ = ["amount", "immutable", "int_or_percent", "non_negative", "one_of", "positive"]

_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)


def one_of(value: Any, allowed: Iterable[str], path: str) -> list[FieldError]:
    """The value is one of those; an absent one is not reported."""
    allowed = tuple(allowed)
    return [] if value is None or value in allowed else [FieldError.not_supported(path, value, allowed)]


def non_negative(value: Any, path: str) -> list[FieldError]:
    """An absent or non-negative number."""
    if value is not None and value < 0:
        return [FieldError.invalid(path, value, "must be greater than or equal to 0")]
    return []


def positive(value: Any, path: str) -> list[FieldError]:
    """An absent or positive number."""
    if value is not None and value <= 0:
        return [FieldError.invalid(path, value, "must be greater than 0")]
    return []


def int_or_percent(value: Any, path: str) -> list[FieldError]:
    """An absent, non-negative number or a percentage."""
    if isinstance(value, str):
        return [] if re.fullmatch("[0-9]+%", value) else [FieldError.invalid(path, value, _PERCENT_TEXT)]
    return non_negative(value, path)


def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    """The value did not change."""
    return [] if new == old else [FieldError.invalid(path, new, "field is immutable")]


def amount(value: Any) -> Decimal:
    """A quantity's amount; 0 for what is none (its type was checked before)."""
    try:
        return parse_quantity(value)
    except QuantityError:
        return Decimal(0)
