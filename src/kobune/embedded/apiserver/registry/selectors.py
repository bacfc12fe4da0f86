"""Label and field selectors: parsing with the API's error texts, matching.

Source: apimachinery's labels and fields packages (grammar), recorded answers (messages). Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FieldSelector", "LabelSelector", "SelectorError", "from_label_selector", "parse_fields", "parse_labels"]

_TOKEN = re.compile(r"\s*(?:(\()|(\))|(,)|(==|!=|=|>|<|!)|([^\s(),=!<>]+))")
_NAME = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_DNS = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")

_NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


class SelectorError(ValueError):
    """The text is no selector; the message is what the API answers."""


@dataclass(frozen=True, slots=True)
class _Requirement:
    key: str
    operator: str  # in, notin, exists, !, gt, lt
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        if value is None:
            return False
        try:
            return int(value) > int(self.values[0]) if self.operator == "gt" else int(value) < int(self.values[0])
        except ValueError:
            return False


class LabelSelector:
    """All requirements must hold; none means everything."""

    __slots__ = ("requirements",)

    def __init__(self, requirements: tuple[_Requirement, ...] = ()) -> None:
        self.requirements = requirements

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelSelector) and set(self.requirements) == set(other.requirements)

    def __hash__(self) -> int:
        return hash(frozenset(self.requirements))


class FieldSelector:
    """Terms `path = value` or `path != value`, all of which must hold."""

    __slots__ = ("terms",)

    def __init__(self, terms: tuple[tuple[str, bool, str], ...] = ()) -> None:
        self.terms = terms  # (path, wanted equal, value)

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def name(self) -> str | None:
        """The one name that can match, if the selector says so."""
        return next((value for path, equal, value in self.terms if path == "metadata.name" and equal), None)

    def matches(self, field: Callable[[str], str]) -> bool:
        """Whether an object is selected; `field` gives the text of a path, empty when unset."""
        return all((field(path) == value) is equal for path, equal, value in self.terms)


def parse_labels(text: str) -> LabelSelector:
    """Parse `a=b,c in (d, e),!f`. Raises SelectorError."""
    tokens = _tokens(text)
    requirements: list[_Requirement] = []
    position = 0
    while position < len(tokens):
        requirement, position = _requirement(tokens, position)
        requirements.append(requirement)
        if position == len(tokens):
            break
        if tokens[position] != ",":
            raise SelectorError(f"found '{tokens[position]}', expected: ',' or 'end of string'")
        position += 1
        following = tokens[position] if position < len(tokens) else ""
        if following in ("", ","):
            raise SelectorError(f"found '{following}', expected: identifier after ','")
    return LabelSelector(tuple(requirements))


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise SelectorError(f"unable to parse requirement: {stripped!r}")
        tokens.append(next(group for group in match.groups() if group is not None))
        position = match.end()
    return tokens


def _requirement(tokens: list[str], position: int) -> tuple[_Requirement, int]:
    token = tokens[position]
    if token == "!":  # noqa: S105 - a selector's token
        key = tokens[position + 1] if position + 1 < len(tokens) else ""
        _check_key(key)
        return _Requirement(key, "!"), position + 2
    if token in ("(", ")", ",", "=", "<", ">", "==", "!="):
        raise SelectorError(
            f"unable to parse requirement: found '{token}', expected: !, identifier, or 'end of string'"
        )
    _check_key(token)
    following = tokens[position + 1] if position + 1 < len(tokens) else ""
    if following in ("", ","):
        return _Requirement(token, "exists"), position + 1
    if following in ("=", "==", "!=", ">", "<"):
        value = tokens[position + 2] if position + 2 < len(tokens) else ""
        if value == ",":
            value, end = "", position + 2
        elif value in ("(", ")", "=", "==", "!=", ">", "<", "!"):
            raise SelectorError(f"unable to parse requirement: found '{value}', expected: identifier")
        else:
            end = min(position + 3, len(tokens))
        operator = {"!=": "notin", ">": "gt", "<": "lt"}.get(following, "in")
        if operator in ("gt", "lt"):
            if not re.fullmatch(r"[+-]?\d+", value):
                raise SelectorError(
                    f'unable to parse requirement: values[0][{token}]: Invalid value: "{value}": for'
                    " 'Gt', 'Lt' operators, the value must be an integer"
                )
        else:
            _check_value(token, value)
        return _Requirement(token, operator, (value,)), end
    if following in ("in", "notin"):
        values, end = _values(tokens, position + 2)
        for value in values:
            _check_value(token, value)
        return _Requirement(token, following, values), end
    raise SelectorError(f"unable to parse requirement: found '{following}', expected: in, notin, =, ==, !=, gt, lt")


def _values(tokens: list[str], position: int) -> tuple[tuple[str, ...], int]:
    opening = tokens[position] if position < len(tokens) else ""
    if opening != "(":
        raise SelectorError(f"unable to parse requirement: found '{opening}' expected: '('")
    values: list[str] = []
    position += 1
    expecting = True
    while True:
        token = tokens[position] if position < len(tokens) else ""
        if token == ")":  # noqa: S105 - a selector's token
            if expecting:
                values.append("")
            return tuple(values), position + 1
        if token == "":
            raise SelectorError(f"unable to parse requirement: found '{token}', expected: ',', ')' or identifier")
        if token == ",":  # noqa: S105 - a selector's token
            if expecting:
                values.append("")
            expecting = True
        else:
            if not expecting:
                raise SelectorError(f"unable to parse requirement: found '{token}', expected: ',' or ')'")
            values.append(token)
            expecting = False
        position += 1


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    problems = []
    if slash and (not prefix or len(prefix) > 253 or not _DNS.match(prefix)):
        problems.append("prefix part must be a DNS-1123 subdomain")
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not _NAME.match(name):
        problems.append(_NAME_RULE)
    if problems:
        raise SelectorError(f'unable to parse requirement: <nil>: Invalid value: "{key}": {"; ".join(problems)}')


def _check_value(key: str, value: str) -> None:
    problems = []
    if len(value) > 63:
        problems.append("must be no more than 63 bytes")
    if not _VALUE.match(value):
        problems.append(_VALUE_RULE)
    if problems:
        raise SelectorError(
            f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {"; ".join(problems)}'
        )


def parse_fields(text: str) -> FieldSelector:
    """Parse `metadata.name=a,spec.nodeName!=b`. Raises SelectorError."""
    terms: list[tuple[str, bool, str]] = []
    for part in _split_unescaped(text):
        if not part:
            continue
        match = re.match(r"^((?:[^\\=!]|\\.|!(?!=))*)(==|!=|=)(.*)$", part, re.S)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = match.groups()
        terms.append((path, operator != "!=", _unescape(value)))
    return FieldSelector(tuple(terms))


def _split_unescaped(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for character in text:
        if escaped:
            current += "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current + ("\\" if escaped else ""))
    return parts


def _unescape(value: str) -> str:
    result, index = "", 0
    while index < len(value):
        if value[index] == "\\":
            following = value[index + 1] if index + 1 < len(value) else ""
            if following not in ("\\", ",", "="):
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{following}")
            result += following
            index += 2
        elif value[index] == "=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {value[index]}")
        else:
            result += value[index]
            index += 1
    return result


def from_label_selector(selector: Mapping[str, Any] | None) -> LabelSelector | None:
    """The matcher of a metav1.LabelSelector object; None (nothing matches) for null."""
    if selector is None:
        return None
    requirements = [_Requirement(key, "in", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for expression in selector.get("matchExpressions") or ():
        operator = operators.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f'"{expression.get("operator")}" is not a valid label selector operator')
        requirements.append(_Requirement(expression.get("key", ""), operator, tuple(expression.get("values") or ())))
    return LabelSelector(tuple(requirements))
