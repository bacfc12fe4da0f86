"""Event (core/v1) and Lease (coordination.k8s.io/v1)."""

from kobune.api.core.reference import ObjectReference
from kobune.api.meta import Object, ObjectMeta, Time

__all__ = ["CoreEvent", "EventSeries", "EventSource", "Lease", "LeaseSpec"]


class EventSource(Object, frozen=True, kw_only=True):
    """Who says so, in the older form."""

    component: str = ""
    host: str = ""


class EventSeries(Object, frozen=True, kw_only=True):
    """Repetitions; the time is a MicroTime."""

    count: int = 0
    last_observed_time: Time | None = None


class CoreEvent(Object, frozen=True, kw_only=True):
    """core/v1 Event: `type` is Normal or Warning. (`Event` is the word of `kobune.kube.runtime`.)"""

    metadata: ObjectMeta = ObjectMeta()
    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    first_timestamp: Time | None = None
    last_timestamp: Time | None = None
    count: int = 0
    event_time: Time | None = None
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


class LeaseSpec(Object, frozen=True, kw_only=True):
    """Times are MicroTime."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: Time | None = None
    renew_time: Time | None = None
    lease_transitions: int | None = None


class Lease(Object, frozen=True, kw_only=True):
    """A heartbeat or a leader's claim."""

    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpec = LeaseSpec()
