"""Built-in kinds: how single values are decoded, and what is raised when they can't be. Pure."""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.schema.definitions import META
from kobune.embedded.apiserver.schema.scalars import (
    canonical_micro_time,
    canonical_quantity,
    canonical_time,
    check_base64,
)

__all__ = [
    "SPECIAL",
    "Decode",
    "Mismatch",
    "any_object",
    "anything",
    "base64_bytes",
    "boolean",
    "integer",
    "json_name",
    "number",
    "string",
]

Decode = Callable[[Any, list[str]], Any]
"""(value, unknown) -> stored value. `unknown` collects paths relative to the value. Raises Mismatch."""


class Mismatch(Exception):
    """A JSON value that the field's type cannot hold; `path` grows while unwinding, root first at the end."""

    def __init__(self, found: str, wanted: str, text: str = "") -> None:
        super().__init__(text)
        self.found = found
        self.wanted = wanted
        self.text = text
        self.path: list[str] = []
        self.owner = ""


def json_name(value: Any) -> str:
    """The JSON type of a value, as errors name it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def string(value: Any, unknown: list[str]) -> Any:
    """Text."""
    if type(value) is not str:
        raise Mismatch(json_name(value), "string")
    return value


def boolean(value: Any, unknown: list[str]) -> Any:
    """True or false."""
    if type(value) is not bool:
        raise Mismatch(json_name(value), "bool")
    return value


def integer(wanted: str, bits: int) -> Decode:
    """A whole number of that many bits; `wanted` is its name in errors."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def decode(value: Any, unknown: list[str]) -> Any:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            found = f"number {value}" if type(value) is float else json_name(value)
            raise Mismatch(found, wanted)
        if not low <= value <= high:
            raise Mismatch(f"number {value}", wanted)
        return value

    return decode


def number(value: Any, unknown: list[str]) -> Any:
    """Any number."""
    if type(value) not in (int, float):
        raise Mismatch(json_name(value), "float64")
    return value


def _text(canonical: Callable[[str], str]) -> Decode:
    def decode(value: Any, unknown: list[str]) -> Any:
        if type(value) is not str:
            raise Mismatch(json_name(value), "string", f"json: cannot unmarshal {json_name(value)} into Go value")
        try:
            return canonical(value)
        except ValueError as error:
            raise Mismatch("string", "Time", str(error)) from error

    return decode


def _quantity(value: Any, unknown: list[str]) -> Any:
    if type(value) not in (str, int, float):
        raise Mismatch(json_name(value), "Quantity", "unmarshalerDecoder: quantities must be text or a number")
    try:
        return canonical_quantity(value)
    except ValueError as error:
        raise Mismatch("string", "Quantity", str(error)) from error


def base64_bytes(value: Any, unknown: list[str]) -> Any:
    """Bytes as base64 text."""
    if type(value) is not str:
        raise Mismatch(json_name(value), "[]uint8")
    try:
        check_base64(value)
    except ValueError as error:
        raise Mismatch("string", "[]uint8", str(error)) from error
    return value


def _int_or_string(value: Any, unknown: list[str]) -> Any:
    if type(value) is int or type(value) is str:
        return value
    raise Mismatch(json_name(value), "int32")


def anything(value: Any, unknown: list[str]) -> Any:
    """Any value, as it is."""
    return value


SPECIAL: dict[str, Decode] = {
    META + "Time": _text(canonical_time),
    META + "MicroTime": _text(canonical_micro_time),
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _quantity,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
}


def any_object(value: Any, unknown: list[str]) -> Any:
    """Any object, as it is."""
    if type(value) is not dict:
        raise Mismatch(json_name(value), "object")
    return value
