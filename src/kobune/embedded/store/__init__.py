"""The append-only revision log under the embedded API server: memory and SQLite behind one interface."""

from kobune.embedded.store.backup import backup, check, newest_revision, restore
from kobune.embedded.store.errors import (
    Compacted,
    Corrupt,
    DiskFull,
    NewerVersion,
    RevisionConflict,
    StoreError,
    StoreFailed,
    StoreInUse,
)
from kobune.embedded.store.journal import Journal, Loaded
from kobune.embedded.store.log import RevisionLog
from kobune.embedded.store.memory import MemoryJournal
from kobune.embedded.store.sqlite import SqliteJournal, check_format
from kobune.embedded.store.types import Entry, Key

__all__ = [
    "Compacted",
    "Corrupt",
    "DiskFull",
    "Entry",
    "Journal",
    "Key",
    "Loaded",
    "MemoryJournal",
    "NewerVersion",
    "RevisionConflict",
    "RevisionLog",
    "SqliteJournal",
    "StoreError",
    "StoreFailed",
    "StoreInUse",
    "backup",
    "check",
    "check_format",
    "newest_revision",
    "restore",
]
