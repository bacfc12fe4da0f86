"""The work queue of a controller: keys only, each at most once, with delays and back-off per key.

Owns: which key is handed out next. Must not: know what a key means or carry an event's content; the worker looks at
the world as it is when the key comes out.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kobune.base.clock import Clock
from kobune.kube.client.clock import SystemClock

__all__ = ["Backoff", "WorkQueue"]

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay of the n-th failure in a row (from 0): `first_s` doubled n times, at most `last_s`."""

    first_s: float = 0.02
    last_s: float = 60.0

    def delay_s(self, failures: int) -> float:
        """How long to wait after that many earlier failures."""
        return float(min(self.first_s * 2.0 ** min(failures, 30), self.last_s))


class WorkQueue(Generic[K]):
    """A key that is added while it is being worked on comes out again after `done`; never twice at once."""

    def __init__(self, *, clock: Clock | None = None, backoff: Backoff | None = None) -> None:
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff()
        # Keys that need work. Invariant: key in _dirty <=> it will be handed out (again).
        self._dirty: set[K] = set()
        # Keys handed out and not yet done. Invariant: no key is handed out while it is in here.
        self._processing: set[K] = set()
        # Invariant: holds exactly the keys of _dirty - _processing, each once, oldest first.
        self._ready: deque[K] = deque()
        # Keys waiting for a moment. Invariant: at most one per key, the earliest that was asked for.
        self._delayed: dict[K, tuple[float, asyncio.Task[None]]] = {}
        # Failures in a row. Invariant: no entry for a key whose last work succeeded (`forget`).
        self._failures: dict[K, int] = {}
        self._wakeup = asyncio.Semaphore(0)
        """Invariant: its value plus the waiters that it woke is len(_ready), or it is released for ever by shutdown."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def idle(self) -> bool:
        """Nothing is ready and nothing is being worked on; delayed keys don't count."""
        return not self._ready and not self._processing

    @property
    def delayed(self) -> int:
        """How many keys wait for a moment."""
        return len(self._delayed)

    def add(self, key: K) -> None:
        """Ask for work on a key as soon as possible."""
        if self._closed or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Ask for work on a key after a delay; an earlier wish of the same key wins."""
        if self._closed:
            return
        if delay_s <= 0:
            self.add(key)
            return
        due_s = self._clock.monotonic_s() + delay_s
        known = self._delayed.get(key)
        if known is not None:
            if known[0] <= due_s:
                return
            known[1].cancel()
        task = asyncio.get_running_loop().create_task(self._add_later(key, delay_s), name=f"delayed {key}")
        self._delayed[key] = (due_s, task)

    def add_failed(self, key: K, *, at_least_s: float = 0.0, backoff: Backoff | None = None) -> float:
        """Ask for work again after the key's back-off, which grows; the delay that was chosen, in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s = max((backoff or self._backoff).delay_s(failures), at_least_s)
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: K) -> None:
        """The key's work succeeded: its back-off starts anew."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """Failures in a row of that key."""
        return self._failures.get(key, 0)

    async def get(self) -> K | None:
        """The next key, to be given back with `done`; None once the queue is shut down."""
        await self._wakeup.acquire()
        if self._closed:
            self._wakeup.release()
            return None
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on a key has ended, in whatever way."""
        self._processing.discard(key)
        if key in self._dirty and not self._closed:
            self._push(key)

    def shutdown(self) -> None:
        """Drop everything; `get` returns None from now on."""
        self._closed = True
        for _, task in self._delayed.values():
            task.cancel()
        self._delayed.clear()
        self._ready.clear()
        self._dirty.clear()
        self._wakeup.release()

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wakeup.release()

    async def _add_later(self, key: K, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._delayed.pop(key, None)
        self.add(key)
