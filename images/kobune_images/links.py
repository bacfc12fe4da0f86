"""Busybox' programs under their own names."""

import os
from pathlib import Path

from kobune_images.debian import run

__all__ = ["link_applets"]

# Package tools that a guest or container without a package database only misleads with.
_LEFT_OUT = ("busybox", "dpkg", "dpkg-deb", "rpm", "rpm2cpio")


def link_applets(root: Path) -> None:
    """Link every program that `bin/busybox` has, where nothing else has that name."""
    for line in run([root / "bin/busybox", "--list-full"]).decode().split():
        link = root / line
        if link.name in _LEFT_OUT:
            continue
        if not any(os.path.lexists(root / folder / link.name) for folder in ("bin", "sbin", "usr/bin", "usr/sbin")):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/bin/busybox")
