"""Libraries that programs of an image are linked with and never use there, each replaced by one that always says no.

Owns the replacement: a shared library of a page or two that gives the same functions under the same versions, without
any of its own needs. The dynamic linker asks for no less, and a process pays for every library that is loaded: its
tables, what its start-up code touches, and all the libraries that it needs itself.

A program must be able to tell that the library is not there. So the functions by which it is entered fail as the real
ones may; what they would have given is needed for every other one, which are there by name only.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kobune_images.debian import BuildError
from kobune_images.elf import needed
from kobune_images.symbols import Symbol, exported, imported

__all__ = ["TRAP", "Absent", "Answer", "library", "remove", "reporting", "returning"]

_PAGE = 4096
_BUCKETS = 1


@dataclass(frozen=True)
class Answer:
    """What a function does: x86-64 code."""

    code: bytes


def returning(value: int) -> Answer:
    """`value` as an integer of 32 bits; 0 is also the null pointer."""
    return Answer(b"\xb8" + struct.pack("<i", value) + b"\xc3")


def reporting(value: int) -> Answer:
    """A null pointer, after storing `value` (32 bits) where the second argument points to."""
    return Answer(b"\xc7\x06" + struct.pack("<i", value) + b"\x31\xc0\xc3")


_NOTHING = returning(0)
TRAP = Answer(b"\x0f\x0b")
"""The process ends: for functions that cannot say that they did nothing, where silence would lose data."""


@dataclass(frozen=True)
class Absent:
    """A library to replace, by the name that programs load it by, and what its functions answer."""

    name: str
    entries: Mapping[str, Answer] = field(default_factory=dict)
    others: Answer = _NOTHING


def remove(root: Path, folder: str, absent: Sequence[Absent]) -> None:
    """Replace libraries of the installed system `root`; `folder` is where they are.

    Raises BuildError when a library, or one of the functions that it is entered by, is not wanted by anything there:
    then the list is not about this release.
    """
    names = {one.name for one in absent}
    files = [path for path in sorted((root / folder).rglob("*.so*")) if path.is_file() and not path.is_symlink()]
    files += [path for place in ("usr/bin", "usr/sbin", "usr/libexec") for path in sorted((root / place).glob("*"))]
    replaced = {(root / folder / name).resolve() for name in names if (root / folder / name).exists()}
    wanted: dict[str, set[str]] = {name: set() for name in names}
    for path in files:
        if path.is_file() and not path.is_symlink() and path not in replaced:
            for name in names.intersection(needed(path)):
                wanted[name] |= imported(path)
    for one in absent:
        link = root / folder / one.name
        if not link.exists():
            raise BuildError(f"{one.name} is not in the packages; the list of what the launcher does without is old")
        symbols = [symbol for symbol in sorted(exported(link)) if symbol.name in wanted[one.name]]
        unknown = set(one.entries) - {symbol.name for symbol in symbols}
        if not symbols or unknown or not all(symbol.function for symbol in symbols):
            raise BuildError(
                f"{one.name} can't be left out: {', '.join(unknown) or 'nothing calls it, or it has data'}"
            )
        content = library(one, symbols)
        link.resolve().unlink()
        link.unlink(missing_ok=True)
        link.write_bytes(content)
        link.chmod(0o644)


def library(absent: Absent, symbols: Iterable[Symbol]) -> bytes:
    """The replacement: an ELF shared library that gives these functions, all in one segment that nothing writes to.

    Raises BuildError when a name is given more than once in the same version.
    """
    symbols = list(symbols)
    if len({(symbol.name, symbol.version) for symbol in symbols}) < len(symbols):
        raise BuildError(f"{absent.name} has a function twice")
    versions = sorted({symbol.version for symbol in symbols if symbol.version})
    strings = _Strings()
    soname = strings.add(absent.name)
    code = bytearray()
    starts: dict[Answer, int] = {}
    for answer in (absent.others, *absent.entries.values()):
        if answer not in starts:
            starts[answer] = len(code)
            code += answer.code.ljust((len(answer.code) + 15) // 16 * 16, b"\x90")
    names = [strings.add(symbol.name) for symbol in symbols]
    given = _versions_given(absent.name, soname, versions, strings)
    count = len(symbols) + 1

    layout = _Layout(64 + 56 * 3)
    at_code = layout.place(len(code))
    at_hash = layout.place(4 * (2 + _BUCKETS + count))
    at_symbols = layout.place(24 * count)
    at_numbers = layout.place(2 * count)
    at_given = layout.place(len(given))
    at_strings = layout.place(len(strings.data))
    dynamic = [(14, soname), (4, at_hash), (5, at_strings), (6, at_symbols), (10, len(strings.data)), (11, 24)]
    if versions:
        dynamic += [(0x6FFFFFF0, at_numbers), (0x6FFFFFFC, at_given), (0x6FFFFFFD, len(versions) + 1)]
    dynamic.append((0, 0))
    at_dynamic = layout.place(16 * len(dynamic))

    image = bytearray(layout.end)
    image[:64] = _header()
    load = (1, 5, 0, 0, 0, layout.end, layout.end, _PAGE)
    described = (2, 4, at_dynamic, at_dynamic, at_dynamic, 16 * len(dynamic), 16 * len(dynamic), 8)
    stack = (0x6474E551, 6, 0, 0, 0, 0, 0, 16)  # without this the dynamic linker makes stacks executable
    for index, segment in enumerate((load, described, stack)):
        struct.pack_into("<IIQQQQQQ", image, 64 + 56 * index, *segment)
    image[at_code : at_code + len(code)] = code
    # One bucket whose chain is all symbols: these are few, and looked up once.
    chain = [*range(2, count), 0]
    struct.pack_into(f"<{2 + _BUCKETS + count}I", image, at_hash, _BUCKETS, count, 1, 0, *chain)
    for index, (symbol, name) in enumerate(zip(symbols, names, strict=True), start=1):
        start = at_code + starts[absent.entries.get(symbol.name, absent.others)]
        struct.pack_into("<IBBHQQ", image, at_symbols + 24 * index, name, 0x12, 0, 1, start, 16)
        number = versions.index(symbol.version) + 2 if symbol.version else 1
        struct.pack_into("<H", image, at_numbers + 2 * index, number | (0 if symbol.default else 0x8000))
    image[at_given : at_given + len(given)] = given
    image[at_strings : at_strings + len(strings.data)] = strings.data
    for index, entry in enumerate(dynamic):
        struct.pack_into("<qQ", image, at_dynamic + 16 * index, *entry)
    return bytes(image)


class _Strings:
    """A string table that grows."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


class _Layout:
    """Places one part after the other, each on a boundary of 16 bytes."""

    def __init__(self, start: int) -> None:
        self.end = start

    def place(self, size: int) -> int:
        at = (self.end + 15) // 16 * 16
        self.end = at + size
        return at


def _header() -> bytes:
    """Of a shared library for x86-64 without sections."""
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    return ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)


def _versions_given(soname: str, at: int, versions: Sequence[str], strings: _Strings) -> bytes:
    """The table of versions: first the library's own name, as the base."""
    if not versions:
        return b""
    table = b""
    for number, (name, place) in enumerate([(soname, at), *((name, strings.add(name)) for name in versions)], start=1):
        last = number == len(versions) + 1
        flags = 1 if number == 1 else 0
        table += struct.pack("<HHHHIII", 1, flags, number, 1, _hash(name), 20, 0 if last else 28)
        table += struct.pack("<II", place, 0)
    return table


def _hash(name: str) -> int:
    """The hash of ELF's System V ABI, chapter 5."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        value = (value ^ ((value & 0xF0000000) >> 24)) & 0x0FFFFFFF
    return value
