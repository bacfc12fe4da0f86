"""The status of a resource quota. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from kobune.api.core import PersistentVolumeClaim, Pod, Service
from kobune.api.core.quota import (
    COUNTED_BY_NAME,
    Amounts,
    ResourceQuota,
    claim_usage,
    counts,
    pod_usage,
    service_usage,
)
from kobune.kube.client.resource import Key, Resource
from kobune.kube.runtime.decision import Action, Decision, StatusPatch

__all__ = ["QUOTAS", "Observed", "counted_resource", "decide"]

_RECOUNT: Final = timedelta(minutes=5)
"""How often all is counted anew: what was charged for objects that were never stored is given back."""
_RECOUNT_UNWATCHED: Final = timedelta(seconds=30)
"""The same for resources whose deletions nothing here sees."""


QUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota", True, ResourceQuota)


@dataclass(frozen=True, slots=True)
class Observed:
    """A quota and everything in its namespace that it may count."""

    quota: ResourceQuota
    pods: tuple[Pod, ...]
    services: tuple[Service, ...]
    claims: tuple[PersistentVolumeClaim, ...]
    counts: Mapping[str, int]
    """Other resources by the quota's own name for them."""


def counted_resource(name: str) -> tuple[str, str] | None:
    """(group, plural) of a name that counts objects which nothing here watches; None for all other names."""
    if name in COUNTED_BY_NAME:
        return ("", name)
    if not name.startswith("count/"):
        return None
    plural, _, group = name.removeprefix("count/").partition(".")
    watched = group == "" and plural in ("pods", "services", "persistentvolumeclaims")
    return None if watched else (group, plural)


def decide(seen: Observed) -> Decision[Action]:
    """Add up what counts, under the names that the quota limits."""
    quota = seen.quota
    used = Amounts()
    for pod in seen.pods:
        if counts(quota.spec, pod):
            used.add_all(pod_usage(pod))
    if counts(quota.spec, None):
        for service in seen.services:
            used.add_all(service_usage(service))
        for claim in seen.claims:
            used.add_all(claim_usage(claim))
        for name, count in seen.counts.items():
            used.add(name, count)
    hard = quota.spec.hard
    status = {**quota.status, "hard": dict(hard), "used": used.render(hard)}
    metadata = quota.metadata
    # The API server raises `used` when it admits an object: the revision keeps us from undoing that.
    patch = StatusPatch(QUOTAS, Key(metadata.namespace, metadata.name), status, quota.status, metadata.resource_version)
    unwatched = any(counted_resource(name) is not None for name in hard)
    return Decision((), patch, requeue_after=_RECOUNT_UNWATCHED if unwatched else _RECOUNT)
