"""The estimated cost of a rule, as the real server estimates it when a CustomResourceDefinition is stored.

Owns: walking the checked form of an expression with the sizes that its schema allows. Pure. Source: the cost model of
CEL as Kubernetes documents it: one unit per step, a tenth per character looked at, loops times their range's length.
Where the real server knows nothing of a size either, the size of what it was made from is taken.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from kobune.embedded.apiserver.cel.types import escape_name

__all__ = ["EXPRESSION_LIMIT", "TOTAL_LIMIT", "cardinality_below", "estimate", "excess", "worst_cardinality"]

EXPRESSION_LIMIT = 10_000_000
TOTAL_LIMIT = 100_000_000
_REQUEST_BYTES = 3 * 1024 * 1024
_CEILING = 1 << 64

_TEXT: dict[str, Any] = {"type": "string"}

Message = dict[int, list[Any]]


def _decode(data: bytes) -> Message:
    """A protobuf message as lists by field number: integers, and bytes for everything with a length."""
    fields: Message = {}
    position = 0

    def varint() -> int:
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    while position < len(data):
        key = varint()
        wire = key & 7
        if wire == 0:
            value: Any = varint()
        elif wire == 2:
            length = varint()
            value = data[position : position + length]
            position += length
        else:
            size = 8 if wire == 1 else 4
            value = data[position : position + size]
            position += size
        fields.setdefault(key >> 3, []).append(value)
    return fields


@dataclass(slots=True)
class _Scope:
    """What variables stand for: the schema of each (None: unknown) and the sizes of computed values."""

    schemas: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Value:
    """Cost of getting a value, the largest size it can have, and its schema where known."""

    cost: int
    size: int
    schema: dict[str, Any] | None = None


def estimate(checked: bytes, schema: dict[str, Any]) -> int:
    """The worst cost of an expression over `self` of this schema; `checked` is the compiler's serialised form."""
    envelope = _decode(checked)
    expression = _decode(envelope[2][0])[4][0]
    scope = _Scope({"self": schema, "oldSelf": schema})
    return min(_walk(_decode(expression), scope).cost, _CEILING)


def _tenth(size: int) -> int:
    return math.ceil(size * 0.1)


def _walk(node: Message, scope: _Scope) -> _Value:
    if 3 in node:
        return _constant(_decode(node[3][0]))
    if 4 in node:
        name = _decode(node[4][0])[1][0].decode()
        schema = scope.schemas.get(name)
        return _Value(1, scope.sizes.get(name, _size(schema)), schema)
    if 5 in node:
        return _select(_decode(node[5][0]), scope)
    if 6 in node:
        return _call(_decode(node[6][0]), scope)
    if 7 in node:
        entries = [_walk(_decode(e), scope) for e in _decode(node[7][0]).get(1, [])]
        return _Value(10 + sum(e.cost for e in entries), len(entries))
    if 8 in node:
        entries = [_walk(_decode(_decode(e)[5][0]), scope) for e in _decode(node[8][0]).get(2, []) if 5 in _decode(e)]
        return _Value(30 + sum(e.cost for e in entries), len(entries))
    if 9 in node:
        return _loop(_decode(node[9][0]), scope)
    return _Value(0, 1)


def _constant(constant: Message) -> _Value:
    text = constant.get(6) or constant.get(7)
    return _Value(0, len(text[0]), _TEXT) if text else _Value(0, 1)


def _select(select: Message, scope: _Scope) -> _Value:
    operand = _walk(_decode(select[1][0]), scope)
    if any(select.get(3, ())):
        # has(): a truth about the field, whatever the size of what is in it, and free.
        return _Value(operand.cost, 1)
    name = select[2][0].decode()
    schema = None
    if operand.schema is not None:
        properties = operand.schema.get("properties") or {}
        schema = next((sub for key, sub in properties.items() if escape_name(key) == name), None)
        if schema is None and isinstance(operand.schema.get("additionalProperties"), dict):
            schema = operand.schema["additionalProperties"]
    return _Value(operand.cost + 1, _size(schema), schema)


def _loop(loop: Message, scope: _Scope) -> _Value:
    over = _walk(_decode(loop[2][0]), scope)
    start = _walk(_decode(loop[4][0]), scope) if 4 in loop else _Value(0, 1)
    inner = _Scope(dict(scope.schemas), dict(scope.sizes))
    variable, accumulator = loop[1][0].decode(), loop[3][0].decode()
    entry: dict[str, Any] | None = None
    if over.schema is not None:
        entry = over.schema.get("items") if isinstance(over.schema.get("items"), dict) else {"type": "string"}
    inner.schemas[variable] = entry
    inner.schemas[accumulator] = None
    inner.sizes.pop(variable, None)
    inner.sizes[accumulator] = over.size
    condition = _walk(_decode(loop[5][0]), inner).cost if 5 in loop else 0
    step = _walk(_decode(loop[6][0]), inner).cost if 6 in loop else 0
    result = _walk(_decode(loop[7][0]), inner).cost if 7 in loop else 0
    return _Value(over.cost + start.cost + result + over.size * (condition + step), over.size)


