"""How a kind of object is addressed and decoded."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Key", "Resource"]

T = TypeVar("T")


class Key(NamedTuple):
    """Names one object of a known resource; `namespace` is empty for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """One served resource and the type its objects decode to (a msgspec Struct, or `dict`)."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    type: type[T]
    status_subresource: bool = True
    """False for kinds whose status is written through the main resource (KubeVirt's instances)."""

    @property
    def api_version(self) -> str:
        """`v1` or `group/version`, as in manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object or of its subresource; parts are already safe names."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource and (subresource != "status" or self.status_subresource):
            parts.append(subresource)
        return "/".join(parts)
