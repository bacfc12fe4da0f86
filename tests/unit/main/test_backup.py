"""Backups of an instance: whole or nothing, checked before anything changes."""

import gzip
import hashlib
import importlib
import io
import json
import os
import signal
import sqlite3
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kobune.base.errors import KobuneError, TerminalError
from kobune.embedded.store import Key, NewerVersion, RevisionLog, SqliteJournal, StoreInUse
from kobune.main.archive import BadBackup
from kobune.main.backup import save
from kobune.main.instance import InstanceRunning, hold_instance
from kobune.main.restore import restore_file
from kobune.main.restoring import SKIPPED_REVISIONS, finish_interrupted
from kobune.main.unfinished import MARKER, RestoreInterrupted, check_restored


async def instance(folder: Path, name: str, *keys: str) -> Path:
    """A stopped instance's data directory with one object per key."""
    data = folder / name
    (data / "pki").mkdir(parents=True)
    (data / "pki" / "ca.crt").write_text(f"certificate of {name}")
    (data / "pki" / "ca.key").write_text(f"key of {name}")
    log = RevisionLog(SqliteJournal(data / "store.db"))
    list(log.open())
    for key in keys:
        await log.append(Key("core/configmaps", "default", key), 0, lambda revision: ("v1 ConfigMap", b'"a":1}'))
    await log.close()
    return data


async def objects(data: Path) -> tuple[list[str], int, int]:
    """(names, revision, compacted) of a store."""
    log = RevisionLog(SqliteJournal(data / "store.db"))
    names = [entry.key.name for entry in log.open()]
    found = names, log.revision, log.compacted
    await log.close()
    return found


def contents(data: Path) -> dict[str, bytes]:
    """Every file that matters, to show that nothing changed."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in data.rglob("*")
        if path.is_file() and not path.name.endswith((".lock", "-shm", "-wal"))
    }


async def test_a_restored_instance_has_the_objects_and_identities_of_the_backup(tmp_path: Path) -> None:
    first = await instance(tmp_path, "first", "a", "b")
    manifest = save(first, tmp_path / "copy")
    assert manifest.revision == 2
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["copy", "first"], "no temporary files stay"
    other = await instance(tmp_path, "other", "c")
    replaced = Path(restore_file(tmp_path / "copy", other).replaced)
    names, revision, compacted = await objects(other)
    assert names == ["a", "b"]
    assert (revision, compacted) == (2 + SKIPPED_REVISIONS, 2 + SKIPPED_REVISIONS)
    assert (other / "pki" / "ca.key").read_text() == "key of first"
    assert stat.S_IMODE((other / "pki" / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((other / "pki").stat().st_mode) == 0o700
    assert (replaced / "pki" / "ca.key").read_text() == "key of other"
    assert (await objects(replaced))[0] == ["c"]
    check_restored(other)


async def test_restoring_into_nothing_makes_an_instance(tmp_path: Path) -> None:
    save(await instance(tmp_path, "first", "a"), tmp_path / "copy")
    assert restore_file(tmp_path / "copy", tmp_path / "new").replaced == ""
    assert (await objects(tmp_path / "new"))[0] == ["a"]


async def test_a_backup_is_taken_while_the_instance_runs(tmp_path: Path) -> None:
    data = await instance(tmp_path, "first", "a")
    log = RevisionLog(SqliteJournal(data / "store.db"))
    list(log.open())
    await log.append(Key("r", "", "durable"), 0, lambda revision: ("v1 X", b'"a":1}'))
    (data / "run").mkdir()
    with hold_instance(data / "run"):
        assert save(data, tmp_path / "copy").revision == 2
        with pytest.raises(InstanceRunning, match="kobune down"):
            restore_file(tmp_path / "copy", data)
    with pytest.raises(StoreInUse):
        restore_file(tmp_path / "copy", data)
    assert not (data / MARKER).exists()
    assert not list(data.glob("replaced-*"))
    await log.close()


def flipped(content: bytes) -> bytes:
    """One bit of the store's data inside of the archive differs."""
    plain = bytearray(gzip.decompress(content))
    plain[plain.rindex(b"ConfigMap")] ^= 1
    return gzip.compress(bytes(plain))


