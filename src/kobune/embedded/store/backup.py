"""Copies of the store: made while a server runs or not, put back only while none does.

Owns: consistency (one snapshot, checked) and atomicity (the target is whole or untouched).
"""

import os
import sqlite3
import tempfile
from pathlib import Path

from kobune.embedded.store.errors import Corrupt, NewerVersion
from kobune.embedded.store.sqlite import APPLICATION_ID, FORMAT, SqliteJournal
from kobune.host.files import sync_directory

__all__ = ["backup", "check", "newest_revision", "restore"]


def backup(store: Path, target: Path) -> int:
    """Copy the store to `target` (mode 0600); gives the newest revision in the copy.

    A running server goes on meanwhile: the copy is one snapshot of what is durable. Raises Corrupt, NewerVersion.
    """
    source = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return _copy(source, store, target)
    finally:
        source.close()


def check(file: Path) -> int:
    """The newest revision of a backup that nobody has open. Raises Corrupt, NewerVersion."""
    source = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return _check(source, file)
    except sqlite3.DatabaseError as error:
        raise Corrupt(file, str(error)) from error
    finally:
        source.close()


def newest_revision(store: Path) -> int:
    """The newest revision that a store tells of, without a check of the rest; 0 when it can't be read."""
    try:
        source = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return _newest(source)
        finally:
            source.close()
    except sqlite3.DatabaseError:
        return 0


def restore(file: Path, store: Path, *, beyond: int = 0) -> int:
    """Put a backup in the place of the store; gives its newest revision.

    Revisions up to `beyond` are never given out: clients may have seen them before the store went back in time. Watches
    from before that gap are refused as compacted, so that their clients list again.
    Raises StoreInUse when a server runs, Corrupt or NewerVersion for a bad backup; then nothing has changed.
    """
    lock = SqliteJournal(store)
    lock.take_lock()
    try:
        source = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            revision = _copy(source, file, store, beyond)
        finally:
            source.close()
        # The write-ahead log belonged to the file that was replaced. A caller that must survive being killed just
        # here notes its intent first and calls again: SQLite would apply the old log to the new file.
        for suffix in ("-wal", "-shm"):
            store.with_name(store.name + suffix).unlink(missing_ok=True)
        return revision
    finally:
        lock.close()


def _copy(source: sqlite3.Connection, name: Path, target: Path, beyond: int = 0) -> int:
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    try:
        copy = sqlite3.connect(temporary)
        try:
            source.backup(copy)
            revision = _check(copy, name)
            if beyond > revision:
                revision = beyond
                with copy:
                    copy.execute("UPDATE state SET value = ? WHERE name IN ('revision', 'compacted')", (revision,))
        finally:
            copy.close()
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_directory(target.parent)
    except sqlite3.DatabaseError as error:
        Path(temporary).unlink(missing_ok=True)
        raise Corrupt(name, str(error)) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return revision


def _check(copy: sqlite3.Connection, name: Path) -> int:
    if copy.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Corrupt(name, "it belongs to another program")
    found = copy.execute("PRAGMA user_version").fetchone()[0]
    if found > FORMAT:
        raise NewerVersion(name, found, FORMAT)
    problem = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if problem != "ok":
        raise Corrupt(name, str(problem))
    return _newest(copy)


def _newest(database: sqlite3.Connection) -> int:
    newest = database.execute("SELECT max(revision) FROM log").fetchone()[0] or 0
    kept = database.execute("SELECT value FROM state WHERE name = 'revision'").fetchone()[0]
    return max(int(newest), int(kept))
