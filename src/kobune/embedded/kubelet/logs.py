"""Container logs: parses CRI's log format and reads it as `kubectl logs` asks for it. No network in here.

A line is `TIME STREAM FLAGS TEXT`; the flag `P` marks a piece of a line that goes on in the next one.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

__all__ = ["LogOptions", "last_lines", "read_log", "rotate_log"]

CHUNK_BYTES = 64 << 10
FOLLOW_POLL_S = 0.1
ROTATE_BYTES = 10 << 20
ROTATE_KEEP = 4


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of a container's output; `partial` lines have no newline yet."""

    time: bytes
    stream: bytes
    partial: bool
    text: bytes


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Of core/v1 PodLogOptions. `tail_lines` None means everything."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    limit_bytes: int | None = None
    stream: str = ""


def parse_entry(line: bytes) -> LogEntry | None:
    """One line of a log file without its newline; None when it is damaged."""
    parts = line.split(b" ", 3)
    if len(parts) < 3:
        return None
    text = parts[3] if len(parts) == 4 else b""
    return LogEntry(parts[0], parts[1], parts[2].startswith(b"P"), text)


async def read_log(path: Path, options: LogOptions, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Pieces of the log as a client gets them.

    With `follow`, goes on until `ended` says that the container writes no more, and over a rotation of the file.
    """
    budget = options.limit_bytes
    state = _Output(options)
    with path.open("rb") as file:
        current: BinaryIO = file
        if options.tail_lines is not None:
            current.seek(_tail_offset(path, options.tail_lines, options.stream))
        rest = b""
        try:
            while True:
                last_look = ended()
                chunk = current.read(CHUNK_BYTES)
                if chunk:
                    *lines, rest = (rest + chunk).split(b"\n")
                    piece = b"".join(state.render(lines))
                    if budget is not None:
                        piece = piece[:budget]
                        budget -= len(piece)
                    if piece:
                        yield piece
                    if budget == 0:
                        return
                    await asyncio.sleep(0)
                    continue
                fresh = _rotated(path, current)
                if fresh is not None:
                    if current is not file:
                        current.close()
                    current, rest = fresh, b""
                    continue
                if not options.follow or last_look:
                    return
                await asyncio.sleep(FOLLOW_POLL_S)
        finally:
            if current is not file:
                current.close()


def last_lines(path: Path, lines: int, limit_bytes: int) -> str:
    """The end of a log as text."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4 * limit_bytes))
            entries = [parse_entry(line) for line in file.read().split(b"\n")]
    except OSError:
        return ""
    texts = [entry.text + (b"" if entry.partial else b"\n") for entry in entries if entry is not None]
    return b"".join(texts[-lines:])[-limit_bytes:].decode("utf-8", "replace")


def rotate_log(path: Path) -> bool:
    """Move a large log aside, keeping a few older ones; the runtime must then be told to open a new file."""
    try:
        if path.stat().st_size < ROTATE_BYTES:
            return False
    except OSError:
        return False
    for index in range(ROTATE_KEEP, 0, -1):
        older = path.with_name(f"{path.name}.{index}")
        if older.exists():
            if index == ROTATE_KEEP:
                older.unlink()
            else:
                older.rename(path.with_name(f"{path.name}.{index + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))
    return True


class _Output:
    """Renders entries by the options; remembers whether a line has been begun."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._since = None if options.since is None else options.since.timestamp()
        self._begun = False

    def render(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            entry = parse_entry(line)
            if entry is None or not self._wanted(entry):
                continue
            if self._options.timestamps and not self._begun:
                yield entry.time + b" "
            yield entry.text
            if not entry.partial:
                yield b"\n"
            self._begun = entry.partial

    def _wanted(self, entry: LogEntry) -> bool:
        wanted = self._options.stream
        if wanted and wanted != "All" and wanted.lower().encode() != entry.stream:
            return False
        return self._since is None or _seconds(entry.time) >= self._since


def _seconds(moment: bytes) -> float:
    text = moment.decode("ascii", "replace")
    try:
        # Nanoseconds are more than datetime takes.
        head, _, fraction = text.removesuffix("Z").partition(".")
        return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return 0.0


def _tail_offset(path: Path, lines: int, stream: str) -> int:
    """Where the last `lines` lines begin. Pieces of one line count as one."""
    if lines <= 0:
        return path.stat().st_size
    wanted = stream.lower().encode() if stream and stream != "All" else b""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        found = 0
        while position > 0:
            step = min(CHUNK_BYTES, position)
            position -= step
            file.seek(position)
            parts = (file.read(step) + rest).split(b"\n")
            # The first part may begin in the chunk before; at the start of the file it is a whole line.
            rest = parts[0]
            whole = parts if position == 0 else parts[1:]
            offset = 0 if position == 0 else position + len(rest) + 1
            ends = []
            for line in whole:
                ends.append((offset, line))
                offset += len(line) + 1
            for start, line in reversed(ends):
                entry = parse_entry(line)
                if entry is None or entry.partial or (wanted and entry.stream != wanted):
                    continue
                found += 1
                if found > lines:
                    return start + len(line) + 1
    return 0


def _rotated(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The new file when the one being read was moved aside."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return None
    before = os.fstat(file.fileno())
    if (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino):
        return None
    return path.open("rb")
