"""OpenAPI v3: one document per group version, and their index."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from kobune.embedded.apiserver.openapi.operations import (
    Operation,
    Parameter,
    by_path,
    operations,
    response_codes,
    result_kind,
)
from kobune.embedded.apiserver.openapi.schemas import collect, list_name, operand_name, value_fields
from kobune.embedded.apiserver.schema.definitions import META, VERSION, definition, names
from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["v3_document", "v3_index", "v3_version_document"]

_MEDIA = ("application/json", "application/yaml")
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


def v3_index(infos: Iterable[ResourceInfo]) -> dict[str, Any]:
    """The document of /openapi/v3: where each group version's is, with a hash of what it depends on."""
    groups: dict[str, list[ResourceInfo]] = {}
    for info in infos:
        path = f"apis/{info.group}/{info.version}" if info.group else f"api/{info.version}"
        groups.setdefault(path, []).append(info)
    groups["version"] = []
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(members)}"}
            for path, members in sorted(groups.items())
        }
    }


def v3_version_document() -> dict[str, Any]:
    """The document of /version."""
    info = "io.k8s.apimachinery.pkg.version.Info"
    response = {"description": "OK", "content": {"application/json": {"schema": _ref(info)}}}
    operation = {
        "tags": ["version"],
        "description": "get the version information for this server",
        "operationId": "getCodeVersion",
        "responses": {"200": response, "401": {"description": "Unauthorized"}},
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": {"/version/": {"get": operation}},
        "components": {"schemas": {info: _schema(definition(info), frozenset(), info)}},
    }


def _hash(infos: list[ResourceInfo]) -> str:
    digest = hashlib.sha512(VERSION.encode())
    for info in infos:
        digest.update(f"{info.plural}/{info.kind}/{info.verbs}/{info.subresources}".encode())
        if info.custom:
            digest.update(msgspec.json.encode(info.schema.openapi))
    return digest.hexdigest().upper()


def v3_document(infos: Iterable[ResourceInfo]) -> dict[str, Any]:
    """The document of the resources of one group version."""
    members = list(infos)
    ops = list(operations(members))
    paths = by_path(ops, _operation, _parameter)
    known = frozenset(names())
    schemas = {
        name: _schema(schema, value_fields(name) if name in known else frozenset(("metadata",)), name)
        for name, schema in sorted(collect(members, ops).items())
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    result: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": {"type": parameter.type, "uniqueItems": True},
    }
    if parameter.place == "path":
        result["required"] = True
    return result


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(operation: Operation) -> dict[str, Any]:
    kinds = {
        "list": lambda: list_name(operation.info),
        "status": lambda: META + "Status",
        "kind": lambda: operand_name(operation),
    }
    result = result_kind(operation)
    if result == "text":
        content: dict[str, Any] = {"*/*": {"schema": {"type": "string"}}}
    else:
        content = {media: {"schema": _ref(kinds[result]())} for media in _MEDIA}
    document: dict[str, Any] = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.operation_id,
        "parameters": [_parameter(p) for p in operation.parameters],
        "responses": {
            code: {"description": text, "content": content} if code != "401" else {"description": text}
            for code, text in response_codes(operation).items()
        },
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.gvk,
    }
    if operation.body != "none":
        name = {"patch": META + "Patch", "delete": META + "DeleteOptions"}.get(operation.body)
        target = _ref(name or operand_name(operation))
        document["requestBody"] = {"content": {media: {"schema": target} for media in operation.content}}
        if operation.body in ("kind", "patch"):
            document["requestBody"]["required"] = True
    return document


def _schema(schema: dict[str, Any], values: frozenset[str], name: str) -> dict[str, Any]:
    result: dict[str, Any] = _convert(schema)
    if name == _INT_OR_STRING:
        result["format"] = "int-or-string"
    for field, sub in (result.get("properties") or {}).items():
        if field in values and "allOf" in sub and not _scalar(sub):
            sub["default"] = {}
    return result


def _scalar(sub: dict[str, Any]) -> bool:
    return str(sub["allOf"][0].get("$ref", "")).endswith((".Time", ".MicroTime", ".Quantity", ".IntOrString"))


def _convert(value: Any) -> Any:
    """References in v3's place; one with a description beside it becomes allOf, as $ref may have no siblings."""
    if isinstance(value, dict):
        ref = value.get("$ref")
        if isinstance(ref, str):
            target = _ref(ref.rsplit("/", 1)[-1])
            rest = {k: _convert(v) for k, v in value.items() if k != "$ref"}
            return {"allOf": [target], **rest} if rest else target
        return {k: _convert(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_convert(v) for v in value]
    return value
