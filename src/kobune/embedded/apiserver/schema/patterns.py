"""Regular expressions of users: RE2, whose time is linear in the text, with Go's words for what is wrong with one.

Owns: the only use of the RE2 library, imported with the first pattern. Python's own engine must not run patterns of
schemas and rules: one with nested repetitions would stop the server on a text of thirty characters.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

from kobune.base.errors import TerminalError

__all__ = ["Pattern", "PatternError", "compile_pattern"]

_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
_MEMORY_BYTES = 8 << 20


class PatternError(TerminalError):
    """The text is no regular expression; the message is what Go's parser says."""


class Match(Protocol):
    """What was found."""

    def group(self, number: int = 0) -> str:
        """The text of a group."""
        ...


class Pattern(Protocol):
    """A compiled expression; `$` is the end of the text."""

    def search(self, text: str) -> Match | None:
        """The first match anywhere."""
        ...

    def finditer(self, text: str) -> Iterator[Match]:
        """All matches, one behind the other."""
        ...


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> Pattern:
    """Compile an expression of RE2's dialect. Raises PatternError."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        pattern: Pattern = re2.compile(text, options)
    except re2.error as error:
        raise PatternError(_go(error)) from error
    return pattern


def _go(error: Any) -> str:
    told = error.args[0] if error.args else ""
    code, _, piece = (told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)).partition(": ")
    return f"error parsing regexp: {_GO_WORDS.get(code, code)}: `{piece}`"
