"""Kernel modules for a small guest: a selection with what it depends on, and the indexes that modprobe reads.

The dependencies and device ids are read from the modules themselves, so that depmod need not run.
"""

import lzma
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from kobune_images.debian import BuildError

__all__ = ["install_modules"]

_FIELD = re.compile(rb"(?:^|\0)(depends|alias|name|softdep)=([^\0]*)")


def install_modules(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy modules (by name, `-` and `_` alike) from `lib/modules/VERSION` into another such folder, uncompressed.

    What the kernel has built in needs no file. Raises BuildError when a module does not exist.
    """
    files = {_canonical(path.name.partition(".")[0]): path for path in source.rglob("*.ko*")}
    builtin = _builtin(source / "modules.builtin")
    dependencies: dict[str, list[str]] = {}
    aliases: list[str] = []
    waiting = [_canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in dependencies or name in builtin:
            continue
        if name not in files:
            raise BuildError(f"the kernel has no module {name}")
        found = _FIELD.findall(_content(files[name]))
        depends = [value.decode() for key, value in found if key == b"depends"]
        dependencies[name] = [_canonical(one) for text in depends for one in text.split(",") if one]
        aliases += [f"alias {value.decode()} {name}" for key, value in found if key == b"alias"]
        waiting += dependencies[name]
    target.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in sorted(dependencies):
        path = _plain(files[name].relative_to(source))
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(_content(files[name]))
        needs = " ".join(str(_plain(files[one].relative_to(source))) for one in _closure(name, dependencies))
        lines.append(f"{path}: {needs}".rstrip())
    (target / "modules.dep").write_text("\n".join(lines) + "\n")
    (target / "modules.alias").write_text("\n".join(sorted(set(aliases))) + "\n")
    for name in ("modules.builtin", "modules.order"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def _builtin(listing: Path) -> frozenset[str]:
    """Names of the modules that are part of the kernel, from its list of paths."""
    lines = listing.read_text().split() if listing.exists() else []
    return frozenset(_canonical(Path(line).name.partition(".")[0]) for line in lines)


def _content(path: Path) -> bytes:
    """A module's bytes, with its signature. Unpacking it here saves doing so at every boot."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".xz" else path


def _closure(name: str, dependencies: dict[str, list[str]]) -> list[str]:
    """What must be loaded before `name`, the nearest first, each once."""
    ordered: list[str] = []
    waiting = [one for one in dependencies[name] if one in dependencies]
    while waiting:
        one = waiting.pop(0)
        if one in ordered:
            ordered.remove(one)
        ordered.append(one)
        waiting += [each for each in dependencies[one] if each in dependencies]
    return ordered


def _canonical(name: str) -> str:
    return name.replace("-", "_")
