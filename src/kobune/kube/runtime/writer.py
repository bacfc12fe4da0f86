"""Carries out actions that write to the Kubernetes API.

Owns: what each action means when the world has moved on since the decision (the table in `decision`).
Must not: decide, or retry.
"""

import logging
from dataclasses import dataclass
from typing import Any, assert_never

from kobune.base.errors import RetryableError
from kobune.kube.client.errors import AlreadyExists, Conflict, NotFound
from kobune.kube.client.merge import merge_diff
from kobune.kube.client.objects import controller_of, key_of, resource_version_of, uid_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch, Preconditions
from kobune.kube.runtime.decision import Action, Apply, Create, Delete, PatchObject, StatusPatch
from kobune.kube.runtime.metrics import Metrics

__all__ = ["ApiWriter", "NameTaken", "Written", "status_difference"]

log = logging.getLogger(__name__)


class NameTaken(RetryableError):
    """A child's name is held by an object of somebody else; usually that one is about to go."""

    def __init__(self, resource: Resource[Any], key: Key) -> None:
        super().__init__(f"{resource.kind} {key} exists and is not ours; it must be removed or renamed")
        self.resource = resource
        self.key = key


@dataclass(frozen=True, slots=True)
class Written:
    """A write that succeeded: `obj` as the server answered it, or None for the deletion of the object with `uid`."""

    resource: Resource[Any]
    key: Key
    obj: object | None
    uid: str

    @property
    def resource_version(self) -> str:
        """The revision of the write, empty for a deletion."""
        return resource_version_of(self.obj) if self.obj is not None else ""


def status_difference(patch: StatusPatch) -> dict[str, Any]:
    """What would be written of a status: a merge patch, empty when nothing is new."""
    difference: dict[str, Any] = merge_diff(patch.observed or {}, patch.status)
    return difference


class ApiWriter:
    """Executes `Action`s and `StatusPatch`es with one client, as one field manager."""

    def __init__(self, client: Client, *, field_manager: str, metrics: Metrics | None = None) -> None:
        self.client = client
        self.field_manager = field_manager
        self.metrics = metrics or Metrics()

    async def execute(self, action: Action) -> Written | None:
        """Carry out one action; None when there was nothing to do any more. Raises `ApiError` and `NameTaken`."""
        match action:
            case Create():
                return await self._create(action)
            case Apply(resource=resource, namespace=namespace, obj=obj, force=force):
                self._count("apply", resource)
                answer = await self.client.apply(
                    resource, obj, namespace, field_manager=self.field_manager, force=force
                )
                return Written(resource, key_of(answer), answer, uid_of(answer))
            case PatchObject(resource=resource, key=key, patch=patch, subresource=subresource):
                return await self._patch(resource, key, patch, subresource)
            case Delete():
                return await self._delete(action)
            case _:
                assert_never(action)

    async def write_status(self, patch: StatusPatch) -> Written | None:
        """Patch the status when it differs from what was observed; None when it does not or the object is gone."""
        difference = status_difference(patch)
        if not difference:
            return None
        body: dict[str, Any] = {"status": difference}
        if patch.resource_version is not None:
            body["metadata"] = {"resourceVersion": patch.resource_version}
        return await self._patch(patch.resource, patch.key, Patch.merge(body), "status")

    async def _create(self, action: Create) -> Written:
        resource, key = action.resource, Key(action.namespace, key_of(action.obj).name)
        self._count("create", resource)
        try:
            answer = await self.client.create(resource, action.obj, action.namespace)
        except AlreadyExists:
            answer = await self.client.get(resource, key.name, key.namespace)
            owner = controller_of(answer)
            if action.owner_uid is not None and (owner is None or owner.uid != action.owner_uid):
                raise NameTaken(resource, key) from None
            log.debug("%s %s exists already and is ours", resource.kind, key)
        return Written(resource, key, answer, uid_of(answer))

    async def _patch(self, resource: Resource[Any], key: Key, patch: Patch, subresource: str) -> Written | None:
        self._count("patch", resource)
        try:
            answer = await self.client.patch(resource, key.name, patch, key.namespace, subresource=subresource)
        except NotFound:
            log.debug("%s %s to be patched is gone", resource.kind, key)
            return None
        return Written(resource, key, answer, uid_of(answer))

    async def _delete(self, action: Delete) -> Written | None:
        self._count("delete", action.resource)
        try:
            await self.client.delete(
                action.resource,
                action.key.name,
                action.key.namespace,
                preconditions=Preconditions(uid=action.uid),
                grace_period_s=action.grace_period_s,
                propagation=action.propagation,
            )
        except NotFound:
            pass
        except Conflict as error:
            # The only precondition is the uid: another object has taken the name, ours is gone.
            log.debug("%s %s to be deleted is gone: %s", action.resource.kind, action.key, error)
            return None
        return Written(action.resource, action.key, None, action.uid)

    def _count(self, verb: str, resource: Resource[Any]) -> None:
        self.metrics.count("writes", f"{verb} {resource.plural}")
