"""The loop around a decision: its steps, its failures, and what it writes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kobune.api.core import ConfigMap
from kobune.api.meta import ObjectMeta
from kobune.base.errors import TerminalError
from kobune.kube.client.core import CONFIG_MAPS, EVENTS
from kobune.kube.client.errors import Conflict, Forbidden, NotFound, StatusCause, Unavailable
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime import (
    Action,
    ApiWriter,
    ControllerProcess,
    Create,
    Decision,
    Delete,
    Event,
    EventType,
    NameTaken,
    PatchObject,
    StatusPatch,
)
from kobune.kube.testing import FakeApi, Fault, eventually
from support.sample_controller import SETS, Observed, Set, SetSpec, SetStatus, add_to, decide, names, new_set

KEY = Key("default", "s")


def child(name: str, text: str = "t", **metadata: Any) -> ConfigMap:
    return ConfigMap(
        metadata=ObjectMeta(name=name, namespace="default", uid=f"uid-{name}", **metadata), data={"text": text}
    )


def a_set(replicas: int, status: SetStatus | None = None) -> Set:
    return Set(
        metadata=ObjectMeta(name="s", namespace="default", uid="u"),
        spec=SetSpec(replicas=replicas, text="t"),
        status=status or SetStatus(),
    )


# decide, as a table

READY_2 = SetStatus(ready=2, phase="Ready")
TABLE = [
    ("everything is as wanted: do nothing", Observed(a_set(2, READY_2), (child("s-0"), child("s-1"))), []),
    ("nothing is there: create all", Observed(a_set(2), ()), [("create", "s-0"), ("create", "s-1")]),
    ("one is missing: create it", Observed(a_set(2), (child("s-1"),)), [("create", "s-0")]),
    ("one is too many: delete it", Observed(a_set(1), (child("s-0"), child("s-1"))), [("delete", "s-1")]),
    ("one has another text: patch it", Observed(a_set(1), (child("s-0", "old"),)), [("patch", "s-0")]),
    (
        "the set goes: leave it to the garbage collector",
        Observed(Set(metadata=ObjectMeta(deletion_timestamp="x")), ()),
        [],
    ),
]


@pytest.mark.parametrize(("seen", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_decide(seen: Observed, wanted: list[tuple[str, str]]) -> None:
    found = []
    for action in decide(seen).actions:
        match action:
            case Create(obj=obj):
                found.append(("create", obj["metadata"]["name"]))
            case Delete(key=key):
                found.append(("delete", key.name))
            case PatchObject(key=key):
                found.append(("patch", key.name))
            case _:
                raise AssertionError(action)
    assert found == wanted


# the loop


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def process(api: FakeApi) -> AsyncIterator[ControllerProcess]:
    process = ControllerProcess(api, component="test")
    add_to(process)
    ready = asyncio.Event()
    task = asyncio.create_task(process.run(ready=ready))
    await asyncio.wait_for(ready.wait(), 5)
    yield process
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def status(api: FakeApi) -> SetStatus:
    found = api.peek(SETS, KEY)
    assert found is not None
    return found.status


def idle(process: ControllerProcess) -> bool:
    return all(controller.queue.idle for controller in process.controllers)


async def converged(api: FakeApi, process: ControllerProcess, replicas: int) -> None:
    wanted = [f"s-{number}" for number in range(replicas)]
    await eventually(
        lambda: names(api.peek_all(CONFIG_MAPS)) == wanted and status(api).ready == replicas and idle(process),
        f"{replicas} children and the status",
    )


async def test_it_creates_children_writes_status_and_tells(api: FakeApi, process: ControllerProcess) -> None:
    await api.create(SETS, new_set("s", 2, "t"), "default")
    await converged(api, process, 2)
    assert status(api) == READY_2
    await process.events.flush()
    assert sorted(event.message for event in api.peek_all(EVENTS)) == ["Created s-0", "Created s-1"]
    assert {event.involved_object.uid for event in api.peek_all(EVENTS)} == {api.peek_all(SETS)[0].metadata.uid}


async def test_a_converged_world_causes_no_writes(api: FakeApi, process: ControllerProcess) -> None:
    await api.create(SETS, new_set("s", 2, "t"), "default")
    await converged(api, process, 2)
    await process.events.flush()
    before = api.writes
    process.controllers[0].queue.add(KEY)
    await eventually(lambda: process.metrics.values["reconciles", "sets"] > 1 and idle(process), "another pass")
    assert api.writes == before


async def test_writes_per_object_are_few(api: FakeApi, process: ControllerProcess) -> None:
    await api.create(SETS, new_set("s", 2, "t"), "default")
    await converged(api, process, 2)
    # two creations, and the status at most once before and once after they were seen
    assert process.metrics.total("writes") <= 4


async def test_scaling_and_new_text_are_followed(api: FakeApi, process: ControllerProcess) -> None:
    await api.create(SETS, new_set("s", 3, "t"), "default")
    await converged(api, process, 3)
    await api.patch(SETS, "s", Patch.merge({"spec": {"replicas": 1, "text": "new"}}), "default")
    await converged(api, process, 1)
    await eventually(lambda: api.peek_all(CONFIG_MAPS)[0].data == {"text": "new"}, "the text is new")


async def test_a_lost_child_comes_back(api: FakeApi, process: ControllerProcess) -> None:
    await api.create(SETS, new_set("s", 1), "default")
    await converged(api, process, 1)
    first = api.peek_all(CONFIG_MAPS)[0].metadata.uid
    await api.delete(CONFIG_MAPS, "s-0", "default")
    await eventually(
        lambda: [item.metadata.uid for item in api.peek_all(CONFIG_MAPS)] not in ([], [first]), "another child"
    )


async def test_a_lost_answer_is_adopted_not_repeated(api: FakeApi, process: ControllerProcess) -> None:
    lost = Unavailable(0, "ConnectionFailed", "connection reset")
    api.faults.add(Fault("create", "configmaps", lost, after=True))
    await api.create(SETS, new_set("s", 2), "default")
    await converged(api, process, 2)


async def test_retryable_errors_are_tried_again(api: FakeApi, process: ControllerProcess) -> None:
    api.faults.add(Fault("create", "configmaps", Unavailable(503, "ServiceUnavailable", "no"), times=3))
    api.faults.add(Fault("patch", "sets", Conflict(409, "Conflict", "no"), times=2))
    await api.create(SETS, new_set("s", 1), "default")
    await converged(api, process, 1)
    assert process.metrics.values["failures", "sets"] == 5


async def test_terminal_errors_are_told_and_wait_for_a_change(api: FakeApi, process: ControllerProcess) -> None:
    api.faults.add(Fault("create", "configmaps", Forbidden(403, "Forbidden", "quota says no"), times=1))
    await api.create(SETS, new_set("s", 1), "default")
    await eventually(lambda: process.metrics.values["failures", "sets"] == 1 and idle(process), "the failure")
    await process.events.flush()
    (event,) = api.peek_all(EVENTS)
    assert (event.type, event.reason, event.message) == ("Warning", "ReconcileFailed", "quota says no")
    await asyncio.sleep(0.1)
    assert process.metrics.values["reconciles", "sets"] == 1
    await api.patch(SETS, "s", Patch.merge({"spec": {"text": "changed"}}), "default")
    await converged(api, process, 1)


async def test_what_was_refused_is_tried_again_without_a_change(api: FakeApi, process: ControllerProcess) -> None:
    no_account = Forbidden(403, "Forbidden", 'serviceaccount "default" not found')
    api.faults.add(Fault("create", "configmaps", no_account, times=1))
    await api.create(SETS, new_set("s", 1), "default")
    await eventually(lambda: process.metrics.values["failures", "sets"] == 1, "the failure")
    await converged(api, process, 1)


async def test_a_controller_may_say_itself_what_was_refused(api: FakeApi) -> None:
    def refused(seen: Observed, action: Action, error: TerminalError) -> Decision[Action]:
        said = StatusPatch(SETS, KEY, {"ready": 7}, {})
        return Decision(status=said, events=(Event(EventType.WARNING, "NoChildren", str(error)),))

    process = ControllerProcess(api, component="test")
    add_to(process, refused=refused)
    ready = asyncio.Event()
    task = asyncio.create_task(process.run(ready=ready))
    await asyncio.wait_for(ready.wait(), 5)
    try:
        api.faults.add(Fault("create", "configmaps", Forbidden(403, "Forbidden", "quota says no"), times=1))
        await api.create(SETS, new_set("s", 1), "default")
        await eventually(lambda: process.metrics.values["failures", "sets"] == 1 and idle(process), "the failure")
        # Its own write is a change, so it tried again, and there were no more obstacles.
        await converged(api, process, 1)
        await process.events.flush()
        told = {event.reason: event.message for event in api.peek_all(EVENTS)}
        assert told == {"NoChildren": "quota says no", "Created": "Created s-0"}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_namespace_that_ends_is_no_failure(
    api: FakeApi, process: ControllerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    cause = StatusCause("metadata.namespace", "NamespaceTerminating", "namespace default is being terminated")
    api.faults.add(Fault("create", "configmaps", Forbidden(403, "Forbidden", "no new content", (cause,)), times=1))
    await api.create(SETS, new_set("s", 1), "default")
    await eventually(lambda: process.metrics.values["reconciles", "sets"] == 1 and idle(process), "the attempt")
    await process.events.flush()
    assert api.peek_all(EVENTS) == []
    assert process.metrics.values["failures", "sets"] == 0
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_a_stale_cache_does_not_make_it_act_twice(api: FakeApi, process: ControllerProcess) -> None:
    await api.create(SETS, new_set("s", 1), "default")
    await converged(api, process, 1)
    api.hold_watches("configmaps")
    await api.patch(SETS, "s", Patch.merge({"spec": {"replicas": 2}}), "default")
    await eventually(lambda: len(api.peek_all(CONFIG_MAPS)) == 2, "the second child")
    process.controllers[0].queue.add(KEY)
    await asyncio.sleep(0.05)
    creates = [request for request in api.requests if (request.verb, request.plural) == ("create", "configmaps")]
    assert len(creates) == 2
    api.release_watches("configmaps")
    await converged(api, process, 2)


async def test_a_foreign_child_is_never_taken(api: FakeApi, process: ControllerProcess) -> None:
    api.seed(CONFIG_MAPS, {"metadata": {"name": "s-0", "namespace": "default"}, "data": {"mine": "yes"}})
    await api.create(SETS, new_set("s", 1), "default")
    await eventually(lambda: process.metrics.values["failures", "sets"] >= 2, "it fails")
    assert api.peek_all(CONFIG_MAPS)[0].data == {"mine": "yes"}
    await api.delete(CONFIG_MAPS, "s-0", "default")
    await converged(api, process, 1)


# the writer


async def test_creating_what_is_there_needs_the_same_owner(api: FakeApi) -> None:
    writer = ApiWriter(api, field_manager="test")
    await writer.execute(Create(CONFIG_MAPS, "default", {"metadata": {"name": "x"}}, None))
    await writer.execute(Create(CONFIG_MAPS, "default", {"metadata": {"name": "x"}}, None))
    with pytest.raises(NameTaken, match="ConfigMap default/x"):
        await writer.execute(Create(CONFIG_MAPS, "default", {"metadata": {"name": "x"}}, "some-uid"))


async def test_deleting_another_object_of_that_name_counts_as_done(api: FakeApi) -> None:
    writer = ApiWriter(api, field_manager="test")
    api.seed(CONFIG_MAPS, {"metadata": {"name": "x", "namespace": "default"}})
    assert await writer.execute(Delete(CONFIG_MAPS, Key("default", "x"), "another")) is None
    assert api.peek(CONFIG_MAPS, Key("default", "x")) is not None
    gone = await writer.execute(Delete(CONFIG_MAPS, Key("default", "never"), "uid"))
    assert gone is not None
    assert gone.obj is None


async def test_patching_what_is_gone_counts_as_done(api: FakeApi) -> None:
    writer = ApiWriter(api, field_manager="test")
    assert await writer.execute(PatchObject(CONFIG_MAPS, Key("default", "x"), Patch.merge({}))) is None
    with pytest.raises(NotFound):
        await api.get(CONFIG_MAPS, "x", "default")


async def test_an_unchanged_status_is_not_written(api: FakeApi) -> None:
    writer = ApiWriter(api, field_manager="test")
    api.seed(SETS, new_set("s", 1) | {"status": {"ready": 1, "phase": "Ready"}})
    same = {"ready": 1, "phase": "Ready"}
    assert await writer.write_status(StatusPatch(SETS, KEY, same, same)) is None
    assert api.writes == 0
    written = await writer.write_status(StatusPatch(SETS, KEY, {"ready": 2}, same))
    assert written is not None
    assert status(api) == SetStatus(ready=2)


async def test_a_conditional_status_conflicts_when_stale(api: FakeApi) -> None:
    writer = ApiWriter(api, field_manager="test")
    old = api.seed(SETS, new_set("s", 1)).metadata.resource_version
    await api.patch(SETS, "s", Patch.merge({"spec": {"replicas": 2}}), "default")
    with pytest.raises(Conflict):
        await writer.write_status(StatusPatch(SETS, KEY, {"ready": 1}, {}, old))
