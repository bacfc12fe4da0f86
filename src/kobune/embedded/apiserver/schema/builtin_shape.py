"""Shapes of built-in kinds, made lazily from their definitions.

Owns: reading list types, keys and patch strategies out of OpenAPI.
"""

from functools import cache
from typing import Any, Literal

from kobune.embedded.apiserver.schema.definitions import definition, ref_name
from kobune.embedded.apiserver.schema.shape import ANY, Shape

__all__ = ["SCALARS", "shape"]

SCALARS = {"string": "string", "integer": "numeric", "number": "numeric", "boolean": "boolean"}
"""OpenAPI's scalar types as field ownership sees them."""

_SCALAR = (".Time", ".MicroTime", ".Quantity", ".IntOrString")
_KEY_DEFAULTS: dict[str, object] = {"protocol": "TCP"}
"""Defaults of key fields in list-maps: OpenAPI's copies of them are not in the packaged data."""


@cache
def shape(name: str) -> Shape:
    """The shape of a definition."""
    schema = definition(name)
    if name.endswith(_SCALAR):
        return Shape("scalar")
    properties = schema.get("properties")
    if not properties:
        return ANY if not name.endswith("FieldsV1") else Shape("any", atomic=True)

    def expand() -> tuple[dict[str, Shape], Shape | None]:
        return {field: _of(sub) for field, sub in properties.items()}, None

    return Shape("object", atomic=schema.get("x-kubernetes-map-type") == "atomic", expand=expand)


def _of(schema: dict[str, Any]) -> Shape:
    name = ref_name(schema)
    strategies = tuple(filter(None, str(schema.get("x-kubernetes-patch-strategy", "")).split(",")))
    if name is not None:
        target = shape(name)
        atomic = target.atomic or schema.get("x-kubernetes-map-type") == "atomic"
        if not strategies and atomic == target.atomic:
            return target
        return Shape(
            target.kind,
            atomic=atomic,
            patch_strategies=strategies,
            preserve_unknown=target.preserve_unknown,
            expand=lambda: (target.fields, None),
        )
    kind = schema.get("type")
    if kind == "array":
        return _list(schema, strategies)
    if kind == "object":
        values = schema.get("additionalProperties")
        if not isinstance(values, dict):
            return ANY
        return Shape(
            "map",
            atomic=schema.get("x-kubernetes-map-type") == "atomic",
            patch_strategies=strategies,
            expand=lambda: ({}, _of(values)),
        )
    return Shape("scalar", scalar=SCALARS.get(str(kind), "")) if kind else ANY


def _list(schema: dict[str, Any], strategies: tuple[str, ...]) -> Shape:
    list_type: Literal["atomic", "set", "map"] = schema.get("x-kubernetes-list-type", "atomic")
    keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
    items = schema["items"]
    return Shape(
        "list",
        atomic=list_type == "atomic",
        list_type=list_type,
        keys=keys,
        patch_key=schema.get("x-kubernetes-patch-merge-key", ""),
        patch_strategies=strategies,
        defaults={k: v for k, v in _KEY_DEFAULTS.items() if k in keys},
        expand=lambda: ({}, _of(items)),
    )
