"""Schemas of custom resources: pruning and defaulting compiled to functions.

Owns: bringing a custom resource into its stored form. Validation is in `structural_validation`, rules in `rules`.
Source: the documentation of structural schemas (CustomResourceDefinition v1).
"""

import copy
from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.schema.builtin_shape import SCALARS
from kobune.embedded.apiserver.schema.builtin_shape import shape as builtin_shape
from kobune.embedded.apiserver.schema.decoder import decode_root
from kobune.embedded.apiserver.schema.definitions import META
from kobune.embedded.apiserver.schema.errors import DecodeError, FieldError
from kobune.embedded.apiserver.schema.rules import SchemaRules
from kobune.embedded.apiserver.schema.shape import ANY, Shape
from kobune.embedded.apiserver.schema.structural_validation import Validate, compile_validation, validate_root

__all__ = ["StructuralSchema", "compile_schema"]

_Settle = Callable[[Any, list[str]], None]
"""(value, unknown): prune and default the value in place."""

_OBJECT_META = META + "ObjectMeta"


class StructuralSchema:
    """An ObjectSchema over the openAPIV3Schema of one version of a CustomResourceDefinition.

    `load` gives the schema, each time it is needed: of a kind that nobody uses nothing is kept.
    """

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load
        self._settle: _Settle | None = None
        self._validate: Validate | None = None
        self._rules: SchemaRules | None = None
        self._shape: Shape | None = None
        self._parts: dict[str, Validate] = {}

    @property
    def openapi(self) -> dict[str, Any]:
        """See ObjectSchema: the schema as it was given."""
        return self._load()

    @property
    def shape(self) -> Shape:
        """See ObjectSchema."""
        if self._shape is None:
            self._shape = _root_shape(self._load())
        return self._shape

    def decode(self, obj: dict[str, Any], *, default: bool = True) -> list[str]:
        """See ObjectSchema. Metadata has the types of built-in ObjectMeta."""
        if self._settle is None:
            self._settle = _compile_settle(self._load(), root=True)
        unknown: list[str] = []
        self._settle(obj, unknown)
        decode_metadata(obj, unknown, "metadata")
        return unknown

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None, *, part: str = "") -> list[FieldError]:
        """See ObjectSchema: structure first, then the x-kubernetes-validations if the structure holds."""
        if self._validate is None:
            schema = self._load()
            self._rules = SchemaRules(schema)
            self._validate = compile_validation(schema)
        assert self._rules is not None
        errors = self._validate_part(obj, old, part) if part else validate_root(self._validate, obj, old)
        return errors + self._rules.check(obj, old, errors, part)

    def _validate_part(self, obj: dict[str, Any], old: dict[str, Any] | None, part: str) -> list[FieldError]:
        """Structure of one top-level field. Messages name paths below it, as the real server's do."""
        if part not in obj:
            return []
        check = self._parts.get(part)
        if check is None:
            schema = (self._load().get("properties") or {}).get(part)
            check = self._parts[part] = compile_validation({} if schema is None else schema)
        before = None if old is None else old.get(part)
        errors = validate_root(check, obj[part], before)
        return [FieldError(e.reason, e.field if e.field == "<nil>" else f"{part}.{e.field}", e.message) for e in errors]


def compile_schema(schema: dict[str, Any]) -> StructuralSchema:
    """The compiled form of an openAPIV3Schema (compiled on first use)."""
    return StructuralSchema(lambda: schema)


def decode_metadata(obj: dict[str, Any], unknown: list[str], path: str) -> None:
    """Bring an object's metadata into the form of ObjectMeta. Raises DecodeError."""
    metadata = obj.get("metadata")
    if metadata is None:
        obj["metadata"] = {}
        return
    if not isinstance(metadata, dict):
        raise DecodeError(f"json: cannot unmarshal {type(metadata).__name__} into Go struct field .{path}")
    found: list[str] = []
    decode_root(_OBJECT_META, metadata, found)
    unknown.extend(f"{path}.{name}" for name in found)


def _compile_settle(schema: dict[str, Any], *, root: bool = False) -> _Settle:
    kind = schema.get("type")
    if kind == "array":
        return _settle_list(schema)
    if kind == "object" or "properties" in schema or "additionalProperties" in schema:
        return _settle_object(schema, root)
    return _nothing


def _nothing(value: Any, unknown: list[str]) -> None:
    return


