"""Values of the form `key:value,key:value`, as virtctl's volume flags take them. Pure, but for random names."""

import re
import secrets
from collections.abc import Collection, Mapping
from typing import Final

import click

__all__ = ["Fields", "boot_order", "check_label", "check_quantity", "parse_fields", "random_suffix"]

Fields = dict[str, str]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' letters of generated names: none that looks like another, and no words by accident."""


def random_suffix() -> str:
    """The end of a generated name."""
    return "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))


def check_label(option: str, name: str) -> str:
    """A name of a volume. Raises UsageError."""
    if not _LABEL.fullmatch(name):
        raise click.UsageError(
            f"{option}: {name!r} is no name of a volume: at most 63 lower case letters, digits and dashes; "
            "give another one by name:..."
        )
    return name


def check_quantity(option: str, text: str) -> str:
    """An amount, such as 512Mi. Raises UsageError."""
    from kobune.base.quantity import parse_quantity

    try:
        parse_quantity(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {text!r} is no amount: write it like 512Mi or 10Gi") from error
    return text


def parse_fields(option: str, text: str, known: Collection[str], required: Collection[str] = ()) -> Fields:
    """The keys and values of `text`; a value may hold colons. Raises UsageError naming option, key and what fits."""
    found: Fields = {}
    for part in text.split(","):
        key, colon, value = part.partition(":")
        key = key.strip()
        if not colon or not value:
            raise click.UsageError(f"{option} {text!r}: write KEY:VALUE,KEY:VALUE; keys are {', '.join(known)}")
        if key not in known:
            raise click.UsageError(f"{option} {text!r}: unknown key {key!r}; keys are {', '.join(known)}")
        if key in found:
            raise click.UsageError(f"{option} {text!r}: {key} is given twice")
        found[key] = value.strip()
    missing = [key for key in required if key not in found]
    if missing:
        raise click.UsageError(f"{option} {text!r}: add {', '.join(f'{key}:...' for key in missing)}")
    return found


def boot_order(option: str, fields: Mapping[str, str]) -> int | None:
    """The place in the boot order, from 1; None when the flag does not say. Raises UsageError."""
    text = fields.get("bootorder")
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise click.UsageError(f"{option}: bootorder must be greater than 0, not {text!r}")
    return int(text)
