"""libvirt's cache of QEMU's capabilities: made once per node and launcher image, given to every later launcher.

Making it costs each launcher about 0.4 s. The first launcher of an image makes it; it is copied out before that
launcher has started its guest, and put into the volume of later pods between the moment they are bound to this node
and the start of their containers. libvirt checks it against QEMU, kernel and KVM and makes a new one when it does not
fit, so that losing the race, or a stale copy, costs time only.

Owns: copying, safely: the volume is writable by the guest's side, so no symbolic link is followed and what is read is
bounded. Never reads from a pod whose guest was started: what a guest may have written must not reach another launcher.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kobune.host.files import write_file
from kobune.virt.handler.launchers import pod_volume

__all__ = ["CapabilityCache"]

log = logging.getLogger(__name__)

VOLUME: Final = "libvirt-runtime"
FOLDERS: Final = ("cache", "libvirt", "qemu", "cache", "capabilities")
"""Where the session daemon of docs/flows/launcher.md keeps it, below the volume."""
QEMU_ID: Final = 107
FILE_LIMIT_BYTES: Final = 1 << 20
COLLECT_TIMEOUT_S: Final = 2.0
SEED_TIMEOUT_S: Final = 5.0
POLL_S: Final = 0.01
_NAME: Final = re.compile(r"[0-9a-f]{64}\.xml")


class CapabilityCache:
    """The caches of this node, one per launcher image and boot.

    `variant` names what else a cache depends on (KVM in use or not, the boot).
    """

    def __init__(self, kubelet_root: Path, state_dir: Path, variant: str) -> None:
        self._kubelet_root = kubelet_root
        self._folder = state_dir / "capabilities"
        self._variant = variant

    def has(self, image: str) -> bool:
        """Whether launchers of that image can be given one."""
        return self._path(image).is_dir()

    async def collect(self, pod_uid: str, image: str) -> None:
        """Take over the cache of a pod whose guest was not started yet; nothing happens when there is one already.

        Waits for libvirt to write it, which a start would have to wait for anyway.
        """
        if not image or self.has(image):
            return
        deadline_s = asyncio.get_running_loop().time() + COLLECT_TIMEOUT_S
        while not (found := await asyncio.to_thread(self._read, pod_uid)):
            if asyncio.get_running_loop().time() > deadline_s:
                log.info("pod %s: libvirt wrote no capability cache in time", pod_uid)
                return
            await asyncio.sleep(POLL_S)
        await asyncio.to_thread(self._keep, image, found)
        log.info("keeping libvirt's capability cache for launchers of %s", image)

    async def seed(self, pod_uid: str, image: str) -> bool:
        """Put the cache into the volume of a pod that is about to start; False when there is none or it is too late."""
        if not self.has(image):
            return False
        volume = pod_volume(self._kubelet_root, pod_uid, VOLUME)
        deadline_s = asyncio.get_running_loop().time() + SEED_TIMEOUT_S
        while not volume.is_dir():
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(POLL_S)
        try:
            return await asyncio.to_thread(self._write, volume, image)
        except OSError as error:
            log.info("pod %s: no capability cache was given to it: %s", pod_uid, error)
            return False

    def _path(self, image: str) -> Path:
        return self._folder / hashlib.sha256(f"{self._variant}\n{image}".encode()).hexdigest()[:32]

    def _read(self, pod_uid: str) -> dict[str, bytes]:
        try:
            with _descend(pod_volume(self._kubelet_root, pod_uid, VOLUME), create=False) as folder:
                return {name: _read_file(folder, name) for name in os.listdir(folder) if _NAME.fullmatch(name)}
        except OSError:
            return {}

    def _keep(self, image: str, files: dict[str, bytes]) -> None:
        path = self._path(image)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=self._folder, prefix=f".{path.name}."))
        try:
            for name, data in files.items():
                write_file(temporary / name, data)
            with contextlib.suppress(OSError):  # another instance of the same image was faster
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _write(self, volume: Path, image: str) -> bool:
        with _descend(volume, create=True) as folder:
            if os.listdir(folder):
                return False  # libvirt was faster
            for source in self._path(image).iterdir():
                temporary = f".{source.name}"
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
                    file.write(source.read_bytes())
                    os.fchown(file.fileno(), QEMU_ID, QEMU_ID)
                os.rename(temporary, source.name, src_dir_fd=folder, dst_dir_fd=folder)
        return True


@contextlib.contextmanager
def _descend(volume: Path, *, create: bool) -> Iterator[int]:
    """A descriptor of the cache's folder in a volume, reached without following links; closed at the end."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    current = os.open(volume, flags)
    try:
        for name in FOLDERS:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o750, dir_fd=current)
            following = os.open(name, flags, dir_fd=current)
            os.close(current)
            current = following
            if create and os.fstat(current).st_uid != QEMU_ID:
                os.fchown(current, QEMU_ID, QEMU_ID)
        yield current
    finally:
        os.close(current)


def _read_file(folder: int, name: str) -> bytes:
    """A regular file of at most FILE_LIMIT_BYTES; raises OSError for anything else."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > FILE_LIMIT_BYTES:
            raise OSError(f"{name} is no capability cache")
        data = file.read(FILE_LIMIT_BYTES)
        if not data.rstrip().endswith(b"</qemuCaps>"):
            raise OSError(f"{name} is not complete")
        return data
