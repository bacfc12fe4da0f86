"""Debian packages as the source of everything that is in an image.

Owns the calls of mmdebstrap: which release, which mirror, what is left out. `KOBUNE_DEBIAN_MIRROR` names another
mirror (or a snapshot.debian.org address, for a build that gives the same bytes next year).
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kobune_images.archive import EPOCH_S

__all__ = ["NEWER_SUITE", "SUITE", "BuildError", "bootstrap", "extract", "require", "run"]

SUITE = "bookworm"
NEWER_SUITE = "trixie"
_EXCLUDED = ("man", "doc", "locale", "info", "lintian", "bug", "iso-codes")


class BuildError(Exception):
    """The image can't be built; the message says what is missing or which command failed and how."""


def require(programs: dict[str, str]) -> None:
    """Check that the programs are there; `programs` maps each to the Debian package that has it."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in programs.items() if shutil.which(program, path=path) is None})
    if missing:
        raise BuildError(f"programs are missing; run: apt-get install -y {' '.join(missing)}")


def run(args: Sequence[str | Path], *, timeout_s: float = 600, env: dict[str, str] | None = None) -> bytes:
    """Run a build tool to its end and return its output; raises BuildError with the end of its messages."""
    environment = os.environ | {
        "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(EPOCH_S),
    }
    environment.update(env or {})
    argv = [str(arg) for arg in args]
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{argv[0]} did not end within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        tail = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-12:]
        raise BuildError("\n  ".join([f"{shlex.join(argv)[:300]} failed ({done.returncode}):", *tail]))
    return done.stdout


def _mirrors(*suites: str) -> list[str]:
    main = os.environ.get("KOBUNE_DEBIAN_MIRROR", "http://deb.debian.org/debian").rstrip("/")
    security = os.environ.get("KOBUNE_DEBIAN_SECURITY_MIRROR", main + "-security").rstrip("/")
    return [
        line
        for suite in suites
        for line in (
            f"deb {main} {suite} main",
            f"deb {main} {suite}-updates main",
            f"deb {security} {suite}-security main",
        )
    ]


def _mmdebstrap(
    target: Path, variant: str, packages: Sequence[str], options: Sequence[str], suites: Sequence[str] = (SUITE,)
) -> None:
    require({"mmdebstrap": "mmdebstrap"})
    mode = "root" if os.geteuid() == 0 else "unshare"
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _EXCLUDED]
    # Licences stay with what they license.
    keep = ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    run(
        [
            "mmdebstrap",
            f"--mode={mode}",
            f"--variant={variant}",
            f"--include={','.join(packages)}",
            '--aptopt=Apt::Install-Recommends "false"',
            *excludes,
            *keep,
            *options,
            suites[0],
            target,
            *_mirrors(*suites),
        ],
        timeout_s=1200,
    )


def bootstrap(target: Path, packages: Sequence[str], customize: Path) -> None:
    """Install packages into a root file system and write it as the tar `target`.

    `customize` is a Python program that gets the root's path once everything is configured.
    """
    hook = f'{shlex.quote(sys.executable)} -I {shlex.quote(str(customize))} "$1"'
    _mmdebstrap(target, "minbase", packages, [f"--customize-hook={hook}", "--format=tar", "--skip=output/dev"])


def extract(target: Path, packages: Sequence[str], newer: Sequence[str] = (), suite: str = SUITE) -> None:
    """Unpack packages with all they depend on into the folder `target`; nothing is configured or run.

    `newer` come from the release after ours; everything else stays ours wherever that satisfies them.
    """
    if not newer:
        _mmdebstrap(target, "extract", packages, [], (suite,))
        return
    chosen = [*packages, *(f"{name}/{NEWER_SUITE}" for name in newer)]
    preferred = [f'--aptopt=APT::Default-Release "{SUITE}"']
    _mmdebstrap(target, "extract", chosen, preferred, (SUITE, NEWER_SUITE))
