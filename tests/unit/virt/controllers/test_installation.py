"""The KubeVirt resource says whether virtualization works."""

from datetime import timedelta
from typing import Any

import msgspec

from kobune.api.kubevirt import KubeVirt
from kobune.kube.runtime import Decision
from kobune.virt.controllers.installation.decide import Observed, decide
from support.vms import NOW, condition


def look(failure: str, status: dict[str, Any] | None = None, *, later_s: int = 0) -> Decision[Any]:
    raw = {"metadata": {"name": "kobune", "namespace": "kobune", "generation": 1}, "spec": {}, "status": status or {}}
    installation = msgspec.convert(raw, KubeVirt)
    return decide(Observed(installation, "v1", failure, NOW + timedelta(seconds=later_s)))


def status_of(decision: Decision[Any]) -> dict[str, Any]:
    assert decision.status is not None
    return decision.status.status


def words(status: dict[str, Any]) -> tuple[str, ...]:
    return tuple(condition(status, kind)["status"] for kind in ("Available", "Progressing", "Degraded"))


def test_it_is_deployed_once_virt_api_answers_and_degraded_when_it_stops() -> None:
    starting = look("connection refused")
    assert status_of(starting)["phase"] == "Deploying"
    assert words(status_of(starting)) == ("False", "True", "False")
    assert starting.requeue_after == timedelta(seconds=1)

    working = look("", status_of(starting))
    assert status_of(working)["phase"] == "Deployed"
    assert status_of(working)["observedKubeVirtVersion"] == "v1"
    assert words(status_of(working)) == ("True", "False", "False")

    broken = look("connection refused", status_of(working))
    assert status_of(broken)["phase"] == "Deployed"
    assert words(status_of(broken)) == ("False", "False", "True")
    assert "connection refused" in condition(status_of(broken), "Available")["message"]


def test_nothing_changes_while_nothing_happens() -> None:
    working = status_of(look(""))
    assert status_of(look("", working, later_s=600)) == working
