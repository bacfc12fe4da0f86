"""Which resources an API serves.

Owns: reading discovery. Must not: cache; callers know how old an answer may be.
Source: the discovery documents /api, /apis, /api/VERSION and /apis/GROUP/VERSION.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from kobune.kube.client.errors import ApiError
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource

__all__ = ["ApiResource", "discover"]

T = TypeVar("T")

log = logging.getLogger(__name__)

_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One served resource, in its group's preferred version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    def of_type(self, kind: type[T]) -> Resource[T]:
        """How to address it, decoded as `kind`."""
        return Resource(self.group, self.version, self.plural, self.kind, self.namespaced, kind)

    @property
    def unstructured(self) -> Resource[dict[str, Any]]:
        """How to address it, decoded as plain JSON."""
        return self.of_type(dict)


@dataclass(frozen=True, slots=True)
class Discovered:
    """All resources, and the group versions that could not be asked (an aggregated API may be down)."""

    resources: tuple[ApiResource, ...]
    failures: tuple[tuple[str, str], ...] = ()
    """(group/version, message)."""

    def select(self, wanted: Callable[[ApiResource], bool]) -> tuple[ApiResource, ...]:
        """The resources that `wanted` accepts."""
        return tuple(resource for resource in self.resources if wanted(resource))


class _GroupVersion(msgspec.Struct, frozen=True):
    group_version: str = msgspec.field(name="groupVersion")
    version: str


class _Group(msgspec.Struct, frozen=True):
    name: str
    versions: list[_GroupVersion] = []
    preferred: _GroupVersion | None = msgspec.field(name="preferredVersion", default=None)


class _GroupList(msgspec.Struct, frozen=True):
    groups: list[_Group] = []


class _Versions(msgspec.Struct, frozen=True):
    versions: list[str] = []


class _Served(msgspec.Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool = False
    verbs: list[str] = []


class _ServedList(msgspec.Struct, frozen=True):
    resources: list[_Served] = []


async def discover(client: Client) -> Discovered:
    """Everything served, subresources left out. A resource that only another version of its group has is included.

    Raises ApiError when the list of groups cannot be read; a single group that fails is reported in `failures`.
    """
    core = msgspec.json.decode(await client.raw("GET", "/api"), type=_Versions)
    groups = msgspec.json.decode(await client.raw("GET", "/apis"), type=_GroupList).groups
    wanted = [("", version) for version in core.versions]
    for entry in groups:
        first = entry.preferred.version if entry.preferred is not None else ""
        # Stable: the preferred version first, the others as served.
        versions = sorted((known.version for known in entry.versions), key=lambda version: version != first)
        wanted += [(entry.name, version) for version in versions]
    limit = asyncio.Semaphore(_PARALLEL)

    async def ask(group: str, version: str) -> list[_Served] | ApiError:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        async with limit:
            try:
                return msgspec.json.decode(await client.raw("GET", path), type=_ServedList).resources
            except ApiError as error:
                return error

    answers = await asyncio.gather(*(ask(group, version) for group, version in wanted))
    found: dict[tuple[str, str], ApiResource] = {}
    failures = []
    for (group, version), answer in zip(wanted, answers, strict=True):
        if isinstance(answer, ApiError):
            failures.append((f"{group}/{version}" if group else version, str(answer)))
            continue
        for served in answer:
            if "/" not in served.name:
                resource = ApiResource(
                    group, version, served.name, served.kind, served.namespaced, frozenset(served.verbs)
                )
                found.setdefault((group, served.name), resource)
    return Discovered(tuple(found.values()), tuple(failures))
