"""Decisions about namespaces that end."""

from dataclasses import replace
from datetime import UTC, datetime

from kobune.api.core import Namespace, NamespaceSpec
from kobune.api.meta import ObjectMeta
from kobune.embedded.builtin.namespaces.decide import Content, DeleteContent, Finalize, Observed, decide
from kobune.kube.client.discovery import ApiResource

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENDING = ObjectMeta(name="n", uid="u", deletion_timestamp="2026-01-01T00:00:00Z")
PODS = ApiResource("", "v1", "pods", "Pod", True, frozenset({"list", "delete", "deletecollection"}))
ROUTES = ApiResource("example.com", "v1", "routes", "Route", True, frozenset({"list", "delete"}))


def observed(*content: Content, failures: tuple[tuple[str, str], ...] = ()) -> Observed:
    namespace = Namespace(metadata=ENDING, spec=NamespaceSpec(finalizers=["kubernetes"]))
    return Observed(namespace, {"phase": "Terminating"}, content, failures, NOW)


def conditions(seen: Observed) -> dict[str, tuple[str, str, str]]:
    status = decide(seen).status
    assert status is not None
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in status.status["conditions"]}


def test_a_namespace_that_stays_is_left_alone() -> None:
    seen = replace(
        observed(), namespace=Namespace(metadata=ObjectMeta(name="n"), spec=NamespaceSpec(finalizers=["kubernetes"]))
    )
    assert decide(seen).actions == ()
    assert decide(seen).status is None


def test_one_that_others_hold_is_left_to_them() -> None:
    seen = replace(observed(), namespace=Namespace(metadata=ENDING, spec=NamespaceSpec(finalizers=["example.com/x"])))
    assert decide(seen).actions == ()


def test_an_empty_one_is_let_go() -> None:
    assert decide(observed(Content(PODS, 0, 0, ()))).actions == (Finalize("n", "u"),)


def test_content_is_deleted_and_looked_at_again() -> None:
    decision = decide(observed(Content(PODS, 2, 2, ()), Content(ROUTES, 0, 0, ())))
    assert decision.actions == (DeleteContent(PODS, "n"),)
    assert decision.requeue_after is not None
    assert decision.status is None


def test_what_is_being_deleted_already_is_waited_for() -> None:
    seen = observed(Content(PODS, 2, 0, ("a", "a", "b")))
    assert decide(seen).actions == ()
    found = conditions(seen)
    assert found["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: pods. has 2 resource instances",
    )
    assert found["NamespaceFinalizersRemaining"][2] == (
        "Some content in the namespace has finalizers remaining: a in 2 resource instances, b in 1 resource instances"
    )


def test_what_cannot_be_discovered_holds_the_namespace() -> None:
    seen = observed(failures=(("metrics.example.com/v1", "no answer"),))
    assert decide(seen).actions == ()
    assert conditions(seen)["NamespaceDeletionDiscoveryFailure"][0] == "True"


def test_transition_times_change_with_the_status_only() -> None:
    before = [
        {"type": "NamespaceContentRemaining", "status": "True", "lastTransitionTime": "old"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "lastTransitionTime": "old"},
    ]
    seen = replace(observed(Content(PODS, 1, 0, ())), status={"phase": "Terminating", "conditions": before})
    status = decide(seen).status
    assert status is not None
    times = {c["type"]: c["lastTransitionTime"] for c in status.status["conditions"]}
    assert times["NamespaceContentRemaining"] == "old"
    assert times["NamespaceFinalizersRemaining"] == "2026-01-01T00:00:00Z"
