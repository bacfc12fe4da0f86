"""Built-in kinds: definitions compiled to functions that bring a JSON object into the form the server stores.

Owns: per definition one closure that drops unknown fields (reporting them), nulls and optional zero values, checks
JSON types, canonicalises times and quantities and fills in what the real server's types always print. Must not
know defaults or rules beyond types (see `validation`). Compiled on first use and shared.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from kobune.embedded.apiserver.schema import presence
from kobune.embedded.apiserver.schema.decoder_values import (
    SPECIAL,
    Decode,
    Mismatch,
    any_object,
    anything,
    base64_bytes,
    boolean,
    integer,
    json_name,
    number,
    string,
)
from kobune.embedded.apiserver.schema.definitions import definition, ref_name
from kobune.embedded.apiserver.schema.errors import DecodeError

__all__ = ["decoder", "short_name"]

_DROP: Any = object()


def short_name(name: str) -> str:
    """The last part of a definition's name."""
    return name.rsplit(".", 1)[-1]


def decode_root(name: str, obj: dict[str, Any], unknown: list[str]) -> None:
    """Decode an object of the definition in place. Raises DecodeError."""
    try:
        decoded = decoder(name)(obj, unknown)
    except Mismatch as error:
        path = ".".join(reversed(error.path))
        if error.text:
            raise DecodeError(error.text) from error
        raise DecodeError(
            f"json: cannot unmarshal {error.found} into Go struct field {error.owner}.{path} of type {error.wanted}"
        ) from error
    if decoded is not obj:
        obj.clear()
        obj.update(decoded)


def _property(schema: dict[str, Any]) -> tuple[Decode, str]:
    """The decoder of a field and what kind of emptiness it has: list, map, a scalar's JSON type, or other."""
    name = ref_name(schema)
    if name is not None:
        if name in SPECIAL:
            return SPECIAL[name], "other"
        if name.startswith(_SCHEMA_PROPS + "Or"):
            return _schema_or(name), "other"
        return _late(name), "other"
    kind = schema.get("type")
    if kind == "array":
        return _list(schema["items"]), "list"
    if kind == "object":
        values = schema.get("additionalProperties")
        return (_map(values), "map") if isinstance(values, dict) else (anything, "other")
    if kind == "integer":
        bits = 64 if schema.get("format") == "int64" else 32
        return integer(f"int{bits}", bits), "integer"
    if kind == "boolean":
        return boolean, "boolean"
    if kind == "number":
        return number, "other"
    if kind == "string":
        return (base64_bytes if schema.get("format") == "byte" else string), "string"
    return anything, "other"


_SCHEMA_PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def _schema_or(name: str) -> Decode:
    """The places of a schema that hold a schema or something else; OpenAPI says nothing about them."""
    schema = _late(_SCHEMA_PROPS)

    def decode(value: Any, unknown: list[str]) -> Any:
        if type(value) is dict:
            return schema(value, unknown)
        if name.endswith("OrBool") and type(value) is bool:
            return value
        if name.endswith("OrArray") and type(value) is list:
            return [schema(entry, unknown) for entry in value]
        if name.endswith("OrStringArray") and type(value) is list:
            return [string(entry, unknown) for entry in value]
        raise Mismatch(json_name(value), short_name(name))

    return decode


def _late(name: str) -> Decode:
    compiled: Decode | None = None

    def decode(value: Any, unknown: list[str]) -> Any:
        nonlocal compiled
        if compiled is None:
            compiled = decoder(name)
        return compiled(value, unknown)

    return decode


def _prefix(unknown: list[str], start: int, prefix: str) -> None:
    for i in range(start, len(unknown)):
        tail = unknown[i]
        unknown[i] = prefix + (tail if tail.startswith("[") else "." + tail)


def _zero_of(schema: dict[str, Any]) -> Any:
    """What an entry that was given as null becomes."""
    return {"string": "", "integer": 0, "boolean": False}.get(str(schema.get("type")), _DROP)


def _list(items: dict[str, Any]) -> Decode:
    decode_item, _ = _property(items)
    zero = _zero_maker(items)
    wanted = f"[]{items.get('type') or short_name(ref_name(items) or 'object')}"

    def decode(value: Any, unknown: list[str]) -> Any:
        if type(value) is not list:
            raise Mismatch(json_name(value), wanted)
        for i, entry in enumerate(value):
            if entry is None:
                value[i] = zero()
                continue
            start = len(unknown)
            value[i] = decode_item(entry, unknown)
            if len(unknown) > start:
                _prefix(unknown, start, f"[{i}]")
        return value

    return decode


