"""Validation of custom resources against their schema, compiled to functions, in the real server's words.

Owns: types, limits, enums, patterns, formats, list types, and the value-validation junctors (allOf, anyOf, oneOf, not).
On update, parts that did not change are not validated again (ratcheting). Rules (CEL) are elsewhere.
"""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError, quote
from kobune.embedded.apiserver.schema.formats import has_format
from kobune.embedded.apiserver.schema.patterns import compile_pattern

__all__ = ["MISSING", "Validate", "compile_validation", "correlate", "validate_root"]

MISSING: Any = object()
"""Stands for "no old value to compare with"."""

Validate = Callable[[Any, str, list[FieldError], Any], None]
"""(value, path, errors, old value or MISSING)"""

_NIL = "<nil>"


def validate_root(check: Validate, obj: dict[str, Any], old: dict[str, Any] | None) -> list[FieldError]:
    """All structural errors of an object; `old` switches ratcheting on."""
    errors: list[FieldError] = []
    if old is None:
        check(obj, "", errors, MISSING)
    else:
        # Bookkeeping in metadata must not make an otherwise unchanged root look changed.
        check(obj, "", errors, old)
    return errors


def type_name(value: Any) -> str:
    """The JSON type of a value as error messages name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def compile_validation(schema: dict[str, Any]) -> Validate:
    """The validating function of a schema node."""
    checks: list[Validate] = [c for c in _parts(schema) if c is not None]
    accepts = _accepts(schema)
    nullable = schema.get("nullable") is True
    wanted = _wanted(schema)

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if old is not MISSING and value == old and type(value) is type(old):
            return
        if value is None and nullable:
            return
        if accepts is not None and not accepts(value):
            _wrong_type(schema, value, path, wanted, errors)
            return
        for check in checks:
            check(value, path, errors, old)

    return validate


def _wrong_type(schema: dict[str, Any], value: Any, path: str, wanted: str, errors: list[FieldError]) -> None:
    found = type_name(value)
    message = f"{path} in body must be of type {wanted}: {quote(found)}"
    errors.append(FieldError.type_invalid(path or _NIL, found, message))
    limits = schema.get("minimum") is not None or schema.get("maximum") is not None
    if found == "number" and wanted == "integer" and limits:
        detail = f"Checked value must be of type integer (default format) in {path}"
        errors.append(FieldError.invalid(_NIL, "", detail))


def _wanted(schema: dict[str, Any]) -> str:
    return "integer,string" if schema.get("x-kubernetes-int-or-string") else str(schema.get("type", ""))


def _accepts(schema: dict[str, Any]) -> Callable[[Any], bool] | None:
    if schema.get("x-kubernetes-int-or-string"):
        return lambda v: isinstance(v, int | str) and not isinstance(v, bool)
    kind = schema.get("type")
    tests: dict[str, Callable[[Any], bool]] = {
        "string": lambda v: isinstance(v, str),
        "integer": lambda v: (
            (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v.is_integer())
        ),
        "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
        "boolean": lambda v: isinstance(v, bool),
        "array": lambda v: isinstance(v, list),
        "object": lambda v: isinstance(v, dict),
    }
    return tests.get(kind) if isinstance(kind, str) else None


def _parts(schema: dict[str, Any]) -> list[Validate | None]:
    return [
        _object(schema),
        _list(schema),
        _text(schema),
        _number(schema),
        _enum(schema),
        *_junctors(schema),
    ]


def _enum(schema: dict[str, Any]) -> Validate | None:
    allowed = schema.get("enum")
    if not allowed:
        return None

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if not any(value == a and type_name(value) == type_name(a) for a in allowed):
            listed = [a if isinstance(a, str) else quote(a) for a in allowed]
            errors.append(FieldError.not_supported(path or _NIL, value, listed))

    return validate


def _text(schema: dict[str, Any]) -> Validate | None:
    low, high = schema.get("minLength"), schema.get("maxLength")
    pattern, form = schema.get("pattern"), schema.get("format")
    if low is None and high is None and not pattern and not form:
        return None
    rx = compile_pattern(pattern) if pattern else None

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if not isinstance(value, str):
            return
        if high is not None and len(value) > high:
            errors.append(FieldError.too_long(path or _NIL, high))
        elif low is not None and len(value) < low:
            errors.append(FieldError.invalid(path, value, f"{path} in body should be at least {low} chars long"))
        elif rx is not None and not rx.search(value):
            errors.append(FieldError.invalid(path, value, f"{path} in body should match '{pattern}'"))
        if form and not has_format(value, form):
            errors.append(
                FieldError.type_invalid(path, value, f"{path} in body must be of type {form}: {quote(value)}")
            )

    return validate


def _number(schema: dict[str, Any]) -> Validate | None:
    low, high, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf") or None
    form = schema.get("format")
    bits = {"int32": 31, "int64": 63}.get(str(form))
    if low is None and high is None and step is None and bits is None:
        return None
    above = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
    below = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if bits is not None and not -(1 << bits) <= value < 1 << bits:
            detail = f"Checked value must be of type integer with format {form} in {path}"
            errors.append(FieldError.invalid(_NIL, "", detail))
            return
        if step is not None and abs(value / step - round(value / step)) > 1e-9:
            errors.append(FieldError.invalid(path, value, f"{path} in body should be a multiple of {step:g}"))
        if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
            errors.append(FieldError.invalid(path, value, f"{path} in body should be {below} {high:g}"))
        if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
            errors.append(FieldError.invalid(path, value, f"{path} in body should be {above} {low:g}"))

    return validate


def _list(schema: dict[str, Any]) -> Validate | None:
    items = schema.get("items")
    low, high = schema.get("minItems"), schema.get("maxItems")
    list_type = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
    inner = compile_validation(items) if isinstance(items, dict) else None
    if inner is None and low is None and high is None:
        return None

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if not isinstance(value, list):
            return
        if low is not None and len(value) < low:
            detail = f"{path} in body should have at least {low} items"
            errors.append(FieldError.invalid(path, len(value), detail))
        elif high is not None and len(value) > high:
            errors.append(FieldError.too_many(path, len(value), high))
        if list_type in ("set", "map"):
            _duplicates(value, path, keys if list_type == "map" else (), errors)
        if inner is not None:
            find = correlate(old, list_type, keys)
            for i, entry in enumerate(value):
                inner(entry, f"{path}[{i}]", errors, find(entry))

    return validate


def correlate(old: Any, list_type: str | None, keys: tuple[str, ...]) -> Callable[[Any], Any]:
    """How to find an entry's old value: by its keys in a list-map; not at all in other lists."""
    if list_type != "map" or not isinstance(old, list):
        return lambda entry: MISSING
    known = {_key(e, keys): e for e in old if isinstance(e, dict)}
    return lambda entry: known.get(_key(entry, keys), MISSING) if isinstance(entry, dict) else MISSING


