"""Reading request bodies: JSON and YAML to plain values, with the keys that occur twice.

Owns: the two decoders and their error texts. Must not know kinds.
"""

from typing import Any

__all__ = ["BodyError", "read_json", "read_yaml"]


class BodyError(ValueError):
    """The body is no JSON or YAML; the text is what the API answers (400)."""


def read_json(body: bytes) -> tuple[Any, list[str]]:
    """The value, and the paths of keys that were given more than once (the last one wins)."""
    raise NotImplementedError


def read_yaml(body: bytes) -> tuple[Any, list[str]]:
    """The value, and one message per duplicate key as the YAML library of the real server words it."""
    raise NotImplementedError
