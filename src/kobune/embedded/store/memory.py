"""A journal that lives as long as the process: for tests and throw-away servers."""

from collections.abc import Sequence

from kobune.embedded.store.journal import Loaded
from kobune.embedded.store.types import Entry

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """Keeps entries in a dict; `load` again after `close` finds them, like a file."""

    blocking = False

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._revision = 0
        self._compacted = 0

    def load(self) -> Loaded:
        """What earlier commits left."""
        return Loaded(self._revision, self._compacted, iter(list(self._entries.values())))

    def commit(self, batch: Sequence[Entry]) -> None:
        """Keep the batch."""
        for entry in batch:
            self._entries[entry.revision] = entry
        self._revision = batch[-1].revision

    def compact(self, revision: int, garbage: Sequence[int]) -> None:
        """Drop superseded entries."""
        for number in garbage:
            self._entries.pop(number, None)
        self._compacted = revision

    def close(self) -> None:
        """Nothing to release."""
