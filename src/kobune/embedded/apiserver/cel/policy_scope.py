"""What expressions of policies and match conditions may refer to, and compiling them.

They are checked with full types and run on plain values. Owns: the types of `request` and `namespaceObject`, and which
variables there are in which place. Protobuf is imported with the first expression.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from kobune.embedded.apiserver.cel import authorizer
from kobune.embedded.apiserver.cel.expression import (
    CelCompileError,
    Program,
    compile_in,
    environment,
    needed_extensions,
)

__all__ = ["Scope", "authorizer_values", "check", "compile_policy"]

_ANY, _STAMP = ".google.protobuf.Value", ".google.protobuf.Timestamp"
_KIND = {"group": "string", "version": "string", "kind": "string"}
_RESOURCE = {"group": "string", "version": "string", "resource": "string"}
_MESSAGES: dict[str, dict[str, str]] = {
    "GroupVersionKind": _KIND,
    "GroupVersionResource": _RESOURCE,
    "UserInfo": {"username": "string", "uid": "string", "groups": "[string]", "extra": "{[string]}"},
    "AdmissionRequest": {
        "kind": "GroupVersionKind",
        "resource": "GroupVersionResource",
        "subResource": "string",
        "requestKind": "GroupVersionKind",
        "requestResource": "GroupVersionResource",
        "requestSubResource": "string",
        "name": "string",
        "namespace": "string",
        "operation": "string",
        "userInfo": "UserInfo",
        "dryRun": "bool",
        "options": "any",
    },
    "NamespaceMetadata": {
        "name": "string",
        "generateName": "string",
        "namespace": "string",
        "labels": "{string}",
        "annotations": "{string}",
        "UID": "string",
        "creationTimestamp": "time",
        "deletionGracePeriodSeconds": "int",
        "deletionTimestamp": "time",
        "generation": "int",
        "resourceVersion": "string",
        "finalizers": "[string]",
    },
    "NamespaceSpec": {"finalizers": "[string]"},
    "NamespaceStatus": {"phase": "string"},
    "Namespace": {"metadata": "NamespaceMetadata", "spec": "NamespaceSpec", "status": "NamespaceStatus"},
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which variables there are besides object, oldObject and request."""

    params: bool = False
    namespace: bool = False
    authorizer: bool = False
    variables: bool = False


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, struct_pb2, timestamp_pb2

    pool = descriptor_pool.DescriptorPool()
    for module in (struct_pb2, timestamp_pb2):
        copy = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(copy)
        pool.Add(copy)
    pool.Add(authorizer.describe())
    file = descriptor_pb2.FileDescriptorProto(name="admission.proto", package="kubernetes", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in (struct_pb2, timestamp_pb2))
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, word) in enumerate(fields.items(), 1):
            _describe(message, field, number, word)
    pool.Add(file)
    return pool


def _describe(message: Any, name: str, number: int, word: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    field = message.field.add(name=name, number=number, json_name=name, label=Field.LABEL_OPTIONAL)
    match word:
        case "[string]":
            field.label, field.type = Field.LABEL_REPEATED, Field.TYPE_STRING
        case "string":
            field.type = Field.TYPE_STRING
        case "int":
            field.type = Field.TYPE_INT64
        case "bool":
            field.type = Field.TYPE_BOOL
        case "any" | "time":
            field.type, field.type_name = Field.TYPE_MESSAGE, _ANY if word == "any" else _STAMP
        case "{string}" | "{[string]}":
            entry = message.nested_type.add(name=name[:1].upper() + name[1:] + "Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
            value = entry.field.add(name="value", number=2, label=Field.LABEL_OPTIONAL, type=Field.TYPE_STRING)
            if word == "{[string]}":
                value.type, value.type_name = Field.TYPE_MESSAGE, ".google.protobuf.ListValue"
            field.label, field.type = Field.LABEL_REPEATED, Field.TYPE_MESSAGE
            field.type_name = f".kubernetes.{message.name}.{entry.name}"
        case _:
            field.type, field.type_name = Field.TYPE_MESSAGE, f".kubernetes.{word}"


@cache
def _environment(scope: Scope, typed: bool, needed: frozenset[str]) -> Any:
    variables = {"object": "dyn", "oldObject": "dyn", "request": "kubernetes.AdmissionRequest" if typed else "dyn"}
    if scope.params:
        variables["params"] = "dyn"
    if scope.namespace:
        variables["namespaceObject"] = "kubernetes.Namespace" if typed else "dyn"
    if scope.variables:
        variables["variables"] = "dyn"
    if scope.authorizer:
        variables["authorizer"] = authorizer.AUTHORIZER
        variables["authorizer.requestResource"] = authorizer.RESOURCE_CHECK
    functions = authorizer.functions(_pool()) if scope.authorizer else ()
    return environment(variables, _pool(), functions, needed=needed)


def check(text: str, scope: Scope, variables: frozenset[str] = frozenset()) -> str:
    """The CEL name of an expression's type; `variables` are those declared before it. Raises CelCompileError."""
    result = compile_in(_environment(scope, True, needed_extensions(text)), text).result
    for found in re.finditer(r"\bvariables\.([A-Za-z_]\w*)", text):
        if scope.variables and found[1] not in variables:
            at = found.start() + len("variables")
            line = text.count("\n", 0, at)
            start = text.rfind("\n", 0, at) + 1
            shown = text.split("\n")[line]
            raise CelCompileError(
                f"ERROR: <input>:{line + 1}:{at - start + 1}: undefined field '{found[1]}'\n | {shown}\n |"
                f" {'.' * (at - start)}^"
            )
    return result


def compile_policy(text: str, scope: Scope) -> Program:
    """An expression to run on plain values. Raises CelCompileError."""
    return compile_in(_environment(scope, False, needed_extensions(text)), text)


def authorizer_values(resource: dict[str, str]) -> dict[str, Any]:
    """The bindings of a scope with an authorizer; `resource` are fields of `authorizer.Question`."""
    return authorizer.values(_pool(), resource)
