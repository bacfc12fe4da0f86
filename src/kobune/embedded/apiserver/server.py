"""The application: authentication, authorization, then the handler of the path. Turns every failure into a Status."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kobune.embedded.apiserver.auth.authenticator import Authenticator
from kobune.embedded.apiserver.http.message import AnyResponse, Request, Response
from kobune.embedded.apiserver.nonresource import NonResource
from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rest import delete, patch, read, respond, watch, write
from kobune.embedded.apiserver.rest.body import check_size
from kobune.embedded.apiserver.rest.call import Call, Services
from kobune.embedded.apiserver.rest.guard import guarded
from kobune.embedded.apiserver.rest.route import RequestInfo, resolve
from kobune.embedded.apiserver.status import (
    StatusError,
    internal,
    method_not_allowed,
    no_such_resource,
    not_found,
    unknown_path,
)
from kobune.embedded.apiserver.subresources import Subresources
from kobune.embedded.apiserver.user import User
from kobune.embedded.store import StoreFailed

__all__ = ["ApiServer"]

log = logging.getLogger(__name__)

Verb = Callable[[Call], Awaitable[AnyResponse]]
_VERBS: dict[str, Verb] = {
    "get": read.get,
    "list": read.list_objects,
    "watch": watch.watch,
    "create": write.create,
    "update": write.update,
    "patch": patch.patch,
    "delete": delete.delete,
    "deletecollection": delete.delete_collection,
}
_METHODS = {
    "create": "POST",
    "get": "GET",
    "list": "GET",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}


class ApiServer:
    """A handler for the HTTP adapter."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        nonresource: NonResource,
        subresources: Subresources,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._nonresource = nonresource
        self._subresources = subresources
        services.parts["still_allowed"] = self._still_allowed

    async def __call__(self, request: Request) -> AnyResponse:
        """Answer; never raises but for cancellation."""
        warnings: list[str] = []
        try:
            return await self._answer(request, warnings)
        except StatusError as error:
            return respond.failure(error, request, warnings)
        except asyncio.CancelledError:
            raise
        except StoreFailed as error:
            log.error("%s %s: %s", request.method, request.path, error)
            return respond.failure(internal(str(error)), request)
        except RecursionError:
            return respond.failure(StatusError(400, "BadRequest", "the object is nested too deeply"), request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return respond.failure(internal("the server failed; its log has the reason"), request)

    async def _answer(self, request: Request, warnings: list[str]) -> AnyResponse:
        user = self._authenticator.authenticate(request)
        user = self._authenticator.impersonate(request, user)
        info = resolve(request)
        if not info.is_resource:
            attributes = Attributes(user, info.verb, path=info.path)
            if not self._nonresource.public(info.path):
                self._services.authorizer.require(attributes)
            return await self._nonresource.answer(request, info)
        attributes = _attributes_of(request, user, info)
        self._services.authorizer.require(attributes)
        since = self._services.authorizer.generation
        aggregated = self._services.registry.aggregated(info.group, info.version)
        if aggregated is not None:
            answer: AnyResponse = await self._services.parts["aggregation"].proxy(request, user, aggregated)
        else:
            answer = await self._resource(request, user, info, warnings)
            if isinstance(answer, Response) or (info.verb == "watch" and not info.subresource):
                return answer  # watches look after their right themselves
        return guarded(answer, lambda: self._holds(request, attributes, since))

    def _still_allowed(self, call: Call, since: int) -> bool:
        """What a watch asks."""
        return self._holds(call.request, _attributes_of(call.request, call.user, call.info), since)

    def _holds(self, request: Request, attributes: Attributes, since: int) -> bool:
        """Whether the credentials of a running request are still good, and its right is there."""
        try:
            user = self._authenticator.authenticate(request)
            self._authenticator.impersonate(request, user)
        except StatusError:
            return False
        return self._services.authorizer.holds(attributes, since)

    async def _resource(self, request: Request, user: User, info: RequestInfo, warnings: list[str]) -> AnyResponse:
        resource = self._services.registry.lookup(info.group, info.version, info.resource)
        if resource is None:
            raise unknown_path()
        call = Call(self._services, request, user, info, resource, warnings)
        if resource.info.deprecated_warning:
            call.warn(resource.info.deprecated_warning)
        if resource.info.namespaced and not info.namespace and (info.verb not in ("list", "watch") or info.subresource):
            if info.verb == "create" and not resource.info.stored:
                pass
            elif info.verb in ("create", "deletecollection") and not info.subresource:
                raise method_not_allowed()
            else:
                raise unknown_path()
        if not resource.info.namespaced and info.namespace and info.resource != "namespaces":
            raise unknown_path()
        check_size(request)
        if info.subresource:
            return await self._subresource(call)
        special = self._subresources.collection_handler(call)
        if special is not None:
            return await special(call)
        handler = _VERBS.get(info.verb)
        if handler is None or info.verb not in resource.info.verbs:
            raise method_not_allowed()
        if info.verb in ("update", "patch") and not info.name:
            raise method_not_allowed()
        if info.verb == "watch" and "watch" not in resource.info.verbs:
            raise method_not_allowed()
        if request.method == "POST" and "/" + info.name in request.path and info.name:
            raise method_not_allowed()
        return await handler(call)

    async def _subresource(self, call: Call) -> AnyResponse:
        info, resource = call.info, call.resource.info
        declared = next((s for s in resource.subresources if s.name == info.subresource), None)
        if declared is None:
            if resource.custom:
                raise not_found(info.group, info.resource, info.name)
            raise no_such_resource()
        special = self._subresources.handler(call)
        if special is not None:
            return await special(call)
        if info.verb not in declared.verbs:
            if resource.custom:
                qualified = f"{resource.plural}.{resource.group}"
                raise StatusError(
                    405,
                    "MethodNotAllowed",
                    f'{info.verb} is not supported on resources of kind "{qualified}"',
                    {"group": resource.group, "kind": resource.plural},
                )
            raise method_not_allowed()
        match info.verb:
            case "get":
                return await read.get(call)
            case "update":
                return await write.update(call)
            case "patch":
                return await patch.patch(call)
        raise not_found(info.group, info.resource, info.name)


def _attributes_of(request: Request, user: User, info: RequestInfo) -> Attributes:
    i = info
    selector = request.option("fieldSelector") if "fieldSelector" in request.raw_query else ""
    return Attributes(
        user, i.verb, i.group, i.version, i.namespace, i.resource, i.subresource, i.name, field_selector=selector
    )
