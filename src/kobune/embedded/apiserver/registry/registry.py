"""The table of served resources: built-in ones for ever, custom ones and aggregated groups as they come and go.

Owns: lookup by (group, version, plural) and the order of groups and versions in discovery. Holds no objects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kobune.embedded.apiserver.registry.collection import Collection
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["Aggregated", "Registry", "Resource"]

_GROUP_PRIORITY = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "apiregistration.k8s.io": 20000,
}
_CUSTOM_PRIORITY = 1000


@dataclass(slots=True, eq=False)
class Resource:
    """One resource in one served version, with the collection that all its versions share."""

    info: ResourceInfo
    collection: Collection
    storage_type: str
    """`APIVERSION KIND` of stored objects."""
    terminating: bool = False
    """The definition is being deleted: creates are refused."""

    @property
    def head(self) -> bytes:
        """How an object of this version opens."""
        return b'{"kind":"%b","apiVersion":"%b",' % (self.info.kind.encode(), self.info.group_version.encode())


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A group version that another server answers."""

    name: str
    group: str
    version: str
    group_priority: int
    version_priority: int
    spec: dict[str, Any] = field(hash=False, compare=False)


class Registry:
    """All served resources. `generation` rises with every change, so that documents can be cached."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.generation = 0
        self._resources: dict[tuple[str, str], dict[str, Resource]] = {}
        self._aggregated: dict[tuple[str, str], Aggregated] = {}
        self._listeners: list[Callable[[], None]] = []

    def add(self, info: ResourceInfo, *, share: str | None = None, **more: Any) -> Resource:
        """Serve a resource; `share` names the collection when it is not GROUP/PLURAL's own."""
        key = share or f"{info.group or 'core'}/{info.plural}"
        version = info.storage_version or info.version
        storage_type = f"{info.group}/{version} {info.kind}" if info.group else f"{version} {info.kind}"
        resource = Resource(info, self.storage.collection(key), more.pop("storage_type", storage_type), **more)
        self._resources.setdefault((info.group, info.version), {})[info.plural] = resource
        self._changed()
        return resource

    def remove(self, group: str, version: str, plural: str) -> None:
        """Stop serving a resource."""
        resources = self._resources.get((group, version))
        if resources is not None and resources.pop(plural, None) is not None:
            if not resources:
                del self._resources[(group, version)]
            self._changed()

    def aggregate(self, aggregated: Aggregated) -> None:
        """Send a group version to another server."""
        self._aggregated[(aggregated.group, aggregated.version)] = aggregated
        self._changed()

    def stop_aggregating(self, group: str, version: str) -> None:
        """Forget a group version of another server."""
        if self._aggregated.pop((group, version), None) is not None:
            self._changed()

    def aggregated(self, group: str, version: str) -> Aggregated | None:
        """The server behind a group version, if it is another one."""
        return self._aggregated.get((group, version))

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        """A served resource."""
        resources = self._resources.get((group, version))
        return resources.get(plural) if resources else None

    def find(self, group: str, plural: str) -> Resource | None:
        """A resource in its preferred version."""
        for version in self.versions(group):
            found = self.lookup(group, version, plural)
            if found is not None:
                return found
        return None

    def find_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """The resource of a kind."""
        for resource in self.resources(group, version):
            if resource.info.kind == kind:
                return resource
        return None

    def resources(self, group: str, version: str) -> list[Resource]:
        """The resources of a group version, by name."""
        found = self._resources.get((group, version), {})
        return [found[name] for name in sorted(found)]

    def all(self) -> Iterator[Resource]:
        """Every served resource in every version."""
        for resources in list(self._resources.values()):
            yield from list(resources.values())

    def groups(self) -> list[str]:
        """Served groups in order of priority, aggregated ones included."""
        names = {group for group, _ in self._resources} | {group for group, _ in self._aggregated}
        return sorted(names, key=lambda name: (-self._group_priority(name), name))

    def versions(self, group: str) -> list[str]:
        """Served versions of a group, the preferred one first."""
        found = {v for g, v in self._resources if g == group} | {v for g, v in self._aggregated if g == group}
        return sorted(found, key=lambda version: version_key(version, self._version_priority(group, version)))

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call after every change."""
        self._listeners.append(listener)

    def _group_priority(self, group: str) -> int:
        aggregated = [a.group_priority for a in self._aggregated.values() if a.group == group]
        if aggregated:
            return max(aggregated)
        return _GROUP_PRIORITY.get(group, _CUSTOM_PRIORITY)

    def _version_priority(self, group: str, version: str) -> int:
        found = self._aggregated.get((group, version))
        return found.version_priority if found else 100

    def _changed(self) -> None:
        self.generation += 1
        for listener in self._listeners:
            listener()


def version_key(version: str, priority: int = 0) -> tuple[int, int, int, int, str]:
    """Sorts versions as Kubernetes does: v2 before v1 before v1beta1 before v1alpha1 before anything else."""
    import re

    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (-priority, 3, 0, 0, version)
    major, stage, minor = match.groups()
    rank = {None: 0, "beta": 1, "alpha": 2}[stage]
    return (-priority, rank, -int(major), -int(minor or 0), version)
