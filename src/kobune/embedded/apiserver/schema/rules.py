"""x-kubernetes-validations: the CEL rules of a custom resource's schema.

Owns: finding the rules of a schema, evaluating them on values (with old values for transition rules) and their error
messages. The CEL library is loaded when a schema really has rules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kobune.embedded.apiserver.cel import (
    COST_LIMIT,
    CelBudgetSpent,
    CelCompileError,
    CelRuntimeError,
    CelType,
    Program,
    compile_expression,
    from_schema,
    to_cel,
)
from kobune.embedded.apiserver.cel.budget import limited
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.structural_validation import MISSING, correlate, type_name

if TYPE_CHECKING:
    from kobune.embedded.apiserver.cel.checking import SchemaType

__all__ = ["Rule", "SchemaRules", "compile_rule", "rule_type"]

_BLOCKING = frozenset(
    (
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    )
)
_ROOT_META: dict[str, Any] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
    },
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule. `transition`: needs an old value; `optional_old`: runs without one, with an optional."""

    program: Program
    message: Program | None
    spec: dict[str, Any]
    transition: bool
    optional_old: bool
    convert: Callable[[Any], Any]
    """From a JSON value to what the program takes."""


def uses_old(expression: str) -> bool:
    """Whether the expression refers to oldSelf."""
    return "oldSelf" in expression


def rule_type(schema: dict[str, Any]) -> CelType:
    """The type of `self` in the rules of a schema node."""
    return from_schema(schema)


def compile_rule(spec: dict[str, Any], own: CelType, *, text: str | None = None) -> Program:
    """Compile a rule (or, with `text`, its messageExpression). Raises CelCompileError."""
    expression = spec["rule"] if text is None else text
    variables = {"self": own}
    if uses_old(expression):
        variables["oldSelf"] = own
        if spec.get("optionalOldSelf"):
            variables["oldSelfGiven"] = CelType("bool")
            expression = f"cel.bind(oldSelf, oldSelfGiven ? optional.of(oldSelf) : optional.none(), ({expression}\n))"
    return compile_expression(expression, variables)


class _Node:
    """A schema node that has rules itself or below it."""

    __slots__ = ("children", "items", "rest", "rules", "schema")

    def __init__(self, schema: dict[str, Any], rules: list[Rule]) -> None:
        self.schema = schema
        self.rules = rules
        self.children: dict[str, _Node] = {}
        self.items: _Node | None = None
        self.rest: _Node | None = None


