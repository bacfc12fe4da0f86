"""Which virtual CPUs a mask of real-time ones means."""

import pytest

from kobune.virt.domain.numa import chosen_vcpus


@pytest.mark.parametrize(
    ("mask", "expected"),
    [("", {0, 1, 2, 3}), (" ", {0, 1, 2, 3}), ("0-3,^1", {0, 2, 3}), ("2", {2}), ("0,1", {0, 1}), ("2-9", {2, 3})],
)
def test_a_mask_chooses_virtual_cpus(mask: str, expected: set[int]) -> None:
    assert chosen_vcpus(mask, 4) == expected


@pytest.mark.parametrize("mask", ["a", "-1", "1;2"])
def test_what_is_no_mask_is_refused(mask: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        chosen_vcpus(mask, 4)
