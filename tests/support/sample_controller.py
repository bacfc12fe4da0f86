"""A small controller in the shape of all others: a Set wants a number of ConfigMaps. (A real one has three files.)"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kobune.api.core import ConfigMap
from kobune.api.meta import Object, ObjectMeta
from kobune.kube.client.core import CONFIG_MAPS
from kobune.kube.client.objects import owner_reference, to_builtins
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch
from kobune.kube.informer import Informer, by_controller_uid
from kobune.kube.runtime import (
    Action,
    Controller,
    ControllerProcess,
    Create,
    Decision,
    Delete,
    Event,
    EventType,
    PatchObject,
    Refused,
    StatusPatch,
    Watch,
    controller_key,
)


class SetSpec(Object, frozen=True, kw_only=True):
    replicas: int = 0
    text: str = ""


class SetStatus(Object, frozen=True, kw_only=True):
    ready: int | None = None
    phase: str = ""


class Set(Object, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: SetSpec = SetSpec()
    status: SetStatus = SetStatus()


SETS = Resource("example.com", "v1", "sets", "Set", True, Set)


@dataclass(frozen=True, slots=True)
class Observed:
    set: Set
    children: tuple[ConfigMap, ...]


def decide(seen: Observed) -> Decision[Action]:
    """Children are named by number; each carries the set's text."""
    wanted, meta = seen.set.spec, seen.set.metadata
    if meta.deletion_timestamp is not None:
        return Decision()
    children = {child.metadata.name: child for child in seen.children if child.metadata.deletion_timestamp is None}
    names = [f"{meta.name}-{number}" for number in range(wanted.replicas)]
    actions: list[Action] = []
    events: list[Event] = []
    for name in names:
        child = children.pop(name, None)
        if child is None:
            obj = {
                "metadata": {"name": name, "ownerReferences": [owner_reference(SETS, seen.set)]},
                "data": {"text": wanted.text},
            }
            actions.append(Create(CONFIG_MAPS, meta.namespace, obj, meta.uid))
            events.append(Event(EventType.NORMAL, "Created", f"Created {name}"))
        elif child.data.get("text") != wanted.text:
            key = Key(meta.namespace, name)
            actions.append(PatchObject(CONFIG_MAPS, key, Patch.merge({"data": {"text": wanted.text}})))
    for name, child in sorted(children.items()):
        actions.append(Delete(CONFIG_MAPS, Key(meta.namespace, name), child.metadata.uid))
        events.append(Event(EventType.NORMAL, "Deleted", f"Deleted {name}"))
    ready = sum(child.metadata.name in names and child.metadata.deletion_timestamp is None for child in seen.children)
    status = {"ready": ready, "phase": "Ready" if ready == wanted.replicas else "Waiting"}
    return Decision(
        tuple(actions),
        StatusPatch(SETS, Key(meta.namespace, meta.name), status, to_builtins(seen.set.status)),
        tuple(events),
        timedelta(minutes=10) if actions else None,
    )


@dataclass(frozen=True, slots=True)
class Observe:
    sets: Informer[Set]
    children: Informer[ConfigMap]

    async def __call__(self, key: Key) -> Observed | None:
        found = self.sets.get(key)
        if found is None:
            return None
        return Observed(found, tuple(self.children.by_index("controller", found.metadata.uid)))


def add_to(
    process: ControllerProcess, *, workers: int = 2, refused: Refused[Observed, Action] | None = None
) -> Controller[Observed, Action]:
    sets = process.informers.of(SETS)
    children = process.informers.of(CONFIG_MAPS, indexes={"controller": by_controller_uid})
    return process.add(
        "sets",
        primary=sets,
        observe=Observe(sets, children),
        decide=decide,
        execute=process.writer.execute,
        refused=refused,
        watches=[Watch(children, controller_key("Set"))],
        workers=workers,
    )


def new_set(name: str, replicas: int, text: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"replicas": replicas, "text": text}}


def names(objects: Iterable[ConfigMap]) -> list[str]:
    return sorted(item.metadata.name for item in objects)
