"""Device rules as a BPF program for control groups of version 2. Pure.

Source: the kernel's bpf_cgroup_dev_ctx (access_type, major, minor) and the rules that container runtimes set by
default: any node may be made, only listed ones may be opened.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DEFAULT_RULES", "DeviceRule", "device_filter"]

BLOCK, CHARACTER = 1, 2
MAKE_NODE = 1

_LOAD_WORD, _AND, _SHIFT_RIGHT, _JUMP_UNLESS_EQUAL, _MOVE, _EXIT = 0x61, 0x54, 0x74, 0x55, 0xB7, 0x95


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """A device that may be opened; `minor` None means all of the major number."""

    block: bool
    major: int
    minor: int | None


DEFAULT_RULES = (DeviceRule(block=False, major=136, minor=None), DeviceRule(block=False, major=5, minor=2))
"""Pseudo-terminals, which a container makes itself."""


def device_filter(rules: Iterable[DeviceRule]) -> bytes:
    """The program's instructions: allowed are making a node, and opening what a rule names."""
    allow = _instruction(_MOVE, 0, 0, 0, 1) + _instruction(_EXIT)
    program = [
        _instruction(_LOAD_WORD, 2, 1, 0),  # access and type
        _instruction(_AND, 2, 0, 0, 0xFFFF),
        _instruction(_LOAD_WORD, 3, 1, 0),
        _instruction(_SHIFT_RIGHT, 3, 0, 0, 16),
        _instruction(_LOAD_WORD, 4, 1, 4),  # major
        _instruction(_LOAD_WORD, 5, 1, 8),  # minor
        _instruction(_JUMP_UNLESS_EQUAL, 3, 0, 2, MAKE_NODE) + allow,
    ]
    for rule in dict.fromkeys(rules):
        tests = [(2, BLOCK if rule.block else CHARACTER), (4, rule.major)]
        if rule.minor is not None:
            tests.append((5, rule.minor))
        # Each test that fails jumps over the tests after it and the two instructions that allow.
        program += [
            _instruction(_JUMP_UNLESS_EQUAL, register, 0, len(tests) - index + 1, value)
            for index, (register, value) in enumerate(tests)
        ]
        program.append(allow)
    program.append(_instruction(_MOVE, 0, 0, 0, 0) + _instruction(_EXIT))
    return b"".join(program)


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)
