"""A status that may wait is written once for several changes, and never later than it may."""

from datetime import timedelta

import pytest

from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Decision, StatusPatch
from kobune.kube.testing import FakeApi, FakeClock
from support.sample_controller import SETS, Set, new_set

KEY = Key("default", "s")


class World:
    """A controller whose decision is told to it, and whose passes are made by hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(clock=self.clock)
        self.ready, self.may_wait_s = 0, 0.0
        self.here = True
        process = ControllerProcess(self.api, component="test", clock=self.clock)
        self.controller: Controller[Set, Action] = process.add(
            "waiting",
            primary=process.informers.of(SETS),
            observe=self.observe,
            decide=self.decide,
            execute=process.writer.execute,
        )

    async def observe(self, key: Key) -> Set | None:
        return self.api.peek(SETS, key) if self.here else None

    def decide(self, seen: Set) -> Decision[Action]:
        observed = {"ready": seen.status.ready} if seen.status.ready else {}
        wanted = {"ready": self.ready} if self.ready else {}
        return Decision(status=StatusPatch(SETS, KEY, wanted, observed, may_wait_s=self.may_wait_s))

    async def pass_(self) -> timedelta | None:
        decision = await self.controller.reconcile(KEY)
        return decision.requeue_after if decision is not None else None

    def written(self) -> int:
        found = self.api.peek(SETS, KEY)
        assert found is not None
        return found.status.ready or 0


@pytest.fixture
async def world() -> World:
    made = World()
    await made.api.create(SETS, new_set("s", 0, "t"), "default")
    return made


async def test_what_may_not_wait_is_written_at_once(world: World) -> None:
    world.ready = 1
    assert await world.pass_() is None
    assert world.written() == 1


async def test_what_may_wait_is_written_with_what_came_meanwhile(world: World) -> None:
    world.ready, world.may_wait_s = 1, 2.0
    assert await world.pass_() == timedelta(seconds=2)
    await world.clock.advance(1.5)
    world.ready = 2
    # A later change waits no longer than the first.
    assert await world.pass_() == timedelta(seconds=0.5)
    assert world.written() == 0
    await world.clock.advance(0.5)
    before = world.api.writes
    assert await world.pass_() is None
    assert (world.written(), world.api.writes) == (2, before + 1)


async def test_what_somebody_waits_for_takes_along_what_waited(world: World) -> None:
    world.ready, world.may_wait_s = 1, 2.0
    await world.pass_()
    world.ready, world.may_wait_s = 2, 0.0
    assert await world.pass_() is None
    assert world.written() == 2
    # The next one that may wait has its full time.
    world.ready, world.may_wait_s = 3, 2.0
    await world.clock.advance(5)
    assert await world.pass_() == timedelta(seconds=2)


async def test_what_is_taken_back_before_it_was_written_leaves_nothing_waiting(world: World) -> None:
    world.ready, world.may_wait_s = 1, 2.0
    await world.pass_()
    world.ready = 0
    assert await world.pass_() is None
    await world.clock.advance(5)
    world.ready = 1
    assert await world.pass_() == timedelta(seconds=2)


async def test_an_object_that_is_gone_leaves_nothing_waiting(world: World) -> None:
    world.ready, world.may_wait_s = 1, 2.0
    await world.pass_()
    world.here = False
    assert await world.pass_() is None
    world.here = True
    await world.clock.advance(5)
    assert await world.pass_() == timedelta(seconds=2)
