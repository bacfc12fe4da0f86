"""The revision log under both journals: one suite."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kobune.embedded.store import (
    Corrupt,
    DiskFull,
    Entry,
    Journal,
    Key,
    MemoryJournal,
    NewerVersion,
    RevisionConflict,
    RevisionLog,
    SqliteJournal,
    StoreFailed,
    StoreInUse,
)

KEY = Key("core/pods", "ns", "a")
OTHER = Key("core/pods", "ns", "b")


def body(text: str) -> Callable[[int], tuple[str, bytes]]:
    """An encoder of a body that tells its revision."""
    return lambda revision: ("v1 Pod", f'"v":"{text}@{revision}"}}'.encode())


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Journal]:
    """Opens the same journal again and again."""
    if request.param == "memory":
        memory = MemoryJournal()
        return lambda: memory
    return lambda: SqliteJournal(tmp_path / "store.db")


async def opened(journal: Callable[[], Journal]) -> tuple[RevisionLog, list[Entry]]:
    log = RevisionLog(journal())
    return log, list(log.open())


async def test_revisions_rise_and_survive_a_restart(journal: Callable[[], Journal]) -> None:
    log, entries = await opened(journal)
    assert entries == []
    first = await log.append(KEY, 0, body("one"))
    second = await log.append(KEY, first.revision, body("two"))
    assert (first.revision, second.revision) == (1, 2)
    assert (second.created, second.previous) == (1, 1)
    await log.close()

    log, entries = await opened(journal)
    assert [e.revision for e in entries] == [1, 2]
    assert entries[1].body == b'"v":"two@2"}'
    assert log.revision == 2
    assert log.head(KEY) == 2
    await log.close()


async def test_a_write_against_an_old_revision_is_refused(journal: Callable[[], Journal]) -> None:
    log, _ = await opened(journal)
    await log.append(KEY, 0, body("one"))
    with pytest.raises(RevisionConflict) as conflict:
        log.append(KEY, 0, body("again"))
    assert (conflict.value.expected, conflict.value.current) == (0, 1)
    await log.close()


async def test_a_write_that_is_not_durable_yet_already_counts_for_conflicts(journal: Callable[[], Journal]) -> None:
    log, _ = await opened(journal)
    pending = log.append(KEY, 0, body("one"))
    with pytest.raises(RevisionConflict):
        log.append(KEY, 0, body("two"))
    await pending
    await log.close()


async def test_a_deletion_keeps_the_last_state_and_frees_the_key(journal: Callable[[], Journal]) -> None:
    log, _ = await opened(journal)
    first = await log.append(KEY, 0, body("one"))
    gone = await log.append(KEY, first.revision, body("last"), deleted=True)
    assert gone.deleted
    assert log.head(KEY) == 0
    again = await log.append(KEY, 0, body("new"))
    assert again.created == again.revision == 3
    await log.close()


async def test_subscribers_see_every_batch_in_order_before_the_writer(journal: Callable[[], Journal]) -> None:
    log, _ = await opened(journal)
    seen: list[int] = []
    log.subscribe(lambda batch: seen.extend(e.revision for e in batch))
    writes = [log.append(Key("core/pods", "ns", str(n)), 0, body(str(n))) for n in range(200)]
    entry = await writes[120]
    assert entry.revision in seen
    await asyncio.gather(*writes)
    assert seen == list(range(1, 201))
    await log.close()


async def test_compaction_drops_what_is_superseded_and_nothing_else(journal: Callable[[], Journal]) -> None:
    log, _ = await opened(journal)
    first = await log.append(KEY, 0, body("one"))
    await log.append(KEY, first.revision, body("two"))
    other = await log.append(OTHER, 0, body("other"))
    await log.append(OTHER, other.revision, body("other"), deleted=True)
    last = await log.append(Key("core/pods", "ns", "c"), 0, body("c"))
    assert await log.compact(4) == 3
    assert log.compacted == 4
    await log.close()

    log, entries = await opened(journal)
    assert [e.revision for e in entries] == [2, last.revision]
    assert log.compacted == 4
    await log.close()


async def test_a_revision_is_never_given_out_twice_even_when_its_entry_is_compacted(
    journal: Callable[[], Journal],
) -> None:
    log, _ = await opened(journal)
    first = await log.append(KEY, 0, body("one"))
    await log.append(KEY, first.revision, body("one"), deleted=True)
    await log.compact(2)
    await log.close()
    log, entries = await opened(journal)
    assert entries == []
    assert (await log.append(KEY, 0, body("new"))).revision == 3
    await log.close()


async def test_settle_waits_for_everything_appended_before(journal: Callable[[], Journal]) -> None:
    log, _ = await opened(journal)
    for n in range(20):
        log.append(Key("core/pods", "ns", str(n)), 0, body(str(n)))
    await log.settle()
    assert log.revision == 20
    await log.close()


async def test_concurrent_writers_share_commits(tmp_path: Path) -> None:
    class Counting(SqliteJournal):
        commits = 0

        def commit(self, batch: Sequence[Entry]) -> None:
            Counting.commits += 1
            super().commit(batch)

    log = RevisionLog(Counting(tmp_path / "store.db"))
    list(log.open())
    await asyncio.gather(*(log.append(Key("r", "", str(n)), 0, body("x")) for n in range(300)))
    await log.close()
    assert Counting.commits < 150


async def test_a_failing_disk_fails_the_write_and_everything_after_it(tmp_path: Path) -> None:
    class Full(SqliteJournal):
        def commit(self, batch: Sequence[Entry]) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    log = RevisionLog(Full(tmp_path / "store.db"))
    list(log.open())
    with pytest.raises(StoreFailed, match="full"):
        await log.append(KEY, 0, body("x"))
    with pytest.raises(StoreFailed):
        log.append(OTHER, 0, body("y"))
    await log.close()


class Narrow(SqliteJournal):
    """A disk that is full while the test says so."""

    full = False

    def commit(self, batch: Sequence[Entry]) -> None:
        if self.full:
            raise DiskFull("there is no room")
        super().commit(batch)

    def compact(self, revision: int, garbage: Sequence[int]) -> None:
        if self.full:
            raise DiskFull("there is no room")
        super().compact(revision, garbage)


async def test_a_full_disk_refuses_and_takes_writes_again_once_there_is_room(tmp_path: Path) -> None:
    journal = Narrow(tmp_path / "store.db")
    log = RevisionLog(journal)
    list(log.open())
    seen: list[int] = []
    log.subscribe(lambda batch: seen.extend(entry.revision for entry in batch))
    first = await log.append(KEY, 0, body("x"))
    journal.full = True
    # Each of them counts on the one before.
    refused = [log.append(KEY, first.revision, body("y")), log.append(OTHER, 0, body("z"))]
    refused.append(log.append(KEY, log.head(KEY), body(""), deleted=True))
    refused.append(log.append(KEY, 0, body("again")))
    for future in refused:
        with pytest.raises(DiskFull):
            await future
    assert (log.head(KEY), log.head(OTHER), log.revision) == (first.revision, 0, first.revision)
    with pytest.raises(DiskFull):
        await log.append(OTHER, 0, body("z"))
    assert await log.compact(log.revision) == 0
    journal.full = False
    second = await log.append(KEY, first.revision, body("y"))
    third = await log.append(KEY, second.revision, body(""), deleted=True)
    assert seen == [first.revision, second.revision, third.revision] == [1, 2, 3]
    journal.full = True
    assert await log.compact(3) == 3
    journal.full = False
    fourth = await log.append(OTHER, 0, body("z"))
    assert await log.compact(fourth.revision) == 3, "what there was no room to forget is forgotten now"
    await log.close()
    after = RevisionLog(SqliteJournal(tmp_path / "store.db"))
    assert [(entry.key, entry.revision) for entry in after.open()] == [(OTHER, fourth.revision)]
    await after.close()


async def test_writers_beside_a_disk_that_is_full_now_and_then_lose_nothing_acknowledged(tmp_path: Path) -> None:
    journal = Narrow(tmp_path / "store.db")
    log = RevisionLog(journal)
    list(log.open())
    kept: dict[Key, int] = {}
    chance = random.Random(7)

    async def write(key: Key) -> None:
        for _ in range(60):
            journal.full = chance.random() < 0.3
            deleted = log.head(key) > 0 and chance.random() < 0.3
            try:
                entry = await log.append(key, log.head(key), body("x"), deleted=deleted)
            except DiskFull:
                assert log.head(key) == kept.get(key, 0)
                continue
            if deleted:
                kept.pop(key)
            else:
                kept[key] = entry.revision

    await asyncio.gather(*(write(Key("r", "", str(number))) for number in range(8)))
    journal.full = False
    assert {key: log.head(key) for key in kept} == kept
    await log.compact(log.revision)
    await log.close()
    after = RevisionLog(SqliteJournal(tmp_path / "store.db"))
    assert {entry.key: entry.revision for entry in after.open()} == kept
    await after.close()


async def test_a_store_in_use_by_another_is_refused(tmp_path: Path) -> None:
    log = RevisionLog(SqliteJournal(tmp_path / "store.db"))
    list(log.open())
    with pytest.raises(StoreInUse, match="in use"):
        SqliteJournal(tmp_path / "store.db").load()
    await log.close()
    SqliteJournal(tmp_path / "store.db").load()


def test_a_newer_format_is_reported_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    journal = SqliteJournal(path)
    journal.load()
    journal.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    before = path.read_bytes()
    with pytest.raises(NewerVersion) as error:
        SqliteJournal(path).load()
    assert error.value.found == 99
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"SQLite format 3\x00" + b"\xff" * 5000, b"no database at all" * 100])
def test_a_damaged_file_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(Corrupt, match="damaged or not a Kobune store"):
        SqliteJournal(path).load()


def test_a_database_of_another_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(Corrupt, match="another program"):
        SqliteJournal(path).load()


async def test_damage_in_the_middle_is_found_while_loading(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    log = RevisionLog(SqliteJournal(path))
    list(log.open())
    for n in range(400):
        log.append(Key("r", "", str(n)), 0, lambda revision: ("v1 X", b'"v":"' + b"x" * 900 + b'"}'))
    await log.settle()
    await log.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(bytes(data))
    log = RevisionLog(SqliteJournal(path))
    with pytest.raises(Corrupt):
        list(log.open())


def test_the_file_is_private(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "store.db")
    journal.load()
    assert (tmp_path / "store.db").stat().st_mode & 0o777 == 0o600
    journal.close()
