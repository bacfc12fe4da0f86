"""APIServices: local ones made for every group version we serve, remote ones proxied to and watched for availability.

Owns: the APIService objects of local groups, the Available condition, the front-proxy call with X-Remote headers.
"""

import asyncio
import base64
import logging
import ssl
from typing import Any
from urllib.parse import quote

import msgspec

from kobune.embedded.apiserver.http.message import AnyResponse, Request, Response
from kobune.embedded.apiserver.pki import Pki
from kobune.embedded.apiserver.registry.collection import Change, Item
from kobune.embedded.apiserver.registry.registry import Aggregated, Registry
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.services_map import ServiceMap, ServiceUnresolved
from kobune.embedded.apiserver.timestamps import now
from kobune.embedded.apiserver.upstream import Target, UpstreamError, call, proxy
from kobune.embedded.apiserver.user import MASTERS, User
from kobune.embedded.store import RevisionConflict

__all__ = ["Aggregation"]

log = logging.getLogger(__name__)

_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
_PROBE_TIMEOUT_S = 5.0
_PROBE_EVERY_S = 30.0
_RETRY_S = 1.0
_DISCOVERY_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
_DROP = frozenset({"authorization"})


class Aggregation:
    """Follows APIServices and the registry."""

    def __init__(self, storage: Storage, registry: Registry, services: ServiceMap, pki: Pki) -> None:
        self._storage = storage
        self._registry = registry
        self._services = services
        self._pki = pki
        self._collection = storage.collection("apiregistration.k8s.io/apiservices")
        self._available: dict[str, bool] = {}
        self._discovery: dict[str, dict[str, Any]] = {}
        self._wake = asyncio.Event()
        self._collection.listen(self._changed)
        for resource in ("core/services", "core/endpoints", "discovery.k8s.io/endpointslices"):
            storage.collection(resource).listen(lambda _: self._wake.set())
        registry.on_change(self._wake.set)

    def load(self) -> None:
        """Take over what is stored."""
        for item in list(self._collection.select()):
            self._register(item)
        self._wake.set()

    async def run(self) -> None:
        """Keep local APIServices and conditions right, for ever."""
        while True:
            try:
                async with asyncio.timeout(_PROBE_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._local()
                retry = await self._remote()
            except RevisionConflict:
                await self._storage.log.settle()
                retry = True
            except Exception:
                log.exception("APIServices")
                retry = True
            if retry:
                asyncio.get_running_loop().call_later(_RETRY_S, self._wake.set)

    def _changed(self, change: Change) -> None:
        spec = change.item.object().get("spec") or {}
        if change.deleted:
            self._registry.stop_aggregating(spec.get("group", ""), spec.get("version", ""))
            self._available.pop(change.item.name, None)
            self._discovery.pop(change.item.name, None)
        else:
            self._register(change.item)
        self._wake.set()

    def _register(self, item: Item) -> None:
        obj = item.object()
        spec = obj["spec"]
        group, version = spec.get("group", ""), spec.get("version", "")
        if not spec.get("service"):
            return
        known = self._registry.aggregated(group, version)
        if known is not None and known.spec == spec:
            return
        self._registry.aggregate(
            Aggregated(
                item.name, group, version, spec.get("groupPriorityMinimum", 0), spec.get("versionPriority", 0), spec
            )
        )

    async def _local(self) -> None:
        """One APIService for each group version served here; those of vanished ones go."""
        wanted: dict[str, tuple[str, str]] = {}
        for group in self._registry.groups():
            for version in self._registry.versions(group):
                if self._registry.resources(group, version):
                    wanted[f"{version}.{group}"] = (group, version)
        for name, (group, version) in wanted.items():
            if self._collection.get("", name) is None:
                custom = any(resource.info.custom for resource in self._registry.resources(group, version))
                await self._storage.put(
                    self._collection, _local_object(self._registry, name, group, version, custom), 0
                )
        for item in list(self._collection.select()):
            if item.name not in wanted and item.labels.get(_AUTOMANAGED) == "true":
                await self._storage.remove(self._collection, item.object(), item.revision)

    async def _remote(self) -> bool:
        retry = False
        for item in list(self._collection.select()):
            obj = item.object()
            if not obj["spec"].get("service"):
                continue
            condition = await self._probe(item.name, obj["spec"])
            self._available[item.name] = condition["status"] == "True"
            retry = retry or condition["status"] != "True"
            status = obj.setdefault("status", {})
            conditions = status.setdefault("conditions", [])
            old = next((c for c in conditions if c["type"] == "Available"), None)
            if old and all(old.get(k) == condition[k] for k in ("status", "reason", "message")):
                continue
            if old and old["status"] == condition["status"]:
                condition["lastTransitionTime"] = old["lastTransitionTime"]
            status["conditions"] = [c for c in conditions if c["type"] != "Available"] + [condition]
            fresh = self._collection.get("", item.name)
            if fresh is not None and fresh.revision == item.revision:
                await self._storage.put(self._collection, obj, item.revision)
            else:
                retry = True
        return retry

    async def _probe(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        path = f"/apis/{spec['group']}/{spec['version']}"
        try:
            target = self._target(spec)
            headers = [*_remote_headers(User("system:kube-aggregator", (MASTERS,))), ("Accept", "application/json")]
            status, _, body = await call(target, "GET", path, headers, b"", timeout_s=_PROBE_TIMEOUT_S)
            if status != 200:
                raise UpstreamError(f"bad status from https://{target.host}:{target.port}{path}: {status}")
        except ServiceUnresolved as error:
            return _condition("False", error.reason, str(error))
        except UpstreamError as error:
            return _condition("False", "FailedDiscoveryCheck", f"failing or missing response from the service: {error}")
        await self._discover(name, spec, target, body)
        return _condition("True", "Passed", "all checks passed")

    async def _discover(self, name: str, spec: dict[str, Any], target: Target, body: bytes) -> None:
        """Remember the group version's resources for aggregated discovery."""
        try:
            document = msgspec.json.decode(body)
            resources = _from_legacy(document.get("resources") or [], spec["group"], spec["version"])
        except (msgspec.DecodeError, AttributeError, KeyError, TypeError):
            resources = []
        discovery = {"version": spec["version"], "resources": resources, "freshness": "Current"}
        self._discovery[name] = {"group": spec["group"], "version": spec["version"], "discovery": discovery}

    async def discovery(self) -> list[dict[str, Any]]:
        """What remote group versions look like in aggregated discovery."""
        found = []
        for item in self._collection.select():
            spec = item.object()["spec"]
            if not spec.get("service"):
                continue
            known = self._discovery.get(item.name)
            if known is not None and self._available.get(item.name):
                found.append(known)
            else:
                stale = known["discovery"] if known else {"version": spec["version"], "resources": []}
                entry = {**stale, "freshness": "Stale"}
                found.append({"group": spec["group"], "version": spec["version"], "discovery": entry})
        return found

    async def proxy(self, request: Request, user: User | None, aggregated: Aggregated) -> AnyResponse:
        """Pass a request on to the server behind an APIService."""
        if not self._available.get(aggregated.name):
            condition = await self._probe(aggregated.name, aggregated.spec)
            if condition["status"] != "True":
                return Response(503, b"service unavailable\n", "text/plain; charset=utf-8")
            self._available[aggregated.name] = True
            self._wake.set()
        try:
            target = self._target(aggregated.spec)
            path = quote(request.path, safe="/:@!$&'()*+,;=-._~%")
            if request.raw_query:
                path += "?" + request.raw_query
            headers = _remote_headers(user or User("system:anonymous", ("system:unauthenticated",)))
            drop = _DROP | {name for name in request.headers if name.startswith(("x-remote-", "impersonate-"))}
            return await proxy(target, request, path, headers, drop=drop)
        except (ServiceUnresolved, UpstreamError) as error:
            log.info("APIService %s: %s", aggregated.name, error)
            self._available[aggregated.name] = False
            self._wake.set()
            message = f"error trying to reach service: {error}\n"
            return Response(503, message.encode(), "text/plain; charset=utf-8")

    def _target(self, spec: dict[str, Any]) -> Target:
        service = spec["service"]
        namespace, name = service.get("namespace", ""), service.get("name", "")
        host, port = self._services.resolve(namespace, name, service.get("port", 443))
        bundle = spec.get("caBundle")
        context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode() if bundle else None)
        if spec.get("insecureSkipTLSVerify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self._pki.front_proxy_cert_file, self._pki.front_proxy_key_file)
        return Target(host, port, context, f"{name}.{namespace}.svc")


def _remote_headers(user: User) -> list[tuple[str, str]]:
    headers = [("X-Remote-User", user.name)]
    headers += [("X-Remote-Group", group) for group in user.groups]
    if user.uid:
        headers.append(("X-Remote-Uid", user.uid))
    for key, values in user.extra.items():
        headers += [("X-Remote-Extra-" + quote(key, safe=""), value) for value in values]
    return headers


def _condition(status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": "Available",
        "status": status,
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    }


def _local_object(registry: Registry, name: str, group: str, version: str, custom: bool) -> dict[str, Any]:
    import uuid

    versions = registry.versions(group)
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
            "labels": {_AUTOMANAGED: "true" if custom else "onstart"},
        },
        "spec": {
            **({"group": group} if group else {}),
            "version": version,
            "groupPriorityMinimum": 1000 if custom else (18000 if not group else 17000),
            "versionPriority": 100 if custom else 15 + len(versions) - versions.index(version) - 1,
        },
        "status": {"conditions": [_condition("True", "Local", "Local APIServices are always available")]},
    }


def _from_legacy(resources: list[dict[str, Any]], group: str, version: str) -> list[dict[str, Any]]:
    """An APIResourceList's entries as aggregated discovery has them."""
    found: dict[str, dict[str, Any]] = {}
    for entry in resources:
        name, _, sub = entry["name"].partition("/")
        kind = {
            "group": entry.get("group") or group,
            "version": entry.get("version") or version,
            "kind": entry.get("kind", ""),
        }
        if sub:
            parent = found.setdefault(
                name, {"resource": name, "responseKind": None, "scope": _scope(entry), "verbs": None}
            )
            parent.setdefault("subresources", []).append(
                {"subresource": sub, "responseKind": kind, "verbs": entry.get("verbs", [])}
            )
            continue
        item = found.setdefault(name, {"resource": name})
        item |= {"responseKind": kind, "scope": _scope(entry), "verbs": entry.get("verbs", [])}
        if entry.get("singularName"):
            item["singularResource"] = entry["singularName"]
        for key in ("shortNames", "categories"):
            if entry.get(key):
                item[key] = entry[key]
    return [{key: value for key, value in item.items() if value is not None} for item in found.values()]


def _scope(entry: dict[str, Any]) -> str:
    return "Namespaced" if entry.get("namespaced") else "Cluster"
