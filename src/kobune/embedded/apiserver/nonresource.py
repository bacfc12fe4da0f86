"""Everything outside of resources: health, version, discovery, OpenAPI, OpenID documents."""

import platform
from typing import Any

import msgspec

from kobune.embedded.apiserver.auth.tokens import ServiceAccountTokens
from kobune.embedded.apiserver.discovery import Discovery
from kobune.embedded.apiserver.http.message import AnyResponse, Request, Response
from kobune.embedded.apiserver.registry.registry import Resource
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.call import Services
from kobune.embedded.apiserver.rest.route import RequestInfo
from kobune.embedded.apiserver.status import (
    StatusError,
    method_not_allowed,
    no_such_resource,
    not_acceptable,
    unknown_path,
)

__all__ = ["NonResource", "version_info"]

_HEALTH = ("healthz", "livez", "readyz")
_CHECKS = ("ping", "log", "etcd", "poststarthook/start-apiextensions-controllers", "poststarthook/rbac/bootstrap-roles")
_TEXT = "text/plain; charset=utf-8"
KUBERNETES_VERSION = ("1", "33", "v1.33.0")


def version_info() -> dict[str, str]:
    """/version: the Kubernetes release whose API this is, marked as Kobune's."""
    major, minor, git = KUBERNETES_VERSION
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"{git}+kobune",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2025-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{_machine()}",
    }


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class NonResource:
    """Answers paths that name no resource."""

    def __init__(self, services: Services, discovery: Discovery, tokens: ServiceAccountTokens) -> None:
        self._services = services
        self._discovery = discovery
        self._tokens = tokens

    @staticmethod
    def public(path: str) -> bool:
        """Whether anybody may ask, without credentials."""
        return path.strip("/").partition("/")[0] in _HEALTH or path.rstrip("/") == "/version"

    async def answer(self, request: Request, info: RequestInfo) -> AnyResponse:
        """Dispatch by path. Raises StatusError."""
        parts = [part for part in request.path.split("/") if part]
        first = parts[0] if parts else ""
        if first in _HEALTH:
            return self._health(request, parts)
        if request.method not in ("GET", "HEAD"):
            if first in ("api", "apis", "version", "openapi", ".well-known", "openid"):
                raise method_not_allowed() if first in ("api", "apis") else StatusError(405, "MethodNotAllowed", "405")
            raise unknown_path()
        match parts:
            case []:
                return respond.document(request, 200, {"paths": self._paths()})
            case ["version"]:
                return Response(200, msgspec.json.format(msgspec.json.encode(version_info())))
            case ["api"]:
                return await self._root(request, core=True)
            case ["apis"]:
                return await self._root(request, core=False)
            case ["api", version]:
                return self._resources(request, "", version)
            case ["apis", group]:
                return self._group(request, group)
            case ["apis", group, version]:
                return await self._group_version(request, group, version)
            case ["openapi", *rest]:
                answer: AnyResponse = await self._services.parts["openapi"].answer(request, rest)
                return answer
            case [".well-known", "openid-configuration"]:
                return Response(200, msgspec.json.encode(self._tokens.configuration()))
            case ["openid", "v1", "jwks"]:
                return Response(200, msgspec.json.encode(self._tokens.keys()), "application/jwk-set+json")
            case ["metrics"]:
                return Response(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8")
        raise unknown_path()

    def _health(self, request: Request, parts: list[str]) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"405 method not allowed\n", _TEXT)
        check = "/".join(parts[1:])
        if check:
            return Response(200, b"ok", _TEXT) if check in _CHECKS else Response(404, b"404 page not found\n", _TEXT)
        if "verbose" in request.query:
            lines = [f"[+]{name} ok" for name in _CHECKS if name not in request.query.get("exclude", ())]
            return Response(200, ("\n".join(lines) + f"\n{parts[0]} check passed\n").encode(), _TEXT)
        return Response(200, b"ok", _TEXT)

    async def _root(self, request: Request, *, core: bool) -> Response:
        wanted = _aggregated_version(request.headers.get("accept", ""))
        if wanted:
            aggregation = self._services.parts.get("aggregation")
            extra = [] if core or aggregation is None else await aggregation.discovery()
            document, tag = self._discovery.aggregated(core=core, extra=extra)
            document["apiVersion"] = f"apidiscovery.k8s.io/{wanted}"
            media = f"application/json;g=apidiscovery.k8s.io;v={wanted};as=APIGroupDiscoveryList"
            headers = {"ETag": f'"{tag}"', "Vary": "Accept", "Cache-Control": "public"}
            if request.headers.get("if-none-match", "").strip('"') == tag:
                return Response(304, b"", "", headers)
            return Response(200, msgspec.json.encode(document), media, headers)
        body = self._discovery.versions() if core else self._discovery.groups()
        return respond.document(request, 200, body)

    def _group(self, request: Request, group: str) -> Response:
        body = self._discovery.group(group)
        if body is None:
            raise unknown_path()
        return respond.document(request, 200, body)

    async def _group_version(self, request: Request, group: str, version: str) -> AnyResponse:
        aggregated = self._services.registry.aggregated(group, version)
        if aggregated is not None:
            answer: AnyResponse = await self._services.parts["aggregation"].proxy(request, None, aggregated)
            return answer
        return self._resources(request, group, version)

    def _resources(self, request: Request, group: str, version: str) -> Response:
        body = self._discovery.resources(group, version)
        if body is None:
            built_in = not group or any(not resource.info.custom for resource in self._in_group(group))
            raise no_such_resource() if built_in else unknown_path()
        return respond.document(request, 200, body)

    def _in_group(self, group: str) -> list[Resource]:
        registry = self._services.registry
        return [resource for version in registry.versions(group) for resource in registry.resources(group, version)]

    def _paths(self) -> list[str]:
        paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/"]
        registry = self._services.registry
        for group in registry.groups():
            if group:
                paths.append(f"/apis/{group}")
                paths.extend(f"/apis/{group}/{version}" for version in registry.versions(group))
        paths += [f"/{health}" for health in _HEALTH]
        paths += ["/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/version"]
        return sorted(paths)

    def _metrics(self) -> bytes:
        storage = self._services.storage
        lines = [
            "# TYPE kobune_store_revision counter",
            f"kobune_store_revision {storage.revision}",
            "# TYPE kobune_store_superseded gauge",
            f"kobune_store_superseded {storage.log.superseded}",
        ]
        return ("\n".join(lines) + "\n").encode()


def _aggregated_version(accept: str) -> str:
    """v2 or v2beta1 when aggregated discovery is the first thing asked for that we have; empty otherwise."""
    for part in accept.split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        values: dict[str, Any] = dict(p.partition("=")[::2] for p in parameters)
        if media == "application/json" and values.get("as") == "APIGroupDiscoveryList":
            if values.get("g") == "apidiscovery.k8s.io" and values.get("v") in ("v2", "v2beta1"):
                return str(values["v"])
        elif media in ("application/json", "*/*", "application/*", "application/yaml"):
            return ""
    if accept and "APIGroupDiscoveryList" in accept and "protobuf" not in accept:
        raise not_acceptable(("application/json", "application/yaml", "application/vnd.kubernetes.protobuf"))
    return ""