def _call(call: Message, scope: _Scope) -> _Value:
    name = call[2][0].decode()
    target = _walk(_decode(call[1][0]), scope) if 1 in call else None
    arguments = [_walk(_decode(a), scope) for a in call.get(3, [])]
    spent = sum(a.cost for a in arguments) + (target.cost if target else 0)
    subject = target or (arguments[0] if arguments else _Value(0, 1))
    match name:
        case "_&&_" | "_||_":
            return _Value(spent, 1)
        case "_?_:_":
            yes, no = arguments[1], arguments[2]
            chosen = yes if yes.size >= no.size else no
            return _Value(arguments[0].cost + max(yes.cost, no.cost), chosen.size, chosen.schema)
        case "_[_]":
            return _Value(spent + 1, _size(_entry(subject.schema)), _entry(subject.schema))
        case "_+_":
            total = arguments[0].size + arguments[1].size
            text = any(_is_text(a.schema) for a in arguments)
            return _Value(spent + (_tenth(total) if text else 1), total, _TEXT if text else None)
        case "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_":
            return _Value(spent + _tenth(min(a.size for a in arguments)), 1)
        case "@in":
            looked = arguments[1].size if _is_list(arguments[1]) else 1
            return _Value(spent + looked, 1)
        case "startsWith" | "endsWith":
            return _Value(spent + _tenth(arguments[0].size), 1)
        case "contains":
            return _Value(spent + _tenth(subject.size) * _tenth(arguments[-1].size), 1)
        case "matches":
            pattern = math.ceil(arguments[-1].size * 0.25)
            return _Value(spent + _tenth(subject.size + 1) * pattern, 1)
        case "find" | "findAll":
            pattern = math.ceil(arguments[0].size * 0.25) if arguments else 1
            return _Value(spent + _tenth(subject.size + 1) * pattern, subject.size)
        case "isSorted" | "sum" | "min" | "max" | "indexOf" | "lastIndexOf":
            return _Value(spent + subject.size, 1)
        case "split" | "replace" | "lowerAscii" | "upperAscii" | "trim" | "substring" | "url" | "quantity" | "join":
            return _Value(spent + _tenth(subject.size), subject.size)
        case "size":
            return _Value(spent + 1, 1)
    return _Value(spent + 1, 1)


def _is_text(schema: dict[str, Any] | None) -> bool:
    return schema is not None and schema.get("type") == "string"


def _is_list(value: _Value) -> bool:
    return value.schema is None or value.schema.get("type") == "array"


def _entry(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    for name in ("items", "additionalProperties"):
        sub = (schema or {}).get(name)
        if isinstance(sub, dict):
            return sub
    return None


_FORMAT_LENGTHS = {"date": 12, "date-time": 27, "duration": 32}


def _size(schema: dict[str, Any] | None) -> int:
    """The largest size of a value: characters of a text, entries of a list or map, 1 for anything else."""
    if schema is None:
        return 1
    kind = schema.get("type")
    if kind == "string":
        if schema.get("enum"):
            return max((len(v) for v in schema["enum"] if isinstance(v, str)), default=1)
        if schema.get("format") in _FORMAT_LENGTHS:
            return _FORMAT_LENGTHS[schema["format"]]
        # Lengths are in characters, of up to four bytes each.
        return schema["maxLength"] * 4 if schema.get("maxLength") is not None else _REQUEST_BYTES - 2
    if kind == "array":
        if schema.get("maxItems") is not None:
            return int(schema["maxItems"])
        return (_REQUEST_BYTES - 2) // (_least_bytes(_entry(schema)) + 1)
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        if schema.get("maxProperties") is not None:
            return int(schema["maxProperties"])
        return (_REQUEST_BYTES - 2) // (_least_bytes(_entry(schema)) + 6)
    if schema.get("x-kubernetes-int-or-string"):
        return schema["maxLength"] * 4 if schema.get("maxLength") is not None else _REQUEST_BYTES - 2
    return 1


def _least_bytes(schema: dict[str, Any] | None) -> int:
    """The fewest bytes that a value takes in JSON."""
    kind = (schema or {}).get("type")
    if kind in ("string", "array"):
        return 2
    if kind == "boolean":
        return 4
    if kind == "object":
        properties = (schema or {}).get("properties") or {}
        required = [n for n in (schema or {}).get("required", ()) if n in properties and "default" not in properties[n]]
        return 2 + sum(len(n) + 4 + _least_bytes(properties[n]) for n in required)
    return 1


def worst_cardinality(schema: dict[str, Any]) -> int:
    """How often a value of this schema can be in one request."""
    return _REQUEST_BYTES // (_least_bytes(schema) + 1)


def cardinality_below(schema: dict[str, Any], above: int | None) -> int | None:
    """How many entries a list or map has in all, when there are `above` of it; None is without bound."""
    limit = schema.get("maxItems") if schema.get("type") == "array" else schema.get("maxProperties")
    return None if above is None or limit is None else above * int(limit)


def excess(what: str, cost: int, limit: int) -> str:
    """The message about a cost over its limit."""
    factor = cost / limit
    precise = f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    shown = "more than 100x" if factor > 100 else precise
    return (
        f"{what} exceeds budget by factor of {shown} (try simplifying the rule, or adding maxItems, maxProperties, and "
        "maxLength where arrays, maps, and strings are declared)"
    )
