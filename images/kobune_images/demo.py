"""The demo guest as a container disk: `/disk/demo.qcow2`, owned by 107:107, and nothing else.

Debian's cloud kernel, busybox, sysvinit, dropbear, QEMU's guest agent and a cloud-init of some hundred lines: about
25 MB that boot to a login prompt in seconds, even without hardware virtualization. `demo_generic` is the same with
another kernel.
"""

import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kobune_images.archive import EPOCH_S, Entry, ImageConfig, write_layer
from kobune_images.context import Build, Image
from kobune_images.debian import extract, require, run
from kobune_images.disk import PROGRAMS, write_disk
from kobune_images.elf import copy_with_libraries
from kobune_images.links import link_applets
from kobune_images.modules import install_modules

__all__ = ["CLOUD", "Flavour", "build", "build_flavour"]

PACKAGES = (
    "busybox-static",
    "dhcpcd-base",
    "sysvinit-core",
    "sysvinit-utils",
    "dropbear-bin",
    "netcat-traditional",
    "openssh-sftp-server",
    "qemu-guest-agent",
    "e2fsprogs",
    "lua5.4",
    "lua-yaml",
    "opendoas",
    "libpam-modules",
    "shim-signed",
    "grub-efi-amd64-signed",
)
PROGRAM_FILES = (
    "lib64/ld-linux-x86-64.so.2",
    "bin/busybox",
    "bin/nc.traditional",
    "sbin/init",
    "sbin/shutdown",
    "usr/sbin/dhcpcd",
    "sbin/halt",
    "sbin/killall5",
    "usr/sbin/dropbear",
    "usr/bin/dropbearkey",
    "usr/bin/dbclient",
    "usr/lib/openssh/sftp-server",
    "usr/sbin/qemu-ga",
    "sbin/resize2fs",
    "sbin/mkfs.ext4",
    "etc/mke2fs.conf",
    "usr/bin/lua5.4",
    "usr/lib/x86_64-linux-gnu/lua/5.4/yaml.so",
    "usr/share/lua/5.4/lyaml/init.lua",
    "usr/share/lua/5.4/lyaml/explicit.lua",
    "usr/share/lua/5.4/lyaml/functional.lua",
    "usr/share/lua/5.4/lyaml/implicit.lua",
    "usr/bin/doas",
    "lib/x86_64-linux-gnu/security/pam_permit.so",
    "lib/x86_64-linux-gnu/libnss_files.so.2",
    "lib/x86_64-linux-gnu/libnss_dns.so.2",
)


@dataclass(frozen=True)
class Flavour:
    """A kernel and what is taken of it. Sizes of the two partitions are in MiB.

    `package` is of the release after ours when `newer`. `disk_modules` reach the root file system, on every bus that
    the kernel has; `cmdline` is added to CMDLINE.
    """

    package: str
    disk_modules: tuple[str, ...]
    modules: tuple[str, ...]
    newer: bool = False
    cmdline: str = ""
    boot_mib: int = 24
    root_mib: int = 40


DISK_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix")
MODULES = (
    "virtio_net",
    "virtio_console",
    "virtio_balloon",
    "virtio_rng",
    "virtio_mem",
    "virtio_input",
    "virtiofs",
    "vmw_vsock_virtio_transport",
    "vmxnet3",
    "button",
    "evdev",
    "sr_mod",
    "isofs",
    "vfat",
    "nls_ascii",
    "nls_cp437",
    "nls_utf8",
    "overlay",
    "loop",
    "efivarfs",
    "tpm_tis",
    "tpm_crb",
    "qemu_fw_cfg",
    "pvpanic_pci",
    "pvpanic_mmio",
)
CLOUD = Flavour("linux-image-cloud-amd64", DISK_MODULES, MODULES)
CMDLINE = (
    "console=tty0 console=ttyS0,115200 quiet loglevel=3 panic=10 memhp_default_state=online "
    # With memory slots for hot-plug the kernel would set 64 MiB aside for bounce buffers, half of a small guest.
    "swiotlb=2048 "
    # A guest for trying things, slow enough without hardware virtualization.
    "mitigations=off"
)


def build(build: Build) -> Image:
    """One layer with the disk."""
    return build_flavour(build, CLOUD)


