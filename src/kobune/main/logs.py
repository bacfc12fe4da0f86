"""Keeps the logs of an instance from filling its disk: one older file beside each, while the writers go on.

Whoever writes has opened its file for appending, so that what is cut off at the front stays cut off. Pods' logs are the
kubelet's.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Final

__all__ = ["LOG_LIMIT_BYTES", "bound_logs", "keep_logs_bounded"]

log = logging.getLogger(__name__)

LOG_LIMIT_BYTES: Final = 16 << 20
CHECK_EVERY_S: Final = 60.0
NOT_APPENDED: Final = frozenset({"up.log"})
"""Written from its beginning by `kobune up --detach`, and hardly at all once it is ready."""


async def keep_logs_bounded(folder: Path) -> None:
    """Look at the logs now and then, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        try:
            await asyncio.to_thread(bound_logs, folder)
        except OSError as error:
            log.warning("logs are not shortened: %s", error)


def bound_logs(folder: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Put what logs over the limit have aside as NAME.log.1 and empty them; the few lines written meanwhile are lost.

    Raises OSError; on a full disk the logs are emptied all the same.
    """
    for path in sorted(folder.glob("*.log")):
        if path.name in NOT_APPENDED or path.stat().st_size <= limit_bytes:
            continue
        older = path.with_suffix(".log.1")
        temporary = older.with_suffix(".new")
        try:
            with contextlib.ExitStack() as files:
                source = files.enter_context(path.open("rb"))
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                shutil.copyfileobj(source, files.enter_context(os.fdopen(descriptor, "wb")))
            temporary.replace(older)
        finally:
            temporary.unlink(missing_ok=True)
            os.truncate(path, 0)
