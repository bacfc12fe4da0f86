"""Progress of long work on the terminal: one line a step, with its seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Progress"]


class Progress:
    """Prints `  1.2s  what was done`; a step that fails prints what it was doing and lets the error through."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.began_s = time.monotonic()

    def say(self, text: str) -> None:
        """One line under the current step."""
        if not self.quiet:
            print(f"         {text}", flush=True)

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
            if not self.quiet:
                print(f"  FAILED  {title}", flush=True)
            raise
        if not self.quiet:
            print(f"{time.monotonic() - began_s:7.1f}s  {title}", flush=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this progress began."""
        return time.monotonic() - self.began_s
