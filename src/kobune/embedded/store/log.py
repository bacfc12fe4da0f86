"""The revision log: gives out revisions, checks expectations, shares commits, tells subscribers in order.

All methods belong to the event loop's thread. A revision is given out at once and its entry encoded with it; the write
is acknowledged (and told to subscribers) only when its batch is durable. One thread commits: whatever was appended
while it waited for the disk becomes the next batch, so concurrent writers share an fsync.

A full disk refuses what waits, and is asked again by the next write. Whatever was appended after the refused batch
counted on it: the committing thread lets it go until the loop has taken it back (`_refused`) and says so by `_RESUMED`.
"""

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from kobune.embedded.store.errors import DiskFull, RevisionConflict, StoreFailed
from kobune.embedded.store.journal import Journal
from kobune.embedded.store.types import Entry, Key

__all__ = ["RevisionLog"]

log = logging.getLogger(__name__)

Subscriber = Callable[[Sequence[Entry]], None]
Encode = Callable[[int], tuple[str, bytes]]

_BATCH = 512
"""Entries per commit at most: bounds how long one transaction holds its waiters."""


class RevisionLog:
    """The log over `journal`; call `open` in the loop that will use it, `close` at the end."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._heads: dict[
            Key, tuple[int, int]
        ] = {}  # live key -> (newest revision, created), uncommitted ones included
        self._garbage: deque[tuple[int, int]] = deque()  # (revision that superseded, superseded revision), ascending
        self._uncollected: list[int] = []  # garbage that there was no room to collect
        self._subscribers: list[Subscriber] = []
        self._waiting: deque[tuple[int, asyncio.Future[Entry] | None, Entry]] = deque()
        self._settling: list[tuple[int, asyncio.Future[None]]] = []
        self._commands: queue.SimpleQueue[Entry | tuple[int, list[int], asyncio.Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._allocated = 0
        self.revision = 0
        """Newest durable revision."""
        self.compacted = 0
        """History starts after this revision."""

    def open(self) -> Iterator[Entry]:
        """Open the journal and give every kept entry, in order; the caller reads it to the end before the first append.

        Raises StoreInUse, NewerVersion, Corrupt.
        """
        self._loop = asyncio.get_running_loop()
        loaded = self._journal.load()
        self.revision = self._allocated = loaded.revision
        self.compacted = loaded.compacted
        for entry in loaded.entries:
            self._account(entry)
            yield entry
        if self._journal.blocking:
            self._thread = threading.Thread(target=self._commit_batches, name="store", daemon=True)
            self._thread.start()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with every durable batch, in order, before its writers are told."""
        self._subscribers.append(subscriber)

    def head(self, key: Key) -> int:
        """The newest revision of a live key, durable or not; 0 when there is none."""
        found = self._heads.get(key)
        return found[0] if found else 0

    def append(self, key: Key, expected: int, encode: Encode, *, deleted: bool = False) -> "asyncio.Future[Entry]":
        """Write the next revision of `key`; the future ends when it is durable.

        `expected` is the newest revision the caller has seen, 0 for "does not exist". `encode` gets the new revision
        and gives (type, body). Raises RevisionConflict at once; the future raises StoreFailed.
        """
        if self._failure is not None:
            raise StoreFailed(f"the store failed earlier: {self._failure}")
        current, created = self._heads.get(key, (0, 0))
        if current != expected:
            raise RevisionConflict(expected, current)
        revision = self._allocated + 1
        kind, body = encode(revision)
        self._allocated = revision
        entry = Entry(revision, key, created or revision, current, deleted, kind, body)
        self._account(entry)
        future: asyncio.Future[Entry] = self._loop.create_future()
        self._waiting.append((revision, future, entry))
        if self._thread is None:
            self._journal.commit([entry])
            self._committed(revision)
        else:
            self._commands.put(entry)
        return future

    async def settle(self) -> None:
        """Wait until everything appended so far is durable (or failed)."""
        if self.revision >= self._allocated or self._failure is not None:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        self._settling.append((self._allocated, future))
        await future

    async def compact(self, revision: int) -> int:
        """Forget history up to `revision` (live objects stay); gives the number of dropped entries."""
        revision = min(revision, self.revision)
        if revision <= self.compacted:
            return 0
        numbers, self._uncollected = self._uncollected, []
        while self._garbage and self._garbage[0][0] <= revision:
            numbers.append(self._garbage.popleft()[1])
        self.compacted = revision
        if self._thread is None:
            self._journal.compact(revision, numbers)
        else:
            done: asyncio.Future[None] = self._loop.create_future()
            self._commands.put((revision, numbers, done))
            await done
        return len(numbers)

    @property
    def superseded(self) -> int:
        """Entries that a compaction up to now would drop."""
        return len(self._garbage)

    async def close(self) -> None:
        """Commit what is waiting and close the journal."""
        if self._thread is not None:
            await self.settle()
            self._commands.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        self._journal.close()

    def _account(self, entry: Entry) -> None:
        if entry.previous:
            self._garbage.append((entry.revision, entry.previous))
        if entry.deleted:
            self._heads.pop(entry.key, None)
            self._garbage.append((entry.revision, entry.revision))
        else:
            self._heads[entry.key] = (entry.revision, entry.created)

    def _commit_batches(self) -> None:
        """The committing thread: takes everything that waits, up to a bound, into one transaction."""
        command = self._commands.get()
        while command is not None:
            if isinstance(command, Entry):
                batch = [command]
                command = self._gather(batch)
                try:
                    self._journal.commit(batch)
                except DiskFull as error:
                    self._tell(self._refused, error)
                    command = self._skip(command)
                    continue
                except Exception as error:
                    self._tell(self._failed, error)
                    return
                self._tell(self._committed, batch[-1].revision)
                if command is _NOTHING:
                    command = self._commands.get()
            else:
                revision, numbers, done = command
                try:
                    self._journal.compact(revision, numbers)
                except DiskFull:
                    self._tell(self._not_compacted, numbers, done)
                    command = self._commands.get()
                    continue
                except Exception as error:
                    self._tell(self._failed, error)
                    return
                self._tell(_finish, done)
                command = self._commands.get()

    def _skip(
        self, command: "Entry | tuple[int, list[int], asyncio.Future[None]] | None"
    ) -> "Entry | tuple[int, list[int], asyncio.Future[None]] | None":
        """Let go of everything up to `_RESUMED`; the command after it."""
        while command is not _RESUMED:
            if command is None:
                return None
            if not isinstance(command, Entry):
                _, numbers, done = command
                self._tell(self._not_compacted, numbers, done)
            command = self._commands.get()
        return self._commands.get()

    def _gather(self, batch: list[Entry]) -> "Entry | tuple[int, list[int], asyncio.Future[None]] | None":
        while len(batch) < _BATCH:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return _NOTHING
            if not isinstance(command, Entry):
                return command
            batch.append(command)
        return _NOTHING

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            log.debug("the event loop is closed; nobody is left to be told")

    def _committed(self, revision: int) -> None:
        batch: list[Entry] = []
        futures: list[tuple[asyncio.Future[Entry] | None, Entry]] = []
        while self._waiting and self._waiting[0][0] <= revision:
            _, future, entry = self._waiting.popleft()
            batch.append(entry)
            futures.append((future, entry))
        self.revision = revision
        for subscriber in self._subscribers:
            subscriber(batch)
        for future, entry in futures:
            if future is not None and not future.done():
                future.set_result(entry)
        if self._settling:
            for target, waiter in self._settling:
                if target <= revision and not waiter.done():
                    waiter.set_result(None)
            self._settling = [pair for pair in self._settling if pair[0] > revision]

    def _failed(self, error: BaseException) -> None:
        """The disk fails: what was not acknowledged never happened, and nothing more is accepted."""
        log.critical("the store cannot write: %s", error)
        self._failure = error
        self._reject(StoreFailed(f"the store cannot write: {error}"))

    def _refused(self, error: DiskFull) -> None:
        """The disk is full: what was not acknowledged never happened; the next write is another attempt."""
        log.error("the store cannot write: %s", error)
        for _, _, entry in reversed(self._waiting):
            self._take_back(entry)
        self._allocated = self.revision
        self._reject(error)
        self._commands.put(_RESUMED)

    def _take_back(self, entry: Entry) -> None:
        """The opposite of `_account` for the newest entry that was accounted. Its revision was told to nobody."""
        if entry.deleted:
            self._garbage.pop()
        if entry.previous:
            self._garbage.pop()
            self._heads[entry.key] = (entry.previous, entry.created)
        else:
            self._heads.pop(entry.key, None)

    def _not_compacted(self, numbers: list[int], done: "asyncio.Future[None]") -> None:
        """There was no room even for forgetting: it is tried again with the next compaction."""
        self._uncollected += numbers
        _finish(done)

    def _reject(self, error: StoreFailed) -> None:
        for _, future, _ in self._waiting:
            if future is not None and not future.done():
                future.set_exception(error)
        self._waiting.clear()
        for _, waiter in self._settling:
            if not waiter.done():
                waiter.set_result(None)
        self._settling.clear()


_NOTHING = Entry(0, Key("", "", ""), 0, 0, False, "", b"")
"""Marks "no command waits" between `_gather` and its caller."""

_RESUMED = Entry(0, Key("", "", ""), 0, 0, False, "", b"")
"""Tells the committing thread that what counted on a refused batch was taken back."""


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
