"""The `authorizer` of policies and match conditions: an expression asks what the user, or an account, may do.

Owns: the library's functions and their types. Who answers is given by `asking`, for the time of one evaluation.
Source: Kubernetes' CEL authorizer library.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from kobune.embedded.apiserver.cel.library import Declaration
from kobune.embedded.apiserver.schema.names import is_dns1123_label, is_dns1123_subdomain

__all__ = ["AUTHORIZER", "RESOURCE_CHECK", "Answer", "Question", "asking", "describe", "functions", "values"]

_PACKAGE = "kubernetes.authorization"
AUTHORIZER, RESOURCE_CHECK = f"{_PACKAGE}.Authorizer", f"{_PACKAGE}.ResourceCheck"
_GROUP_CHECK, _DECISION = f"{_PACKAGE}.GroupCheck", f"{_PACKAGE}.Decision"
_TYPES = ("Authorizer", "GroupCheck", "ResourceCheck", "Decision")
# The check of a path is a ResourceCheck as well: one name has one function for all messages.
_STATE = "state"


@dataclass(frozen=True, slots=True)
class Question:
    """May the request's user, or the service account (namespace, name), do `verb` on a resource or a path?"""

    verb: str
    account: tuple[str, str] | None = None
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


Answer = Callable[[Question], tuple[bool, str]]
"""(allowed, reason)."""

_answer: ContextVar[Answer] = ContextVar("answer")


@contextlib.contextmanager
def asking(answer: Answer) -> Iterator[None]:
    """Expressions that are evaluated inside ask `answer`."""
    token = _answer.set(answer)
    try:
        yield
    finally:
        _answer.reset(token)


def describe() -> Any:
    """The library's types, for the checker's pool: opaque but for what they carry."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name="authorization.proto", package=_PACKAGE, syntax="proto3")
    for name in _TYPES:
        field = descriptor_pb2.FieldDescriptorProto
        file.message_type.add(name=name).field.add(
            name=_STATE, number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL
        )
    return file


def values(pool: Any, resource: dict[str, str]) -> dict[str, Any]:
    """The variables: `authorizer`, and the check of the request's own resource."""
    make = _maker(pool)
    return {"authorizer": make("Authorizer", {}), "authorizer.requestResource": make("ResourceCheck", resource)}


def _maker(pool: Any) -> Callable[[str, dict[str, Any]], Any]:
    from google.protobuf import message_factory

    def make(name: str, state: dict[str, Any]) -> Any:
        kind: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        return kind(state=json.dumps(state))

    return make


def functions(pool: Any) -> list[Declaration]:
    """The library, its values made of the types in `pool`."""
    make = _maker(pool)

    def put(result: str, key: str) -> Callable[[Any, str], Any]:
        return lambda receiver, value: make(result, {**json.loads(receiver.state), key: value})

    def path(receiver: Any, value: str) -> Any:
        if not value:
            raise ValueError("path must not be empty")
        return make("ResourceCheck", {**json.loads(receiver.state), "path": value})

    def resource(receiver: Any, value: str) -> Any:
        if not value:
            raise ValueError("resource must not be empty")
        return make("ResourceCheck", {**json.loads(receiver.state), "resource": value})

    def account(receiver: Any, namespace: str, name: str) -> Any:
        if is_dns1123_subdomain(name):
            raise ValueError("Invalid service account name")
        if is_dns1123_label(namespace):
            raise ValueError("Invalid service account namespace")
        return make("Authorizer", {"account": [namespace, name]})

    def check(receiver: Any, verb: str) -> Any:
        state = json.loads(receiver.state)
        given = state.pop("account", None)
        known = {key: value for key, value in state.items() if key not in ("fieldSelector", "labelSelector")}
        allowed, reason = _answer.get()(Question(verb, tuple(given) if given else None, **known))
        return make("Decision", {"allowed": allowed, "reason": reason})

    def told(key: str) -> Callable[[Any], Any]:
        return lambda decision: json.loads(decision.state)[key]

    text = "string"
    declared: list[Declaration] = [
        ("path", "authorizer_path", (AUTHORIZER, text), RESOURCE_CHECK, True, path),
        ("group", "authorizer_group", (AUTHORIZER, text), _GROUP_CHECK, True, put("GroupCheck", "group")),
        ("serviceAccount", "authorizer_serviceaccount", (AUTHORIZER, text, text), AUTHORIZER, True, account),
        ("resource", "groupcheck_resource", (_GROUP_CHECK, text), RESOURCE_CHECK, True, resource),
        ("check", "resourcecheck_check", (RESOURCE_CHECK, text), _DECISION, True, check),
        ("errored", "decision_errored", (_DECISION,), "bool", True, lambda decision: False),
        ("error", "decision_error", (_DECISION,), text, True, lambda decision: ""),
        ("allowed", "decision_allowed", (_DECISION,), "bool", True, told("allowed")),
        ("reason", "decision_reason", (_DECISION,), text, True, told("reason")),
    ]
    for key in ("subresource", "namespace", "name", "fieldSelector", "labelSelector"):
        overload = f"resourcecheck_{key.lower()}"
        declared.append((key, overload, (RESOURCE_CHECK, text), RESOURCE_CHECK, True, put("ResourceCheck", key)))
    return declared
