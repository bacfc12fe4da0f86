"""Where a dump of the guest's memory goes: a file in a volume that was plugged in, which has room for one."""

import re
from pathlib import Path
from typing import Final

from kobune.host.disk.image import InvalidImage

__all__ = ["prepare_dump"]

SUFFIX: Final = ".memory.dump"
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")


def prepare_dump(folder: Path, volume: str, file: str) -> Path:
    """The file's path, with older dumps removed from the volume. Raises InvalidImage.

    What is in the volume is its owner's: nothing but regular files with a dump's name is touched, and the new file's
    must not be there.
    """
    for name in (volume, file):
        if not _NAME.fullmatch(name):
            raise InvalidImage(f"{name!r} is no name of a volume or file")
    place = folder / volume
    if not place.is_dir():
        raise InvalidImage(f"volume {volume}: it has no file system here, which a dump needs")
    for old in place.glob(f"*{SUFFIX}"):
        if not old.is_symlink() and old.is_file():
            old.unlink()
    path = place / file
    if path.is_symlink() or path.exists():
        raise InvalidImage(f"volume {volume}: {file} is there already")
    return path
