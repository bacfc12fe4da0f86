"""Scalar types of the API that are more than JSON: times, quantities, base64 bytes.

Owns: parsing and their canonical text, as the real server reads them in and prints them back. Pure.
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

from kobune.base.quantity import QuantityError, parse_quantity

__all__ = ["canonical_micro_time", "canonical_quantity", "canonical_time", "check_base64"]

_RFC3339 = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")
_SUFFIX = re.compile(r"^[+-]?[0-9.]+(.*)$")
_MICRO = re.compile(r"\.\d{6}(?:[Zz]|[+-]\d\d:\d\d)$")
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k"), (0, ""), (-3, "m"), (-6, "u"), (-9, "n"))
_CANONICAL_TIME = re.compile(r"^\d{4}-(?:0[1-9]|1[0-2])-(?:[01]\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$")


def _moment(text: str) -> datetime:
    if not _RFC3339.match(text):
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'parsing time "{text}": day out of range') from error


def canonical_time(text: str) -> str:
    """metav1.Time: whole seconds, UTC. Raises ValueError."""
    return text if _CANONICAL_TIME.match(text) else _moment(text).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical_micro_time(text: str) -> str:
    """metav1.MicroTime: six fractional digits, UTC. Raises ValueError; exactly six digits are accepted."""
    if not _MICRO.search(text):
        layout = "2006-01-02T15:04:05.000000Z07:00"
        rest = text[19:] or text
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as ".000000"')
    return _moment(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical_quantity(value: str | int | float) -> str:
    """A quantity as the API prints it: 1000m is 1, 1024Mi is 1Gi, 0.5 is 500m, 1.5Gi is 1536Mi.

    Raises ValueError with the message of the real parser.
    """
    text = value.strip() if isinstance(value, str) else repr(value)
    try:
        amount = parse_quantity(text)
    except QuantityError as error:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ) from error
    found = _SUFFIX.match(text)
    suffix = found.group(1) if found else ""
    if suffix in _BINARY and (amount <= -1024 or amount >= 1024):
        whole = int(amount.to_integral_value(ROUND_CEILING))
        unit = ""
        for name in _BINARY:
            if whole % 1024:
                break
            whole, unit = whole // 1024, name
        return f"{whole}{unit}"
    if amount == 0:
        return "0"
    nano = amount.scaleb(9).to_integral_value(ROUND_CEILING)
    amount = Decimal(nano).scaleb(-9)
    exponent_form = bool(re.fullmatch(r"[eE][+-]?\d+", suffix))
    for power, unit in _DECIMAL:
        scaled = amount.scaleb(-power)
        if scaled == scaled.to_integral_value():
            if exponent_form:
                return f"{int(scaled)}e{power}" if power else str(int(scaled))
            return f"{int(scaled)}{unit}"
    return f"{int(nano)}n"


def check_base64(text: str) -> None:
    """Raise ValueError unless the text is padded standard base64 (line ends are allowed, as in Go)."""
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        position = next((i for i, c in enumerate(text) if not (c.isascii() and (c.isalnum() or c in "+/=\n\r"))), None)
        at = position if position is not None else len(text) // 4 * 4
        raise ValueError(f"illegal base64 data at input byte {at}") from error
