"""Wires the namespace controller, and carries out its two actions."""

from typing import Any, Final, assert_never

from kobune.embedded.builtin.namespaces.decide import FINALIZER, DeleteContent, Finalize, NamespaceAction, decide
from kobune.embedded.builtin.namespaces.observe import Observe
from kobune.kube.client.core import NAMESPACES
from kobune.kube.client.errors import NotFound, UnexpectedStatus
from kobune.kube.client.objects import uid_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Preconditions
from kobune.kube.runtime import ControllerProcess, Written

__all__ = ["add_to"]

_RAW_NAMESPACES: Final[Resource[dict[str, Any]]] = Resource("", "v1", "namespaces", "Namespace", False, dict)


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    namespaces = process.informers.of(NAMESPACES)
    process.add(
        "namespaces",
        primary=namespaces,
        observe=Observe(process.client, namespaces, process.clock),
        decide=decide,
        execute=Execute(process.client),
        workers=4,
    )


class Execute:
    """Carries out the actions of this controller."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, action: NamespaceAction) -> Written | None:
        """Carry out one action; what is gone already counts as done."""
        match action:
            case DeleteContent():
                await self._delete_content(action)
            case Finalize(name=name, uid=uid):
                await self._finalize(name, uid)
            case _:
                assert_never(action)
        return None

    async def _delete_content(self, action: DeleteContent) -> None:
        resource = action.resource.unstructured
        if "deletecollection" in action.resource.verbs:
            try:
                await self._client.raw("DELETE", resource.path(action.namespace))
            except NotFound:
                return
            except UnexpectedStatus as error:
                if error.code != 405:
                    raise
            else:
                return
        page = await self._client.list(resource, action.namespace)
        for document in page.items:
            try:
                await self._client.delete(
                    resource,
                    document["metadata"]["name"],
                    action.namespace,
                    preconditions=Preconditions(uid=uid_of(document)),
                )
            except NotFound:
                continue

    async def _finalize(self, name: str, uid: str) -> None:
        try:
            document = await self._client.get(_RAW_NAMESPACES, name)
        except NotFound:
            return
        if uid_of(document) != uid:
            return
        spec = document.get("spec") or {}
        spec["finalizers"] = [finalizer for finalizer in spec.get("finalizers") or () if finalizer != FINALIZER]
        try:
            await self._client.replace(_RAW_NAMESPACES, document | {"spec": spec}, subresource="finalize")
        except NotFound:
            return
