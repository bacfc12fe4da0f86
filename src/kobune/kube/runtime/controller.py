"""The loop around a pure decision: observe, decide, act, write the status, tell, look again.

Owns: the order of these steps and what happens when one fails (docs/flows/controller.md).
Must not: know any kind, or do I/O of its own beside what it was given.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar

from kobune.base.clock import Clock
from kobune.base.errors import KobuneError, RetryableError, TerminalError
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.errors import ApiError, Conflict, Forbidden
from kobune.kube.client.objects import controller_of, key_of
from kobune.kube.client.resource import Key, Resource
from kobune.kube.informer import Informer
from kobune.kube.runtime.decision import Decision, Event, EventType, StatusPatch
from kobune.kube.runtime.events import EventRecorder, Reference
from kobune.kube.runtime.queue import Backoff, WorkQueue
from kobune.kube.runtime.writer import ApiWriter, Written, status_difference

__all__ = ["Controller", "Execute", "Refused", "Watch", "controller_key", "naming_keys"]

S = TypeVar("S")
A = TypeVar("A")
N = TypeVar("N")

Execute: TypeAlias = Callable[[A], Awaitable[Written | None]]
"""Carries out one action of the union A; what it wrote to the API, so that the next pass waits for the cache."""

Refused: TypeAlias = Callable[[S, A, TerminalError], Decision[A] | None]
"""What to say about an action that cannot succeed as things are: a status and events; None for nothing special."""

log = logging.getLogger(__name__)

TERMINAL_RETRY_S: Final = 300.0
"""How rarely what ends with its namespace, or was refused many times, is looked at again."""
TERMINAL_BACKOFF: Final = Backoff(first_s=1.0, last_s=TERMINAL_RETRY_S)
"""What was refused may be allowed without a change of the object: a new namespace gets its account, rights and quotas
change. So it is tried again, ever more rarely."""
OWN_WRITE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Watch:
    """Which keys a changed object leads to; both its old and its new state are asked. `changed` filters (old, new)."""

    informer: Informer[Any]
    keys: Callable[[Any], Iterable[Key]]
    changed: Callable[[Any, Any], bool] | None = None


def controller_key(kind: str) -> Callable[[Any], Iterable[Key]]:
    """For `Watch.keys`: the controlling owner of that kind, in the object's own namespace."""

    def keys(obj: Any) -> Iterable[Key]:
        owner = controller_of(obj)
        return (Key(key_of(obj).namespace, owner.name),) if owner is not None and owner.kind == kind else ()

    return keys


def naming_keys(informer: Informer[N], names: Callable[[N], Iterable[str]]) -> Callable[[Any], Iterable[Key]]:
    """For `Watch.keys`: the objects of `informer` that name the changed one, by what `names` finds in them.

    They are in its namespace; in any, when it is in none.
    """

    def keys(obj: Any) -> Iterable[Key]:
        key = key_of(obj)
        return [key_of(item) for item in informer.list(key.namespace) if key.name in names(item)]

    return keys


class _Told(TerminalError):
    """An error that the controller has told in its own words."""


