"""Progress of long work on the terminal: one line a step, with its seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress"]


class Progress:
    """Prints `  1.2s  what was done`; a step that fails prints what it was doing and lets the error through."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.began_s = time.monotonic()
        self.listener: Callable[[str], None] | None = None
        """Gets every line as well: somebody at another terminal."""

    def restart(self, listener: Callable[[str], None]) -> None:
        """Count from now, for somebody else."""
        self.began_s = time.monotonic()
        self.listener = listener

    def say(self, text: str) -> None:
        """One line under the current step."""
        self._line(f"         {text}")

    def _line(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)
        if self.listener is not None:
            self.listener(text)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Time the block and print its title with the seconds that it took."""
        began_s = time.monotonic()
        live = not self.quiet and sys.stdout.isatty()
        if live:
            print(f"    ...  {title}", end="\r", flush=True)
        try:
            yield
        except BaseException:
            self._line(f"  FAILED  {title}")
            raise
        self._line(f"{time.monotonic() - began_s:7.1f}s  {title}")

    @property
    def elapsed_s(self) -> float:
        """Seconds since this progress began."""
        return time.monotonic() - self.began_s
