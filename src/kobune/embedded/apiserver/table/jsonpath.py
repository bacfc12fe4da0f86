"""The part of JSONPath that printer columns, selectable fields and scale paths use.

Owns: parsing and evaluating `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`, `..` is not supported.
Source: Kubernetes' documentation of JSONPath in kubectl.
"""

import re
from functools import cache
from typing import Any

__all__ = ["JsonPathError", "evaluate", "parse"]

_NAME = re.compile(r"\.?([A-Za-z0-9_\-/$]+(?:\\\.[A-Za-z0-9_\-/$]+)*)")
_QUOTED = re.compile(r"\.?\[\s*'((?:[^'\\]|\\.)*)'\s*\]|\.?\[\s*\"((?:[^\"\\]|\\.)*)\"\s*\]")
_INDEX = re.compile(r"\[(-?\d+|\*)\]")
_SLICE = re.compile(r"\[(-?\d*):(-?\d*)\]")
_FILTER = re.compile(r"\[\?\(\s*@(?P<path>[^=!<>)]*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.*?))?\s*\)\]")

Step = tuple[str, Any]


class JsonPathError(ValueError):
    """The path is malformed or uses what is not supported."""


@cache
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path. Raises JsonPathError."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.removeprefix("$")
    steps: list[Step] = []
    position = 0
    while position < len(text):
        if text[position] == "." and position + 1 == len(text):
            break
        for pattern, make in _PATTERNS:
            found = pattern.match(text, position)
            if found and found.end() > position:
                steps.append(make(found))
                position = found.end()
                break
        else:
            raise JsonPathError(f"unexpected {text[position:]!r} in JSON path {path!r}")
    return tuple(steps)


def _filter(found: re.Match[str]) -> Step:
    return ("filter", (parse(found["path"].strip()), found["op"], _literal(found["value"])))


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


_PATTERNS = (
    (_QUOTED, lambda m: ("field", re.sub(r"\\(.)", r"\1", m[1] if m[1] is not None else m[2]))),
    (_INDEX, lambda m: ("all", None) if m[1] == "*" else ("index", int(m[1]))),
    (_SLICE, lambda m: ("slice", slice(int(m[1]) if m[1] else None, int(m[2]) if m[2] else None))),
    (_FILTER, _filter),
    (re.compile(r"\.\*"), lambda m: ("all", None)),
    (_NAME, lambda m: ("field", m[1].replace("\\.", "."))),
)


def evaluate(steps: tuple[Step, ...], value: Any) -> list[Any]:
    """All values at the path; none when something on the way is missing."""
    found = [value]
    for kind, argument in steps:
        found = [result for one in found for result in _step(kind, argument, one)]
    return found


def _step(kind: str, argument: Any, value: Any) -> list[Any]:
    if kind == "field":
        if isinstance(value, dict) and argument in value:
            return [value[argument]]
        return []
    if kind == "all":
        if isinstance(value, dict):
            return list(value.values())
        return list(value) if isinstance(value, list) else []
    if not isinstance(value, list):
        return []
    if kind == "index":
        return [value[argument]] if -len(value) <= argument < len(value) else []
    if kind == "slice":
        return list(value[argument])
    path, operator, wanted = argument
    return [entry for entry in value if _holds(evaluate(path, entry), operator, wanted)]


def _holds(found: list[Any], operator: str | None, wanted: Any) -> bool:
    if operator is None:
        return bool(found)
    if not found:
        return False
    left = found[0]
    if operator == "==":
        return bool(left == wanted)
    if operator == "!=":
        return bool(left != wanted)
    try:
        return bool({"<": left < wanted, ">": left > wanted, "<=": left <= wanted, ">=": left >= wanted}[operator])
    except TypeError:
        return False
