"""Kubernetes quantities ("1500m", "1Gi", "1e3"), exact.

Source: the Quantity type of the Kubernetes API conventions: a signed decimal number with a binary suffix (Ki .. Ei),
a decimal suffix (n, u, m, k, M, G, T, P, E) or a decimal exponent.
"""

import re
from decimal import ROUND_CEILING, Decimal, localcontext

__all__ = ["QuantityError", "format_quantity", "parse_quantity", "to_bytes", "to_milli"]

_PATTERN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d{1,3}))?$")
_BINARY = {suffix: 1024**n for n, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


class QuantityError(ValueError):
    """The text is no quantity."""


def parse_quantity(value: str | int | float) -> Decimal:
    """The exact value of a quantity in its base unit (bytes, cores).

    Raises QuantityError when `value` is none.
    """
    if isinstance(value, int | float):
        return Decimal(str(value))
    match = _PATTERN.match(value)
    if match is None or len(value) > 64:
        raise QuantityError(
            f"{value[:64]!r} is not a quantity: use a number with a suffix such as 500m, 2, 512Mi or 1G"
        )
    number, suffix, exponent = match.groups()
    with localcontext() as context:
        context.prec = 100
        amount: Decimal = Decimal(number)
        if suffix in _BINARY:
            return amount * Decimal(_BINARY[suffix])
        if suffix:
            amount = amount.scaleb(_DECIMAL[suffix])
        elif exponent:
            amount = amount.scaleb(int(exponent))
        return amount


def to_bytes(value: str | int | float) -> int:
    """A memory or storage quantity in whole bytes, rounded up as Kubernetes does."""
    return int(parse_quantity(value).to_integral_value(ROUND_CEILING))


def to_milli(value: str | int | float) -> int:
    """A CPU quantity in thousandths of a core, rounded up as Kubernetes does."""
    return int((parse_quantity(value) * 1000).to_integral_value(ROUND_CEILING))


def format_quantity(amount: Decimal | int, *, binary: bool = False) -> str:
    """The canonical text of an amount: the largest suffix that keeps it whole.

    `binary` selects Ki, Mi, ... for amounts of at least 1024; others use the decimal suffixes.
    """
    amount = Decimal(amount)
    if amount == 0:
        return "0"
    if binary and amount == amount.to_integral_value():
        whole, suffix = int(amount), ""
        for name, factor in _BINARY.items():
            if int(amount) % factor == 0 and abs(int(amount)) >= factor:
                whole, suffix = int(amount) // factor, name
        return f"{whole}{suffix}"
    for suffix in ("E", "P", "T", "G", "M", "k", "", "m", "u", "n"):
        scaled = amount.scaleb(-_DECIMAL.get(suffix, 0))
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int((amount * 10**9).to_integral_value(ROUND_CEILING))}n"
