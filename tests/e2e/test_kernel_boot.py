"""A guest whose kernel and arguments come from an image of their own, past its firmware's boot loader."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kobune.host.containerd import import_image
from kobune.main.images import DEMO, ensure_images
from kobune_images.archive import Entry, ImageConfig, write_archive, write_layer
from support.bare_guest import unpack_image_file
from support.guest_shell import look, machine
from support.instance import Instance

KERNEL_IMAGE = "localhost/kobune-test/kernel:1"
ARGUMENTS = "console=ttyS0,115200 swiotlb=2048 mitigations=off kobune.told=directly"


@pytest.fixture
def kernel_image(instance: Instance, tmp_path: Path) -> str:
    """An image with the demo guest's kernel and early user space, in the instance's containerd."""
    archive = asyncio.run(ensure_images(instance.image_cache, (DEMO,), print))[DEMO].archive
    disk = unpack_image_file(archive, "disk/demo.qcow2", tmp_path / "demo.qcow2")
    raw = tmp_path / "demo.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True, timeout=60)
    entries = []
    for name in ("vmlinuz", "initrd"):
        # The boot partition begins after the first MiB.
        command = ["mcopy", "-i", f"{raw}@@1M", f"::{name}", str(tmp_path / name)]
        subprocess.run(command, check=True, timeout=60)
        entries.append(Entry(f"boot/{name}", tmp_path / name))
    image = tmp_path / "image.tar"
    write_archive(image, KERNEL_IMAGE, [write_layer(tmp_path / "layer.tar", entries)], ImageConfig())
    asyncio.run(import_image(instance.data_dir / "run" / "containerd.sock", image))
    return KERNEL_IMAGE


@pytest.fixture
def guest(instance: Instance, kernel_image: str) -> Iterator[str]:
    container = {"image": kernel_image, "kernelPath": "/boot/vmlinuz", "initrdPath": "/boot/initrd"}
    boot = {"kernelArgs": ARGUMENTS, "container": container}
    manifest = machine("direct", domain={"firmware": {"kernelBoot": boot}})
    instance.kubectl("apply", "-f", "-", stdin=manifest)
    instance.wait_phase("direct", "Running")
    yield "direct"
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=manifest)


def test_the_kernel_of_an_image_boots_with_its_arguments(instance: Instance, guest: str) -> None:
    arguments, root = look(instance, guest, "cat /proc/cmdline", "cat /run/root-device")
    assert arguments == ARGUMENTS
    assert root.startswith("vda")
