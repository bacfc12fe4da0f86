"""Keeps the log of the guest's serial console small: the guest writes it, and the node's disk must not fill up.

QEMU opens the file for appending, so that cutting it is safe at any moment.
"""

import asyncio
import os
from pathlib import Path

__all__ = ["CHECK_EVERY_S", "MAX_LOG_BYTES", "bound_serial_log"]

CHECK_EVERY_S = 10.0
MAX_LOG_BYTES = 4 * 1024 * 1024


async def bound_serial_log(path: Path) -> None:
    """Empty the log whenever it has grown over its limit; runs until cancelled."""
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        _bound(path)


def _bound(path: Path) -> None:
    try:
        if path.stat().st_size > MAX_LOG_BYTES:
            os.truncate(path, 0)
    except FileNotFoundError:
        return
