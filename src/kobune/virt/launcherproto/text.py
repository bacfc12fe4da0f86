"""Texts that come from a guest or from a launcher, made short and harmless for a terminal. Pure."""

from typing import Final

__all__ = ["MAX_MESSAGE", "MAX_WORD", "readable"]

MAX_WORD: Final = 256
MAX_MESSAGE: Final = 1024
_CONTROL: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\N{REPLACEMENT CHARACTER}")


def readable(text: str, limit: int = MAX_WORD) -> str:
    """At most `limit` characters, with a sign in place of each control character, and of what is no character at all
    (names of files that are no UTF-8)."""
    return text[:limit].encode("utf-8", "replace").decode().translate(_CONTROL)
