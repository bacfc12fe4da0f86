"""Field errors: what is wrong with which field, in the API's own words.

Owns: the error kinds of apimachinery's field package, their rendering as text and as Status causes.
Source: the Kubernetes API conventions (Status, StatusCause) and recorded answers of a kube-apiserver.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kobune.base.errors import TerminalError

__all__ = ["DecodeError", "FieldError", "aggregate", "causes", "quote"]


class DecodeError(TerminalError):
    """The body is no object of its kind: the caller answers 400 BadRequest.

    `reason` is the text after `... cannot be handled as a KIND: `.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def quote(value: object) -> str:
    """Render a value as it appears inside an error message: strings quoted as Go's %q, others as JSON."""
    if isinstance(value, str):
        return _CONTROL.sub(_go_escape, json.dumps(value, ensure_ascii=False))
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


_CONTROL = re.compile(r"\\(?:u00([01][0-9a-f])|.)|\x7f")
"""Every escape of a JSON string, so that none begins in the middle of another."""


def _go_escape(found: re.Match[str]) -> str:
    if found[0] == "\x7f":
        return "\\x7f"
    return {"07": "\\a", "0b": "\\v"}.get(found[1], f"\\x{found[1]}") if found[1] else found[0]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong: `reason` is a StatusCause reason, `field` a path such as spec.ports[0].port."""

    reason: str
    field: str
    message: str

    @classmethod
    def required(cls, field: str, detail: str = "") -> "FieldError":
        """A value is missing."""
        return cls("FieldValueRequired", field, "Required value" + (f": {detail}" if detail else ""))

    @classmethod
    def invalid(cls, field: str, value: object, detail: str) -> "FieldError":
        """A value is malformed, out of bounds or must not change."""
        return cls("FieldValueInvalid", field, f"Invalid value: {quote(value)}: {detail}")

    @classmethod
    def type_invalid(cls, field: str, value: object, detail: str) -> "FieldError":
        """A value has the wrong type."""
        return cls("FieldValueTypeInvalid", field, f"Invalid value: {quote(value)}: {detail}")

    @classmethod
    def not_supported(cls, field: str, value: object, supported: Iterable[str]) -> "FieldError":
        """A value is not one of those allowed; `supported` is shown sorted by the caller's order."""
        listed = ", ".join(quote(s) for s in supported)
        tail = f": supported values: {listed}" if listed else ""
        return cls("FieldValueNotSupported", field, f"Unsupported value: {quote(value)}{tail}")

    @classmethod
    def duplicate(cls, field: str, value: object) -> "FieldError":
        """The value occurs twice in a list whose entries must differ."""
        return cls("FieldValueDuplicate", field, f"Duplicate value: {quote(value)}")

    @classmethod
    def forbidden(cls, field: str, detail: str) -> "FieldError":
        """The value is well-formed but not permitted here."""
        return cls("FieldValueForbidden", field, f"Forbidden: {detail}")

    @classmethod
    def not_found(cls, field: str, value: object) -> "FieldError":
        """The value refers to something that does not exist."""
        return cls("FieldValueNotFound", field, f"Not found: {quote(value)}")

    @classmethod
    def too_long(cls, field: str, limit: int, unit: str = "bytes") -> "FieldError":
        """The text has more than `limit` bytes."""
        return cls("FieldValueTooLong", field, f"Too long: may not be more than {limit} {unit}")

    @classmethod
    def too_many(cls, field: str, actual: int, limit: int) -> "FieldError":
        """The list has more than `limit` entries."""
        return cls("FieldValueTooMany", field, f"Too many: {actual}: must have at most {limit} items")

    @classmethod
    def internal(cls, field: str, detail: str) -> "FieldError":
        """The rule itself could not be evaluated."""
        return cls("InternalError", field, f"Internal error: {detail}")

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def aggregate(errors: Iterable[FieldError]) -> str:
    """The text of several errors: one alone as it is, more as `[a, b]`, repeated ones once."""
    texts = list(dict.fromkeys(str(error) for error in errors))
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"


def causes(errors: Iterable[FieldError]) -> list[dict[str, Any]]:
    """The StatusDetails.causes of an Invalid answer."""
    return [{"reason": e.reason, "message": e.message, "field": e.field} for e in errors]
