"""Durations as Go writes them."""

from datetime import timedelta

import pytest

from kobune.base.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("2.5s", 2.5), ("100ms", 0.1), ("0", 0), ("-1m", -60), ("48h0m0s", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "1d", "5m x"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)
