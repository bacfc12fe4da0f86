"""Gives virtual CPUs real-time priority, from outside: a container may not, and libvirt in it neither.

QEMU calls the threads of its virtual CPUs `CPU N/KVM` (or `CPU N/TCG`). The guest's side could give that name to others
of its threads, which the kernel's limit on real-time work bounds as it does the real ones; a thread outside of the
launcher's container is never touched. Idempotent.
"""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kobune.base.errors import RetryableError
from kobune.host.procroot import HeldProcess
from kobune.host.procroot.siblings import siblings

__all__ = ["NoRealtime", "make_realtime"]

log = logging.getLogger(__name__)

PRIORITY: Final = 1
"""The lowest: above everything that is not real-time, below the kernel's own threads."""
_THREAD: Final = re.compile(r"CPU (\d+)/(KVM|TCG)")


class NoRealtime(RetryableError):
    """The threads are not there yet, or this node's kernel refuses."""


def make_realtime(process: HeldProcess, vcpus: frozenset[int], proc: Path = Path("/proc")) -> None:
    """Put the threads of these virtual CPUs, in the container of `process`, on the FIFO scheduler.

    Raises NoRealtime when one of them is not there, or may not be.
    """
    missing = set(vcpus)
    for vcpu, thread in _threads(process, proc):
        if vcpu not in vcpus:
            continue
        try:
            if os.sched_getscheduler(thread) != os.SCHED_FIFO:
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(PRIORITY))
        except PermissionError as error:
            message = f"virtual CPU {vcpu} can't have real-time priority: this node's kernel does not allow it"
            raise NoRealtime(message) from error
        except ProcessLookupError:
            continue
        missing.discard(vcpu)
    if missing:
        raise NoRealtime(f"virtual CPU {min(missing)} has no thread yet")


def _threads(process: HeldProcess, proc: Path) -> Iterator[tuple[int, int]]:
    for pid in siblings(process, proc):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in (proc / str(pid) / "task").iterdir():
                match = _THREAD.fullmatch((task / "comm").read_text().strip())
                if match is not None:
                    yield int(match[1]), int(task.name)
