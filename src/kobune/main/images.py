"""Kobune's images: built once from the recipes, kept as archives, called by names that change with their content.

The names and inputs are in images/images.toml, the recipes beside it. Owns the cache and the hash that decides whether
an image must be built; never touches a container runtime.
"""

import asyncio
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

import kobune
from kobune.base.errors import TerminalError
from kobune.host.run import HostRunner, Launch, Runner

__all__ = [
    "DEMO",
    "DEMO_GENERIC",
    "LAUNCHER",
    "NODE_IMAGES",
    "OPTIONAL_IMAGES",
    "PAUSE",
    "TOOLBOX",
    "BuiltImage",
    "ImageError",
    "ensure_images",
    "image_reference",
    "launcher_image",
    "pause_image",
]

PAUSE = "pause"
LAUNCHER = "virt-launcher"
DEMO = "demo"
DEMO_GENERIC = "demo-generic"
TOOLBOX = "toolbox"
NODE_IMAGES = (PAUSE, LAUNCHER, DEMO)
"""What a node needs before it can run the demo."""

OPTIONAL_IMAGES = (DEMO_GENERIC,)
"""What is built for those who ask for it."""

BUILD_TIMEOUT_S = 1800.0
BUILDS_AT_ONCE = 2
"""Unpacking packages is one process' work each; more than two wait for the disk."""

KEEP_OTHERS_S = 900.0
KEY_LENGTH = 12


class ImageError(TerminalError):
    """An image could not be built; the message says which and why."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """One image on disk. `key` is the hash of all that decides its content; `archive` is an OCI archive (tar)."""

    name: str
    reference: str
    key: str
    archive: Path


def image_reference(name: str) -> str:
    """How the image is called in pod specs, for example `localhost/kobune/virt-launcher:3f2a9c41d0be`."""
    return _described(name)[1]


def launcher_image() -> str:
    """The reference of the launcher image that belongs to this version of Kobune's code."""
    return image_reference(LAUNCHER)


def pause_image() -> str:
    """The reference of the image that holds a pod's namespaces."""
    return image_reference(PAUSE)


async def ensure_images(
    cache_dir: Path,
    names: Iterable[str],
    progress: Callable[[str], None] = lambda line: None,
    runner: Runner | None = None,
) -> dict[str, BuiltImage]:
    """Build what is not in `cache_dir` yet; each image as an OCI archive with the name that it is to be imported by.

    `progress` gets one line a step, with seconds. Building needs root, mmdebstrap and the network;
    finding everything built already needs some milliseconds and none of these.
    Raises ImageError.
    """
    found = {}
    for name in names:
        key, reference = _described(name)
        found[name] = BuiltImage(name, reference, key, cache_dir / f"{name}-{key}.tar")
    if _missing(found.values()):
        async with _locked(cache_dir / "lock"):
            _forget_unfinished(cache_dir)
            await _build_all(_missing(found.values()), cache_dir, progress, runner or HostRunner())
    return found


def _missing(images: Iterable[BuiltImage]) -> list[BuiltImage]:
    return [image for image in images if not image.archive.exists()]


