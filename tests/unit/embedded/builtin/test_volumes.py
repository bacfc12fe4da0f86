"""Decisions about claims and volumes."""

from typing import Any

import msgspec
import pytest

from kobune.api.core import PersistentVolume, PersistentVolumeClaim
from kobune.embedded.builtin.claims import decide as claims
from kobune.embedded.builtin.volumes import decide as volumes
from kobune.kube.runtime.decision import PatchObject


def a_claim(
    *, status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any
) -> PersistentVolumeClaim:
    document = {
        "metadata": {"name": "c", "namespace": "ns", "uid": "uid-c", "resourceVersion": "5", **(metadata or {})},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, **spec},
        "status": status or {"phase": "Pending"},
    }
    return msgspec.convert(document, PersistentVolumeClaim)


def a_volume(name: str, size: str = "2Gi", *, metadata: dict[str, Any] | None = None, **spec: Any) -> PersistentVolume:
    document = {
        "metadata": {"name": name, "resourceVersion": "7", **(metadata or {})},
        "spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": size}, **spec},
    }
    return msgspec.convert(document, PersistentVolume)


def held(name: str = "c", uid: str = "uid-c") -> dict[str, str]:
    return {"namespace": "ns", "name": name, "uid": uid}


def look(
    claim: PersistentVolumeClaim, *candidates: PersistentVolume, users: tuple[str, ...] = (), waits: bool = False
) -> claims.Observed:
    named = next((volume for volume in candidates if volume.metadata.name == claim.spec.volume_name), None)
    return claims.Observed(claim, named, candidates, users, waits)


CHOICES = [
    (
        "the smallest that fits",
        a_claim(),
        [a_volume("big", "9Gi"), a_volume("fit", "3Gi"), a_volume("small", "1Gi")],
        "fit",
    ),
    ("one that is held for it", a_claim(), [a_volume("fit"), a_volume("mine", "9Gi", claimRef=held(uid=""))], "mine"),
    ("none that others hold", a_claim(), [a_volume("theirs", claimRef=held("d", "uid-d"))], None),
    ("none of a deleted claim of that name", a_claim(), [a_volume("old", claimRef=held(uid="uid-old"))], None),
    ("none of another class", a_claim(storageClassName="fast"), [a_volume("slow")], None),
    ("none of another mode", a_claim(volumeMode="Block"), [a_volume("files")], None),
    ("none without the access", a_claim(accessModes=["ReadWriteMany"]), [a_volume("once")], None),
    (
        "one with the labels",
        a_claim(selector={"matchLabels": {"a": "b"}}),
        [a_volume("x"), a_volume("y", metadata={"labels": {"a": "b"}})],
        "y",
    ),
]


@pytest.mark.parametrize(
    ("claim", "candidates", "wanted"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES]
)
def test_a_claim_takes(claim: PersistentVolumeClaim, candidates: list[PersistentVolume], wanted: str | None) -> None:
    decision = claims.decide(look(claim, *candidates))
    if wanted is None:
        assert decision.actions == ()
        return
    first, second = decision.actions
    assert isinstance(first, PatchObject)
    assert isinstance(second, PatchObject)
    assert first.key.name == wanted
    assert first.patch.body["metadata"]["resourceVersion"] == "7"
    assert first.patch.body["spec"]["claimRef"]["uid"] == "uid-c"
    assert second.patch.body["spec"] == {"volumeName": wanted}


def test_a_claim_waits_for_its_pod_when_its_class_says_so() -> None:
    decision = claims.decide(look(a_claim(), a_volume("fit"), waits=True))
    assert decision.actions == ()
    assert [event.reason for event in decision.events] == ["WaitForFirstConsumer"]


def test_a_bound_claim_shows_its_volume_and_rests() -> None:
    done = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    seen = look(a_claim(volumeName="v", metadata=done), a_volume("v", "3Gi", claimRef=held()))
    decision = claims.decide(seen)
    assert decision.actions == ()
    assert decision.status is not None
    assert decision.status.status == {
        "phase": "Bound",
        "capacity": {"storage": "3Gi"},
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
    }


def test_a_claim_that_names_a_free_volume_takes_it() -> None:
    decision = claims.decide(look(a_claim(volumeName="v"), a_volume("v")))
    assert [action.key.name for action in decision.actions if isinstance(action, PatchObject)] == ["v", "c"]


def test_a_bound_claim_whose_volume_is_gone_is_lost() -> None:
    done = {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}
    decision = claims.decide(look(a_claim(volumeName="v", metadata=done)))
    assert decision.status is not None
    assert decision.status.status["phase"] == "Lost"


@pytest.mark.parametrize(("users", "let_go"), [((), True), (("pod",), False)])
def test_a_deleted_claim_stays_while_it_is_used(users: tuple[str, ...], let_go: bool) -> None:
    going = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["kubernetes.io/pvc-protection", "x/y"]}
    actions = claims.decide(look(a_claim(metadata=going), users=users)).actions
    assert bool(actions) is let_go
    for action in actions:
        assert isinstance(action, PatchObject)
        assert action.patch.body["metadata"]["finalizers"] == ["x/y"]


@pytest.mark.parametrize(
    ("volume", "claim", "phase"),
    [
        pytest.param(a_volume("v"), None, "Available", id="nobody refers to it"),
        pytest.param(a_volume("v", claimRef=held(uid="")), a_claim(), "Available", id="it is held for a claim"),
        pytest.param(a_volume("v", claimRef=held()), a_claim(), "Bound", id="its claim is there"),
        pytest.param(a_volume("v", claimRef=held()), None, "Released", id="its claim is gone"),
        pytest.param(a_volume("v", claimRef=held(uid="old")), a_claim(), "Released", id="its claim is another one"),
    ],
)
def test_a_volume_shows(volume: PersistentVolume, claim: PersistentVolumeClaim | None, phase: str) -> None:
    status = volumes.decide(volumes.Observed(volume, claim)).status
    assert status is not None
    assert status.status == {"phase": phase}


def test_a_deleted_volume_stays_while_it_is_bound() -> None:
    going = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["kubernetes.io/pv-protection"]}
    bound = volumes.Observed(a_volume("v", metadata=going, claimRef=held()), a_claim())
    assert volumes.decide(bound).actions == ()
    (action,) = volumes.decide(volumes.Observed(a_volume("v", metadata=going, claimRef=held()), None)).actions
    assert isinstance(action, PatchObject)
    assert action.patch.body["metadata"]["finalizers"] == []
