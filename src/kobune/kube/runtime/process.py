"""All controllers of one process with what they share.

Owns: the client, the informers, the writer and the event recorder of a component, and running them together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from kobune.base.clock import Clock
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, InformerPool
from kobune.kube.runtime.controller import Controller, Execute, Refused, Watch
from kobune.kube.runtime.decision import Decision
from kobune.kube.runtime.events import EventRecorder
from kobune.kube.runtime.metrics import Metrics
from kobune.kube.runtime.queue import Backoff
from kobune.kube.runtime.writer import ApiWriter

__all__ = ["ControllerProcess"]

S = TypeVar("S")
A = TypeVar("A")


class ControllerProcess:
    """What a component's `run(config)` composes: add informers and controllers, then `run` until cancelled."""

    def __init__(self, client: Client, *, component: str, instance: str = "", clock: Clock | None = None) -> None:
        self.client = client
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics()
        self.informers = InformerPool(client, clock=clock)
        self.writer = ApiWriter(client, field_manager=component, metrics=self.metrics)
        self.events = EventRecorder(client, component=component, instance=instance, clock=clock)
        self.controllers: list[Controller[Any, Any]] = []

    def add(
        self,
        name: str,
        *,
        primary: Informer[Any],
        observe: Callable[[Key], Awaitable[S | None]],
        decide: Callable[[S], Decision[A]],
        execute: Execute[A],
        changed: Callable[[Any, Any], bool] | None = None,
        refused: Refused[S, A] | None = None,
        watches: Sequence[Watch] = (),
        reads: Sequence[Informer[Any]] = (),
        workers: int = 4,
        backoff: Backoff | None = None,
    ) -> Controller[S, A]:
        """Make a controller that runs with this process. `execute` is `self.writer.execute` or one that uses it."""
        controller = Controller(
            name,
            primary=primary,
            observe=observe,
            decide=decide,
            execute=execute,
            writer=self.writer,
            events=self.events,
            changed=changed,
            refused=refused,
            watches=watches,
            reads=reads,
            workers=workers,
            clock=self.clock,
            backoff=backoff,
        )
        self.controllers.append(controller)
        return controller

    async def run(self, *, ready: asyncio.Event | None = None) -> None:
        """Run everything until cancelled; `ready` is set once all caches are filled and the workers run."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.informers.run(), name="informers")
            group.create_task(self.events.run(), name="events")
            await self.informers.wait_synced(300.0)
            for controller in self.controllers:
                group.create_task(controller.run(), name=controller.name)
            if ready is not None:
                ready.set()
