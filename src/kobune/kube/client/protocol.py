"""The client as the rest of Kobune sees it: one protocol, kept by the HTTP client and the in-memory API."""

from collections.abc import AsyncIterator
from typing import Any, Protocol, TypeVar

from kobune.kube.client.resource import Resource
from kobune.kube.client.types import ListResult, Patch, Preconditions, Propagation, WatchEvent

__all__ = ["Client"]

T = TypeVar("T")


class Client(Protocol):
    """Typed access to any Kubernetes API. Every call raises `ApiError` subclasses and has a time limit."""

    async def get(self, resource: Resource[T], name: str, namespace: str = "") -> T:
        """One object; `NotFound` when there is none."""
        ...

    async def list(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ListResult[T]:
        """One page, or everything when `limit` is 0; an empty namespace means all namespaces."""
        ...

    def watch(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 300.0,
    ) -> AsyncIterator[WatchEvent[T]]:
        """Changes after `resource_version`, bookmarks included; ends after `timeout_s`, raises `Expired` on 410."""
        ...

    async def create(self, resource: Resource[T], obj: T | dict[str, Any], namespace: str = "") -> T:
        """Create; `AlreadyExists` when the name is taken. apiVersion and kind are filled in."""
        ...

    async def replace(
        self, resource: Resource[T], obj: dict[str, Any], namespace: str = "", *, subresource: str = ""
    ) -> T:
        """PUT a whole object (a dict on purpose: a typed subset would drop unknown fields)."""
        ...

    async def patch(
        self, resource: Resource[T], name: str, patch: Patch, namespace: str = "", *, subresource: str = ""
    ) -> T:
        """PATCH; put `metadata.resourceVersion` into a merge patch to make it conditional."""
        ...

    async def apply(
        self,
        resource: Resource[T],
        obj: dict[str, Any],
        namespace: str = "",
        *,
        field_manager: str,
        force: bool = False,
        subresource: str = "",
    ) -> T:
        """Server-side apply of the fields that `field_manager` owns."""
        ...

    async def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions | None = None,
        grace_period_s: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Delete; returns once the server has accepted it."""
        ...

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
    ) -> bytes:
        """Any other request (subresources, discovery, version): the body of a 2xx answer, else `ApiError`."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
