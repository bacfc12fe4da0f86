"""What a namespace that ends needs next. Pure.

Source: the Kubernetes documentation of namespaces (deletion, the finalizer `kubernetes`) and the conditions of
NamespaceStatus. The API server sets the phase; this controller empties the namespace and then lets go of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from kobune.api.core import Namespace
from kobune.base.clock import format_time
from kobune.kube.client.core import NAMESPACES
from kobune.kube.client.discovery import ApiResource
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import Decision, StatusPatch

__all__ = ["FINALIZER", "Content", "DeleteContent", "Finalize", "NamespaceAction", "Observed", "decide"]

FINALIZER = "kubernetes"
_RIGHT_AFTER = timedelta(milliseconds=20)
_LOOK_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Content:
    """What is left of one resource in the namespace."""

    resource: ApiResource
    count: int
    undeleted: int
    """Objects without a deletion timestamp."""
    finalizers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """A namespace and, when it ends, its content."""

    namespace: Namespace
    status: dict[str, Any]
    content: tuple[Content, ...]
    discovery_failures: tuple[tuple[str, str], ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class DeleteContent:
    """Delete all objects of a resource in the namespace."""

    resource: ApiResource
    namespace: str


@dataclass(frozen=True, slots=True)
class Finalize:
    """Remove the finalizer from the namespace with that uid."""

    name: str
    uid: str


NamespaceAction: TypeAlias = DeleteContent | Finalize


def decide(seen: Observed) -> Decision[NamespaceAction]:
    """Delete what is there, tell what is left, and let go once nothing is."""
    namespace = seen.namespace
    name = namespace.metadata.name
    if namespace.metadata.deletion_timestamp is None or FINALIZER not in namespace.spec.finalizers:
        return Decision()
    left = tuple(content for content in seen.content if content.count)
    if not left and not seen.discovery_failures:
        return Decision((Finalize(name, namespace.metadata.uid),))
    actions = tuple(DeleteContent(content.resource, name) for content in left if content.undeleted)
    if actions:
        # What is left is known once it was asked to go: counted now, the conditions would tell of what is going.
        return Decision(actions, requeue_after=_RIGHT_AFTER)
    status = StatusPatch(NAMESPACES, Key("", name), {**seen.status, "conditions": _conditions(seen, left)}, seen.status)
    return Decision((), status, requeue_after=_LOOK_AGAIN)


def _conditions(seen: Observed, left: tuple[Content, ...]) -> list[dict[str, Any]]:
    failures = "; ".join(f"{where}: {message}" for where, message in seen.discovery_failures)
    resources = ", ".join(f"{_full_name(content.resource)} has {content.count} resource instances" for content in left)
    held: dict[str, int] = {}
    for content in left:
        for finalizer in content.finalizers:
            held[finalizer] = held.get(finalizer, 0) + 1
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(held.items()))
    wanted = [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            failures and f"Discovery failed for some groups, {len(seen.discovery_failures)} failing: {failures}",
            ("DiscoveryFailed", "ResourcesDiscovered", "All resources successfully discovered"),
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            ("GroupVersionParsingFailed", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            "",
            (
                "ContentDeletionFailed",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ),
        _condition(
            "NamespaceContentRemaining",
            resources and f"Some resources are remaining: {resources}",
            ("SomeResourcesRemain", "ContentRemoved", "All content successfully removed"),
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            finalizers and f"Some content in the namespace has finalizers remaining: {finalizers}",
            ("SomeFinalizersRemain", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ]
    before = {condition["type"]: condition for condition in seen.status.get("conditions") or ()}
    for condition in wanted:
        old = before.pop(condition["type"], None)
        same = old is not None and old["status"] == condition["status"]
        condition["lastTransitionTime"] = (
            old["lastTransitionTime"] if same and old is not None else format_time(seen.now)
        )
    return [*before.values(), *wanted]


def _condition(kind: str, problem: str, words: tuple[str, str, str]) -> dict[str, Any]:
    """True with the problem as its message, or False; `words`: reason if true, reason and message if false."""
    if problem:
        return {"type": kind, "status": "True", "reason": words[0], "message": problem}
    return {"type": kind, "status": "False", "reason": words[1], "message": words[2]}


def _full_name(resource: ApiResource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else f"{resource.plural}."
