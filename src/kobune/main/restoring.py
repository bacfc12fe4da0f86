"""A backup in the place of an instance's store and PKI, step by step, on the disk. docs/flows/backup.md has the order.

Owns what is in the data directory at every moment of a restore: whatever ends the process, the directory belongs to the
old instance or can be brought forward to the new one. The caller holds the instance's lock and has stopped its
components; nothing here starts or stops anything.
"""

import datetime
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from kobune.base.errors import TerminalError
from kobune.embedded.store import backup as copy_store
from kobune.embedded.store import check, newest_revision
from kobune.embedded.store import restore as put_back_store
from kobune.host.files import copy_file, sync_directory, write_file
from kobune.main.archive import STORE, unpack
from kobune.main.unfinished import MARKER, Unfinished, mark, read_unfinished

__all__ = ["SKIPPED_REVISIONS", "Staged", "finish_interrupted", "put_in_place", "stage", "stage_replaced", "unstage"]

SKIPPED_REVISIONS = 1_000_000_000
"""A restored store counts on from here: clients that have seen later revisions must never meet them again."""

_STAGED, _KEEPING, _NEW_PKI = ".restore.", ".replaced.", ".pki.new"


class Staged(NamedTuple):
    """Verified material in a private directory of the data directory: store.db and pki/.

    `revision` is the newest of that store, `created` what the backup's manifest says.
    """

    folder: Path
    source: Path
    revision: int
    created: str


def stage(file: Path, data_dir: Path) -> Staged:
    """Unpack and verify a backup; nothing else changes. Raises BadBackup, and the store's Corrupt and NewerVersion."""
    folder = Path(tempfile.mkdtemp(dir=data_dir, prefix=_STAGED))
    try:
        manifest = unpack(file, folder)
        revision = check(folder / STORE)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Staged(folder, file, revision, manifest.created)


def stage_replaced(replaced: Path, data_dir: Path) -> Staged:
    """What `put_in_place` kept, as material to go back to. Raises the store's Corrupt and NewerVersion."""
    folder = Path(tempfile.mkdtemp(dir=data_dir, prefix=_STAGED))
    try:
        (folder / "pki").mkdir(mode=0o700)
        revision = copy_store(replaced / STORE, folder / STORE)
        _copy_files(replaced / "pki", folder / "pki")
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Staged(folder, replaced, revision, "")


def unstage(staged: Staged, data_dir: Path) -> None:
    """Give up material that was not put in place; what a mark names stays, it is what the next start goes on with."""
    unfinished = read_unfinished(data_dir)
    if unfinished is None or unfinished.staged != staged.folder.name:
        shutil.rmtree(staged.folder, ignore_errors=True)


def put_in_place(staged: Staged, data_dir: Path, *, keep: bool = True) -> Path | None:
    """Replace store and PKI; gives the directory that has what was there before, if there was anything and `keep`.

    Raises StoreInUse when an API server without a supervisor runs, and OSError; then the old state is as it was, or
    (when the disk failed in the middle) `finish_interrupted` has to be called before anything starts.
    """
    earlier = read_unfinished(data_dir)
    beyond = max(staged.revision, newest_revision(data_dir / STORE)) + SKIPPED_REVISIONS
    if earlier is not None:
        # Half of what is there is no instance: what the first attempt kept is what counts.
        replaced, beyond = earlier.replaced, max(beyond, earlier.beyond)
    else:
        replaced = _keep(data_dir) if keep else None
    unfinished = Unfinished(file=str(staged.source), staged=staged.folder.name, beyond=beyond, replaced=replaced)
    untouched = _identity(data_dir / STORE)
    mark(data_dir, unfinished)
    try:
        _prepare_pki(staged.folder, data_dir)
        put_back_store(staged.folder / STORE, data_dir / STORE, beyond=beyond)
    except BaseException:
        # Where nothing was replaced yet, the mark would tell of a change that never was.
        if earlier is None and _identity(data_dir / STORE) == untouched:
            (data_dir / MARKER).unlink()
            if replaced is not None:
                shutil.rmtree(data_dir / replaced)
        raise
    _finish(unfinished, data_dir)
    return data_dir / replaced if replaced is not None else None


def finish_interrupted(data_dir: Path) -> Unfinished | None:
    """Bring a restore that was interrupted to its end, and remove what ended processes left; gives what was finished.

    Raises TerminalError when its material is gone or damaged.
    """
    unfinished = read_unfinished(data_dir)
    if unfinished is not None:
        staged = data_dir / unfinished.staged
        try:
            if not unfinished.staged.startswith(_STAGED) or not (staged / "pki").is_dir():
                raise TerminalError(f"{staged} is gone")
            _prepare_pki(staged, data_dir)
            put_back_store(staged / STORE, data_dir / STORE, beyond=unfinished.beyond)
        except (TerminalError, OSError) as error:
            raise TerminalError(
                f"{data_dir} was left half restored from {unfinished.file}, and that can't be finished ({error}): run "
                f"'kobune restore FILE --data-dir {data_dir}'"
            ) from error
        _finish(unfinished, data_dir)
    for pattern in (f"{_STAGED}*", f"{_KEEPING}*", _NEW_PKI):
        for path in data_dir.glob(pattern):
            shutil.rmtree(path)
    for path in data_dir.glob(f".{STORE}.*"):
        path.unlink()
    return unfinished


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file this is: a replaced one differs."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _keep(data_dir: Path) -> str | None:
    """Copy the old state, damaged or not, with its write-ahead log; gives the name of the copy."""
    if not (data_dir / STORE).exists() and not (data_dir / "pki").exists():
        return None
    folder = Path(tempfile.mkdtemp(dir=data_dir, prefix=_KEEPING))
    name = f"replaced-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%f}Z"
    try:
        for suffix in ("", "-wal"):
            path = data_dir / f"{STORE}{suffix}"
            if path.exists():
                copy_file(path, folder / path.name)
        if (data_dir / "pki").exists():
            (folder / "pki").mkdir(mode=0o700)
            _copy_files(data_dir / "pki", folder / "pki")
        folder.rename(data_dir / name)
    except BaseException:
        shutil.rmtree(folder)
        raise
    sync_directory(data_dir)
    return name


def _prepare_pki(staged: Path, data_dir: Path) -> None:
    """A copy of the new PKI beside the old one, so that what may fail has happened before anything is replaced."""
    shutil.rmtree(data_dir / _NEW_PKI, ignore_errors=True)
    (data_dir / _NEW_PKI).mkdir(mode=0o700)
    _copy_files(staged / "pki", data_dir / _NEW_PKI)


def _finish(unfinished: Unfinished, data_dir: Path) -> None:
    """What remains once the store is the new one; may be repeated from its beginning."""
    shutil.rmtree(data_dir / "pki", ignore_errors=True)
    (data_dir / _NEW_PKI).rename(data_dir / "pki")
    # Made anew by the next start, for the restored authority.
    (data_dir / "kubeconfig").unlink(missing_ok=True)
    sync_directory(data_dir)
    (data_dir / MARKER).unlink()
    sync_directory(data_dir)
    shutil.rmtree(data_dir / unfinished.staged, ignore_errors=True)


def _copy_files(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_file():
            write_file(target / path.name, path.read_bytes(), mode=path.stat().st_mode & 0o777)
