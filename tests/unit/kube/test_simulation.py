"""A simulated world: whatever happens to caches, answers and processes, it converges and then rests."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kobune.kube.client.core import CONFIG_MAPS
from kobune.kube.client.errors import ApiError, Conflict, NotFound, TooManyRequests, Unavailable
from kobune.kube.client.resource import Key
from kobune.kube.runtime import ControllerProcess
from kobune.kube.testing import FakeApi, FakeClock, Fault, settle
from support.sample_controller import SETS, add_to, names, new_set

KEY = Key("default", "s")

_ERRORS: dict[str, Callable[[], ApiError]] = {
    "unavailable": lambda: Unavailable(503, "ServiceUnavailable", "simulated"),
    "conflict": lambda: Conflict(409, "Conflict", "simulated"),
    "throttled": lambda: TooManyRequests(429, "TooManyRequests", "simulated", retry_after_s=1.0),
}

one_step = st.one_of(
    st.tuples(st.just("scale"), st.integers(0, 4)),
    st.tuples(st.just("text"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("lose child"), st.integers(0, 3)),
    st.tuples(st.just("recreate set"), st.integers(0, 3)),
    st.tuples(st.just("hold"), st.sampled_from(["sets", "configmaps"])),
    st.tuples(st.just("release"), st.sampled_from(["sets", "configmaps"])),
    st.tuples(st.just("disconnect"), st.none()),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(
        st.just("fault"),
        st.tuples(
            st.sampled_from(["create", "patch", "delete", "list", "watch", "get"]),
            st.sampled_from(sorted(_ERRORS)),
            st.booleans(),
        ),
    ),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.05, 1.0, 20.0])),
)
steps = st.lists(st.tuples(one_step, st.integers(0, 15)), max_size=25)
"""What happens, and for how many turns of the event loop everybody may work afterwards."""


class World:
    """One API, one controller process at a time, and a user who changes his mind."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(clock=self.clock)
        self.task: asyncio.Task[None] | None = None
        self.process: ControllerProcess | None = None

    def start(self) -> None:
        self.process = ControllerProcess(self.api, component="test", clock=self.clock)
        add_to(self.process)
        self.task = asyncio.create_task(self.process.run())

    async def stop(self) -> None:
        """The process dies wherever it is; nothing is cleaned up."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def step(self, name: str, value: Any) -> None:
        match name:
            case "scale":
                self.api.edit(SETS, KEY, lambda doc: doc["spec"].update(replicas=value))
            case "text":
                self.api.edit(SETS, KEY, lambda doc: doc["spec"].update(text=value))
            case "lose child":
                try:
                    self.api.store.delete(CONFIG_MAPS, Key("default", f"s-{value}"), None, None)
                except NotFound:
                    return
            case "recreate set":
                self.api.store.delete(SETS, KEY, None, None)
                self.api.seed(SETS, new_set("s", value, "again"))
            case "hold":
                self.api.hold_watches(value)
            case "release":
                self.api.release_watches(value)
            case "disconnect":
                self.api.disconnect_watches()
            case "compact":
                self.api.compact()
            case "fault":
                verb, error, after = value
                after = after and verb in ("create", "patch", "delete")
                self.api.faults.add(Fault(verb, "*", _ERRORS[error](), after=after))
            case "crash":
                await self.stop()
                self.start()
            case "wait":
                await self.clock.advance(value)

    def converged(self) -> bool:
        wanted = self.api.peek(SETS, KEY)
        assert wanted is not None
        children = self.api.peek_all(CONFIG_MAPS)
        return (
            names(children) == [f"s-{number}" for number in range(wanted.spec.replicas)]
            and all(child.data == {"text": wanted.spec.text} for child in children)
            and all(child.metadata.owner_references[0].uid == wanted.metadata.uid for child in children)
            and wanted.status.ready == wanted.spec.replicas
        )

    async def finish(self) -> None:
        """Everything works again: the world must get where it should be, and rest."""
        self.api.faults.planned.clear()
        for plural in ("sets", "configmaps"):
            self.api.release_watches(plural)
        for _ in range(120):
            await self.clock.advance(3.0)
            # What a collector would do about the children of a set that was deleted.
            self.api.collect_garbage()
            if self.converged():
                break
        assert self.converged(), (self.api.peek(SETS, KEY), self.api.peek_all(CONFIG_MAPS))
        await self.clock.advance(30.0)
        before = self.api.writes
        await self.clock.advance(3600.0)
        assert self.api.writes == before, self.api.requests[-5:]
        assert self.converged()


async def simulate(what: list[tuple[tuple[str, Any], int]]) -> None:
    world = World()
    world.api.seed(SETS, new_set("s", 2, "a"))
    world.start()
    try:
        for (name, value), turns in what:
            await world.step(name, value)
            await settle(turns)
        # What is planned to fail may still do so when nothing else happens any more.
        await settle(40)
        await world.finish()
    finally:
        await world.stop()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_the_world_converges_and_rests(what: list[tuple[tuple[str, Any], int]]) -> None:
    asyncio.run(simulate(what))


async def test_a_failed_creation_alone_is_tried_again() -> None:
    await simulate([(("fault", ("create", "unavailable", False)), 15)])