def _settle_list(schema: dict[str, Any]) -> _Settle:
    items = schema.get("items")
    if not isinstance(items, dict):
        return _nothing
    inner = _compile_settle(items)
    if inner is _nothing:
        return _nothing

    def settle(value: Any, unknown: list[str]) -> None:
        if not isinstance(value, list):
            return
        for i, entry in enumerate(value):
            start = len(unknown)
            inner(entry, unknown)
            _prefix(unknown, start, f"[{i}]")

    return settle


def _prefix(unknown: list[str], start: int, prefix: str) -> None:
    for i in range(start, len(unknown)):
        unknown[i] = prefix + (unknown[i] if unknown[i].startswith("[") else "." + unknown[i])


def _settle_object(schema: dict[str, Any], root: bool) -> _Settle:
    properties: dict[str, dict[str, Any]] = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    preserve = schema.get("x-kubernetes-preserve-unknown-fields") is True
    embedded = schema.get("x-kubernetes-embedded-resource") is True
    implicit = frozenset(("apiVersion", "kind", "metadata")) if root or embedded else frozenset[str]()
    table = {name: (_compile_settle(sub), not sub.get("nullable")) for name, sub in properties.items()}
    rest: _Settle | None = None
    if isinstance(additional, dict):
        rest = _compile_settle(additional)
    elif additional is True or preserve:
        rest = _nothing
    defaults = [(name, _settled_default(sub, table[name][0])) for name, sub in properties.items() if "default" in sub]

    def settle(value: Any, unknown: list[str]) -> None:
        if not isinstance(value, dict):
            return
        dropped: list[str] | None = None
        for key, entry in value.items():
            if key in implicit:
                continue
            found = table.get(key)
            if found is None:
                if rest is None:
                    unknown.append(key)
                    dropped = [key] if dropped is None else [*dropped, key]
                    continue
                inner, prune_null = rest, False
            else:
                inner, prune_null = found
            if entry is None:
                if prune_null:
                    dropped = [key] if dropped is None else [*dropped, key]
                continue
            if inner is not _nothing:
                start = len(unknown)
                inner(entry, unknown)
                if len(unknown) > start:
                    _prefix(unknown, start, key)
        for key in dropped or ():
            del value[key]
        for key, default in defaults:
            if key not in value:
                value[key] = copy.deepcopy(default)
        if embedded and isinstance(value.get("metadata"), dict):
            decode_metadata(value, unknown, "metadata")

    return settle


def _settled_default(schema: dict[str, Any], settle: _Settle) -> Any:
    value = copy.deepcopy(schema["default"])
    settle(value, [])
    return value


def _root_shape(schema: dict[str, Any]) -> Shape:
    own = _shape(schema)
    meta = builtin_shape(_OBJECT_META)
    scalar = Shape("scalar")

    def expand() -> tuple[dict[str, Shape], Shape | None]:
        fields = dict(own.fields)
        fields.update({"apiVersion": scalar, "kind": scalar, "metadata": meta})
        return fields, None

    return Shape("object", preserve_unknown=own.preserve_unknown, expand=expand)


def _shape(schema: dict[str, Any]) -> Shape:
    kind = schema.get("type")
    preserve = schema.get("x-kubernetes-preserve-unknown-fields") is True
    if kind == "array" and isinstance(schema.get("items"), dict):
        items = schema["items"]
        list_type = schema.get("x-kubernetes-list-type", "atomic")
        keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        entry = items.get("properties") or {}
        return Shape(
            "list",
            atomic=list_type == "atomic",
            list_type=list_type,
            keys=keys,
            defaults={k: entry[k]["default"] for k in keys if "default" in entry.get(k, {})},
            expand=lambda: ({}, _shape(items)),
        )
    if kind == "object":
        properties = schema.get("properties") or {}
        additional = schema.get("additionalProperties")
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        if isinstance(additional, dict):
            return Shape("map", atomic=atomic, expand=lambda: ({}, _shape(additional)))
        if not properties and (preserve or schema.get("x-kubernetes-embedded-resource")):
            return Shape("any", atomic=atomic, preserve_unknown=True)

        def expand() -> tuple[dict[str, Shape], Shape | None]:
            fields = {name: _shape(sub) for name, sub in properties.items()}
            if schema.get("x-kubernetes-embedded-resource"):
                fields.setdefault("apiVersion", Shape("scalar"))
                fields.setdefault("kind", Shape("scalar"))
                fields.setdefault("metadata", ANY)
            return fields, None

        return Shape("object", atomic=atomic, preserve_unknown=preserve, expand=expand)
    if preserve or (kind is None and not schema.get("x-kubernetes-int-or-string")):
        return ANY
    return Shape("scalar", scalar="" if schema.get("x-kubernetes-int-or-string") else SCALARS.get(str(kind), ""))