def archive(manifest: object, **members: bytes) -> bytes:
    """A tar as an attacker may write it."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as tar:
        for name, content in {"manifest.json": json.dumps(manifest).encode(), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return output.getvalue()


def manifest(**changes: object) -> dict[str, object]:
    return {"format": 1, "kobune": "1", "created": "now", "revision": 1, "files": {}, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], "damaged, incomplete or no backup"),
        (lambda content: content[:-10], "damaged, incomplete or no backup"),
        (flipped, "store.db is damaged"),
        (lambda content: b"", "damaged, incomplete or no backup"),
        (lambda content: b"SQLite format 3\0", "damaged, incomplete or no backup"),
        (lambda content: archive({"format": 2, "new": {}}), "format 2"),
        (lambda content: archive([]), "manifest is damaged"),
        (lambda content: archive(manifest()), "store.db missing"),
        (lambda content: archive(manifest(files={"../../etc/passwd": "0"})), "which no backup has"),
        (lambda content: archive(manifest(), **{"../outside": b"x"}), "does not name"),
    ],
    ids=["half", "no end", "bit flip", "empty", "other file", "newer", "no manifest", "no store", "path", "unnamed"],
)
async def test_a_bad_backup_changes_nothing(tmp_path: Path, change: Callable[[bytes], bytes], message: str) -> None:
    save(await instance(tmp_path, "first", "a"), tmp_path / "copy")
    bad = tmp_path / "bad"
    bad.write_bytes(change((tmp_path / "copy").read_bytes()))
    other = await instance(tmp_path, "other", "c")
    before = contents(other)
    with pytest.raises(BadBackup, match=message) as error:
        restore_file(bad, other)
    assert "nothing was changed" in str(error.value)
    assert contents(other) == before
    with pytest.raises(BadBackup):
        restore_file(bad, tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_a_store_of_a_newer_kobune_changes_nothing(tmp_path: Path) -> None:
    newer = await instance(tmp_path, "newer", "a")
    save(newer, tmp_path / "copy")
    with gzip.open(tmp_path / "copy") as plain, tarfile.open(fileobj=io.BytesIO(plain.read())) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    database = sqlite3.connect(tmp_path / "unpacked" / "store.db")
    database.execute("PRAGMA user_version=99")
    database.close()
    content = (tmp_path / "unpacked" / "store.db").read_bytes()
    files = {"store.db": hashlib.sha256(content).hexdigest()}
    (tmp_path / "copy").write_bytes(archive(manifest(files=files), **{"store.db": content}))
    other = await instance(tmp_path, "other", "c")
    before = contents(other)
    with pytest.raises(NewerVersion):
        restore_file(tmp_path / "copy", other)
    assert {name: content for name, content in contents(other).items() if "run" not in name} == before


STEPS = (
    "kobune.main.restoring.check",
    "kobune.main.restoring._keep",
    "kobune.main.restoring.mark",
    "kobune.main.restoring._prepare_pki",
    "kobune.main.restoring.put_back_store",
    "kobune.main.restoring._finish",
    "kobune.main.restoring.shutil.rmtree",
    "kobune.main.restoring.sync_directory",
)


def restore_killed_at(step: str, file: Path, data: Path, *, after: bool) -> int:
    """Restore in a process that is killed just before or after a step; how it ended, as waitpid tells."""
    child = os.fork()
    if child == 0:
        module, _, name = step.rpartition(".")
        owner: Any = importlib.import_module("shutil") if module.endswith("shutil") else sys.modules[module]
        real = getattr(owner, name)

        def killed(*arguments: Any, **options: Any) -> Any:
            if after:
                real(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, killed)
        try:
            restore_file(file, data)
        finally:
            os._exit(99)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step.rpartition(".")[2]))
async def test_a_restore_killed_at_any_step_ends_as_old_or_new(tmp_path: Path, step: str, after: bool) -> None:
    """The process is killed just before or after a step: no clean-up code of it runs."""
    save(await instance(tmp_path, "first", "a", "b"), tmp_path / "copy")
    other = await instance(tmp_path, "other", "c")
    status = restore_killed_at(step, tmp_path / "copy", other, after=after)
    assert os.WIFSIGNALED(status), "the step was never reached"
    finish_interrupted(other)
    check_restored(other)
    names, revision, _ = await objects(other)
    key = (other / "pki" / "ca.key").read_text()
    assert (names, key) in ((["c"], "key of other"), (["a", "b"], "key of first"))
    if names == ["a", "b"]:
        assert revision >= 2 + SKIPPED_REVISIONS
        kept = next(iter(other.glob("replaced-*")))
        assert (await objects(kept))[0] == ["c"]
        assert (kept / "pki" / "ca.key").read_text() == "key of other"
    assert not [path.name for path in other.iterdir() if path.name.startswith(".")], "nothing is left lying about"


async def test_an_interrupted_restore_is_told_and_may_be_repeated_with_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(await instance(tmp_path, "first", "a"), tmp_path / "copy")
    save(await instance(tmp_path, "second", "b"), tmp_path / "copy2")
    other = await instance(tmp_path, "other", "c")

    def fails(*arguments: Any) -> None:
        raise OSError(5, "the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr("kobune.main.restoring._finish", fails)
        with pytest.raises(TerminalError, match="the disk is broken"):
            restore_file(tmp_path / "copy", other)
    with pytest.raises(RestoreInterrupted, match=f"{tmp_path / 'copy'}.*kobune up"):
        check_restored(other)
    with pytest.raises(RestoreInterrupted):
        save(other, tmp_path / "half")
    restore_file(tmp_path / "copy2", other)
    check_restored(other)
    assert (await objects(other))[0] == ["b"]
    kept = next(iter(other.glob("replaced-*")))
    assert (kept / "pki" / "ca.key").read_text() == "key of other", "the first attempt's copy is the one that counts"


async def test_a_restore_that_fails_before_anything_was_replaced_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(await instance(tmp_path, "first", "a"), tmp_path / "copy")
    other = await instance(tmp_path, "other", "c")
    before = contents(other)

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kobune.main.restoring.put_back_store", full)
    with pytest.raises(TerminalError, match="No space left"):
        restore_file(tmp_path / "copy", other)
    finish_interrupted(other)
    assert contents(other) == before


@pytest.mark.parametrize("content", ['{"file": "f", "staged": ".restore.x", "beyond": 1}', "/older/format", "{}"])
async def test_an_interrupted_restore_without_its_material_is_refused(tmp_path: Path, content: str) -> None:
    data = await instance(tmp_path, "first", "a")
    (data / MARKER).write_text(content)
    with pytest.raises(TerminalError, match="kobune restore FILE"):
        finish_interrupted(data)
    assert (await objects(data))[0] == ["a"]


async def test_revisions_never_go_back_however_often_a_backup_is_restored(tmp_path: Path) -> None:
    data = await instance(tmp_path, "first", "a", "b")
    save(data, tmp_path / "copy")
    seen = 2
    for _ in range(3):
        restore_file(tmp_path / "copy", data)
        names, revision, compacted = await objects(data)
        assert names == ["a", "b"]
        assert revision == compacted > seen
        log = RevisionLog(SqliteJournal(data / "store.db"))
        list(log.open())
        await log.append(Key("core/configmaps", "default", "new"), 0, lambda _: ("v1 ConfigMap", b'"a":1}'))
        seen = log.revision
        await log.close()


async def test_a_failed_backup_leaves_the_older_file(tmp_path: Path) -> None:
    data = await instance(tmp_path, "first", "a")
    (tmp_path / "copy").write_text("older")
    (data / "store.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(KobuneError):
        save(data, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "older"
    with pytest.raises(TerminalError, match="holds no instance"):
        save(tmp_path / "nothing", tmp_path / "copy")
    with pytest.raises(TerminalError, match="does not exist"):
        save(data, tmp_path / "no" / "copy")