async def _build_all(
    images: Iterable[BuiltImage], cache_dir: Path, progress: Callable[[str], None], runner: Runner
) -> None:
    """Build some at a time; the first failure ends the others."""
    slots = asyncio.Semaphore(BUILDS_AT_ONCE)

    async def build(image: BuiltImage) -> None:
        async with slots:
            await _build(image, cache_dir, progress, runner)
            _forget_others(image, cache_dir)

    tasks = [asyncio.create_task(build(image)) for image in images]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _build(image: BuiltImage, cache_dir: Path, progress: Callable[[str], None], runner: Runner) -> None:
    began_s = time.monotonic()
    messages: list[str] = []
    launch = Launch(
        args=(
            sys.executable,
            "-u",
            str(_images_dir() / "build.py"),
            image.name,
            f"--out={image.archive}",
            f"--reference={image.reference}",
            f"--cache={cache_dir / 'layers'}",
            f"--package={_package_dir()}",
        ),
        stdout=lambda line: progress(f"image {image.name}: {line.decode(errors='replace')}"),
        stderr=lambda line: messages.append(line.decode(errors="replace")),
        env={
            name: value for name, value in os.environ.items() if name.startswith("KOBUNE_") or name.endswith("_proxy")
        },
    )
    process = await runner.start(launch)
    try:
        async with asyncio.timeout(BUILD_TIMEOUT_S):
            status = await process.wait()
    except TimeoutError:
        raise ImageError(f"image {image.name} was not built within {BUILD_TIMEOUT_S:.0f} s") from None
    finally:
        if process.returncode is None:
            await process.stop(grace_s=5.0)
    if status != 0:
        raise ImageError(f"image {image.name} could not be built: " + ("\n".join(messages[-20:]) or f"status {status}"))
    if not image.archive.exists():
        raise ImageError(f"image {image.name}: the recipe ended well but wrote no {image.archive}")
    progress(f"image {image.name}: built in {time.monotonic() - began_s:.1f} s")


def _forget_others(image: BuiltImage, cache_dir: Path) -> None:
    """Remove archives of other contents; not recent ones, which an instance that shares the cache may be importing."""
    for path in cache_dir.glob(f"{image.name}-{'[0-9a-f]' * KEY_LENGTH}.tar"):
        if path != image.archive and path.stat().st_mtime < time.time() - KEEP_OTHERS_S:
            path.unlink(missing_ok=True)


def _forget_unfinished(cache_dir: Path) -> None:
    """With the lock held, work folders are those of a builder that was killed."""
    for folder in cache_dir.glob("build-*"):
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold an advisory lock, so that two builders on one machine don't do the same work twice.

    Raises ImageError when another holds it for too long.
    """
    deadline_s = time.monotonic() + BUILD_TIMEOUT_S
    with _opened(path) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise ImageError(f"another process builds images for too long; it holds {path}") from None
                await asyncio.sleep(0.2)
        yield


def _opened(path: Path) -> TextIO:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return open(path, "a", encoding="ascii")


@cache
def _described(name: str) -> tuple[str, str]:
    """The content key and the reference of an image; read once per process, a process has one version of the code."""
    images = _images_dir()
    described = tomllib.loads((images / "images.toml").read_text())
    if name not in described:
        raise ImageError(f"there is no image {name!r}; there are {', '.join(sorted(described))}")
    about = described[name]
    sha256 = hashlib.sha256(name.encode())
    for root, patterns in ((images, about["inputs"]), (_package_dir(), about.get("sources", []))):
        for path in _files(root, patterns):
            sha256.update(f"\0{path.relative_to(root)}\0".encode())
            sha256.update(hashlib.sha256(path.read_bytes()).digest())
    if name == LAUNCHER:
        sha256.update(importlib.metadata.version("msgspec").encode())
    sha256.update(os.environ.get("KOBUNE_DEBIAN_MIRROR", "").encode())
    key = sha256.hexdigest()[:KEY_LENGTH]
    reference = str(about["reference"])
    has_tag = ":" in reference.rpartition("/")[2]
    return key, reference if has_tag else f"{reference}:{key}"


def _files(root: Path, patterns: Iterable[str]) -> list[Path]:
    found = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _package_dir() -> Path:
    assert kobune.__file__ is not None
    return Path(kobune.__file__).resolve().parent


def _images_dir() -> Path:
    """The recipes: beside src/ in a checkout, inside of the package when installed."""
    package = _package_dir()
    for candidate in (package / "_images", package.parent.parent / "images"):
        if (candidate / "images.toml").exists():
            return candidate
    raise ImageError(f"the image recipes are missing: neither {package / '_images'} nor images/ beside src/ is there")
