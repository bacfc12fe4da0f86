"""The root of every error that Kobune raises on purpose.

Each layer has a small hierarchy below `KobuneError`; errors carry fields, and whether trying again can help is a
type, never a matter of reading the message.
"""

__all__ = ["KobuneError", "RetryableError", "TerminalError"]


class KobuneError(Exception):
    """Base of all expected errors; `str(error)` is fit for a user: what is wrong and what to do."""


class RetryableError(KobuneError):
    """The same attempt may succeed later without anybody changing anything."""


class TerminalError(KobuneError):
    """Trying again is pointless until an input changes."""
