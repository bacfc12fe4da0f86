"""Protobuf wire format to the JSON form of an object. Pure.

Owns: the envelope (four magic bytes, then runtime.Unknown) and the API's special types: times, quantities,
int-or-string, raw JSON.
"""

import base64
from datetime import UTC, datetime
from typing import Any

from kobune.base.errors import TerminalError
from kobune.embedded.apiserver.protobuf.messages import ROOTS, fields

__all__ = ["ProtobufError", "decode_object"]

_MAGIC = b"k8s\x00"
_MAX_DEPTH = 64
_SPECIAL = frozenset({"Time", "MicroTime", "Quantity", "IntOrString", "FieldsV1", "ExtraValue"})


class ProtobufError(TerminalError):
    """The body is no object that can be read; `supported` is False when its kind is simply not known here."""

    def __init__(self, message: str, *, supported: bool = True) -> None:
        super().__init__(message)
        self.supported = supported


def decode_object(body: bytes, api_version: str, kind: str) -> dict[str, Any]:
    """The object in an envelope. The kind of the URL is used where the envelope names none. Raises ProtobufError."""
    if not body.startswith(_MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    envelope = _message(memoryview(body)[len(_MAGIC) :], "Unknown", 0)
    meta = envelope.get("typeMeta") or {}
    api_version = meta.get("apiVersion") or api_version
    kind = meta.get("kind") or kind
    if envelope.get("contentEncoding") or envelope.get("contentType"):
        raise ProtobufError("encoded content inside of the envelope is not supported", supported=False)
    if (api_version, kind) not in ROOTS:
        raise ProtobufError(f"{api_version}, Kind={kind} can't be read as protobuf: send JSON", supported=False)
    raw = base64.b64decode(envelope.get("raw") or "")
    return {"apiVersion": api_version, "kind": kind, **_message(memoryview(raw), kind, 0)}


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ProtobufError("unexpected EOF")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _pieces(data: memoryview) -> list[tuple[int, int | memoryview]]:
    """(field number, value) of a message; a length-delimited value is its bytes."""
    found: list[tuple[int, int | memoryview]] = []
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            found.append((number, value))
        elif wire == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ProtobufError("unexpected EOF")
            found.append((number, data[position : position + length]))
            position += length
        else:
            raise ProtobufError(f"illegal wire type {wire}")
    return found


def _message(data: memoryview, name: str, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise ProtobufError("the message is nested too deeply")
    known = fields(name)
    result: dict[str, Any] = {}
    for number, raw in _pieces(data):
        field = known.get(number)
        if field is None:
            if name == "Empty":
                continue  # status of a new object: the server ignores it whatever it says
            raise ProtobufError(f"field {number} of {name} can't be read as protobuf: send JSON", supported=False)
        if field.shape == "{}":
            key, value = _entry(raw, field.type, depth)
            result.setdefault(field.name, {})[key] = value
            continue
        value = _value(raw, field.type, depth)
        if field.shape == "*":
            result.setdefault(field.name, []).append(value)
        elif field.shape == "^":
            result |= value
        elif value is not None:
            result[field.name] = value
    return result


def _entry(raw: int | memoryview, kind: str, depth: int) -> tuple[str, Any]:
    if isinstance(raw, int):
        raise ProtobufError("illegal wire type 0 for a map")
    key: str = ""
    value: Any = "" if kind in ("string", "bytes") else None
    for number, piece in _pieces(raw):
        if number == 1:
            key = _text(piece)
        elif number == 2:
            value = _value(piece, kind, depth)
    return key, value


def _text(raw: int | memoryview) -> str:
    if isinstance(raw, int):
        raise ProtobufError("illegal wire type 0 for text")
    return bytes(raw).decode("utf-8", "replace")


def _value(raw: int | memoryview, kind: str, depth: int) -> Any:
    match kind:
        case "string":
            return _text(raw)
        case "bytes":
            if isinstance(raw, int):
                raise ProtobufError("illegal wire type 0 for bytes")
            return base64.b64encode(raw).decode()
        case "int" | "bool":
            if not isinstance(raw, int):
                raise ProtobufError(f"illegal wire type 2 for {kind}")
            return bool(raw) if kind == "bool" else (raw - (1 << 64) if raw >= 1 << 63 else raw)
    if isinstance(raw, int):
        raise ProtobufError(f"illegal wire type 0 for {kind}")
    message = _message(raw, kind, depth + 1)
    return _special(message, kind) if kind in _SPECIAL else message


def _special(message: dict[str, Any], kind: str) -> Any:
    match kind:
        case "Quantity":
            return message.get("string", "")
        case "IntOrString":
            return message.get("strVal", "") if message.get("type") else message.get("intVal", 0)
        case "ExtraValue":
            return message.get("items", [])
        case "FieldsV1":
            import msgspec

            try:
                return msgspec.json.decode(base64.b64decode(message.get("raw", "")) or b"{}")
            except msgspec.DecodeError as error:
                raise ProtobufError(f"fieldsV1 holds no JSON: {error}") from error
    if not message:
        return None
    try:
        moment = datetime.fromtimestamp(message.get("seconds", 0), UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise ProtobufError(f"time out of range: {error}") from error
    if kind == "Time":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{message.get('nanos', 0) // 1000:06d}Z"
