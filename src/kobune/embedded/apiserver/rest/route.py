"""What a request is about: path and method to verb, group, version, namespace, resource, name, subresource.

Source: the URL structure of the Kubernetes API. Pure.
"""

from dataclasses import dataclass
from urllib.parse import unquote

from kobune.embedded.apiserver.http.message import Request
from kobune.embedded.apiserver.registry.selectors import SelectorError, parse_fields

__all__ = ["RequestInfo", "resolve"]

_VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(slots=True)
class RequestInfo:
    """The attributes that authorization and dispatch work on. `verb` is an HTTP word in lower case for other paths."""

    is_resource: bool
    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: tuple[str, ...] = ()
    """Path segments behind the subresource (of a proxy)."""


def resolve(request: Request) -> RequestInfo:
    """Classify a request by its path and method."""
    path = request.path
    # Names may hold an encoded slash: segments are decoded one by one.
    raw = request.raw_path.split("/")
    if len(raw) < 2 or raw[0] != "" or "" in raw[1:-1]:
        return RequestInfo(False, request.method.lower(), path)
    parts = [unquote(part) for part in raw[1:] if part] if "%" in request.raw_path else [p for p in raw[1:] if p]
    if not parts or parts[0] not in ("api", "apis"):
        return RequestInfo(False, request.method.lower(), path)
    if parts[0] == "api":
        if len(parts) < 3:
            return RequestInfo(False, request.method.lower(), path, "", parts[1] if len(parts) > 1 else "")
        group, version, parts = "", parts[1], parts[2:]
    else:
        if len(parts) < 4:
            group = parts[1] if len(parts) > 1 else ""
            return RequestInfo(False, request.method.lower(), path, group, parts[2] if len(parts) > 2 else "")
        group, version, parts = parts[1], parts[2], parts[3:]
    verb = _VERBS.get(request.method, "")
    if parts[0] == "watch" and len(parts) > 1:
        verb, parts = "watch", parts[1:]
    info = RequestInfo(True, verb, path, group, version)
    if parts[0] == "namespaces" and len(parts) > 1:
        info.namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    info.resource = parts[0]
    info.name = parts[1] if len(parts) > 1 else ""
    info.subresource = parts[2] if len(parts) > 2 else ""
    info.rest = tuple(parts[3:])
    if not info.name:
        _refine_collection_verb(info, request)
    return info


def _refine_collection_verb(info: RequestInfo, request: Request) -> None:
    if info.verb == "get":
        info.verb = "watch" if _is_watch(request) else "list"
    elif info.verb == "delete":
        info.verb = "deletecollection"
    if info.verb in ("list", "watch", "deletecollection"):
        selector = request.option("fieldSelector")
        if "metadata.name" in selector:
            try:
                info.name = parse_fields(selector).name or ""
            except SelectorError:
                return


def _is_watch(request: Request) -> bool:
    if "watch" not in request.raw_query:
        return False
    return request.option("watch").lower() in ("1", "true", "t") or request.query.get("watch") == [""]
