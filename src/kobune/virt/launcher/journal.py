"""What must survive the launcher process: one small file in the pod's private directory.

Owns: its format. The domain itself is libvirt's to remember; here is only what libvirt cannot know.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from kobune.host.files import write_file

__all__ = ["Journal", "read_journal", "write_journal"]


class Journal(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """`started_at` (RFC 3339) is when the domain's start was complete; empty: it never was, as far as we know.

    `shutdown_deadline_s` is the Unix time when a guest that was asked to shut down is destroyed; `killed` says that it
    was destroyed on request or by that deadline.
    """

    started_at: str = ""
    shutdown_deadline_s: float | None = None
    killed: bool = False


def read_journal(path: Path) -> Journal:
    """The journal at `path`; an empty one where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return Journal()


def write_journal(path: Path, journal: Journal) -> None:
    """Replace the journal, durably."""
    write_file(path, msgspec.json.encode(journal))