def build_flavour(build: Build, flavour: Flavour) -> Image:
    """The same guest with another kernel."""
    require({**PROGRAMS, "cpio": "cpio"})
    debian, root, early = build.work / "debian", build.work / "root", build.work / "early"
    build.say("unpacking Debian packages")
    if flavour.newer:
        extract(debian, PACKAGES, newer=[flavour.package])
    else:
        extract(debian, [*PACKAGES, flavour.package])
    kernel = next((debian / "boot").glob("vmlinuz-*"))
    version = kernel.name.removeprefix("vmlinuz-")
    modules = Path("lib/modules") / version
    # Debian moved them from one release to the next.
    available = next(path for path in (debian / modules, debian / "usr" / modules) if path.exists())
    build.say(f"putting together the guest, kernel {version}")
    _root_file_system(build.images / "demo", debian, root)
    install_modules(available, root / modules, (*flavour.disk_modules, *flavour.modules))
    _early_file_system(build.images / "demo", debian, early)
    install_modules(available, early / modules, flavour.disk_modules)
    cmdline = f"{CMDLINE} {flavour.cmdline}".rstrip()
    initrd = build.work / "initrd"
    _write_cpio(early, initrd, build.work)
    boot_files = {
        "vmlinuz": kernel,
        "initrd": initrd,
        # UEFI, with or without secure boot: Microsoft's key signs shim, Debian's the rest.
        "EFI/BOOT/BOOTX64.EFI": debian / "usr/lib/shim/shimx64.efi.signed",
        "EFI/BOOT/grubx64.efi": debian / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "EFI/debian/grub.cfg": _grub_settings(build.work, cmdline),
    }
    build.say("writing the disk")
    disk = build.work / "demo.qcow2"
    write_disk(disk, build.work, boot_files, cmdline, root, flavour.boot_mib, flavour.root_mib)
    entries = [Entry("disk", mode=0o755), Entry("disk/demo.qcow2", disk, mode=0o440, uid=107, gid=107)]
    return Image([write_layer(build.work / "layer.tar", entries)], ImageConfig())


def _grub_settings(work: Path, cmdline: str) -> Path:
    settings = work / "grub.cfg"
    settings.write_text(f"set timeout=0\nlinux /vmlinuz {cmdline}\ninitrd /initrd\nboot\n")
    return settings


def _root_file_system(recipe: Path, debian: Path, root: Path) -> None:
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "home", "mnt", "etc", "var/log", "var/lib", "var/tmp"):
        (root / name).mkdir(parents=True)
    copy_with_libraries(debian, root, PROGRAM_FILES)
    for path in sorted((recipe / "rootfs").rglob("*")):
        target = root / path.relative_to(recipe / "rootfs")
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        shutil.copyfile(path, target)
        target.chmod(0o755 if path.read_bytes().startswith(b"#!") else 0o644)
    link_applets(root)
    for name, link in {
        "var/run": "/run",
        "sbin/reboot": "halt",
        "sbin/poweroff": "halt",
        "usr/lib/sftp-server": "openssh/sftp-server",
    }.items():
        target = root / name
        if target.is_symlink():
            target.unlink()
        target.symlink_to(link)
    if os.geteuid() == 0:
        for path in [root, *root.rglob("*")]:
            os.chown(path, 0, 0, follow_symlinks=False)
    for name, mode in {
        "etc/shadow": 0o600,
        "root": 0o700,
        "tmp": 0o1777,
        "var/tmp": 0o1777,
        "usr/bin/doas": 0o4755,
        "etc/doas.conf": 0o600,
    }.items():
        (root / name).chmod(mode)
    _licences(debian, root)


def _licences(debian: Path, root: Path) -> None:
    """The copyright files of what is in the image, in one compressed file: they are long and never read at run time."""
    parts = [
        f"==== {path.parent.name} ====\n".encode() + path.read_bytes()
        for path in sorted((debian / "usr/share/doc").glob("*/copyright"))
        if not path.is_symlink()
    ]
    target = root / "usr/share/doc/copyrights.gz"
    target.parent.mkdir(parents=True)
    target.write_bytes(gzip.compress(b"\n".join(parts), 9, mtime=0))


def _early_file_system(recipe: Path, debian: Path, early: Path) -> None:
    for name in ("dev", "proc", "sys", "run", "bin", "newroot"):
        (early / name).mkdir(parents=True)
    shutil.copyfile(debian / "bin/busybox", early / "bin/busybox")
    (early / "bin/busybox").chmod(0o755)
    link_applets(early)
    shutil.copyfile(recipe / "initramfs-init", early / "init")
    (early / "init").chmod(0o755)


def _write_cpio(folder: Path, target: Path, work: Path) -> None:
    """Pack an initramfs the same way every time."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    listing = work / "initrd.list"
    listing.write_text("\n".join(names) + "\n")
    command = 'cd "$1" && cpio --quiet --reproducible --owner=+0:+0 -o -H newc <"$2" >"$3"'
    run(["sh", "-ec", command, "sh", folder, listing, target])
