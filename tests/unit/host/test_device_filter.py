"""The device rules as a program, run by an interpreter of the few instructions that it has."""

import struct

import pytest

from kobune.host.containerfs.devicefilter import DEFAULT_RULES, DeviceRule, device_filter

MASK = (1 << 64) - 1
BLOCK, CHARACTER, MAKE, READ, WRITE = 1, 2, 1, 2, 4


def run(program: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """What the program answers for one access; fails on anything that the kernel would not accept."""
    context = struct.pack("<III", access << 16 | kind, major, minor)
    registers, position = {1: 0}, 0
    instructions = [struct.unpack("<BBhi", program[i : i + 8]) for i in range(0, len(program), 8)]
    while True:
        code, both, offset, value = instructions[position]
        target, position = both & 15, position + 1
        if code == 0x61:
            (registers[target],) = struct.unpack_from("<I", context, offset)
        elif code == 0x54:
            registers[target] &= value
        elif code == 0x74:
            registers[target] >>= value
        elif code == 0x55:
            position += offset if registers[target] != value & MASK else 0
        elif code == 0xB7:
            registers[target] = value & MASK
        elif code == 0x95:
            return registers[0]
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


@pytest.mark.parametrize(
    ("kind", "access", "major", "minor", "allowed"),
    [
        (BLOCK, READ | WRITE, 7, 3, True),
        (BLOCK, READ, 7, 4, False),
        (BLOCK, READ, 8, 3, False),
        (CHARACTER, READ, 7, 3, False),
        (CHARACTER, READ | WRITE, 136, 9, True),
        (CHARACTER, READ, 5, 2, True),
        (CHARACTER, READ, 5, 1, False),
        (BLOCK, MAKE, 9, 9, True),
        (BLOCK, MAKE | READ, 9, 9, False),
    ],
)
def test_only_what_a_rule_names_is_opened(kind: int, access: int, major: int, minor: int, allowed: bool) -> None:
    program = device_filter([*DEFAULT_RULES, DeviceRule(block=True, major=7, minor=3)])
    assert run(program, kind, access, major, minor) == int(allowed)


def test_without_rules_nothing_is_opened() -> None:
    assert run(device_filter([]), CHARACTER, READ, 1, 3) == 0


def test_the_same_rule_twice_costs_nothing() -> None:
    rule = DeviceRule(block=True, major=7, minor=3)
    assert device_filter([rule, rule]) == device_filter([rule])