class Controller(Generic[S, A]):
    """Reconciles the objects of `primary` one key at a time, `workers` keys in parallel.

    `changed` says which changes (old, new) of a primary object matter; without it all do. `refused` puts into the
    object's status what the API has against an action, where people look for it.
    """

    def __init__(
        self,
        name: str,
        *,
        primary: Informer[Any],
        observe: Callable[[Key], Awaitable[S | None]],
        decide: Callable[[S], Decision[A]],
        execute: Execute[A],
        writer: ApiWriter,
        events: EventRecorder,
        changed: Callable[[Any, Any], bool] | None = None,
        refused: Refused[S, A] | None = None,
        watches: Sequence[Watch] = (),
        reads: Sequence[Informer[Any]] = (),
        workers: int = 4,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.primary = primary
        self.queue: WorkQueue[Key] = WorkQueue(clock=clock, backoff=backoff)
        self._observe = observe
        self._decide = decide
        self._execute = execute
        self._refused = refused
        self._writer = writer
        self._events = events
        self._workers = workers
        self._informers = tuple(dict.fromkeys([primary, *(watch.informer for watch in watches), *reads]))
        # Own writes that a cache may not show yet, per key; forgotten once seen.
        self._unseen: dict[Key, list[tuple[Informer[Any], Written]]] = {}
        # Since when a status differs that may wait for more to come, per key; lost with the process, which only means
        # that the same difference is found again and waits anew.
        self._owed_since_s: dict[Key, float] = {}
        self._clock = clock or SystemClock()
        for watch in (Watch(primary, lambda obj: (key_of(obj),), changed), *watches):
            watch.informer.add_handler(self._handler(watch))

    @property
    def resource(self) -> Resource[Any]:
        """What is reconciled."""
        return self.primary.resource

    async def run(self, *, sync_timeout_s: float = 300.0) -> None:
        """Work until cancelled. The informers must be running. Raises TimeoutError when they never list."""
        for informer in self._informers:
            await informer.wait_synced(sync_timeout_s)
        log.info("controller %s started, %d keys", self.name, len(self.queue))
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self.name} {number}")
        finally:
            self.queue.shutdown()

    async def reconcile(self, key: Key) -> Decision[A] | None:
        """One pass over one key, for the workers and for tests; raises what failed. None: nothing there to decide."""
        self._writer.metrics.count("reconciles", self.name)
        await self._await_own_writes(key)
        seen = await self._observe(key)
        if seen is None:
            self._owed_since_s.pop(key, None)
            return None
        decision = self._decide(seen)
        for action in decision.actions:
            log.debug("%s %s: %s", self.name, key, action)
            try:
                self._remember(key, await self._execute(action))
            except TerminalError as error:
                if await self._say_refused(key, seen, action, error):
                    raise _Told(str(error)) from error
                raise
        status = decision.status
        if status is not None:
            wait_s = self._wait_s(key, status)
            if wait_s > 0:
                decision = _again_within(decision, wait_s)
            else:
                self._remember(key, await self._writer.write_status(status))
                self._owed_since_s.pop(key, None)
        for event in decision.events:
            self._tell(key, event)
        return decision

    async def _say_refused(self, key: Key, seen: S, action: A, error: TerminalError) -> bool:
        """Write and tell what the controller has to say about a refusal, if it has."""
        ends = isinstance(error, Forbidden) and error.namespace_ends
        said = self._refused(seen, action, error) if self._refused is not None and not ends else None
        if said is None:
            return False
        if said.status is not None:
            self._remember(key, await self._writer.write_status(said.status))
        for event in said.events:
            self._tell(key, event)
        return True

    def _wait_s(self, key: Key, patch: StatusPatch) -> float:
        """How much longer the status may wait to be written; not positive when it is to be written now."""
        if not status_difference(patch):
            self._owed_since_s.pop(key, None)
            return 0.0
        if patch.may_wait_s <= 0:
            return 0.0
        now_s = self._clock.monotonic_s()
        return self._owed_since_s.setdefault(key, now_s) + patch.may_wait_s - now_s

    async def _work(self) -> None:
        while (key := await self.queue.get()) is not None:
            try:
                await self._pass(key)
            finally:
                self.queue.done(key)

    async def _pass(self, key: Key) -> None:
        """One pass, and what its outcome means for the queue."""
        try:
            decision = await self.reconcile(key)
        except TerminalError as error:
            if isinstance(error, Forbidden) and error.namespace_ends:
                # The normal end of a race: what the key names is going away with its namespace.
                log.debug("%s %s: %s", self.name, key, error)
                self.queue.forget(key)
                self.queue.add_after(key, TERMINAL_RETRY_S)
                return
            self._writer.metrics.count("failures", self.name)
            log.warning("%s %s: %s", self.name, key, error)
            if not isinstance(error, _Told):
                self._tell(key, Event(EventType.WARNING, "ReconcileFailed", str(error)))
            self.queue.add_failed(key, backoff=TERMINAL_BACKOFF)
        except RetryableError as error:
            self._writer.metrics.count("failures", self.name)
            at_least_s = error.retry_after_s or 0.0 if isinstance(error, ApiError) else 0.0
            delay_s = self.queue.add_failed(key, at_least_s=at_least_s)
            # A conflict is the normal end of a race; others are worth a line once they repeat.
            quiet = isinstance(error, Conflict) or self.queue.failures(key) < 3
            log.log(
                logging.DEBUG if quiet else logging.WARNING,
                "%s %s: %s; again in %.2f s",
                self.name,
                key,
                error,
                delay_s,
            )
        except Exception as error:
            self._writer.metrics.count("failures", self.name)
            delay_s = self.queue.add_failed(key)
            expected = isinstance(error, KobuneError | TimeoutError | OSError)
            log.error("%s %s failed, again in %.2f s: %r", self.name, key, delay_s, error, exc_info=not expected)
        else:
            self.queue.forget(key)
            if decision is not None and decision.requeue_after is not None:
                self.queue.add_after(key, max(decision.requeue_after.total_seconds(), 0.001))

    async def _await_own_writes(self, key: Key) -> None:
        """Let the caches catch up with what the last pass wrote, so that it is not decided again."""
        for informer, written in self._unseen.pop(key, ()):
            seen = await informer.wait_seen(
                written.key, written.resource_version, written.uid, timeout_s=OWN_WRITE_TIMEOUT_S
            )
            if not seen:
                log.warning("%s %s: the watch of %s is behind our own write", self.name, key, informer.resource.plural)

    def _remember(self, key: Key, written: Written | None) -> None:
        if written is None:
            return
        for informer in self._informers:
            same = (informer.resource.group, informer.resource.plural)
            if same != (written.resource.group, written.resource.plural):
                continue
            # An object that the informer does not select may never show up in it.
            if written.obj is not None and not informer.selects(written.obj):
                continue
            if not informer.has_seen(written.key, written.resource_version, written.uid):
                self._unseen.setdefault(key, []).append((informer, written))

    def _tell(self, key: Key, event: Event) -> None:
        obj = self.primary.get(key)
        if obj is None:
            reference = Reference(self.resource.api_version, self.resource.kind, key.namespace, key.name, "")
        else:
            reference = Reference.to(self.resource, obj)
        self._events.record(reference, event)

    def _handler(self, watch: Watch) -> Callable[[Any, Any], None]:
        def handle(old: Any, new: Any) -> None:
            if old is not None and new is not None and watch.changed is not None and not watch.changed(old, new):
                return
            for obj in (old, new):
                if obj is not None:
                    for key in watch.keys(obj):
                        self.queue.add(key)

        return handle


def _again_within(decision: Decision[A], seconds: float) -> Decision[A]:
    """The decision, to be made anew after that time at the latest."""
    wait = timedelta(seconds=seconds)
    asked = decision.requeue_after
    return replace(decision, requeue_after=wait if asked is None else min(asked, wait))
