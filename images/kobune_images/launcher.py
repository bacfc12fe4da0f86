"""The launcher image: libvirt and QEMU from Debian, and on top, as a layer of its own, Kobune's launcher code.

The lower layers take half a minute and change with the package list; the upper ones take less than a second.
"""

import importlib.metadata
import importlib.util
import os
import py_compile
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from kobune_images.archive import Entry, ImageConfig, Layer, write_layer
from kobune_images.context import Build, Image
from kobune_images.debian import NEWER_SUITE, BuildError, bootstrap, extract, run
from kobune_images.elf import copy_with_libraries

__all__ = ["build"]

# Debian 12's interpreter, and where it looks for packages that are not Debian's.
_PYTHON = (3, 11)
_SITE = "usr/local/lib/python3.11/dist-packages"


def build(build: Build) -> Image:
    """Four layers: Debian, virtiofsd, msgspec, Kobune."""
    recipe = build.images / "launcher"
    shared = build.images / "kobune_images"

    def make(target: Path) -> None:
        build.say("installing QEMU and libvirt from Debian packages (half a minute, once)")
        bootstrap(target, packages(recipe / "packages.txt"), recipe / "customize.py")

    ours = ("absent.py", "debian.py", "elf.py", "symbols.py")
    inputs = [recipe / "packages.txt", recipe / "customize.py", *(shared / name for name in ours)]
    base = build.cached_layer("launcher-base", inputs, make)
    layers = [base, _virtiofsd_layer(build), _dependency_layer(build), _code_layer(build)]
    config = ImageConfig(
        entrypoint=("/usr/bin/virt-launcher-monitor",),
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "PYTHONOPTIMIZE=2"),
        user="107:107",
    )
    return Image(layers, config)


def packages(path: Path) -> list[str]:
    """Package names of a list with `#` comments."""
    names = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [name for name in names if name]


def _virtiofsd_layer(build: Build) -> Layer:
    """virtiofsd of the release after ours, with its own libraries: ours has one that needs to be root."""
    shared = build.images / "kobune_images"
    place = "usr/lib/kobune/virtiofsd"

    def make(target: Path) -> None:
        build.say("unpacking virtiofsd")
        debian, program = build.work / "virtiofsd-debian", build.work / "virtiofsd"
        extract(debian, ["virtiofsd"], suite=NEWER_SUITE)
        copy_with_libraries(debian, program, ["usr/libexec/virtiofsd"])
        files = [path for path in sorted(program.rglob("*")) if path.is_file()]
        # Links between versions of a library are followed: everything is found by the name that programs ask for.
        entries = [Entry(f"{place}/{path.name}", path.read_bytes(), mode=0o755) for path in files]
        start = f'#!/bin/dash\nexec /{place}/ld-linux-x86-64.so.2 --library-path /{place} /{place}/virtiofsd "$@"\n'
        entries.append(Entry("usr/libexec/virtiofsd", start.encode(), mode=0o755))
        for path in sorted((debian / "usr/share/doc").glob("*/copyright")):
            if path.parent.name in ("virtiofsd", "libc6", "libseccomp2", "libcap-ng0", "libgcc-s1"):
                entries.append(Entry(f"{place}/copyright/{path.parent.name}", path.read_bytes()))
        write_layer(target, entries)

    return build.cached_layer("virtiofsd", [shared / "debian.py", shared / "elf.py", shared / "launcher.py"], make)


def _code_layer(build: Build) -> Layer:
    build.say("packing the launcher's code")
    entries = []
    for name in sorted(build.sources):
        path = build.package / name
        entries.append(Entry(f"{_SITE}/kobune/{name}", path, mode=0o755 if os.access(path, os.X_OK) else 0o644))
        if path.suffix == ".py":
            entries += _compiled(path, f"kobune/{name}", build.work)
    # PID 1 of a launcher's container, which keeps libvirtd and the launcher running.
    monitor = build.package / "virt/launcher/virt-launcher-monitor"
    entries.append(Entry("usr/bin/virt-launcher-monitor", monitor, mode=0o755))
    return write_layer(build.work / "code.tar", entries)


def _compiled(path: Path, name: str, work: Path) -> list[Entry]:
    """The module's byte code without docstrings, which uid 107 could not write: importing from it is much faster."""
    if sys.version_info[:2] != _PYTHON:
        return []
    target = work / "module.pyc"
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(path), str(target), f"/{_SITE}/{name}", doraise=True, optimize=2, invalidation_mode=mode)
    parent, _, stem = name.rpartition("/")
    compiled = f"{stem.removesuffix('.py')}.cpython-311.opt-2.pyc"
    return [Entry(f"{_SITE}/{parent}/__pycache__/{compiled}", target.read_bytes())]


def _dependency_layer(build: Build) -> Layer:
    """msgspec for Debian's interpreter: from the running environment when that fits, else from PyPI."""
    folder = _installed_msgspec() or _downloaded_msgspec(build)
    entries = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or "__pycache__" in name or path.suffix == ".pyi":
            continue
        entries.append(Entry(f"{_SITE}/msgspec/{name}", path))
        if path.suffix == ".py":
            entries += _compiled(path, f"msgspec/{name}", build.work)
    for licence in sorted(folder.parent.glob("msgspec-*.dist-info/**/LICENSE*")):
        entries.append(Entry(f"usr/share/doc/python3-msgspec/{licence.name}", licence))
    return write_layer(build.work / "msgspec.tar", entries)


def _installed_msgspec() -> Path | None:
    spec = importlib.util.find_spec("msgspec")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return folder if list(folder.glob("_core.cpython-311-x86_64-linux-gnu.so")) else None


def _downloaded_msgspec(build: Build) -> Path:
    try:
        requirement = f"msgspec=={importlib.metadata.version('msgspec')}"
    except importlib.metadata.PackageNotFoundError:
        requirement = "msgspec>=0.19"
    build.say(f"fetching {requirement} for Python 3.11")
    target = build.work / "wheels"
    target.mkdir()
    options = ["--only-binary=:all:", "--no-deps", "--python-version=3.11", "--platform=manylinux2014_x86_64"]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode != 0:
        found = shutil.which("pip3") or shutil.which("pip")
        if found is None:
            raise BuildError(
                "pip is needed to fetch msgspec for the launcher image; run: apt-get install -y python3-pip"
            )
        pip = [found]
    run([*pip, "download", "--quiet", *options, f"--dest={target}", requirement])
    wheel = next(target.glob("msgspec-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(build.work / "wheel")
    return build.work / "wheel" / "msgspec"
