"""Routes of subresources.kubevirt.io: authentication, authorization, the object, then the verb."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.virt.admission.frontproxy import FrontProxy, User
from kobune.virt.admission.subresources.discovery import GROUP, VERSIONS, api_group, api_resources, version_info
from kobune.virt.admission.subresources.failure import Failure, not_found
from kobune.virt.admission.subresources.instances import InstanceVerbs
from kobune.virt.admission.subresources.machines import MachineVerbs, decode_machine
from kobune.virt.admission.subresources.table import INSTANCE_VERBS, MACHINE_VERBS, Verb

__all__ = ["Subresources"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_VERB_OF: Final = {"GET": "get", "PUT": "update"}
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_OPEN: Final = ("version", "healthz", "guestfs")


class Subresources:
    """Adds the group's routes to an application; `front_proxy` gives the present trust, None before it is known."""

    def __init__(
        self,
        client: Client,
        machines: MachineVerbs,
        instances: InstanceVerbs,
        front_proxy: Callable[[], FrontProxy | None],
    ) -> None:
        self._client = client
        self._machines = machines
        self._instances = instances
        self._front_proxy = front_proxy
        self._methods = {
            "virtualmachines": {verb.path: verb for verb in MACHINE_VERBS},
            "virtualmachineinstances": {verb.path: verb for verb in INSTANCE_VERBS},
        }

    def add_routes(self, app: web.Application) -> None:
        """Everything below /apis/subresources.kubevirt.io."""
        router = app.router
        for path in (f"/apis/{GROUP}", f"/apis/{GROUP}/"):
            router.add_get(path, self._guard(self._group))
        for version in VERSIONS:
            root = f"/apis/{GROUP}/{version}"
            for path in (root, f"{root}/"):
                router.add_get(path, self._guard(self._resources))
            router.add_get(f"{root}/version", self._guard(self._version))
            router.add_get(f"{root}/healthz", self._guard(self._healthz))
            router.add_get(f"{root}/guestfs", self._guard(self._guestfs))
            for action in ("start", "stop", "dump"):
                router.add_get(f"{root}/{action}-cluster-profiler", self._guard(self._profiler))
            inside = f"{root}/namespaces/{{namespace}}"
            router.add_route("*", f"{inside}/expand-vm-spec", self._guard(self._expand_spec))
            for resource in self._methods:
                router.add_route("*", f"{inside}/{resource}/{{name}}/{{path:.+}}", self._guard(self._object))

    def _guard(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                user = self._authenticate(request)
                request["user"] = user
                return await handler(request)
            except Failure as failure:
                return _failed(failure)
            except ApiError as error:
                return _failed(Failure(error.code or 503, error.reason, str(error)))

        return guarded

    def _authenticate(self, request: web.Request) -> User:
        proxy = self._front_proxy()
        certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
        if proxy is None or not certificate or not proxy.trusts(_common_name(certificate)):
            raise Failure(401, "Unauthorized", "only the API server may call this; use its address")
        user = proxy.user([(name, value) for name, value in request.headers.items()])
        if user is None:
            raise Failure(401, "Unauthorized", "the API server named no user")
        return user

    async def _authorize(self, user: User, attributes: dict[str, str]) -> None:
        """Ask the API server whether `user` may. Raises Failure 403."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.name,
                "groups": list(user.groups),
                "extra": {key: list(values) for key, values in user.extra.items()},
                "resourceAttributes": attributes,
            },
        }
        answer = msgspec.json.decode(await self._client.raw("POST", _REVIEWS, body=msgspec.json.encode(review)))
        status = answer.get("status") or {}
        if not status.get("allowed"):
            what = f"{attributes['resource']}/{attributes.get('subresource', '')}".rstrip("/")
            reason = status.get("reason") or ""
            message = (
                f'{what}.{GROUP} "{attributes.get("name", "")}" is forbidden: User "{user.name}" cannot '
                f'{attributes["verb"]} resource "{what}" in API group "{GROUP}" in the namespace '
                f'"{attributes["namespace"]}"'
            )
            raise Failure(403, "Forbidden", f"{message}: {reason}" if reason else message)

    async def _object(self, request: web.Request) -> web.StreamResponse:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        plural = request.path.split("/")[6]
        verb, rest = self._verb(plural, request.match_info["path"])
        if request.method != verb.method:
            return web.Response(status=405, headers={"Allow": verb.method})
        attributes = {
            "group": GROUP,
            "version": request.path.split("/")[3],
            "resource": plural,
            "subresource": verb.path,
            "namespace": namespace,
            "name": name,
            "verb": _VERB_OF[verb.method],
        }
        await self._authorize(request["user"], attributes)
        request.match_info["verb"] = verb.path
        first = verb.path.split("/")[0]
        rest = "/".join(part for part in (*verb.path.split("/")[1:], rest) if part)
        if plural == "virtualmachines":
            vm = await self._get(VIRTUAL_MACHINES, "virtualmachine", namespace, name)
            machine_verb = self._machines.verbs.get(first)
            if machine_verb is not None:
                return await machine_verb(request, vm, rest)
        else:
            vmi = await self._get(VIRTUAL_MACHINE_INSTANCES, "virtualmachineinstance", namespace, name)
            instance_verb = self._instances.verbs.get(first)
            if instance_verb is not None:
                return await instance_verb(request, vmi, rest)
        raise Failure(501, "NotImplemented", f"{plural}/{verb.path} is not supported yet")

    def _verb(self, plural: str, path: str) -> tuple[Verb, str]:
        """The verb with the longest matching path, and what follows it."""
        verbs = self._methods[plural]
        parts = path.strip("/").split("/")
        for length in (2, 1):
            verb = verbs.get("/".join(parts[:length]))
            rest = "/".join(parts[length:])
            if verb is not None and (not rest or verb.path == "portforward"):
                return verb, rest
        raise web.HTTPNotFound(text=f"404: {plural}/{path} is no subresource")

    async def _get(self, resource: Resource[T], kind: str, namespace: str, name: str) -> T:
        try:
            return await self._client.get(resource, name, namespace)
        except NotFound:
            raise not_found(kind, name) from None

    async def _expand_spec(self, request: web.Request) -> web.StreamResponse:
        if request.method != "PUT":
            return web.Response(status=405, headers={"Allow": "PUT"})
        attributes = {
            "group": GROUP,
            "version": request.path.split("/")[3],
            "resource": "expand-vm-spec",
            "namespace": request.match_info["namespace"],
            "verb": "update",
        }
        await self._authorize(request["user"], attributes)
        raw = decode_machine(await request.read())
        return _json(await self._machines.expanded(raw, request.match_info["namespace"]))

    async def _group(self, request: web.Request) -> web.StreamResponse:
        return _json(api_group())

    async def _resources(self, request: web.Request) -> web.StreamResponse:
        return _json(api_resources("/".join(request.path.strip("/").split("/")[1:3])))

    async def _version(self, request: web.Request) -> web.StreamResponse:
        return _json(version_info())

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        await self._client.raw("GET", "/version", timeout_s=5.0)
        return _json("ok")

    async def _guestfs(self, request: web.Request) -> web.StreamResponse:
        return _json({"registry": "", "tag": "", "digest": "", "imagePrefix": "", "gsImage": ""})

    async def _profiler(self, request: web.Request) -> web.StreamResponse:
        """Nothing here is profiled over the network, whatever the feature gates say."""
        return web.Response(status=403, text='Unable to process request. "ClusterProfiler" feature gate is not enabled')


def _common_name(certificate: dict[str, Any]) -> str | None:
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return None


def _failed(failure: Failure) -> web.Response:
    return web.Response(status=failure.code, body=failure.body(), content_type="application/json")


def _json(document: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")
