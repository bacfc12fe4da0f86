"""ISO 9660 images of small files, for cloud-init and configuration volumes, by xorriso."""

import os
from collections.abc import Mapping
from pathlib import Path

from kobune.host.run import Runner

__all__ = ["ISO_TIMEOUT_S", "write_iso"]

ISO_TIMEOUT_S = 30.0


async def write_iso(runner: Runner, path: Path, *, label: str, files: Mapping[str, bytes]) -> None:
    """Write an image with Joliet and Rock Ridge names; `files` maps relative paths to content.

    Appears complete or not at all, and replaces an older one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile and shutil, which every launcher would carry for as long as its guest runs.
    folder = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    folder.mkdir(mode=0o700)
    temporary = path.with_name(f".{path.name}.new")
    try:
        _write_files(folder, files)
        command = ["xorrisofs", "-quiet", "-volid", label, "-joliet", "-rational-rock", "-o", str(temporary)]
        await runner.run([*command, str(folder)], timeout_s=ISO_TIMEOUT_S)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove what was written into a folder, and the folder."""
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in files:
            Path(parent, name).unlink()
        for name in folders:
            Path(parent, name).rmdir()
    folder.rmdir()


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name!r} is not a path inside of the image")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
