"""Reading request bodies: JSON and YAML to plain values, with the keys that occur twice.

Owns: the two decoders and their error texts. Must not know kinds.
"""

import json
import re
from typing import Any

import msgspec

__all__ = ["BodyError", "read_json", "read_yaml"]

MAX_DEPTH = 500
"""Deeper bodies are refused: the walkers of this server are recursive."""

_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


class BodyError(ValueError):
    """The body is no JSON or YAML; the text is what the API answers (400)."""


def read_json(body: bytes) -> tuple[Any, list[str]]:
    """The value, and the paths of keys that were given more than once (the last one wins).

    Raises BodyError with the text that a Go JSON decoder would give.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _read_slowly(body, error)
    # A key that was given twice has lost its quotes. Without \u, each quote of the text is one of the value again.
    if b"\\u" not in body and body.count(b'"') == msgspec.json.encode(value).count(b'"'):
        return value, []
    return _read_slowly(body, None)


def _read_slowly(body: bytes, cause: Exception | None) -> tuple[Any, list[str]]:
    """The same by the standard library: it keeps duplicate keys apart and tolerates lone surrogates, as Go does."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_no_constant)
        duplicates: list[str] = []
        return _plain(value, "", duplicates), duplicates
    except json.JSONDecodeError as error:
        raise BodyError(_go_words(text, error)) from cause
    except RecursionError as error:
        raise BodyError("exceeded max depth") from error


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written, to tell it from an array."""


def _no_constant(name: str) -> Any:
    raise json.JSONDecodeError("Expecting value", name, 0)


def _plain(value: Any, path: str, duplicates: list[str], depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, _Pairs):
        result: dict[str, Any] = {}
        for key, child in value:
            key = _LONE_SURROGATE.sub("\ufffd", key)
            here = f"{path}.{key}" if path else key
            if key in result:
                duplicates.append(here)
            result[key] = _plain(child, here, duplicates, depth + 1)
        return result
    if isinstance(value, list):
        return [_plain(child, f"{path}[{i}]", duplicates, depth + 1) for i, child in enumerate(value)]
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    return value


def _go_words(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos :].lstrip()
    if not rest or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    found = "'\\''" if rest[0] == "'" else f"'{rest[0]}'"
    where = {
        "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
        "Expecting ':' delimiter": "after object key",
        "Expecting ',' delimiter": "after object key:value pair or array element",
        "Extra data": "after top-level value",
        "Invalid control character at": "in string literal",
    }.get(error.msg, "looking for beginning of value")
    return f"invalid character {found} {where}"


def read_yaml(body: bytes) -> tuple[Any, list[str]]:
    """The value, and one message per duplicate key (`line 3: ...`) as the YAML library of the real server words it.

    Raises BodyError.
    """
    import yaml

    if body[:1] == b"{":
        # JSON is YAML, most clients send it, and reading it as such takes a fraction of the time.
        try:
            value, repeated = read_json(body)
        except BodyError:
            repeated = [""]
        if not repeated:
            return value, []
    try:
        text = body.decode("utf-8")
        loader = _loader_class()(text)
        try:
            # As in the real server, only the first document of a stream counts.
            value = loader.get_data() if loader.check_data() else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BodyError(_yaml_words(error)) from error
    return _json_keys(value, 0), loader.duplicates


def _yaml_words(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "control characters are not allowed"
    return f"error converting YAML to JSON: yaml: line {mark.line + 1 if mark else 1}: {problem}"


_cached_loader: Any = None


def _loader_class() -> Any:
    """A safe loader that counts duplicate keys and leaves dates as text; the C parser where there is one."""
    global _cached_loader
    if _cached_loader is not None:
        return _cached_loader
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.duplicates: list[str] = []

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key_node, _ in node.value:
                key = str(key_node.value)
                if key in seen:
                    line = key_node.start_mark.line + 1
                    self.duplicates.append(f'line {line}: key "{key}" already set in map')
                seen.add(key)
            return super().construct_mapping(node, deep=deep)

    replaced = {f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "float", "int")}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, rx) for tag, rx in resolvers if tag not in replaced]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    # Numbers as Go's library has them: no sexagesimal ones, and exponents without a dot.
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _YAML_INT, list("-+0123456789"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _YAML_FLOAT, list("-+0123456789."))
    Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
    _cached_loader = Loader
    return Loader


_YAML_INT = re.compile(r"^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[1-9][0-9_]*)$")
_YAML_FLOAT = re.compile(
    r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)


def _construct_float(loader: Any, node: Any) -> Any:
    """A float; whole ones become integers, as JSON does not tell them apart."""
    text = loader.construct_scalar(node).lower()
    if text.endswith((".inf", ".nan")):
        raise BodyError(f"error converting YAML to JSON: json: unsupported value: {text}")
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _json_keys(value: Any, depth: int) -> Any:
    """YAML's keys may be of any scalar type; JSON's are text."""
    if depth > MAX_DEPTH:
        raise BodyError("exceeded max depth")
    if isinstance(value, dict):
        return {_key(k): _json_keys(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_json_keys(v, depth + 1) for v in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise BodyError(f"error converting YAML to JSON: yaml: unsupported value of type {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None:
        return "null"
    return str(key)
