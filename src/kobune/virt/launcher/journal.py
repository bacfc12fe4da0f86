"""What must survive the launcher process: one small file in the pod's private directory.

Owns: its format. The domain itself is libvirt's to remember; here is only what libvirt cannot know.
"""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["Journal", "read_journal", "replace_file", "write_journal"]


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
    replace_file(path, msgspec.json.encode(journal))


def replace_file(path: Path, content: bytes) -> None:
    """Replace a private file, durably: readers see the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