def _key(entry: dict[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(quote(entry.get(k)) for k in keys)


def _duplicates(value: list[Any], path: str, keys: tuple[str, ...], errors: list[FieldError]) -> None:
    seen: set[str] = set()
    for i, entry in enumerate(value):
        shown = {k: entry[k] for k in keys if k in entry} if keys and isinstance(entry, dict) else entry
        text = quote(shown)
        if text in seen:
            errors.append(FieldError.duplicate(f"{path}[{i}]", shown))
        seen.add(text)


def _object(schema: dict[str, Any]) -> Validate | None:
    properties = {name: compile_validation(sub) for name, sub in (schema.get("properties") or {}).items()}
    additional = schema.get("additionalProperties")
    rest = compile_validation(additional) if isinstance(additional, dict) else None
    required = tuple(schema.get("required", ()))
    low, high = schema.get("minProperties"), schema.get("maxProperties")
    embedded = schema.get("x-kubernetes-embedded-resource") is True
    if not (properties or rest or required or embedded) and low is None and high is None:
        return None

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if not isinstance(value, dict):
            return
        before = old if isinstance(old, dict) else None
        dot = path + "." if path else ""
        for name in required:
            if name not in value:
                errors.append(FieldError.required(dot + name))
        if low is not None and len(value) < low:
            errors.append(FieldError.invalid(path, len(value), f"{path} in body should have at least {low} properties"))
        if high is not None and len(value) > high:
            errors.append(FieldError.too_many(path, len(value), high))
        if embedded:
            errors.extend(FieldError.required(dot + n) for n in ("apiVersion", "kind") if not value.get(n))
        for name, entry in value.items():
            check = properties.get(name, rest)
            if check is not None:
                check(entry, dot + name, errors, MISSING if before is None else before.get(name, MISSING))

    return validate


def _junctors(schema: dict[str, Any]) -> list[Validate]:
    result: list[Validate] = []
    for sub in schema.get("allOf") or ():
        result.append(compile_validation(sub))
    if schema.get("anyOf") and not schema.get("x-kubernetes-int-or-string"):
        result.append(_some(schema["anyOf"], exactly_one=False))
    if schema.get("oneOf"):
        result.append(_some(schema["oneOf"], exactly_one=True))
    if isinstance(schema.get("not"), dict):
        result.append(_none_of(schema["not"]))
    return result


def _failures(check: Validate, value: Any, path: str) -> list[FieldError]:
    found: list[FieldError] = []
    check(value, path, found, MISSING)
    return found


def _some(branches: list[dict[str, Any]], *, exactly_one: bool) -> Validate:
    compiled = [compile_validation(b) for b in branches]

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        failures = [_failures(c, value, path) for c in compiled]
        holding = sum(not f for f in failures)
        if holding == 1 or (holding and not exactly_one):
            return
        if not exactly_one:
            text = f'"{path}" must validate at least one schema (anyOf)'
        elif holding:
            text = f'"{path}" must validate one and only one schema (oneOf). Found {holding} valid alternatives'
        else:
            text = f'"{path}" must validate one and only one schema (oneOf). Found none valid'
        errors.append(FieldError.invalid(_NIL, "", text))
        if not holding:
            errors.extend(sorted(failures, key=len)[0])

    return validate


def _none_of(branch: dict[str, Any]) -> Validate:
    compiled = compile_validation(branch)

    def validate(value: Any, path: str, errors: list[FieldError], old: Any) -> None:
        if not _failures(compiled, value, path):
            errors.append(FieldError.invalid(_NIL, "", f'"{path}" must not validate the schema (not)'))

    return validate
