"""ISO 9660 images of small files, for cloud-init and configuration volumes, by xorriso."""

from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from kobune.host.run import Runner

__all__ = ["ISO_TIMEOUT_S", "write_iso"]

ISO_TIMEOUT_S = 30.0


async def write_iso(runner: Runner, path: Path, *, label: str, files: Mapping[str, bytes]) -> None:
    """Write an image with Joliet and Rock Ridge names; `files` maps relative paths to content.

    Appears complete or not at all, and replaces an older one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = path.with_name(f".{path.name}.new")
    try:
        _write_files(folder, files)
        command = ["xorrisofs", "-quiet", "-volid", label, "-joliet", "-rational-rock", "-o", str(temporary)]
        await runner.run([*command, str(folder)], timeout_s=ISO_TIMEOUT_S)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
        rmtree(folder, ignore_errors=True)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        file = folder / name
        if not file.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name!r} is not a path inside of the image")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