class SchemaRules:
    """All rules of one schema. Rules that do not compile are ignored: they were refused when the CRD was written."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = _collect(_with_meta(schema), root=True)

    def check(
        self, obj: dict[str, Any], old: dict[str, Any] | None, earlier: list[FieldError], part: str = ""
    ) -> list[FieldError]:
        """Errors of the rules; not evaluated when `earlier` errors make the values meaningless.

        `part`: only rules of the root and of that top-level field.
        """
        if self._root is None:
            return []
        if any(error.reason in _BLOCKING for error in earlier):
            detail = (
                "some validation rules were not checked because the object was invalid; "
                "correct the existing errors to complete validation"
            )
            return [FieldError.invalid("<nil>", None, detail)]
        errors: list[FieldError] = []
        try:
            with limited():
                _walk(self._root, obj, MISSING if old is None else old, "", errors, part)
        except CelBudgetSpent as error:
            errors.append(FieldError.invalid("<nil>", type_name(obj), str(error)))
        return errors


def _with_meta(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {**(schema.get("properties") or {}), **_ROOT_META}
    return {**schema, "properties": properties}


def _collect(schema: dict[str, Any], *, root: bool = False) -> _Node | None:
    rules = []
    given = schema.get("x-kubernetes-validations") or ()
    # Times in named fields need the full types; everything else is faster as plain values.
    timed = _timed_type(schema, root) if given and _has_times(schema) else None
    for spec in given:
        try:
            rules.append(_rule(schema, spec, timed))
        except CelCompileError:
            continue
    node = _Node(schema, rules)
    for name, sub in (schema.get("properties") or {}).items():
        child = _collect(sub)
        if child is not None:
            node.children[name] = child
    if isinstance(schema.get("items"), dict):
        node.items = _collect(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        node.rest = _collect(schema["additionalProperties"])
    return node if node.rules or node.children or node.items or node.rest else None


def _rule(schema: dict[str, Any], spec: dict[str, Any], timed: "SchemaType | None") -> Rule:
    text, expression = spec["rule"], spec.get("messageExpression")
    optional = bool(spec.get("optionalOldSelf"))
    message = None
    if timed is not None:
        program = timed.compile(text, optional_old=optional)
        if expression:
            message = timed.compile(expression, optional_old=optional)
        convert: Callable[[Any], Any] = timed.value
    else:
        own = rule_type(schema)
        program = compile_rule(spec, own)
        if expression:
            message = compile_rule(spec, own, text=expression)

        def convert(value: Any) -> Any:
            return to_cel(value, schema)

    return Rule(program, message, spec, uses_old(text) and not optional, optional, convert)


def _timed_type(schema: dict[str, Any], root: bool) -> "SchemaType | None":
    from kobune.embedded.apiserver.cel.checking import SchemaType

    own = SchemaType(schema, root=root)
    return own if own.usable else None


def _has_times(schema: dict[str, Any], below: bool = False) -> bool:
    """Whether times or durations stand in named fields of the schema or of what it contains."""
    if below and schema.get("type") == "string" and schema.get("format") in ("date-time", "duration"):
        return True
    parts = [(sub, True) for sub in (schema.get("properties") or {}).values()]
    parts += [(schema[k], below) for k in ("items", "additionalProperties") if isinstance(schema.get(k), dict)]
    return any(_has_times(sub, inside) for sub, inside in parts)


def _walk(node: _Node, value: Any, old: Any, path: str, errors: list[FieldError], part: str = "") -> None:
    if value is None and node.schema.get("nullable"):
        return
    unchanged = old is not MISSING and value == old
    for rule in node.rules:
        if rule.transition and old is MISSING:
            continue
        if unchanged and not rule.transition:
            continue
        error = _evaluate(rule, value, old, path)
        if error is not None:
            errors.append(error)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else None
        for key, entry in value.items():
            child = node.children.get(key, node.rest)
            if child is not None and part in ("", key):
                earlier = MISSING if before is None else before.get(key, MISSING)
                _walk(child, entry, earlier, f"{path}.{key}" if path else key, errors)
    elif isinstance(value, list) and node.items is not None:
        keys = tuple(node.schema.get("x-kubernetes-list-map-keys", ()))
        find = correlate(old, node.schema.get("x-kubernetes-list-type"), keys)
        for i, entry in enumerate(value):
            _walk(node.items, entry, find(entry), f"{path}[{i}]", errors)


def _evaluate(rule: Rule, value: Any, old: Any, path: str) -> FieldError | None:
    shown = value if not isinstance(value, dict | list) else type_name(value)
    field = path or "<nil>"
    bindings: dict[str, Any] = {}
    try:
        bindings["self"] = rule.convert(value)
        if rule.transition:
            bindings["oldSelf"] = rule.convert(old)
        elif rule.optional_old:
            bindings["oldSelfGiven"] = old is not MISSING
            bindings["oldSelf"] = bindings["self"] if old is MISSING else rule.convert(old)
        if rule.program.evaluate(bindings) is True:
            return None
    except CelBudgetSpent:
        raise
    except CelRuntimeError as error:
        text = f"{error} evaluating rule: {_message(rule, bindings)}"
        if str(error) == COST_LIMIT:
            text = (
                f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule:"
                f" {_message(rule, bindings)}"
            )
        return FieldError.invalid(field, shown, text)
    return _failure(rule, _message(rule, bindings), field, path, shown)


def _message(rule: Rule, bindings: dict[str, Any]) -> str:
    if rule.message is not None:
        try:
            text = rule.message.evaluate(bindings)
            if isinstance(text, str) and text.strip() and "\n" not in text:
                return text
        except CelRuntimeError:
            pass
    message = rule.spec.get("message")
    return message if message else f"failed rule: {rule.spec['rule'].strip()}"


def _failure(rule: Rule, message: str, field: str, path: str, shown: Any) -> FieldError:
    below = rule.spec.get("fieldPath")
    if below:
        field = path + below if path else str(below).lstrip(".")
    reason = rule.spec.get("reason", "FieldValueInvalid")
    if reason == "FieldValueForbidden":
        return FieldError.forbidden(field, message)
    if reason == "FieldValueRequired":
        return FieldError.required(field, message)
    if reason == "FieldValueDuplicate":
        return FieldError.duplicate(field, shown)
    return FieldError.invalid(field, shown, message)
