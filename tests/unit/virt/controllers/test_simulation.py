"""Machines and instances through everything that can go wrong: errors, lost answers, stale caches, restarts.

The real controllers run against the in-memory API; a played kubelet, virt-handler and garbage collector do their part.
Whatever happens in between, there is never more than one launcher at work for an instance, and once the world is calm
it becomes what was asked for.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kobune.kube.client.core import PODS
from kobune.kube.client.errors import ApiError, Unavailable
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime import Backoff, ControllerProcess
from kobune.kube.testing import FakeApi, Fault, eventually, eventually_true
from kobune.virt.controllers.virtualmachine.wire import wire as wire_machines
from kobune.virt.controllers.virtualmachineinstance.wire import wire as wire_instances
from support.vms import spec

KEY = Key("ns", "vm")
WATCHED = ("virtualmachines", "virtualmachineinstances", "pods")


class World:
    """The API and what is played around the controllers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.api = FakeApi(no_status=frozenset({"virtualmachineinstances"}))
        self.most_launchers = 0
        template = {"metadata": {}, "spec": spec()}
        vm = {"metadata": {"name": "vm"}, "spec": {"runStrategy": "Always", "template": template}}
        self.api.seed(VIRTUAL_MACHINES, vm, "ns")

    async def play(self) -> None:
        """The kubelet runs and ends pods, virt-handler runs guests, the garbage collector cleans up."""
        for pod in self.api.peek_all(PODS):
            if pod.metadata.deletion_timestamp is not None:
                with contextlib.suppress(ApiError):
                    await self.api.delete(PODS, pod.metadata.name, "ns", grace_period_s=0)
            elif pod.status.phase not in ("Running", "Succeeded"):
                self.api.edit(PODS, Key("ns", pod.metadata.name), _run_pod)
        vmi = self.api.peek(VIRTUAL_MACHINE_INSTANCES, KEY)
        if vmi is not None and vmi.status.phase == "Scheduled":
            self.api.edit(VIRTUAL_MACHINE_INSTANCES, KEY, _run_guest)
        elif vmi is not None and vmi.metadata.deletion_timestamp is not None and vmi.status.phase == "Running":
            # virt-handler has the guest powered off, and its launcher and pod end with it.
            self.api.edit(VIRTUAL_MACHINE_INSTANCES, KEY, lambda obj: obj["status"].update(phase="Succeeded"))
            for pod in self.api.peek_all(PODS):
                if pod.metadata.owner_references[0].uid == vmi.metadata.uid:
                    self.api.edit(PODS, Key("ns", pod.metadata.name), _end_pod)
        self.api.collect_garbage()
        self.check()

    def check(self) -> None:
        """One launcher per instance."""
        owners = [pod.metadata.owner_references[0].uid for pod in self.api.peek_all(PODS)]
        assert len(set(owners)) == len(owners), "two launchers for one instance"
        self.most_launchers = max(self.most_launchers, len(owners))

    async def disturb(self) -> None:
        """One random mishap or wish."""
        draw = self.random.randrange(8)
        plural = self.random.choice(WATCHED)
        if draw in (0, 1):
            lost = Unavailable(503, "Unavailable", "mishap")
            verb = self.random.choice(("create", "patch", "delete"))
            self.api.faults.add(Fault(verb, plural, lost, times=self.random.randint(1, 2), after=draw == 1))
            if draw == 1:
                # The worst pair: the answer is lost, and the cache does not show the write either.
                self.api.hold_watches(plural)
        elif draw == 2:
            self.api.hold_watches(plural)
        elif draw == 3:
            self.api.release_watches(plural)
        elif draw == 4:
            self.api.disconnect_watches()
        elif draw == 5:
            self.want(self.random.choice(("Always", "Halted", "RerunOnFailure")))
        elif draw == 6:
            self.fail_guest()
        else:
            await self.play()

    def want(self, strategy: str) -> None:
        self.api.edit(VIRTUAL_MACHINES, KEY, lambda obj: obj["spec"].update(runStrategy=strategy))

    def fail_guest(self) -> None:
        vmi = self.api.peek(VIRTUAL_MACHINE_INSTANCES, KEY)
        if vmi is not None and vmi.status.phase == "Running":
            self.api.edit(VIRTUAL_MACHINE_INSTANCES, KEY, lambda obj: obj["status"].update(phase="Failed"))

    def calm(self) -> None:
        self.api.faults.planned.clear()
        for plural in WATCHED:
            self.api.release_watches(plural)

    def phase(self) -> str | None:
        vmi = self.api.peek(VIRTUAL_MACHINE_INSTANCES, KEY)
        return vmi.status.phase if vmi is not None else None


