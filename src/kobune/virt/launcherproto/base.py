"""The base of all messages of the protocol, and nothing else."""

from msgspec import Struct

__all__ = [
    "Message",
]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of all messages: frozen, keyword-only, camelCase on the wire."""
