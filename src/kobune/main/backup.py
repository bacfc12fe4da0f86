"""`kobune backup` and `kobune restore`: an instance's objects and identities as one file.

Owns: the file's format (a gzipped tar: manifest.json, store.db, pki/...), its verification before anything is touched,
and the marker that makes an interrupted restore visible. Disks of guests, images and logs are not part of it.
"""

import datetime
import gzip
import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import click
import msgspec

from kobune.base.errors import TerminalError
from kobune.embedded.store import backup as copy_store
from kobune.embedded.store import restore as put_back_store
from kobune.host.files import write_file
from kobune.main.instance import InstanceRunning, hold_instance, running_pid
from kobune.main.interrupted import MARKER, check_restored
from kobune.main.settings import Settings, default_data_dir

__all__ = ["BadBackup", "Manifest", "backup", "restore", "restore_file", "save"]

FORMAT = 1
MANIFEST = "manifest.json"
STORE = "store.db"
SKIPPED_REVISIONS = 1_000_000_000
"""A restored store counts on from here: clients that have seen later revisions must never meet them again."""
MANIFEST_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"store\.db|pki/[A-Za-z0-9][A-Za-z0-9._-]*")


class BadBackup(TerminalError):
    """The file is no backup, is damaged or incomplete, or was written by a newer Kobune."""

    def __init__(self, file: Path, detail: str) -> None:
        super().__init__(f"{file} can't be restored: {detail}; nothing was changed")
        self.file = file
        self.detail = detail


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds; `files` maps names to SHA-256 in hexadecimal."""

    format: int
    kobune: str
    created: str
    revision: int
    files: dict[str, str]


data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The instance's data directory."
)


@click.command(
    epilog="Examples: kobune backup /backups/monday.kobune; kobune backup --data-dir /srv/kobune - | ssh host 'cat > f'"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@data_dir_option
def backup(file: Path, data_dir: Path | None) -> None:
    """Write an instance's objects and identities to FILE, while it runs or not.

    FILE holds private keys and every Secret: it is readable by its owner alone. Guests' disks and images are not in it.
    """
    directory = (data_dir or default_data_dir()).absolute()
    if str(file) == "-":
        with tempfile.TemporaryDirectory(dir=directory if directory.is_dir() else None) as folder:
            save(directory, Path(folder) / "backup")
            with open(Path(folder) / "backup", "rb") as content:
                shutil.copyfileobj(content, sys.stdout.buffer, _CHUNK_BYTES)
        return
    manifest = save(directory, file.absolute())
    size = file.stat().st_size / 1e6
    click.echo(f"{file}: {size:.1f} MB, revision {manifest.revision}; keep it safe: it holds private keys and Secrets")


@click.command(epilog="Examples: kobune restore /backups/monday.kobune; kobune restore copy --data-dir /srv/other")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@data_dir_option
def restore(file: Path, data_dir: Path | None) -> None:
    """Put a backup in the place of a stopped instance's objects and identities.

    The file is checked before anything changes. What was there is kept beside it, in a directory named replaced-TIME.
    The instance keeps the identities of the backup: its certificates, its administrator's and service accounts' tokens.
    """
    directory = (data_dir or default_data_dir()).absolute()
    manifest, replaced = restore_file(file.absolute(), directory)
    click.echo(f"Restored {directory} as of {manifest.created}; 'kobune up' starts it")
    if replaced is not None:
        click.echo(f"What was there before is in {replaced}")


def save(data_dir: Path, file: Path) -> Manifest:
    """Write a backup of the instance in `data_dir`, whole or not at all, mode 0600.

    Raises TerminalError when there is no instance, and the store's Corrupt and NewerVersion.
    """
    check_restored(data_dir)
    if not (data_dir / STORE).exists() or not (data_dir / "pki").is_dir():
        raise TerminalError(f"{data_dir} holds no instance: give its --data-dir")
    if not file.parent.is_dir():
        raise TerminalError(f"{file.parent} does not exist: make it first")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
        copy, archive = Path(folder) / STORE, Path(folder) / "archive"
        revision = copy_store(data_dir / STORE, copy)
        keys = {
            f"pki/{path.name}": path.read_bytes() for path in sorted((data_dir / "pki").iterdir()) if _is_ours(path)
        }
        manifest = Manifest(
            format=FORMAT,
            kobune=importlib.metadata.version("kobune"),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            revision=revision,
            files={STORE: _digest(copy), **{name: hashlib.sha256(key).hexdigest() for name, key in keys.items()}},
        )
        with open(archive, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            with tarfile.open(fileobj=output, mode="w:gz", compresslevel=1) as tar:
                _add(tar, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
                for name, key in keys.items():
                    _add(tar, name, key)
                with copy.open("rb") as content:
                    tar.addfile(_member(STORE, copy.stat().st_size), content)
            output.flush()
            os.fsync(output.fileno())
        archive.replace(file)
        _sync_directory(file.parent)
    return manifest


def restore_file(file: Path, data_dir: Path) -> tuple[Manifest, Path | None]:
    """Verify `file`, then make it the content of `data_dir`; gives its manifest and where the old content went.

    Raises BadBackup, InstanceRunning or the store's errors before anything has changed.
    """
    settings = Settings(data_dir=data_dir)
    pid = running_pid(settings.run_dir)
    if pid is not None:
        raise InstanceRunning(data_dir, pid)
    existed = data_dir.exists()
    data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        with _unpacked(file, data_dir) as (manifest, staged):
            settings.prepare()
            with hold_instance(settings.run_dir):
                return manifest, _put_in_place(file, staged, data_dir)
    except BadBackup:
        if not existed:
            data_dir.rmdir()
        raise


def _put_in_place(file: Path, staged: Path, data_dir: Path) -> Path | None:
    """Replace store and PKI.

    They can't change in one step, so a marker tells of what is between; running the restore again finishes it, because
    every step here may be repeated. The store's own lock is taken first: an API server without a supervisor has it too.
    """
    had = (data_dir / STORE).exists() or (data_dir / "pki").exists()
    replaced = data_dir / f"replaced-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%f}Z"
    half_done = (data_dir / MARKER).exists()
    if had and not half_done:
        replaced.mkdir(mode=0o700)
        if (data_dir / STORE).exists():
            _keep_store(data_dir, replaced)
        if (data_dir / "pki").exists():
            shutil.copytree(data_dir / "pki", replaced / "pki")
    write_file(data_dir / MARKER, f"{file}\n".encode())
    try:
        put_back_store(staged / STORE, data_dir / STORE, skip_revisions=SKIPPED_REVISIONS)
    except BaseException:
        # It is whole or untouched: the marker would tell of a change that never was.
        if not half_done:
            (data_dir / MARKER).unlink()
        if replaced.exists():
            shutil.rmtree(replaced)
        raise
    shutil.rmtree(data_dir / "pki", ignore_errors=True)
    (staged / "pki").replace(data_dir / "pki")
    # Made anew by the next start, for the restored authority.
    (data_dir / "kubeconfig").unlink(missing_ok=True)
    _sync_directory(data_dir)
    (data_dir / MARKER).unlink()
    _sync_directory(data_dir)
    return replaced if replaced.exists() else None


def _keep_store(data_dir: Path, target: Path) -> None:
    """Keep the old store byte for byte, damaged or not, with its write-ahead log."""
    for suffix in ("", "-wal"):
        path = data_dir / f"{STORE}{suffix}"
        if path.exists():
            shutil.copy2(path, target / path.name)


@contextmanager
def _unpacked(file: Path, data_dir: Path) -> Iterator[tuple[Manifest, Path]]:
    """The backup's manifest and a private directory with its verified content. Raises BadBackup."""
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=".restore.") as folder:
        staged = Path(folder)
        (staged / "pki").mkdir(mode=0o700)
        try:
            with gzip.open(file) as plain:
                with tarfile.open(fileobj=plain, mode="r:") as tar:
                    manifest = _read_manifest(file, tar)
                    found = {member.name for member in tar if _extract(file, tar, member, manifest, staged)}
                while plain.read(_CHUNK_BYTES):
                    pass  # the checksum of the whole is at its end
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise BadBackup(file, f"it is damaged, incomplete or no backup ({error})") from error
        missing = set(manifest.files) - found
        if missing or STORE not in found:
            raise BadBackup(file, f"it is incomplete: {', '.join(sorted(missing or {STORE}))} missing")
        yield manifest, staged


