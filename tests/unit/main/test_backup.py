"""Backups of an instance: whole or nothing, checked before anything changes."""

import gzip
import hashlib
import io
import json
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kobune.base.errors import KobuneError, TerminalError
from kobune.embedded.store import Key, NewerVersion, RevisionLog, SqliteJournal, StoreInUse
from kobune.main.backup import SKIPPED_REVISIONS, BadBackup, restore_file, save
from kobune.main.instance import InstanceRunning, hold_instance
from kobune.main.interrupted import MARKER, RestoreInterrupted, check_restored


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
    _, replaced = restore_file(tmp_path / "copy", other)
    names, revision, compacted = await objects(other)
    assert names == ["a", "b"]
    assert (revision, compacted) == (2 + SKIPPED_REVISIONS, 2 + SKIPPED_REVISIONS)
    assert (other / "pki" / "ca.key").read_text() == "key of first"
    assert stat.S_IMODE((other / "pki" / "ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((other / "pki").stat().st_mode) == 0o700
    assert replaced is not None
    assert (replaced / "pki" / "ca.key").read_text() == "key of other"
    assert (await objects(replaced))[0] == ["c"]
    check_restored(other)


async def test_restoring_into_nothing_makes_an_instance(tmp_path: Path) -> None:
    save(await instance(tmp_path, "first", "a"), tmp_path / "copy")
    _, replaced = restore_file(tmp_path / "copy", tmp_path / "new")
    assert replaced is None
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


async def test_an_interrupted_restore_is_told_and_may_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(await instance(tmp_path, "first", "a"), tmp_path / "copy")
    other = await instance(tmp_path, "other", "c")

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            restore_file(tmp_path / "copy", other)
    with pytest.raises(RestoreInterrupted, match=str(tmp_path / "copy")):
        check_restored(other)
    with pytest.raises(RestoreInterrupted):
        save(other, tmp_path / "half")
    restore_file(tmp_path / "copy", other)
    check_restored(other)
    assert (await objects(other))[0] == ["a"]
    kept = next(iter(other.glob("replaced-*")))
    assert (kept / "pki" / "ca.key").read_text() == "key of other", "the first attempt's copy is the one that counts"


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
