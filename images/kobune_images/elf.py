"""Which shared libraries a program needs, and copying programs with them: no more of Debian than is used."""

import os
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

from kobune_images.debian import BuildError

__all__ = ["copy_with_libraries", "needed"]

_DYNAMIC, _LOAD, _INTERPRETER = 2, 1, 3
_NEEDED, _STRTAB = 1, 5
_LIBRARY_DIRS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib", "usr/lib", "lib64")


def needed(path: Path) -> list[str]:
    """File names of the libraries that a 64-bit ELF file names (DT_NEEDED), and its interpreter's; [] for others."""
    data = path.read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return []
    offset, size, count = (struct.unpack_from(form, data, at)[0] for form, at in (("<Q", 32), ("<H", 54), ("<H", 56)))
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + size * index) for index in range(count)]
    names = []
    for kind, _, at, _, _, length, _, _ in headers:
        if kind == _INTERPRETER:
            names.append(Path(data[at : at + length].rstrip(b"\0").decode()).name)
        elif kind == _DYNAMIC:
            entries = [struct.unpack_from("<qQ", data, at + 16 * index) for index in range(length // 16)]
            table = next(value for tag, value in entries if tag == _STRTAB)
            start = next(h[2] + table - h[3] for h in headers if h[0] == _LOAD and h[3] <= table < h[3] + h[5])
            for tag, value in entries:
                if tag == _NEEDED:
                    end = data.index(b"\0", start + value)
                    names.append(data[start + value : end].decode())
    return names


def copy_with_libraries(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy files from one root to another, with all libraries that they need, to the places where they were.

    Raises BuildError when a file or a library is not in the source.
    """
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        copy = target / name
        if os.path.lexists(copy):
            continue
        original = source / name
        if not os.path.lexists(original):
            raise BuildError(f"{name} is not in the packages")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if original.is_symlink():
            link = os.readlink(original)
            copy.symlink_to(link)
            inner = (
                link.lstrip("/")
                if link.startswith("/")
                else os.path.normpath(os.path.join(os.path.dirname(name), link))
            )
            waiting.append(inner)
            continue
        shutil.copy2(original, copy)
        waiting += [_library(source, library, name) for library in needed(original)]


def _library(source: Path, library: str, user: str) -> str:
    for folder in _LIBRARY_DIRS:
        if os.path.lexists(source / folder / library):
            return f"{folder}/{library}"
    raise BuildError(f"{user} needs {library}, which is not in the packages")
