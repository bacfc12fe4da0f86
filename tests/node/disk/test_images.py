"""qemu-img and xorriso themselves: what they say of honest and of hostile images."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from kobune.host.disk.image import InvalidImage, create_empty, create_overlay, inspect_image
from kobune.host.disk.iso import write_iso
from kobune.host.run import HostRunner

pytestmark = pytest.mark.node

RUNNER = HostRunner()


def qemu_img(*arguments: str) -> None:
    subprocess.run(["qemu-img", *arguments], check=True, capture_output=True)


def output(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_an_overlay_reads_its_base_and_is_kept(tmp_path: Path) -> None:
    base, overlay = tmp_path / "base.raw", tmp_path / "new/overlay.qcow2"
    base.write_bytes(b"\x00" * 1024 * 1024)
    info = await inspect_image(RUNNER, base)
    assert (info.format, info.virtual_size) == ("raw", 1024 * 1024)
    await create_overlay(RUNNER, overlay, backing=base, backing_format="raw")
    first = overlay.stat()
    await create_overlay(RUNNER, overlay, backing=base, backing_format="raw")
    assert overlay.stat().st_mtime_ns == first.st_mtime_ns
    description = json.loads(output("qemu-img", "info", "--output=json", str(overlay)))
    assert description["backing-filename"] == str(base)


async def test_an_empty_image_has_its_size(tmp_path: Path) -> None:
    path = tmp_path / "empty.qcow2"
    await create_empty(RUNNER, path, virtual_size=1 << 30)
    assert (await inspect_image(RUNNER, path)).virtual_size == 1 << 30


async def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "evil.qcow2"
    qemu_img("create", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/shadow", str(image), "1M")
    with pytest.raises(InvalidImage, match="backing file"):
        await inspect_image(RUNNER, image)


async def test_a_json_backing_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "evil.qcow2"
    backing = 'json:{"driver":"file","filename":"/etc/shadow"}'
    qemu_img("create", "-f", "qcow2", "-u", "-F", "raw", "-b", backing, str(image), "1M")
    with pytest.raises(InvalidImage, match="backing file"):
        await inspect_image(RUNNER, image)


async def test_an_external_data_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "evil.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'outside.raw'},data_file_raw=on", str(image), "1M")
    with pytest.raises(InvalidImage, match="external data file"):
        await inspect_image(RUNNER, image)


async def test_a_huge_virtual_size_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "huge.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", "cluster_size=2M", str(image), "900T")
    with pytest.raises(InvalidImage, match="virtual size"):
        await inspect_image(RUNNER, image)


async def test_an_encrypted_image_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "secret.qcow2"
    secret = [
        "--object",
        "secret,id=s,data=abcdefgh",
    ]  # AES, because LUKS measures the CPU first and fails on a busy one
    qemu_img(
        "create",
        "-f",
        "qcow2",
        *secret,
        "-o",
        "encrypt.format=aes,encrypt.key-secret=s",
        str(image),
        "1M",
    )
    with pytest.raises(InvalidImage, match="encrypted"):
        await inspect_image(RUNNER, image)


@pytest.mark.parametrize("kind", ["vmdk", "vdi", "vhdx"])
async def test_other_formats_are_refused(tmp_path: Path, kind: str) -> None:
    image = tmp_path / "other"
    qemu_img("create", "-f", kind, str(image), "1M")
    with pytest.raises(InvalidImage, match="format is"):
        await inspect_image(RUNNER, image)


async def test_bad_headers_are_refused_in_time(tmp_path: Path) -> None:
    image = tmp_path / "bad.qcow2"
    # A qcow2 header whose tables are past the end and whose lengths make no sense.
    image.write_bytes(b"QFI\xfb" + b"\x00\x00\x00\x03" + b"\xff" * 1000)
    began = time.monotonic()
    with pytest.raises(InvalidImage, match="qemu-img cannot read it"):
        await inspect_image(RUNNER, image)
    assert time.monotonic() - began < 5


async def test_a_disk_that_a_guest_wrote_is_never_probed(tmp_path: Path) -> None:
    """A guest may write a qcow2 header into its raw disk; the hint keeps it raw."""
    image = tmp_path / "disk.img"
    qemu_img("create", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/shadow", str(image), "1M")
    assert (await inspect_image(RUNNER, image, format_hint="raw")).format == "raw"


async def test_an_iso_has_its_label_and_long_names(tmp_path: Path) -> None:
    image = tmp_path / "seed.iso"
    files = {"meta-data": b"{}", "openstack/latest/user_data": b"#!/bin/sh\n", "A name that is long.JSON": b"x"}
    await write_iso(RUNNER, image, label="cidata", files=files)
    text = output("xorriso", "-indev", str(image), "-pvd_info", "-find")
    assert "Volume Id    : cidata" in text
    for name in files:
        assert f"'./{name}'" in text
    assert names(tmp_path) == ["seed.iso"], "something was left behind"


async def test_an_iso_never_takes_a_file_out_of_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a path inside"):
        await write_iso(RUNNER, tmp_path / "x.iso", label="x", files={"../../evil": b""})
    assert names(tmp_path) == []
