"""The strategy that most kinds share. Source: the registry strategies of a kube-apiserver, by their visible effects."""

from collections.abc import Hashable
from copy import deepcopy
from functools import cache
from typing import Any, cast

from kobune.embedded.apiserver.schema.resource import ObjectSchema, ResourceInfo

__all__ = ["Strategy"]


class Strategy:
    """Objects with spec and maybe status: the main resource ignores status, /status ignores the rest."""

    generation = False
    """The kind counts generations of its spec."""
    unconditional_update = True
    """A PUT without resourceVersion is allowed."""
    create_on_update = False
    """A PUT of a new name creates it."""
    returns_deleted = False
    """DELETE answers with the object instead of a Status."""
    graceful = False
    """Deletion has a grace period, be it 0."""
    keeps_status_on_create = False
    initial_status: dict[str, Any] | None = None
    spec_fields: tuple[str, ...] = ("spec",)
    """Fields whose change makes a new generation."""

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        """Drop what a client can't set, fill in what the server sets."""
        if self.generation:
            obj["metadata"]["generation"] = 1
        if info.has_status and not self.keeps_status_on_create:
            obj.pop("status", None)
            if self.initial_status is not None:
                obj["status"] = dict(self.initial_status)
            elif (status := _zero_status(info)) is not None:
                obj["status"] = status

    def prepare_update(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
        """Keep what this request may not change."""
        if subresource == "status":
            self.prepare_status(info, obj, old)
            return
        if info.has_status:
            _keep(obj, old, "status")
        if self.generation:
            self.count_generation(obj, old)

    def prepare_status(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any]) -> None:
        """An update of /status: everything but status and metadata stays."""
        for name in set(obj) | set(old):
            if name not in ("metadata", "status", "apiVersion", "kind"):
                _keep(obj, old, name)

    def count_generation(self, obj: dict[str, Any], old: dict[str, Any]) -> None:
        """A new generation when the desired state changed."""
        generation = old["metadata"].get("generation", 0)
        if any(obj.get(name) != old.get(name) for name in self.spec_fields):
            generation += 1
        if generation:
            obj["metadata"]["generation"] = generation

    def hold_deletion(self, finalizers: list[str]) -> list[str]:
        """The finalizers of an object whose deletion begins."""
        return finalizers

    def grace_period_s(self, obj: dict[str, Any], asked: int | None) -> int:
        """Seconds between a deletion's request and the removal; 0 removes at once."""
        return 0

    def default_propagation(self, info: ResourceInfo) -> str:
        """What happens to dependents when the client does not say."""
        return "Background"


def _keep(obj: dict[str, Any], old: dict[str, Any], name: str) -> None:
    if name in old:
        obj[name] = old[name]
    else:
        obj.pop(name, None)


def _zero_status(info: ResourceInfo) -> dict[str, Any] | None:
    """What a built-in kind prints as status before anybody wrote one: clients read through it without a check."""
    return None if info.custom else deepcopy(_zero_status_of(cast(Hashable, info.schema)))


@cache
def _zero_status_of(schema: Hashable) -> dict[str, Any] | None:
    empty: dict[str, Any] = {}
    cast(ObjectSchema, schema).decode(empty)
    return empty.get("status")
