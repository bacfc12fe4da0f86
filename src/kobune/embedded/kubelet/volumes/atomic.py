"""Replaces the files of a directory at once, as readers of mounted ConfigMaps expect.

The layout is the kubelet's: files live in a new directory `..TIMESTAMP.RANDOM`, `..data` is a link to it that is
renamed into place, and each visible name is a link into `..data`. A reader sees the old files or the new ones.
"""

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from kobune.embedded.kubelet.volumes.content import FileContent

__all__ = ["write_files"]

DATA_LINK = "..data"


def write_files(directory: Path, files: Mapping[str, FileContent], group: int | None = None) -> bool:
    """Make the directory show exactly `files`; returns False when it already does.

    With `group`, files belong to that group and are readable by it.
    """
    current = directory / DATA_LINK
    if current.is_symlink() and _same(current, files, group):
        return False
    stamp = f"..{time.strftime('%Y_%m_%d_%H_%M_%S', time.gmtime())}.{secrets.randbelow(10**9):09d}"
    fresh = directory / stamp
    fresh.mkdir(mode=0o755)
    for name, content in files.items():
        target = fresh / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(content.data)
            if group is not None:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), _mode(content, group))
    before = os.readlink(current) if current.is_symlink() else None
    temporary = directory / f"{DATA_LINK}_tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(stamp)
    temporary.replace(current)
    visible = {name.split("/", 1)[0] for name in files}
    for name in visible:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA_LINK}/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
    if before is not None:
        shutil.rmtree(directory / before, ignore_errors=True)
    return True


def _mode(content: FileContent, group: int | None) -> int:
    return content.mode if group is None else content.mode | 0o040


def _same(current: Path, files: Mapping[str, FileContent], group: int | None) -> bool:
    found = {str(path.relative_to(current)): path for path in current.rglob("*") if path.is_file()}
    if found.keys() != files.keys():
        return False
    return all(
        found[name].read_bytes() == content.data and found[name].stat().st_mode & 0o7777 == _mode(content, group)
        for name, content in files.items()
    )
