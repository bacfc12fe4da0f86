"""Quantities are exact and round-trip."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.base.quantity import QuantityError, format_quantity, parse_quantity, to_bytes, to_milli


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 1),
        ("1Gi", 1024**3),
        ("1024M", 1024 * 10**6),
        ("1e3", 1000),
        ("-1.5k", -1500),
        (".5Ki", 512),
        ("2E", 2 * 10**18),
    ],
)
def test_a_quantity_has_an_exact_amount(text: str, amount: int) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize("text", ["", "1 Gi", "1gi", "Gi", "1e", "0x10", "1" * 65, "1Gi\n2"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        parse_quantity(text)


def test_fractions_round_up() -> None:
    assert to_bytes("0.5") == 1
    assert to_milli("0.1m") == 1
    assert to_milli("1500m") == 1500


@given(st.integers(min_value=-(10**18), max_value=10**18), st.booleans())
def test_formatting_and_parsing_are_inverse(amount: int, binary: bool) -> None:
    assert parse_quantity(format_quantity(amount, binary=binary)) == amount


def test_canonical_text_uses_the_largest_whole_suffix() -> None:
    assert format_quantity(1024**3, binary=True) == "1Gi"
    assert format_quantity(1500) == "1500"
    assert format_quantity(2000) == "2k"
    assert format_quantity(Decimal("0.5")) == "500m"
