"""The operations of resources: which paths there are, what each verb is called and takes.

Owns: the part that OpenAPI v2 and v3 share. Source: the shape of the documents that a kube-apiserver serves.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kobune.embedded.apiserver.schema.resource import ResourceInfo, SubresourceInfo

__all__ = ["Operation", "Parameter", "by_path", "gvk", "operations", "response_codes", "result_kind"]

_JSON_TYPES = (
    "application/json",
    "application/yaml",
)
_PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query or path parameter; `type` is string, boolean or integer."""

    name: str
    place: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `kind` is what it takes and gives; `body` says what the request carries: kind, patch or none."""

    path: str
    method: str
    action: str
    operation_id: str
    description: str
    tag: str
    gvk: dict[str, str]
    info: ResourceInfo
    sub: SubresourceInfo | None
    body: str
    gives_list: bool
    parameters: tuple[Parameter, ...]
    path_parameters: tuple[Parameter, ...]
    content: tuple[str, ...]


_PRETTY = Parameter("pretty", "query", "string", "If 'true', then the output is pretty printed.")
_DRY = Parameter(
    "dryRun", "query", "string", "When present, indicates that modifications should not be persisted. Valid: All."
)
_MANAGER = Parameter("fieldManager", "query", "string", "Name of the actor or entity that is making these changes.")
_VALIDATION = Parameter(
    "fieldValidation", "query", "string", "How unknown and duplicate fields are treated: Ignore, Warn or Strict."
)
_FORCE = Parameter("force", "query", "boolean", "Take over fields that others own; for apply patches only.")
_WRITE = (_DRY, _MANAGER, _VALIDATION)
_LIST = (
    Parameter("allowWatchBookmarks", "query", "boolean", "Ask for watch events of type BOOKMARK."),
    Parameter("continue", "query", "string", "Continue a list where an earlier page ended."),
    Parameter("fieldSelector", "query", "string", "Restrict the objects by their fields."),
    Parameter("labelSelector", "query", "string", "Restrict the objects by their labels."),
    Parameter("limit", "query", "integer", "The most objects to return in one page."),
    Parameter("resourceVersion", "query", "string", "The version that the answer must have or be newer than."),
    Parameter("resourceVersionMatch", "query", "string", "How resourceVersion is applied."),
    Parameter("sendInitialEvents", "query", "boolean", "Begin a watch with the present state."),
    Parameter("timeoutSeconds", "query", "integer", "How long a list or watch may take."),
    Parameter("watch", "query", "boolean", "Watch for changes instead of listing."),
)
_DELETE = (
    _DRY,
    Parameter("gracePeriodSeconds", "query", "integer", "Seconds before the object is removed."),
    Parameter("orphanDependents", "query", "boolean", "Deprecated: use propagationPolicy."),
    Parameter("propagationPolicy", "query", "string", "What happens to dependents: Orphan, Background or Foreground."),
)
_NAME = Parameter("name", "path", "string", "name of the resource")
_NAMESPACE = Parameter("namespace", "path", "string", "object name and auth scope, such as for teams and projects")


def gvk(group: str, version: str, kind: str) -> dict[str, str]:
    """The value of x-kubernetes-group-version-kind."""
    return {"group": group, "kind": kind, "version": version}


def _camel(group: str, version: str) -> str:
    name = "Core" if not group else "".join(p.capitalize() for p in group.split(".")[0].split("-"))
    if group and not group.endswith("k8s.io") and "." in group:
        name = "".join(p.capitalize() for p in group.replace("-", ".").split("."))
    return name + version.capitalize()


def _root(info: ResourceInfo) -> str:
    return f"/apis/{info.group}/{info.version}" if info.group else f"/api/{info.version}"


def operations(infos: Iterable[ResourceInfo]) -> Iterator[Operation]:
    """Every operation of these resources."""
    for info in infos:
        yield from _of(info)


def _of(info: ResourceInfo) -> Iterator[Operation]:
    root = _root(info)
    scope = "Namespaced" if info.namespaced else ""
    where = "/namespaces/{namespace}" if info.namespaced else ""
    base = (_NAMESPACE,) if info.namespaced else ()
    collection = f"{root}{where}/{info.plural}"
    item = f"{collection}/{{name}}"
    named = (*base, _NAME)
    verbs = set(info.verbs)
    if "list" in verbs:
        yield _operation(info, None, collection, "get", "list", scope, base, _LIST, "none", gives_list=True)
        if info.namespaced:
            everywhere = f"{root}/{info.plural}"
            yield _operation(
                info, None, everywhere, "get", "list", "", (), _LIST, "none", gives_list=True, suffix="ForAllNamespaces"
            )
    if "create" in verbs:
        yield _operation(info, None, collection, "post", "post", scope, base, _WRITE, "kind")
    if "deletecollection" in verbs:
        both = (*_DELETE, *_LIST[1:])
        yield _operation(info, None, collection, "delete", "deletecollection", scope, base, both, "delete")
    if "get" in verbs:
        yield _operation(info, None, item, "get", "get", scope, named, (), "none")
    if "update" in verbs:
        yield _operation(info, None, item, "put", "put", scope, named, _WRITE, "kind")
    if "patch" in verbs:
        yield _operation(info, None, item, "patch", "patch", scope, named, (*_WRITE, _FORCE), "patch")
    if "delete" in verbs:
        yield _operation(info, None, item, "delete", "delete", scope, named, _DELETE, "delete")
    for sub in info.subresources:
        yield from _sub(info, sub, f"{item}/{sub.name}", scope, named)


def _sub(
    info: ResourceInfo, sub: SubresourceInfo, path: str, scope: str, named: tuple[Parameter, ...]
) -> Iterator[Operation]:
    connect = sub.name in ("attach", "exec", "portforward", "proxy")
    for verb in sub.verbs:
        method = {"create": "post", "get": "get", "update": "put", "patch": "patch", "delete": "delete"}[verb]
        parameters: tuple[Parameter, ...] = ()
        body = "none"
        if not connect and verb in ("create", "update"):
            parameters, body = _WRITE, "kind"
        elif not connect and verb == "patch":
            parameters, body = (*_WRITE, _FORCE), "patch"
        action = "connect" if connect else method
        yield _operation(info, sub, path, method, action, scope, named, parameters, body)


_WORDS = {
    "list": "list",
    "post": "create",
    "put": "replace",
    "get": "read",
    "patch": "patch",
    "delete": "delete",
    "deletecollection": "deleteCollection",
    "connect": "connect",
}


def _operation(
    info: ResourceInfo,
    sub: SubresourceInfo | None,
    path: str,
    method: str,
    action: str,
    scope: str,
    path_parameters: tuple[Parameter, ...],
    parameters: tuple[Parameter, ...],
    body: str,
    *,
    gives_list: bool = False,
    suffix: str = "",
) -> Operation:
    word = _WORDS[action]
    name = info.kind + (sub.name.capitalize() if sub else "")
    prefix = _camel(info.group, info.version)
    middle = prefix + (f"Collection{scope}" if action == "deletecollection" else scope)
    word_id = "delete" if action == "deletecollection" else word
    operation_id = f"{word_id}{middle}{name}{suffix}"
    if action == "connect":
        operation_id = f"connect{prefix}{method.capitalize()}{scope}{name}"
    target = sub if sub is not None and sub.group is not None else None
    kind = sub.kind if sub is not None else info.kind
    group, version = (target.group or "", target.version or "") if target else (info.group, info.version)
    content: tuple[str, ...] = ()
    if body == "patch":
        content = tuple(t for t in _PATCH_TYPES if not (info.custom and "strategic" in t))
    elif body != "none":
        content = _JSON_TYPES
    return Operation(
        path,
        method,
        action,
        operation_id,
        f"{word} {info.kind}" if not sub else f"{word} {sub.name} of the specified {info.kind}",
        _tag(info),
        gvk(group, version, kind),
        info,
        sub,
        body,
        gives_list,
        (_PRETTY, *parameters),
        path_parameters,
        content,
    )


def _tag(info: ResourceInfo) -> str:
    name = info.group.split(".")[0] if info.group.endswith("k8s.io") else info.group.replace(".", "")
    return f"{name or 'core'}_{info.version}"


def by_path(
    operations_: Iterable[Operation],
    rendered: Callable[[Operation], dict[str, Any]],
    parameter: Callable[[Parameter], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The paths of a document, with each method's operation and what all of a path take."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations_:
        item = paths.setdefault(operation.path, {})
        item[operation.method] = rendered(operation)
        if operation.path_parameters:
            item["parameters"] = [parameter(one) for one in operation.path_parameters]
    return paths


def response_codes(operation: Operation) -> dict[str, str]:
    """Status codes and their descriptions."""
    codes = {"200": "OK", "401": "Unauthorized"}
    if operation.action in ("post", "put", "patch"):
        codes["201"] = "Created"
    if operation.action in ("post", "delete"):
        codes["202"] = "Accepted"
    return dict(sorted(codes.items()))


def result_kind(operation: Operation) -> str:
    """What the operation answers: the kind, its list, a Status, or text."""
    if operation.gives_list:
        return "list"
    if operation.action in ("delete", "deletecollection"):
        return "status"
    if operation.action == "connect" or (operation.sub is not None and operation.sub.name == "log"):
        return "text"
    return "kind"
