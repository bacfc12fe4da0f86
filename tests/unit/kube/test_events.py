"""Events: aggregation, limits, and never a burden to the controller."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kobune.api.core import CoreEvent
from kobune.kube.client.core import EVENTS
from kobune.kube.client.errors import Forbidden
from kobune.kube.runtime import Event, EventRecorder, EventType, Reference
from kobune.kube.testing import FakeApi, FakeClock, Fault

POD = Reference("v1", "Pod", "default", "p", "uid-p", "7", "spec.containers{main}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> FakeApi:
    return FakeApi(clock=clock)


@pytest.fixture
async def recorder(api: FakeApi, clock: FakeClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(api, component="kubelet", instance="node-1", clock=clock)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def pulled(message: str = "Pulled image") -> Event:
    return Event(EventType.NORMAL, "Pulled", message)


async def test_an_event_names_object_reason_and_source(api: FakeApi, recorder: EventRecorder) -> None:
    recorder.record(POD, pulled())
    await recorder.flush()
    (event,) = api.peek_all(EVENTS)
    assert event.involved_object.field_path == "spec.containers{main}"
    assert (event.involved_object.kind, event.involved_object.uid) == ("Pod", "uid-p")
    assert (event.type, event.reason, event.message, event.count) == ("Normal", "Pulled", "Pulled image", 1)
    assert (event.source.component, event.source.host) == ("kubelet", "node-1")
    assert event.metadata.name.startswith("p.")
    assert event.metadata.namespace == "default"


async def test_events_about_cluster_scoped_objects_live_in_default(api: FakeApi, recorder: EventRecorder) -> None:
    recorder.record(Reference("v1", "Node", "", "n", "uid-n"), pulled())
    await recorder.flush()
    assert api.peek_all(EVENTS)[0].metadata.namespace == "default"


async def test_a_repeated_event_is_counted(api: FakeApi, recorder: EventRecorder, clock: FakeClock) -> None:
    for _ in range(3):
        recorder.record(POD, pulled())
        await recorder.flush()
        await clock.advance(60)
    (event,) = api.peek_all(EVENTS)
    assert event.count == 3
    assert event.first_timestamp == "2026-01-01T00:00:00Z"
    assert event.last_timestamp == "2026-01-01T00:02:00Z"


async def test_an_event_that_expired_is_made_again(api: FakeApi, recorder: EventRecorder) -> None:
    recorder.record(POD, pulled())
    await recorder.flush()
    first: CoreEvent = api.peek_all(EVENTS)[0]
    await api.delete(EVENTS, first.metadata.name, "default")
    recorder.record(POD, pulled())
    await recorder.flush()
    (event,) = api.peek_all(EVENTS)
    assert (event.count, event.metadata.name != first.metadata.name) == (1, True)


async def test_many_similar_messages_share_one_event(api: FakeApi, recorder: EventRecorder) -> None:
    for number in range(15):
        recorder.record(POD, pulled(f"attempt {number}"))
    await recorder.flush()
    events = api.peek_all(EVENTS)
    assert len(events) == 11
    (combined,) = [event for event in events if event.message.startswith("(combined from similar events)")]
    assert combined.count == 5


async def test_a_flood_about_one_object_is_cut(api: FakeApi, recorder: EventRecorder) -> None:
    for _ in range(40):
        recorder.record(POD, pulled())
    await recorder.flush()
    (event,) = api.peek_all(EVENTS)
    assert event.count == 25
    assert recorder.dropped == 15


async def test_refused_events_are_dropped_quietly(api: FakeApi, recorder: EventRecorder) -> None:
    api.faults.add(Fault("create", "events", Forbidden(403, "Forbidden", "no")))
    recorder.record(POD, pulled())
    recorder.record(POD, pulled("other"))
    await recorder.flush()
    assert [event.message for event in api.peek_all(EVENTS)] == ["other"]
    assert recorder.dropped == 1
