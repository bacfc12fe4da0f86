"""Values of the form `key:value,key:value`, as virtctl's volume flags take them. Pure."""

from collections.abc import Collection, Mapping

import click

__all__ = ["Fields", "boot_order", "parse_fields"]

Fields = dict[str, str]


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
