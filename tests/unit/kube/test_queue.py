"""The work queue: once per key, never twice at once, delays and back-off."""

import asyncio

import pytest

from kobune.kube.runtime import Backoff, WorkQueue
from kobune.kube.testing import FakeClock, settle


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> WorkQueue[str]:
    return WorkQueue(clock=clock, backoff=Backoff(first_s=1, last_s=10))


async def test_a_key_added_twice_comes_out_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_added_while_worked_on_comes_out_after_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_get_waits_for_a_key(queue: WorkQueue[str]) -> None:
    waiting = asyncio.create_task(queue.get())
    await settle()
    assert not waiting.done()
    queue.add("a")
    assert await waiting == "a"


async def test_a_delayed_key_comes_out_in_time(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 5)
    await clock.advance(4.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await queue.get() == "a"


async def test_the_earlier_of_two_delays_wins(queue: WorkQueue[str], clock: FakeClock) -> None:
    queue.add_after("a", 5)
    queue.add_after("a", 2)
    queue.add_after("a", 9)
    await clock.advance(2)
    assert await queue.get() == "a"
    queue.done("a")
    await clock.advance(20)
    assert len(queue) == 0


async def test_the_back_off_doubles_up_to_its_limit_and_is_forgotten(queue: WorkQueue[str], clock: FakeClock) -> None:
    delays = []
    for _ in range(6):
        delays.append(queue.add_failed("a"))
        await clock.advance(20)
        assert await queue.get() == "a"
        queue.done("a")
    assert delays == [1, 2, 4, 8, 10, 10]
    queue.forget("a")
    assert queue.add_failed("a") == 1
    assert queue.add_failed("b", at_least_s=7) == 7


async def test_shutdown_ends_every_worker_and_drops_delays(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    queue.add_after("a", 5)
    await settle()
    queue.shutdown()
    assert await asyncio.gather(*workers) == [None, None, None]
    queue.add("b")
    assert await queue.get() is None
    assert queue.delayed == 0
