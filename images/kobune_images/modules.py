"""Kernel modules for a small guest: a selection with what it depends on, and the indexes that modprobe reads.

The dependencies and device ids are read from the modules themselves, so that depmod need not run.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from kobune_images.debian import BuildError

__all__ = ["install_modules"]

_FIELD = re.compile(rb"(?:^|\0)(depends|alias|name|softdep)=([^\0]*)")


def install_modules(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy modules (by name, `-` and `_` alike) from `lib/modules/VERSION` into another such folder.

    Raises BuildError when a module does not exist.
    """
    files = {_canonical(path.name.removesuffix(".ko")): path for path in source.rglob("*.ko")}
    dependencies: dict[str, list[str]] = {}
    aliases: list[str] = []
    waiting = [_canonical(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in dependencies:
            continue
        if name not in files:
            raise BuildError(f"the kernel has no module {name}")
        found = _FIELD.findall(files[name].read_bytes())
        depends = [value.decode() for key, value in found if key == b"depends"]
        dependencies[name] = [_canonical(one) for text in depends for one in text.split(",") if one]
        aliases += [f"alias {value.decode()} {name}" for key, value in found if key == b"alias"]
        waiting += dependencies[name]
    target.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in sorted(dependencies):
        path = files[name].relative_to(source)
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[name], target / path)
        needs = " ".join(str(files[one].relative_to(source)) for one in _closure(name, dependencies))
        lines.append(f"{path}: {needs}".rstrip())
    (target / "modules.dep").write_text("\n".join(lines) + "\n")
    (target / "modules.alias").write_text("\n".join(sorted(set(aliases))) + "\n")
    for name in ("modules.builtin", "modules.order"):
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def _closure(name: str, dependencies: dict[str, list[str]]) -> list[str]:
    """What must be loaded before `name`, the nearest first, each once."""
    ordered: list[str] = []
    waiting = list(dependencies[name])
    while waiting:
        one = waiting.pop(0)
        if one in ordered:
            ordered.remove(one)
        ordered.append(one)
        waiting += dependencies[one]
    return ordered


def _canonical(name: str) -> str:
    return name.replace("-", "_")
