"""The symbols that shared libraries give and programs want: just enough of ELF (x86-64) to tell them. Reads only."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Symbol", "exported", "imported"]

_DYNAMIC_SYMBOLS, _VERSION_OF_SYMBOL, _VERSIONS_GIVEN = 11, 0x6FFFFFFF, 0x6FFFFFFD
_FUNCTIONS = (2, 10)
"""STT_FUNC, and STT_GNU_IFUNC, whose address a function decides."""
_HIDDEN = 0x8000


@dataclass(frozen=True, order=True)
class Symbol:
    """A name that a library gives. `version`: "" without one; `default`: what a program that is linked today gets."""

    name: str
    version: str
    default: bool
    function: bool


@dataclass(frozen=True)
class _Section:
    kind: int
    offset: int
    size: int
    link: int
    info: int


def exported(path: Path) -> frozenset[Symbol]:
    """What the library `path` gives to others; nothing when it is no 64-bit ELF file."""
    data = path.read_bytes()
    sections = _sections(data)
    versions = dict(_versions_given(data, sections))
    found = set()
    for index, (name, info, section) in enumerate(_symbols(data, sections)):
        if section != 0 and name:
            number = _version_number(data, sections, index)
            version = versions.get(number & ~_HIDDEN, "")
            if version != name:  # a version is a symbol too
                found.add(Symbol(name, version, not number & _HIDDEN, info & 15 in _FUNCTIONS))
    return frozenset(found)


def imported(path: Path) -> frozenset[str]:
    """The names that `path` wants from its libraries; nothing when it is no 64-bit ELF file."""
    data = path.read_bytes()
    return frozenset(name for name, _, section in _symbols(data, _sections(data)) if section == 0 and name)


def _sections(data: bytes) -> list[_Section]:
    if data[:5] != b"\x7fELF\x02":
        return []
    (offset,), (size, count) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<HH", data, 58)
    raw = (struct.unpack_from("<IIQQQQIIQQ", data, offset + size * index) for index in range(count))
    return [_Section(kind, at, length, link, info) for _, kind, _, _, at, length, link, info, _, _ in raw]


def _find(sections: list[_Section], kind: int) -> _Section | None:
    return next((section for section in sections if section.kind == kind), None)


def _symbols(data: bytes, sections: list[_Section]) -> Iterator[tuple[str, int, int]]:
    """Name, type and binding, and section (0: wanted from others) of each dynamic symbol."""
    table = _find(sections, _DYNAMIC_SYMBOLS)
    if table is None:
        return
    for at in range(table.offset, table.offset + table.size, 24):
        name, info, _, section = struct.unpack_from("<IBBH", data, at)
        yield _string(data, sections[table.link], name), info, section


def _version_number(data: bytes, sections: list[_Section], index: int) -> int:
    table = _find(sections, _VERSION_OF_SYMBOL)
    return int(struct.unpack_from("<H", data, table.offset + 2 * index)[0]) if table is not None else 0


def _versions_given(data: bytes, sections: list[_Section]) -> Iterator[tuple[int, str]]:
    """Number and name of each version; the library's own name, which symbols without a version have, is left out."""
    table = _find(sections, _VERSIONS_GIVEN)
    if table is None:
        return
    at = table.offset
    for _ in range(table.info):
        _, flags, number, _, _, names, following = struct.unpack_from("<HHHHIII", data, at)
        if not flags & 1:
            (name,) = struct.unpack_from("<I", data, at + names)
            yield number, _string(data, sections[table.link], name)
        at += following


def _string(data: bytes, table: _Section, at: int) -> str:
    start = table.offset + at
    return data[start : data.index(b"\0", start)].decode()
