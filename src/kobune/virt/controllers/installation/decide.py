"""Says in the KubeVirt resource whether virtualization is available. Source: KubeVirt's phases and conditions."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import KubeVirt
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import Action, Decision, StatusPatch
from kobune.virt.controllers.conditions import set_condition

__all__ = ["Observed", "decide"]

CHECK_EVERY: Final = timedelta(seconds=30)
CHECK_SOON: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Observed:
    """The installation, and what came of asking virt-api through the API server."""

    installation: KubeVirt
    release: str
    failure: str
    """Why virt-api did not answer; empty when it did."""
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """Phase, versions and conditions; looked at again in a while, soon when something is missing."""
    installation = seen.installation
    if installation.metadata.deletion_timestamp is not None:
        return Decision()
    observed: dict[str, Any] = msgspec.to_builtins(installation.status)
    status = dict(observed)
    status["operatorVersion"] = status["targetKubeVirtVersion"] = seen.release
    works = not seen.failure
    was_deployed = observed.get("phase") == "Deployed"
    if works:
        status["phase"] = "Deployed"
        status["observedKubeVirtVersion"] = seen.release
        status["observedGeneration"] = installation.metadata.generation
    elif not was_deployed:
        status["phase"] = "Deploying"
    reason = "AllComponentsReady" if works else ("ComponentsUnavailable" if was_deployed else "DeploymentInProgress")
    message = "All components are ready." if works else f"virt-api does not answer: {seen.failure}"
    for kind, value in (
        ("Created", True),
        ("Available", works),
        ("Progressing", not works and not was_deployed),
        ("Degraded", not works and was_deployed),
    ):
        if kind == "Created":
            set_condition(
                status,
                kind,
                "True",
                seen.now,
                reason="AllResourcesCreated",
                message="All resources were created.",
            )
        else:
            set_condition(status, kind, str(value), seen.now, reason=reason, message=message)
    key = Key(installation.metadata.namespace, installation.metadata.name)
    return Decision(
        status=StatusPatch(KUBEVIRTS, key, status, observed), requeue_after=CHECK_EVERY if works else CHECK_SOON
    )
