"""The mark of a restore in progress: what lets the next start finish it, so that no instance runs from two halves."""

from pathlib import Path

import msgspec

from kobune.base.errors import TerminalError
from kobune.host.files import write_file

__all__ = ["MARKER", "RestoreInterrupted", "Unfinished", "check_restored", "mark", "read_unfinished"]

MARKER = "restore.unfinished"
"""Name of a file in the data directory."""


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A restore whose material is complete in `staged` (a name in the data directory): it can only go forward.

    `replaced` names the directory with what was there before, if anything was; `beyond` the last revision that must
    never be given out again.
    """

    file: str
    staged: str
    beyond: int
    replaced: str | None = None


class RestoreInterrupted(TerminalError):
    """A restore ended halfway: what is in the data directory belongs to two instances."""

    def __init__(self, data_dir: Path, file: str) -> None:
        super().__init__(
            f"{data_dir} was left half restored from {file}: 'kobune up' finishes that, as does "
            f"'kobune restore FILE --data-dir {data_dir}'"
        )
        self.data_dir = data_dir
        self.file = file


def mark(data_dir: Path, unfinished: Unfinished) -> None:
    """Write the mark, durably."""
    write_file(data_dir / MARKER, msgspec.json.encode(unfinished))


def read_unfinished(data_dir: Path) -> Unfinished | None:
    """The restore of this directory that never came to its end, if there is one."""
    try:
        content = (data_dir / MARKER).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(content, type=Unfinished)
    except msgspec.DecodeError:
        # Material that nobody can name is as good as none.
        return Unfinished(file="a backup", staged="", beyond=0)


def check_restored(data_dir: Path) -> None:
    """Raise RestoreInterrupted when a restore of this directory never came to its end."""
    unfinished = read_unfinished(data_dir)
    if unfinished is not None:
        raise RestoreInterrupted(data_dir, unfinished.file)
