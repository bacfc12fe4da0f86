"""Decisions about owned objects, and the graph that finds them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.api.meta import OwnerReference
from kobune.embedded.builtin.garbage.decide import Observed, OwnerState, decide
from kobune.embedded.builtin.garbage.graph import Graph, Node
from kobune.kube.client.discovery import ApiResource
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Propagation
from kobune.kube.runtime.decision import Delete, PatchObject

PODS = ApiResource("", "v1", "pods", "Pod", True, frozenset())
ALIVE, WAITING, GONE = OwnerState.ALIVE, OwnerState.WAITING, OwnerState.GONE


def owner(uid: str, *, blocks: bool = True) -> OwnerReference:
    return OwnerReference(api_version="v1", kind="Pod", name=uid, uid=uid, block_owner_deletion=blocks)


def node(uid: str, *owners: str, finalizers: tuple[str, ...] = (), deleting: bool = False, blocks: bool = True) -> Node:
    references = tuple(owner(name, blocks=blocks) for name in owners)
    return Node(PODS, Key("default", uid), uid, references, finalizers, deleting)


def seen(subject: Node, states: tuple[OwnerState, ...] = (), dependents: tuple[Node, ...] = ()) -> Observed:
    return Observed(subject, "7", tuple(zip(subject.owners, states, strict=True)), dependents)


@pytest.mark.parametrize(
    ("subject", "states", "dependents", "policy"),
    [
        pytest.param(node("x", "a"), (GONE,), (), Propagation.BACKGROUND, id="its only owner is gone"),
        pytest.param(node("x", "a", "b"), (GONE, GONE), (), Propagation.BACKGROUND, id="all owners are gone"),
        pytest.param(node("x", "a"), (WAITING,), (), Propagation.BACKGROUND, id="its owner waits for it"),
        pytest.param(node("x", "a"), (WAITING,), (node("y", "x"),), Propagation.FOREGROUND, id="and it has dependents"),
        pytest.param(
            node("x", "a", finalizers=("orphan",)), (GONE,), (), Propagation.ORPHAN, id="its own finalizer is kept"
        ),
    ],
)
def test_it_is_deleted_when(
    subject: Node, states: tuple[OwnerState, ...], dependents: tuple[Node, ...], policy: Propagation
) -> None:
    (action,) = decide(seen(subject, states, dependents)).actions
    assert isinstance(action, Delete)
    assert (action.uid, action.propagation) == ("x", policy)


@pytest.mark.parametrize(
    ("subject", "states", "dependents"),
    [
        pytest.param(node("x"), (), (), id="it has no owner"),
        pytest.param(node("x", "a"), (ALIVE,), (), id="its owner lives"),
        pytest.param(node("x", deleting=True), (), (), id="it is being deleted already"),
        pytest.param(
            node("x", deleting=True, finalizers=("foregroundDeletion",)),
            (),
            (node("y", "x"),),
            id="a dependent still blocks it",
        ),
    ],
)
def test_it_is_left_alone_when(subject: Node, states: tuple[OwnerState, ...], dependents: tuple[Node, ...]) -> None:
    assert decide(seen(subject, states, dependents)).actions == ()


def metadata_of(action: Any) -> dict[str, Any]:
    assert isinstance(action, PatchObject)
    return dict(action.patch.body["metadata"])


def test_an_owner_that_is_gone_is_no_longer_named_beside_one_that_lives() -> None:
    (action,) = decide(seen(node("x", "a", "b"), (GONE, ALIVE))).actions
    metadata = metadata_of(action)
    assert [reference["uid"] for reference in metadata["ownerReferences"]] == ["b"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("x", "7")


def test_a_foreground_deletion_ends_once_nothing_blocks() -> None:
    subject = node("x", deleting=True, finalizers=("foregroundDeletion", "example.com/other"))
    (action,) = decide(seen(subject, (), (node("y", "x", blocks=False),))).actions
    assert metadata_of(action)["finalizers"] == ["example.com/other"]


def test_orphans_are_cut_loose_before_their_owner_goes() -> None:
    subject = node("x", deleting=True, finalizers=("orphan",))
    first, second, last = decide(seen(subject, (), (node("y", "x"), node("z", "x", "a")))).actions
    assert metadata_of(first) == {"uid": "y", "ownerReferences": []}
    assert [reference["uid"] for reference in metadata_of(second)["ownerReferences"]] == ["a"]
    assert metadata_of(last)["finalizers"] == []


# the graph


def test_a_dependent_without_a_known_owner_is_looked_at() -> None:
    graph = Graph()
    assert set(graph.put(node("x", "a"))) == {"x"}
    assert [item.uid for item in graph.dependents_of("a")] == ["x"]


def test_a_dependent_of_a_living_owner_is_not() -> None:
    graph = Graph()
    graph.put(node("a"))
    assert set(graph.put(node("x", "a"))) == set()


def test_the_end_of_an_owner_concerns_its_dependents() -> None:
    graph = Graph()
    graph.put(node("a"))
    graph.put(node("x", "a"))
    graph.put(node("y", "a"))
    assert set(graph.remove("a")) == {"x", "y"}


def test_a_foreground_deletion_concerns_the_owner_and_all_dependents() -> None:
    graph = Graph()
    graph.put(node("a"))
    graph.put(node("x", "a"))
    assert set(graph.put(node("a", deleting=True, finalizers=("foregroundDeletion",)))) == {"a", "x"}
    assert set(graph.remove("x")) == {"a"}


def test_a_dependent_that_changes_its_owner_is_found_under_the_new_one_alone() -> None:
    graph = Graph()
    graph.put(node("a"))
    graph.put(node("b"))
    graph.put(node("x", "a"))
    assert "a" in graph.put(node("x", "b"))
    assert graph.dependents_of("a") == []
    assert [item.uid for item in graph.dependents_of("b")] == ["x"]


UIDS = "abcdef"
CHANGES = st.lists(
    st.tuples(st.sampled_from(UIDS), st.one_of(st.none(), st.lists(st.sampled_from(UIDS), max_size=3, unique=True)))
)


@given(CHANGES)
def test_the_graph_knows_exactly_who_depends_on_whom(changes: list[tuple[str, list[str] | None]]) -> None:
    graph = Graph()
    model: dict[str, list[str]] = {}
    for uid, owners in changes:
        if owners is None:
            known = model.pop(uid, None) is not None
            affected = set(graph.remove(uid))
            # Whoever lost its owner must be looked at.
            assert not known or {name for name, named in model.items() if uid in named} <= affected
        else:
            model[uid] = owners
            graph.put(node(uid, *owners))
        for owner_uid in UIDS:
            wanted = sorted(name for name, named in model.items() if owner_uid in named)
            assert [item.uid for item in graph.dependents_of(owner_uid)] == wanted
        missing = {(item.uid, reference.uid) for item, reference in graph.missing_owners()}
        assert missing == {(name, other) for name, named in model.items() for other in named if other not in model}