def _read_manifest(file: Path, tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    content = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if content is None or first is None or first.size > MANIFEST_LIMIT_BYTES:
        raise BadBackup(file, "it is no backup of Kobune's")
    raw = content.read()
    try:
        version = msgspec.json.decode(raw, type=dict[str, object]).get("format")
        if isinstance(version, int) and version > FORMAT:
            raise BadBackup(file, f"it has format {version}, this Kobune knows formats up to {FORMAT}: use a newer one")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise BadBackup(file, f"its manifest is damaged ({error})") from error
    for name in manifest.files:
        if not _NAME.fullmatch(name):
            raise BadBackup(file, f"it names {name!r}, which no backup has")
    return manifest


def _extract(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, manifest: Manifest, staged: Path) -> bool:
    """Write one member with its digest checked; False for the manifest itself."""
    if member.name == MANIFEST:
        return False
    expected = manifest.files.get(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if expected is None or content is None:
        raise BadBackup(file, f"it holds {member.name!r}, which its manifest does not name")
    target = staged / member.name
    digest = hashlib.sha256()
    mode = 0o644 if member.name.endswith(".crt") else 0o600
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as output:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            output.write(chunk)
        output.flush()
        os.fsync(output.fileno())
    if digest.hexdigest() != expected:
        raise BadBackup(file, f"{member.name} is damaged: its checksum differs")
    return True


def _is_ours(path: Path) -> bool:
    """Temporary files of a write in progress are not part of a backup."""
    return path.is_file() and not path.name.startswith(".")


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_member(name, len(content)), BytesIO(content))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