def _run_pod(obj: dict[str, Any]) -> None:
    obj["spec"]["nodeName"] = "node-1"
    obj["status"] = {
        "phase": "Running",
        "containerStatuses": [{"name": "compute", "ready": True, "state": {"running": {}}}],
    }


def _end_pod(obj: dict[str, Any]) -> None:
    ended = {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:00:00Z"}}
    obj["status"] = {"phase": "Succeeded", "containerStatuses": [{"name": "compute", "state": ended}]}


def _run_guest(obj: dict[str, Any]) -> None:
    times = obj["status"].setdefault("phaseTransitionTimestamps", [])
    times.append({"phase": "Running", "phaseTransitionTimestamp": "2026-01-01T00:00:00Z"})
    obj["status"]["phase"] = "Running"


@contextlib.asynccontextmanager
async def controllers(world: World) -> AsyncIterator[None]:
    """The controllers until the block ends, when they stop as if killed."""
    process = ControllerProcess(world.api, component="test")
    for controller in (
        wire_machines(process),
        wire_instances(process, launcher_image="launcher:1", image_pull_policy="Never"),
    ):
        controller.queue._backoff = Backoff(first_s=0.001, last_s=0.01)
    task = asyncio.ensure_future(process.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
            await task


async def story(seed: int) -> None:
    world = World(seed)
    for _ in range(3):
        async with controllers(world):
            for _ in range(12):
                await world.disturb()
                await asyncio.sleep(world.random.choice((0, 0, 0.002)))
                world.check()
    world.calm()
    async with controllers(world):
        world.want("Always")

        async def runs() -> bool:
            await world.play()
            return world.phase() == "Running"

        await eventually_true(runs, f"the guest runs (seed {seed})")
        world.want("Halted")

        async def gone() -> bool:
            await world.play()
            return world.phase() is None and not world.api.peek_all(PODS)

        await eventually_true(gone, f"instance and pod are gone (seed {seed})")
        await world.api.patch(VIRTUAL_MACHINES, "vm", Patch.merge({"metadata": {"labels": {"a": "b"}}}), "ns")
        await world.api.delete(VIRTUAL_MACHINES, "vm", "ns")
        await eventually(
            lambda: world.api.peek(VIRTUAL_MACHINES, KEY) is None, f"the machine is gone (seed {seed})", timeout_s=10
        )


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.integers(0, 2**32))
def test_whatever_happens_the_world_becomes_what_was_asked_for(seed: int) -> None:
    asyncio.run(story(seed))


async def test_creations_whose_answers_are_lost_are_not_repeated_under_another_name() -> None:
    world = World(0)
    lost = Unavailable(503, "Unavailable", "mishap")
    for plural in ("virtualmachineinstances", "pods", "controllerrevisions"):
        world.api.faults.add(Fault("create", plural, lost, times=2, after=True))
    # The cache does not show what was made, so the controllers can only try again.
    world.api.hold_watches("pods")
    async with controllers(world):
        await eventually(lambda: bool(world.api.peek_all(PODS)), "a pod is made")
        await asyncio.sleep(0.05)
        world.check()
        world.calm()

        async def runs() -> bool:
            await world.play()
            return world.phase() == "Running"

        await eventually_true(runs, "the guest runs")
    assert world.most_launchers == 1
