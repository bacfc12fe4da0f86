"""The other processes of a container: those that have the same process namespace."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kobune.host.procroot import HeldProcess

__all__ = ["siblings"]


def siblings(process: HeldProcess, proc: Path = Path("/proc")) -> Iterator[int]:
    """The ids of all processes in the namespace of `process`, its own included. Raises ProcessGone."""
    descriptor = process.open("ns/pid", os.O_RDONLY)
    try:
        own = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    for name in os.listdir(proc):
        # One that ends meanwhile is none of them any more.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if name.isdigit() and os.path.samestat((proc / name / "ns/pid").stat(), own):
                yield int(name)
