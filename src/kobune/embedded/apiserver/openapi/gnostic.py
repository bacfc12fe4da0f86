"""OpenAPI v2 as protobuf, in the encoding that kubectl asks for.

Owns: writing the few messages of that format that carry definitions and paths. Source: the published field numbers of
the gnostic project's OpenAPIv2 messages.
"""

from typing import Any

__all__ = ["encode_v2"]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: Any) -> bytes:
    return _bytes(field, str(value).encode()) if value else b""


def _flag(field: int, value: Any) -> bytes:
    return _varint(field << 3) + b"\x01" if value else b""


def _named(field: int, name: str, value: bytes) -> bytes:
    return _bytes(field, _text(1, name) + _bytes(2, value))


def _any(field: int, value: Any) -> bytes:
    """An Any message, whose second field is the value as YAML; JSON is YAML."""
    import msgspec

    return _bytes(field, _bytes(2, msgspec.json.encode(value) + b"\n"))


def _extensions(field: int, value: dict[str, Any]) -> bytes:
    import msgspec

    out = b""
    for key in sorted(k for k in value if k.startswith("x-")):
        out += _named(field, key, _bytes(2, msgspec.json.encode(value[key]) + b"\n"))
    return out


def _schema(value: dict[str, Any]) -> bytes:
    out = _text(1, value.get("$ref")) + _text(2, value.get("format")) + _text(4, value.get("description"))
    if "default" in value:
        out += _any(5, value["default"])
    out += b"".join(_text(19, name) for name in value.get("required", ()))
    additional = value.get("additionalProperties")
    if isinstance(additional, dict):
        out += _bytes(21, _bytes(1, _schema(additional)))
    elif additional is True:
        out += _bytes(21, _flag(2, True))
    if value.get("type"):
        out += _bytes(22, _text(1, value["type"]))
    if isinstance(value.get("items"), dict):
        out += _bytes(23, _bytes(1, _schema(value["items"])))
    properties = value.get("properties")
    if properties:
        out += _bytes(25, b"".join(_named(1, name, _schema(sub)) for name, sub in properties.items()))
    return out + _extensions(31, value)


def _parameter(value: dict[str, Any]) -> bytes:
    """A Parameter, wrapped as a ParametersItem."""
    if value["in"] == "body":
        body = _text(1, value.get("description")) + _text(2, "body") + _text(3, "body")
        body += _flag(4, value.get("required")) + _bytes(5, _schema(value["schema"]))
        return _bytes(1, _bytes(1, body))
    if value["in"] == "path":
        path = _flag(1, True) + _text(2, "path") + _text(3, value.get("description"))
        path += _text(4, value["name"]) + _text(5, value["type"])
        return _bytes(1, _bytes(2, _bytes(4, path)))
    query = _text(2, "query") + _text(3, value.get("description")) + _text(4, value["name"])
    query += _text(6, value["type"])
    return _bytes(1, _bytes(2, _bytes(3, query)))


def _operation(value: dict[str, Any]) -> bytes:
    out = b"".join(_text(1, tag) for tag in value.get("tags", ()))
    out += _text(3, value.get("description")) + _text(5, value.get("operationId"))
    out += b"".join(_text(6, media) for media in value.get("produces", ()))
    out += b"".join(_text(7, media) for media in value.get("consumes", ()))
    out += b"".join(_bytes(8, _parameter(p)) for p in value.get("parameters", ()))
    responses = b""
    for code, response in value["responses"].items():
        body = _text(1, response["description"])
        if "schema" in response:
            body += _bytes(2, _bytes(1, _schema(response["schema"])))
        responses += _named(1, code, _bytes(1, body))
    out += _bytes(9, responses)
    out += b"".join(_text(10, scheme) for scheme in value.get("schemes", ()))
    return out + _extensions(13, value)


_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def _path(value: dict[str, Any]) -> bytes:
    out = b""
    for method, field in _METHODS.items():
        if method in value:
            out += _bytes(field, _operation(value[method]))
    return out + b"".join(_bytes(9, _parameter(p)) for p in value.get("parameters", ()))


def encode_v2(document: dict[str, Any]) -> bytes:
    """A document of `v2_document` as an openapi.v2.Document message."""
    info = document["info"]
    out = _text(1, document["swagger"]) + _bytes(2, _text(1, info["title"]) + _text(2, info["version"]))
    out += _bytes(8, b"".join(_named(2, path, _path(item)) for path, item in document["paths"].items()))
    definitions = document["definitions"].items()
    return out + _bytes(9, b"".join(_named(1, name, _schema(schema)) for name, schema in definitions))
