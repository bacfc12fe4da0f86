"""Backups of the store."""

import os
import sqlite3
from pathlib import Path

import pytest

from kobune.embedded.store import Corrupt, Key, RevisionLog, SqliteJournal, StoreInUse, backup, restore


async def filled(path: Path, count: int) -> RevisionLog:
    log = RevisionLog(SqliteJournal(path))
    list(log.open())
    for n in range(count):
        await log.append(Key("r", "", f"{log.revision}-{n}"), 0, lambda revision: ("v1 X", b'"a":1}'))
    return log


async def test_a_backup_of_a_running_server_has_everything_durable(tmp_path: Path) -> None:
    store, copy = tmp_path / "store.db", tmp_path / "copy.db"
    log = await filled(store, 5)
    assert backup(store, copy) == 5
    assert copy.stat().st_mode & 0o777 == 0o600
    await log.append(Key("r", "", "later"), 0, lambda revision: ("v1 X", b'"a":1}'))
    with pytest.raises(StoreInUse):
        restore(copy, store)
    await log.close()
    assert restore(copy, store) == 5
    log = RevisionLog(SqliteJournal(store))
    assert len(list(log.open())) == 5
    await log.close()


async def test_a_bad_backup_changes_nothing(tmp_path: Path) -> None:
    store, bad = tmp_path / "store.db", tmp_path / "bad.db"
    await (await filled(store, 2)).close()
    before = store.read_bytes()
    bad.write_bytes(b"no database")
    with pytest.raises(Corrupt):
        restore(bad, store)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE x (y)")
    other.close()
    with pytest.raises(Corrupt, match="another program"):
        restore(tmp_path / "other.db", store)
    assert store.read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
