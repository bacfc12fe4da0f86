"""OpenAPI v2: one document of everything."""

from collections.abc import Iterable
from typing import Any

from kobune.embedded.apiserver.openapi.operations import (
    Operation,
    Parameter,
    by_path,
    operations,
    response_codes,
    result_kind,
)
from kobune.embedded.apiserver.openapi.schemas import collect, list_name, operand_name
from kobune.embedded.apiserver.schema.definitions import META, VERSION, names
from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["v2_document"]

_PLAIN = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
}
_V3_ONLY = ("anyOf", "oneOf", "not", "nullable")


def v2_document(infos: Iterable[ResourceInfo]) -> dict[str, Any]:
    """The Swagger 2.0 document of the resources."""
    members = list(infos)
    ops = list(operations(members))
    paths = by_path(ops, _operation, _parameter)
    known = frozenset(names())
    definitions = {
        name: _PLAIN.get(name) or _schema(schema, custom=name not in known)
        for name, schema in sorted(collect(members, ops).items())
    }
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": {
                "description": "Bearer Token authentication",
                "type": "apiKey",
                "name": "authorization",
                "in": "header",
            }
        },
        "security": [{"BearerToken": []}],
    }


def _schema(schema: dict[str, Any], *, custom: bool) -> dict[str, Any]:
    converted = _convert(schema, custom)
    assert isinstance(converted, dict)
    return converted


def _parameter(parameter: Parameter) -> dict[str, Any]:
    result: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "type": parameter.type,
        "uniqueItems": True,
    }
    if parameter.place == "path":
        result["required"] = True
    return result


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/definitions/{name}"}


def _operation(operation: Operation) -> dict[str, Any]:
    result = result_kind(operation)
    if result == "text":
        schema: dict[str, Any] = {"type": "string"}
    elif result == "list":
        schema = _ref(list_name(operation.info))
    elif result == "status":
        schema = _ref(META + "Status")
    else:
        schema = _ref(operand_name(operation))
    document: dict[str, Any] = {
        "description": operation.description,
        "consumes": list(operation.content) if operation.body == "patch" else ["*/*"],
        "produces": ["application/json", "application/yaml"],
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.operation_id,
        "parameters": [_parameter(p) for p in operation.parameters],
        "responses": {
            code: {"description": text, "schema": schema} if code != "401" else {"description": text}
            for code, text in response_codes(operation).items()
        },
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.gvk,
    }
    if operation.body != "none":
        name = {"patch": META + "Patch", "delete": META + "DeleteOptions"}.get(operation.body)
        body: dict[str, Any] = {"name": "body", "in": "body", "schema": _ref(name or operand_name(operation))}
        if operation.body in ("kind", "patch"):
            body["required"] = True
        document["parameters"].append(body)
    return document


def _convert(value: Any, custom: bool) -> Any:
    """A schema in v2's words. Those of custom kinds lose what v2 can't say or old clients would trip over."""
    if isinstance(value, list):
        return [_convert(v, custom) for v in value]
    if not isinstance(value, dict):
        return value
    if custom and value.get("x-kubernetes-preserve-unknown-fields") is True and value.get("type") == "object":
        # Validators of v2 would refuse what is preserved, so nothing is said about the content.
        value = {k: v for k, v in value.items() if k not in ("properties", "additionalProperties")}
    result: dict[str, Any] = {}
    for key, child in value.items():
        if key == "$ref" and isinstance(child, str):
            result["$ref"] = f"#/definitions/{child.rsplit('/', 1)[-1]}"
        elif key == "properties" and isinstance(child, dict):
            result[key] = {name: _convert(sub, custom) for name, sub in child.items()}
        elif key in _V3_ONLY or (custom and key == "default"):
            continue
        else:
            result[key] = _convert(child, custom)
    return result
