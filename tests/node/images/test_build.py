"""Images built for real, from Debian packages."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kobune.main.images import LAUNCHER, PAUSE, ensure_images
from support.bare_guest import read_image_file

pytestmark = pytest.mark.node

BUILD = Path(__file__).resolve().parents[3] / "images/build.py"


@pytest.fixture(autouse=True)
def root_only() -> None:
    if os.geteuid() != 0:
        pytest.fail("node tests need root")


def build(name: str, target: Path) -> str:
    """Build an image without any cache; the archive's sha256."""
    command = [sys.executable, str(BUILD), name, f"--out={target}", f"--cache={target.parent / 'layers'}"]
    subprocess.run(command, check=True, timeout=300)
    with open(target, "rb") as archive:
        return hashlib.file_digest(archive, "sha256").hexdigest()


@pytest.mark.parametrize("name", ["pause", "demo"])
def test_the_same_packages_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = build(name, tmp_path / "first" / "image.tar")
    # FAT keeps times in steps of two seconds, and as local time.
    time.sleep(2.1)
    assert build(name, tmp_path / "second" / "image.tar") == first
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == ["image.tar"], "work was left behind"


def test_the_launcher_image_has_the_users_settings_and_code(tmp_path: Path) -> None:
    cache = Path(os.environ.get("KOBUNE_TEST_IMAGES", "/var/tmp/kobune-test-images"))
    images = asyncio.run(ensure_images(cache, (LAUNCHER, PAUSE), print))
    archive = images[LAUNCHER].archive
    assert b"\nqemu:x:107:107:" in read_image_file(archive, "etc/passwd")[1]
    assert b'security_driver = "none"' in read_image_file(archive, "etc/libvirt/qemu.conf")[1]
    monitor, _ = read_image_file(archive, "usr/bin/virt-launcher-monitor")
    assert monitor.mode & 0o111
    site = "usr/local/lib/python3.11/dist-packages"
    assert read_image_file(archive, f"{site}/kobune/virt/launcher/run.py")[1]
    assert read_image_file(archive, f"{site}/kobune/virt/launcher/__pycache__/run.cpython-311.opt-2.pyc")[1]
    assert read_image_file(archive, f"{site}/msgspec/_core.cpython-311-x86_64-linux-gnu.so")[1]
    assert b"qemu-system-x86 " in read_image_file(archive, "usr/share/kobune/packages.txt")[1]
    assert read_image_file(images[PAUSE].archive, "pause")[0].mode == 0o755
