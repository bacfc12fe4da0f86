"""Who owns whom, as far as the watches have told. Pure but for its own state.

Owns: the nodes and both directions of their edges. Invariant: `dependents_of(uid)` holds exactly the known objects
with an owner reference to that uid. Must not: decide; the collector asks the API before it acts on what is here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kobune.api.meta import ObjectMeta, OwnerReference
from kobune.kube.client.discovery import ApiResource
from kobune.kube.client.resource import Key

__all__ = ["FOREGROUND", "ORPHAN", "Graph", "Node"]

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Node:
    """One object as last seen."""

    resource: ApiResource
    key: Key
    uid: str
    owners: tuple[OwnerReference, ...]
    finalizers: tuple[str, ...]
    deleting: bool

    @property
    def waits_for_dependents(self) -> bool:
        """It is being deleted in the foreground."""
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        """It is being deleted and its dependents are to stay."""
        return self.deleting and ORPHAN in self.finalizers

    def blocks(self, owner_uid: str) -> bool:
        """Whether this dependent holds up the foreground deletion of that owner."""
        return any(owner.uid == owner_uid and owner.block_owner_deletion for owner in self.owners)

    @staticmethod
    def of(resource: ApiResource, metadata: ObjectMeta) -> "Node":
        """The node of an object."""
        return Node(
            resource,
            Key(metadata.namespace, metadata.name),
            metadata.uid,
            tuple(metadata.owner_references),
            tuple(metadata.finalizers),
            metadata.deletion_timestamp is not None,
        )


class Graph:
    """All known objects."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, uid: str) -> Node | None:
        """The object with that uid."""
        return self._nodes.get(uid)

    def dependents_of(self, uid: str) -> list[Node]:
        """The objects that name `uid` as an owner, whether that exists or not."""
        return [self._nodes[dependent] for dependent in sorted(self._dependents.get(uid, ()))]

    def missing_owners(self) -> Iterable[tuple[Node, OwnerReference]]:
        """Every reference to an object that is not known here."""
        for node in self._nodes.values():
            for owner in node.owners:
                if owner.uid not in self._nodes:
                    yield node, owner

    def put(self, node: Node) -> Iterable[str]:
        """Take over an object's state; the uids whose fate may depend on it."""
        old = self._nodes.get(node.uid)
        affected: dict[str, None] = {}
        if old is not None:
            self._unlink(old)
        self._nodes[node.uid] = node
        for owner in node.owners:
            self._dependents.setdefault(owner.uid, set()).add(node.uid)
            owning = self._nodes.get(owner.uid)
            if owning is None:
                affected[node.uid] = None
            elif owning.waits_for_dependents:
                affected |= {owner.uid: None, node.uid: None}
            elif owning.orphans_dependents:
                affected[owner.uid] = None
        if old is not None:
            # An owner that this one no longer holds up.
            affected |= {owner.uid: None for owner in old.owners if owner not in node.owners}
        if node.waits_for_dependents:
            affected |= {node.uid: None} | dict.fromkeys(self._dependents.get(node.uid, ()))
        if node.orphans_dependents:
            affected[node.uid] = None
        return affected

    def remove(self, uid: str) -> Iterable[str]:
        """An object is gone; the uids whose fate may depend on it."""
        node = self._nodes.pop(uid, None)
        if node is None:
            return ()
        self._unlink(node)
        waiting = [
            owner.uid
            for owner in node.owners
            if (o := self._nodes.get(owner.uid)) is not None and o.waits_for_dependents
        ]
        return (*self._dependents.get(uid, ()), *waiting)

    def _unlink(self, node: Node) -> None:
        for owner in node.owners:
            dependents = self._dependents.get(owner.uid)
            if dependents is not None:
                dependents.discard(node.uid)
                if not dependents:
                    del self._dependents[owner.uid]
