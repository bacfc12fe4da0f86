"""The schemas that a document refers to, and their names.

Owns: which definitions a set of resources needs, and the synthetic ones (lists, patches) that every document has.
"""

from collections.abc import Iterable
from typing import Any

from kobune.embedded.apiserver.openapi.operations import Operation, gvk
from kobune.embedded.apiserver.schema.builtin import BuiltinSchema
from kobune.embedded.apiserver.schema.definitions import META, definition, names, ref_name
from kobune.embedded.apiserver.schema.presence import ALWAYS
from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["collect", "kind_name", "list_name", "operand_name", "value_fields"]

_LIST_META = META + "ListMeta"
_OBJECT_META = META + "ObjectMeta"
_SHARED = ("Status", "DeleteOptions", "Patch", "ObjectMeta", "ListMeta", "WatchEvent")


def kind_name(info: ResourceInfo) -> str:
    """The name of a kind's schema."""
    if isinstance(info.schema, BuiltinSchema):
        return info.schema.name
    return _custom_prefix(info) + info.kind


def list_name(info: ResourceInfo) -> str:
    """The name of the schema of a kind's list."""
    if isinstance(info.schema, BuiltinSchema):
        return info.schema.name + "List"
    return _custom_prefix(info) + (info.list_kind or f"{info.kind}List")


def _custom_prefix(info: ResourceInfo) -> str:
    return ".".join([*reversed(info.group.split(".")), info.version, ""])


_OPERANDS = {
    ("autoscaling", "Scale"): "io.k8s.api.autoscaling.v1.Scale",
    ("policy", "Eviction"): "io.k8s.api.policy.v1.Eviction",
    ("authentication.k8s.io", "TokenRequest"): "io.k8s.api.authentication.v1.TokenRequest",
    ("", "Binding"): "io.k8s.api.core.v1.Binding",
}


def operand_name(operation: Operation) -> str:
    """The name of the schema of what an operation takes and gives."""
    sub = operation.sub
    if sub is not None:
        found = _OPERANDS.get((sub.group or "", sub.kind))
        if found:
            return found
    return kind_name(operation.info)


def value_fields(name: str) -> frozenset[str]:
    """Members of a definition that always have a value: their default is {}."""
    schema = definition(name)
    result = set(ALWAYS.get(name.rsplit(".", 1)[-1], ()))
    if "x-kubernetes-group-version-kind" in schema:
        result |= {f for f in ("metadata", "spec", "status") if f in (schema.get("properties") or {})}
    return frozenset(result | set(schema.get("required", ())))


def collect(infos: Iterable[ResourceInfo], operations: Iterable[Operation]) -> dict[str, dict[str, Any]]:
    """All schemas that the resources and operations need, by name, with `$ref` still as in the definitions."""
    known = set(names())
    result: dict[str, dict[str, Any]] = {}
    todo = [META + n for n in _SHARED if META + n in known]
    for info in infos:
        if isinstance(info.schema, BuiltinSchema):
            todo.append(info.schema.name)
            if info.schema.name + "List" in known:
                todo.append(info.schema.name + "List")
        else:
            result[kind_name(info)] = _custom(info)
            result[list_name(info)] = _custom_list(info)
            todo += [_OBJECT_META, _LIST_META]
    todo += [operand_name(op) for op in operations if op.sub is not None and operand_name(op) in known]
    while todo:
        name = todo.pop()
        if name in result or name not in known:
            continue
        schema = definition(name)
        result[name] = schema
        todo += _references(schema)
    result.setdefault(
        META + "Patch",
        {"description": "Patch is provided to give a concrete name and type to the patch body.", "type": "object"},
    )
    return result


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = ref_name(value)
        found = [own] if own else []
        for child in value.values():
            found += _references(child)
        return found
    if isinstance(value, list):
        return [name for child in value for name in _references(child)]
    return []


_API_VERSION = {
    "description": "The versioned schema of this representation of an object.",
    "type": "string",
}
_KIND = {"description": "The REST resource this object represents, in CamelCase.", "type": "string"}


def _custom(info: ResourceInfo) -> dict[str, Any]:
    schema = dict(info.schema.openapi)
    properties = dict(schema.get("properties") or {})
    properties["apiVersion"] = _API_VERSION
    properties["kind"] = _KIND
    properties["metadata"] = {"$ref": f"#/$defs/{_OBJECT_META}", "description": "Standard object's metadata."}
    result = {key: _plain(value) for key, value in schema.items() if key != "properties"}
    result["properties"] = {name: _plain(sub) for name, sub in properties.items()}
    result["x-kubernetes-group-version-kind"] = [gvk(info.group, info.version, info.kind)]
    return result


def _plain(value: Any) -> Any:
    """A structural schema as OpenAPI: int-or-string spelled out, rules left out of the way of validators."""
    if isinstance(value, dict):
        result = {k: _plain(v) for k, v in value.items()}
        if result.get("x-kubernetes-int-or-string") is True and "anyOf" not in result:
            result["anyOf"] = [{"type": "integer"}, {"type": "string"}]
        return result
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def _custom_list(info: ResourceInfo) -> dict[str, Any]:
    kind = info.list_kind or f"{info.kind}List"
    return {
        "description": f"{kind} is a list of {info.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": _API_VERSION,
            "kind": _KIND,
            "metadata": {"$ref": f"#/$defs/{_LIST_META}", "description": "Standard list metadata."},
            "items": {
                "description": f"List of {info.plural}.",
                "type": "array",
                "items": {"$ref": f"#/$defs/{kind_name(info)}"},
            },
        },
        "x-kubernetes-group-version-kind": [gvk(info.group, info.version, kind)],
    }
