"""The port below the log: where committed entries are kept."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from kobune.embedded.store.types import Entry

__all__ = ["Journal", "Loaded"]


class Loaded(NamedTuple):
    """What a journal holds when it is opened; `entries` are in revision order and read once."""

    revision: int
    compacted: int
    entries: Iterator[Entry]


class Journal(Protocol):
    """Keeps entries. `commit` and `compact` are only called by the log, one at a time, in revision order."""

    blocking: bool
    """True when `commit` waits for a disk, so that the log calls it in a thread of its own."""

    def load(self) -> Loaded:
        """Open. Raises StoreInUse, NewerVersion or Corrupt."""
        ...

    def commit(self, batch: Sequence[Entry]) -> None:
        """Keep the batch, all or nothing; on return it survives a power failure (as far as this journal ever does).

        Raises DiskFull when nothing of it was kept for want of room; after any other failure the log writes no more.
        """
        ...

    def compact(self, revision: int, garbage: Sequence[int]) -> None:
        """Drop the entries with the revisions in `garbage` and remember that history starts after `revision`.

        Raises DiskFull as `commit` does.
        """
        ...

    def close(self) -> None:
        """Close; further calls are errors."""
        ...
