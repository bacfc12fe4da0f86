"""`kobune backup`: an instance's objects and identities as one file; no disks of guests, no images, no logs."""

import datetime
import hashlib
import importlib.metadata
import shutil
import sys
import tempfile
from pathlib import Path

import click

from kobune.base.errors import TerminalError
from kobune.embedded.store import backup as copy_store
from kobune.host.files import sync_directory
from kobune.main.archive import FORMAT, STORE, Manifest, digest_of, write_archive
from kobune.main.settings import default_data_dir
from kobune.main.unfinished import check_restored

__all__ = ["backup", "save"]

_CHUNK_BYTES = 1 << 20


@click.command(
    epilog="Examples: kobune backup /backups/monday.kobune; kobune backup --data-dir /srv/kobune - | ssh host 'cat > f'"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The instance's data directory.")
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
            files={STORE: digest_of(copy), **{name: hashlib.sha256(key).hexdigest() for name, key in keys.items()}},
        )
        write_archive(archive, manifest, keys, copy)
        archive.replace(file)
        sync_directory(file.parent)
    return manifest


def _is_ours(path: Path) -> bool:
    """Temporary files of a write in progress are not part of a backup."""
    return path.is_file() and not path.name.startswith(".")
