"""The mark that an unfinished restore leaves, so that no instance starts from two halves."""

from pathlib import Path

from kobune.base.errors import TerminalError

__all__ = ["MARKER", "RestoreInterrupted", "check_restored"]

MARKER = "restore.unfinished"
"""Name of a file in the data directory that names the backup being restored."""


class RestoreInterrupted(TerminalError):
    """A restore ended halfway: what is in the data directory belongs to two instances."""

    def __init__(self, data_dir: Path, file: str) -> None:
        super().__init__(
            f"{data_dir} was left half restored: run 'kobune restore {file} --data-dir {data_dir}' again first"
        )
        self.data_dir = data_dir
        self.file = file


def check_restored(data_dir: Path) -> None:
    """Raise RestoreInterrupted when a restore of this directory never came to its end."""
    try:
        file = (data_dir / MARKER).read_text().strip()
    except FileNotFoundError:
        return
    raise RestoreInterrupted(data_dir, file)
