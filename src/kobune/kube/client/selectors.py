"""Label and field selectors as text. Pure.

Owns: parsing and matching of the query parameters `labelSelector` and `fieldSelector`.
Source: the Kubernetes documentation of label selectors (equality and set based) and field selectors.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from kobune.api.meta import LabelSelector

__all__ = ["SelectorError", "field_value", "parse_fields", "parse_labels", "render_selector"]

LabelMatch: TypeAlias = Callable[[Mapping[str, str]], bool]
FieldMatch: TypeAlias = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^(\S+)\s+(in|notin)\s*\(([^)]*)\)$")
_EQUAL = re.compile(r"^([^=!\s]+)\s*(==|=|!=)\s*(\S*)$")
_EXISTS = re.compile(r"^(!?)\s*([A-Za-z0-9][A-Za-z0-9_./-]*)$")


class SelectorError(ValueError):
    """The text is no selector."""


def render_selector(selector: LabelSelector) -> str:
    """A LabelSelector as the text of a query parameter."""
    parts = [f"{name}={value}" for name, value in sorted(selector.match_labels.items())]
    for requirement in selector.match_expressions:
        values = ",".join(sorted(requirement.values))
        match requirement.operator:
            case "In":
                parts.append(f"{requirement.key} in ({values})")
            case "NotIn":
                parts.append(f"{requirement.key} notin ({values})")
            case "Exists":
                parts.append(requirement.key)
            case "DoesNotExist":
                parts.append(f"!{requirement.key}")
            case other:
                raise SelectorError(f"{other!r} is no label selector operator")
    return ",".join(parts)


def _split(text: str) -> list[str]:
    """Split at commas outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]


@lru_cache(maxsize=256)
def parse_labels(text: str) -> LabelMatch:
    """A predicate on labels. Raises SelectorError."""
    tests: list[LabelMatch] = []
    for part in _split(text):
        if found := _SET.match(part):
            name, operator, listed = found.groups()
            values = frozenset(value.strip() for value in listed.split(","))
            tests.append(_in(name, values) if operator == "in" else _not_in(name, values))
        elif found := _EQUAL.match(part):
            name, operator, value = found.groups()
            single = frozenset([value])
            tests.append(_not_in(name, single) if operator == "!=" else _in(name, single))
        elif found := _EXISTS.match(part):
            tests.append(_exists(found.group(2), not found.group(1)))
        else:
            raise SelectorError(f"unable to parse requirement {part!r}")
    return lambda labels: all(test(labels) for test in tests)


def _in(name: str, values: frozenset[str]) -> LabelMatch:
    return lambda labels: labels.get(name) in values


def _not_in(name: str, values: frozenset[str]) -> LabelMatch:
    return lambda labels: labels.get(name) not in values


def _exists(name: str, wanted: bool) -> LabelMatch:
    return lambda labels: (name in labels) is wanted


def field_value(obj: Mapping[str, Any], path: str) -> str:
    """The text of a field such as `spec.nodeName`; a missing one is empty."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


@lru_cache(maxsize=256)
def parse_fields(text: str) -> FieldMatch:
    """A predicate on decoded objects. Raises SelectorError."""
    tests: list[FieldMatch] = []
    for part in _split(text):
        found = _EQUAL.match(part)
        if found is None:
            raise SelectorError(f"invalid field selector {part!r}: use field=value or field!=value")
        path, operator, value = found.groups()
        tests.append(_field(path, value, operator != "!="))
    return lambda obj: all(test(obj) for test in tests)


def _field(path: str, value: str, wanted: bool) -> FieldMatch:
    return lambda obj: (field_value(obj, path) == value) is wanted
