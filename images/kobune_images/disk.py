"""A bootable disk image without mounting anything: a FAT partition with syslinux and the kernel, an ext4 root.

The root partition is the last one, so that it can grow with the disk. Unit of sizes: MiB unless named otherwise.
"""

import struct
from pathlib import Path, PurePosixPath

from kobune_images.archive import EPOCH_S
from kobune_images.debian import BuildError, require, run

__all__ = ["PROGRAMS", "write_disk"]

PROGRAMS = {
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "qemu-img": "qemu-utils",
}
_MBR_CODE = (Path("/usr/lib/syslinux/mbr/mbr.bin"), Path("/usr/share/syslinux/mbr.bin"))
_SECTOR = 512
_FIRST = 2048
_FAT, _LINUX = 0x0E, 0x83
_UUID = "6b6f6275-6e65-4465-8d6f-64656d6f0001"


def write_disk(
    target: Path, work: Path, boot_files: dict[str, Path], cmdline: str, root: Path, boot_mib: int, root_mib: int
) -> None:
    """Write a qcow2 image that SeaBIOS boots, and UEFI firmware when the files on its boot partition are for it.

    `boot_files`: names on the boot partition, among them `vmlinuz` and `initrd`; `root`: a folder whose content
    and owners the root file system gets.
    """
    require(PROGRAMS)
    mbr = next((path for path in _MBR_CODE if path.exists()), None)
    if mbr is None:
        raise BuildError("syslinux' boot sector is missing; run: apt-get install -y syslinux-common")
    raw, fat, ext = work / "disk.raw", work / "boot.fat", work / "root.ext4"
    _write_fat(fat, work, boot_files, cmdline, boot_mib)
    _write_ext4(ext, work, root, root_mib)
    boot_sectors, root_sectors = (mib * (1 << 20) // _SECTOR for mib in (boot_mib, root_mib))
    table = _entry(_FAT, _FIRST, boot_sectors, active=True) + _entry(_LINUX, _FIRST + boot_sectors, root_sectors)
    with open(raw, "wb") as disk:
        disk.write(mbr.read_bytes()[:440].ljust(440, b"\0") + b"KOBU\0\0" + table.ljust(64, b"\0") + b"\x55\xaa")
        for source, sector in ((fat, _FIRST), (ext, _FIRST + boot_sectors)):
            disk.seek(sector * _SECTOR)
            disk.write(source.read_bytes())
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", raw, target])


def _write_ext4(ext: Path, work: Path, root: Path, root_mib: int) -> None:
    ext.touch()
    features = f"hash_seed={_UUID},lazy_itable_init=1,lazy_journal_init=1,resize=16777216"
    options = ["-t", "ext4", "-b", "4096", "-L", "kobune-root", "-U", _UUID, "-E", features, "-J", "size=4", "-m", "0"]
    run(["mke2fs", "-q", *options, "-d", root, ext, f"{root_mib}M"], env={"E2FSPROGS_FAKE_TIME": str(EPOCH_S)})
    # mke2fs copies the times of the files; the same content must give the same bytes whenever it was built.
    commands = []
    for path in ["/", *(f"/{path.relative_to(root)}" for path in sorted(root.rglob("*")))]:
        commands += [f'set_inode_field "{path}" {name} @{EPOCH_S}' for name in ("atime", "ctime", "mtime")]
        commands += [f'set_inode_field "{path}" {name}_extra 0' for name in ("atime", "ctime", "mtime")]
    script = work / "times.debugfs"
    script.write_text("\n".join(commands) + "\n")
    run(["debugfs", "-w", "-f", script, ext], env={"E2FSPROGS_FAKE_TIME": str(EPOCH_S)})


def _write_fat(fat: Path, work: Path, boot_files: dict[str, Path], cmdline: str, boot_mib: int) -> None:
    fat.unlink(missing_ok=True)
    run(["mkfs.vfat", "-F", "16", "-n", "KOBUNEBOOT", "-i", "4B4F4255", "-C", fat, str(boot_mib * 1024)])
    settings = work / "syslinux.cfg"
    settings.write_text(
        f"DEFAULT demo\nPROMPT 0\nTIMEOUT 0\nLABEL demo\n  LINUX vmlinuz\n  INITRD initrd\n  APPEND {cmdline}\n"
    )
    run(["syslinux", "--install", fat])
    folders = {parent for name in boot_files for parent in PurePosixPath(name).parents if parent.name}
    for folder in sorted(folders):
        run(["mmd", "-i", fat, f"::{folder}"])
    for name, source in {"syslinux.cfg": settings, **boot_files}.items():
        run(["mcopy", "-o", "-i", fat, source, f"::{name}"])
    _settle_fat_times(fat)


def _settle_fat_times(fat: Path) -> None:
    """Give every entry of the root directory the same times: syslinux writes the clock's."""
    date = (2025 - 1980) << 9 | 1 << 5 | 1
    with open(fat, "r+b") as disk:
        boot = disk.read(_SECTOR)
        sector, reserved, tables, entries = struct.unpack_from("<H", boot, 11) + struct.unpack_from("<xHBH", boot, 13)
        (table_sectors,) = struct.unpack_from("<H", boot, 22)
        start = (reserved + tables * table_sectors) * sector
        for at in range(start, start + 32 * entries, 32):
            disk.seek(at)
            entry = bytearray(disk.read(32))
            # Parts of long names have no times; a zero ends the directory.
            if entry[0] and entry[11] != 0x0F:
                struct.pack_into("<BHHH", entry, 13, 0, 0, date, date)
                struct.pack_into("<HH", entry, 22, 0, date)
                disk.seek(at)
                disk.write(entry)


def _entry(kind: int, start: int, sectors: int, *, active: bool = False) -> bytes:
    # Cylinders and heads say "beyond what they can count": everybody reads the sector numbers.
    beyond = b"\xfe\xff\xff"
    return struct.pack("<B3sB3sII", 0x80 if active else 0, beyond, kind, beyond, start, sectors)
