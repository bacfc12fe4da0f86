"""The values of the log."""

from typing import NamedTuple

from msgspec import Struct

__all__ = ["Entry", "Key"]


class Key(NamedTuple):
    """What an object is stored under: `resource` is GROUP/PLURAL (`core/pods`), `namespace` empty for cluster scope."""

    resource: str
    namespace: str
    name: str


class Entry(Struct, frozen=True, gc=False):
    """One revision of one key.

    `type` is `APIVERSION KIND` of the stored form and `body` its JSON without the opening brace and without these two
    fields, so that a reader joins bytes instead of encoding. The entry of a deletion carries the last state.
    """

    revision: int
    key: Key
    created: int
    """Revision of the first entry of this life of the key; equals `revision` for a creation."""
    previous: int
    """Revision that this entry supersedes; 0 for a creation."""
    deleted: bool
    type: str
    body: bytes
