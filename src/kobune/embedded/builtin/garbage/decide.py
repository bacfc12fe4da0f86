"""What becomes of one object, given its owners and dependents as the API tells them. Pure.

Source: the Kubernetes documentation of garbage collection: background, foreground (blocking dependents first) and
orphan; an object with several owners lives as long as one of them does.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from kobune.api.meta import OwnerReference
from kobune.embedded.builtin.garbage.graph import FOREGROUND, ORPHAN, Node
from kobune.kube.client.types import Patch, Propagation
from kobune.kube.runtime.decision import Action, Decision, Delete, PatchObject

__all__ = ["Observed", "OwnerState", "decide"]


class OwnerState(Enum):
    """What is known of an owner."""

    ALIVE = "it exists, or cannot be looked up"
    WAITING = "it is being deleted in the foreground and waits for its dependents"
    GONE = "nothing with that uid exists any more"


@dataclass(frozen=True, slots=True)
class Observed:
    """One object as the API has it now."""

    node: Node
    resource_version: str
    owners: tuple[tuple[OwnerReference, OwnerState], ...]
    dependents: tuple[Node, ...]


def decide(seen: Observed) -> Decision[Action]:
    """The next step for this object; none when it may live or somebody else must act first."""
    node = seen.node
    if node.orphans_dependents:
        return _orphan(seen)
    if node.waits_for_dependents:
        blocking = any(dependent.blocks(node.uid) for dependent in seen.dependents)
        return Decision() if blocking else Decision((_without_finalizer(seen, FOREGROUND),))
    if node.deleting or not seen.owners:
        return Decision()
    alive = [owner for owner, state in seen.owners if state is OwnerState.ALIVE]
    if alive:
        if len(alive) == len(seen.owners):
            return Decision()
        return Decision((_with_owners(seen, alive),))
    waiting = any(state is OwnerState.WAITING for _, state in seen.owners)
    return Decision((Delete(node.resource.unstructured, node.key, node.uid, propagation=_policy(seen, waiting)),))


def _policy(seen: Observed, waiting: bool) -> Propagation:
    """A foreground deletion goes down the tree; a finalizer that is already there is kept."""
    if ORPHAN in seen.node.finalizers:
        return Propagation.ORPHAN
    if FOREGROUND in seen.node.finalizers or (waiting and seen.dependents):
        return Propagation.FOREGROUND
    return Propagation.BACKGROUND


def _orphan(seen: Observed) -> Decision[Action]:
    """Cut the dependents loose, then let the owner go; the order keeps a crash in between harmless."""
    actions: list[Action] = []
    for dependent in seen.dependents:
        rest = [owner for owner in dependent.owners if owner.uid != seen.node.uid]
        # By uid: if the name belongs to another object meanwhile, the server refuses.
        body = {"metadata": {"uid": dependent.uid, "ownerReferences": _plain(rest)}}
        actions.append(PatchObject(dependent.resource.unstructured, dependent.key, Patch.merge(body)))
    return Decision((*actions, _without_finalizer(seen, ORPHAN)))


def _without_finalizer(seen: Observed, finalizer: str) -> Action:
    rest = [name for name in seen.node.finalizers if name != finalizer]
    return _patch(seen, {"finalizers": rest})


def _with_owners(seen: Observed, owners: list[OwnerReference]) -> Action:
    return _patch(seen, {"ownerReferences": _plain(owners)})


def _patch(seen: Observed, metadata: dict[str, Any]) -> Action:
    guarded = {"uid": seen.node.uid, "resourceVersion": seen.resource_version, **metadata}
    return PatchObject(seen.node.resource.unstructured, seen.node.key, Patch.merge({"metadata": guarded}))


def _plain(owners: list[OwnerReference]) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(owner) for owner in owners]
