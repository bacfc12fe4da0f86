"""Libraries that are left out of an image: what takes their place is loaded by the real dynamic linker and says no."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kobune_images.absent import TRAP, Absent, library, remove, reporting, returning
from kobune_images.debian import BuildError
from kobune_images.elf import needed
from kobune_images.symbols import Symbol, exported, imported

PYTHON = (sys.executable, "-I", "-S", "-c")
LIBRARIES = "usr/lib/x86_64-linux-gnu"


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """The program and the libraries that a Python without modules consists of."""
    code = "print(open('/proc/self/maps').read())"
    maps = subprocess.run([*PYTHON, code], check=True, capture_output=True, text=True, timeout=60).stdout
    return [Path(name) for name in sorted(set(re.findall(r" r-xp .* (/\S+)$", maps, re.M)))]


def users(files: list[Path]) -> list[Path]:
    return [path for path in files if "libm.so.6" in needed(path)]


@pytest.fixture
def root(files: list[Path], tmp_path: Path) -> Path:
    """A system of Python, and the library of mathematical functions that it wants."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / LIBRARIES).mkdir(parents=True)
    for path in users(files):
        shutil.copy(path, tmp_path / ("usr/bin" if ".so" not in path.name else LIBRARIES))
    for name in ("libm.so.6", "libc.so.6"):
        shutil.copy(next(path for path in files if path.name == name), tmp_path / LIBRARIES / name)
    (tmp_path / LIBRARIES / "libm.so.6").rename(tmp_path / LIBRARIES / "libm-2.so")
    (tmp_path / LIBRARIES / "libm.so.6").symlink_to("libm-2.so")
    return tmp_path


def versioned(loaded: ctypes.CDLL, name: str, version: str) -> int | None:
    find = ctypes.CDLL(None).dlvsym
    find.restype = ctypes.c_void_p
    found: int | None = find(ctypes.c_void_p(loaded._handle), name.encode(), version.encode())
    return found


def test_what_a_program_wants_is_among_what_its_library_gives(files: list[Path], root: Path) -> None:
    given = {symbol.name: symbol for symbol in exported(root / LIBRARIES / "libm.so.6") if symbol.default}
    assert given["cos"] == Symbol("cos", "GLIBC_2.2.5", default=True, function=True)
    wanted = {name for user in users(files) for name in imported(user)}
    assert {"pow", "fmod"} <= wanted & set(given)


def test_functions_answer_as_told_and_the_others_with_nothing(tmp_path: Path) -> None:
    names = ("open_session", "convert", "read_session", "init")
    symbols = [Symbol(name, "", default=True, function=True) for name in names]
    answers = {"open_session": returning(0), "convert": reporting(4), "init": returning(-1)}
    target = tmp_path / "libaway.so.1"
    target.write_bytes(library(Absent("libaway.so.1", answers), symbols))
    away = ctypes.CDLL(str(target))
    assert away.init() == -1
    assert away.open_session() == 0
    assert away.read_session(None, 5) == 0
    error = ctypes.c_int(0)
    away.convert.restype = ctypes.c_void_p
    assert away.convert(b"name", ctypes.byref(error)) is None
    assert error.value == 4
    with pytest.raises(AttributeError):
        away.nobody_wants_this  # noqa: B018


def test_versions_are_kept_the_old_ones_too(tmp_path: Path) -> None:
    symbols = [
        Symbol("call", "AWAY_1", default=False, function=True),
        Symbol("call", "AWAY_2", default=True, function=True),
        Symbol("plain", "", default=True, function=True),
    ]
    target = tmp_path / "libaway.so.1"
    target.write_bytes(library(Absent("libaway.so.1", {"call": returning(7)}), symbols))
    away = ctypes.CDLL(str(target))
    assert away.call() == 7
    assert away.plain() == 0
    assert versioned(away, "call", "AWAY_1")
    assert versioned(away, "call", "AWAY_2")
    assert versioned(away, "call", "AWAY_3") is None


def test_nothing_of_it_is_writable_and_stacks_stay_not_executable(tmp_path: Path) -> None:
    target = tmp_path / "libaway.so.1"
    target.write_bytes(library(Absent("libaway.so.1"), [Symbol("call", "A_1", default=True, function=True)]))
    code = f"import ctypes; ctypes.CDLL({str(target)!r}).call(); print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    ours = [line.split()[1] for line in maps.splitlines() if line.endswith(str(target))]
    assert ours == ["r-xp"]
    assert re.findall(r" (\S+) .*\[stack\]", maps) == ["rw-p"]


def test_a_function_that_must_not_be_missed_ends_the_process(tmp_path: Path) -> None:
    target = tmp_path / "libaway.so.1"
    symbols = [Symbol("store", "", default=True, function=True)]
    target.write_bytes(library(Absent("libaway.so.1", others=TRAP), symbols))
    code = f"import ctypes; ctypes.CDLL({str(target)!r}).store()"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == -4


def test_a_library_is_replaced_by_what_its_users_want_of_it(files: list[Path], root: Path) -> None:
    old = root / LIBRARIES / "libm.so.6"
    size, wanted = old.stat().st_size, exported(old)
    remove(root, LIBRARIES, [Absent("libm.so.6", {"pow": returning(5)})])
    assert not (root / LIBRARIES / "libm-2.so").exists()
    assert not old.is_symlink()
    assert old.stat().st_size < size / 10
    away = ctypes.CDLL(str(old))
    assert away.pow() == 5
    names = {name for user in users(files) for name in imported(user)}
    for symbol in wanted:
        if symbol.name in names:
            assert versioned(away, symbol.name, symbol.version), symbol


def test_a_program_starts_with_the_replacement(root: Path) -> None:
    remove(root, LIBRARIES, [Absent("libm.so.6")])
    found = subprocess.run(
        [*PYTHON, "print('works')"],
        env=os.environ | {"LD_LIBRARY_PATH": str(root / LIBRARIES), "LD_BIND_NOW": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.stdout, found.stderr) == ("works\n", "")


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (Absent("libgone.so.1"), r"libgone\.so\.1 is not in the packages"),
        (Absent("libm.so.6", {"no_such_function": returning(1)}), "no_such_function"),
        (Absent("libc.so.6"), "data"),
    ],
)
def test_what_cannot_be_left_out_ends_the_build(root: Path, absent: Absent, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        remove(root, LIBRARIES, [absent])
