"""Waits for the containers that share volumes with the guest: QEMU starts only when all of them listen."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from kobune.api.kubevirt.devices import Filesystem
from kobune.base.errors import RetryableError

__all__ = ["FilesystemsUnready", "wait_for_filesystems"]

LIMIT_S = 10.0
POLL_S = 0.05


class FilesystemsUnready(RetryableError):
    """A container that shares a volume does not listen yet."""


async def wait_for_filesystems(filesystems: Sequence[Filesystem], sockets: Path, limit_s: float = LIMIT_S) -> None:
    """Until every volume's socket is there. Raises FilesystemsUnready after the limit."""
    missing = [each.name for each in filesystems]
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while missing := [name for name in missing if not (sockets / f"{name}.sock").is_socket()]:
        if loop.time() > end_s:
            raise FilesystemsUnready(
                f"the containers of the file systems {', '.join(missing)} do not listen after {limit_s:g} s; "
                "see their logs in the launcher pod"
            )
        await asyncio.sleep(POLL_S)