def _map(values: dict[str, Any]) -> Decode:
    decode_value, _ = _property(values)
    zero = _zero_maker(values)
    wanted = f"map[string]{values.get('type') or short_name(ref_name(values) or 'object')}"

    def decode(value: Any, unknown: list[str]) -> Any:
        if type(value) is not dict:
            raise Mismatch(json_name(value), wanted)
        for key, entry in value.items():
            if entry is None:
                value[key] = zero()
                continue
            start = len(unknown)
            decoded = decode_value(entry, unknown)
            if decoded is not entry:
                value[key] = decoded
            if len(unknown) > start:
                _prefix(unknown, start, key)
        return value

    return decode


@cache
def decoder(name: str) -> Decode:
    """The compiled decoder of a definition."""
    if name in SPECIAL:
        return SPECIAL[name]
    schema = definition(name)
    properties: dict[str, dict[str, Any]] = schema.get("properties") or {}
    if not properties:
        return any_object if schema.get("type") == "object" and not name.endswith("JSON") else anything
    type_name = short_name(name)
    required = frozenset(schema.get("required", ()))
    printed = presence.ALWAYS.get(type_name, ())
    table: dict[str, tuple[Decode, bool]] = {}
    for field, sub in properties.items():
        decode_field, emptiness = _property(sub)
        optional = field not in required and field not in printed
        empty_goes = optional and (
            emptiness in ("list", "map")
            or (emptiness in ("boolean", "integer", "string") and presence.drops_zero(type_name, field, emptiness))
        )
        table[field] = (decode_field, empty_goes)
    always = _always(name, type_name, properties, required)

    def decode(value: Any, unknown: list[str]) -> Any:
        if type(value) is not dict:
            raise Mismatch(json_name(value), type_name)
        dropped: list[str] | None = None
        for key, entry in value.items():
            found = table.get(key)
            if found is None:
                unknown.append(key)
            elif entry is not None:
                decode_field, empty_goes = found
                start = len(unknown)
                try:
                    decoded = decode_field(entry, unknown)
                except Mismatch as error:
                    error.owner = error.owner or type_name
                    error.path.append(key)
                    raise
                if len(unknown) > start:
                    _prefix(unknown, start, key)
                if not (empty_goes and not decoded):
                    if decoded is not entry:
                        value[key] = decoded
                    continue
            if dropped is None:
                dropped = [key]
            else:
                dropped.append(key)
        if dropped is not None:
            for key in dropped:
                del value[key]
        for key, make in always:
            if key not in value:
                value[key] = make()
        return value

    return decode


def _always(
    name: str, type_name: str, properties: dict[str, Any], required: frozenset[str]
) -> list[tuple[str, Callable[[], Any]]]:
    """Fields that are printed although nobody gave them."""
    result: dict[str, Callable[[], Any]] = {}
    is_kind = "x-kubernetes-group-version-kind" in definition(name) and "metadata" in properties
    wanted = set(presence.ALWAYS.get(type_name, ())) | set(required)
    if is_kind:
        wanted -= {"apiVersion", "kind"}
    if is_kind and not type_name.endswith("List"):
        wanted |= {f for f in ("metadata", "spec", "status") if ref_name(properties.get(f, {}))}
    if name == "io.k8s.api.core.v1.Event":
        for field in ("reportingComponent", "reportingInstance"):
            result[field] = str
    if name == "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus":
        wanted |= {"acceptedNames", "conditions", "storedVersions"}
    for field in properties:
        if field in wanted:
            result[field] = _zero_maker(properties[field])
        elif field in presence.NULL_TIMES.get(type_name, ()):
            result[field] = lambda: None
    return list(result.items())


def _zero_maker(schema: dict[str, Any]) -> Callable[[], Any]:
    name = ref_name(schema)
    if name is None:
        zero = _zero_of(schema)
        return lambda: None if zero is _DROP else zero
    if name.endswith(".Quantity"):
        return lambda: "0"
    if name.endswith(".IntOrString"):
        return lambda: 0
    if name in SPECIAL or name.endswith(("RawExtension", ".JSON")):
        return lambda: None
    make = _late(name)
    return lambda: make({}, [])
