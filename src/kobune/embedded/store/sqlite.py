"""The journal on SQLite: write-ahead log, one fsync per commit, one process at a time.

Owns the file and its format version. Must not know what an entry means.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from kobune.embedded.store.errors import Corrupt, DiskFull, NewerVersion, StoreInUse
from kobune.embedded.store.journal import Loaded
from kobune.embedded.store.types import Entry, Key

__all__ = ["APPLICATION_ID", "FORMAT", "SqliteJournal", "check_format"]

FORMAT = 1
APPLICATION_ID = 0x4B6F6275  # "Kobu" in the file's header
_SCHEMA = """
CREATE TABLE log (
    revision  INTEGER PRIMARY KEY,
    resource  TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    created   INTEGER NOT NULL,
    previous  INTEGER NOT NULL,
    deleted   INTEGER NOT NULL,
    type      TEXT NOT NULL,
    body      BLOB NOT NULL
) STRICT;
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO state VALUES ('compacted', 0), ('revision', 0);
"""


@contextlib.contextmanager
def _room(path: Path) -> Iterator[None]:
    """Tell a full disk, which SQLite has answered by rolling back, from disks that fail."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise DiskFull(f"there is no room on the disk of {path}") from error
        raise


def check_format(store: Path) -> None:
    """Refuse a file that no journal of this version can open, by its header alone: nothing is locked or changed.

    Raises NewerVersion and Corrupt. A file that is not there, or was only just made, is fine.
    """
    try:
        with store.open("rb") as file:
            header = file.read(100)
    except (FileNotFoundError, NotADirectoryError):
        return
    if not header:
        return
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise Corrupt(store, "file is not a database")
    # Offsets of the file format's documentation.
    found, application = int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:72], "big")
    if application not in (0, APPLICATION_ID):
        raise Corrupt(store, "it belongs to another program")
    if found > FORMAT:
        raise NewerVersion(store, found, FORMAT)


class SqliteJournal:
    """`path` is made with mode 0600 when missing. The lock file beside it is held while the journal is open."""

    blocking = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._database: sqlite3.Connection | None = None

    def load(self) -> Loaded:
        """Open the file and read everything in it.

        Raises StoreInUse, NewerVersion, Corrupt.
        """
        self.take_lock()
        try:
            database = self._open()
            counters = dict(database.execute("SELECT name, value FROM state").fetchall())
            last = database.execute("SELECT max(revision) FROM log").fetchone()[0] or 0
        except sqlite3.DatabaseError as error:
            self.close()
            raise Corrupt(self._path, str(error)) from error
        except BaseException:
            self.close()
            raise
        return Loaded(max(last, counters.get("revision", 0)), counters.get("compacted", 0), self._read(database))

    def commit(self, batch: Sequence[Entry]) -> None:
        """One transaction, durable on return (synchronous=FULL)."""
        database = self._connected()
        rows = [(e.revision, *e.key, e.created, e.previous, e.deleted, e.type, e.body) for e in batch]
        with _room(self._path), database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO log VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def compact(self, revision: int, garbage: Sequence[int]) -> None:
        """Delete superseded rows and give their pages back to the file system."""
        database = self._connected()
        with _room(self._path), database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("DELETE FROM log WHERE revision = ?", [(number,) for number in garbage])
            database.execute("UPDATE state SET value = ? WHERE name = 'compacted'", (revision,))
            # A deletion may have been the newest row: its number must never be given out again.
            database.execute("UPDATE state SET value = max(value, ?) WHERE name = 'revision'", (revision,))
        with _room(self._path):
            database.execute("PRAGMA incremental_vacuum").fetchall()

    def close(self) -> None:
        """Checkpoint and let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def take_lock(self) -> None:
        """Make sure that nobody else has the store. Raises StoreInUse."""
        lock_path = self._path.with_name(self._path.name + ".lock")
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreInUse(self._path) from None
        self._lock = descriptor

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # The log's thread commits, the loading thread reads: never at the same time.
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=16)
        self._database = database
        found = database.execute("PRAGMA user_version").fetchone()[0]
        application = database.execute("PRAGMA application_id").fetchone()[0]
        if found == 0 and application == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._configure(database)
            database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version={FORMAT}; PRAGMA application_id={APPLICATION_ID}; COMMIT;"
            )
            return database
        if application != APPLICATION_ID:
            raise Corrupt(self._path, "it belongs to another program")
        if found > FORMAT:
            raise NewerVersion(self._path, found, FORMAT)
        self._configure(database)
        return database

    @staticmethod
    def _configure(database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode=WAL").fetchall()
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA cache_size=-2048")  # KiB; reads happen once, at start
        database.execute("PRAGMA wal_autocheckpoint=2000")

    def _read(self, database: sqlite3.Connection) -> Iterator[Entry]:
        intern: dict[str, str] = {}
        try:
            for revision, resource, namespace, name, created, previous, deleted, kind, body in database.execute(
                "SELECT * FROM log ORDER BY revision"
            ):
                key = Key(intern.setdefault(resource, resource), intern.setdefault(namespace, namespace), name)
                yield Entry(revision, key, created, previous, bool(deleted), intern.setdefault(kind, kind), bytes(body))
        except sqlite3.DatabaseError as error:
            raise Corrupt(self._path, str(error)) from error

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("the journal is closed")
        return self._database
