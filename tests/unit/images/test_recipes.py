"""The recipes' parts that need no Debian: libraries, kernel modules, cached layers, the launcher's customization."""

import lzma
import runpy
import struct
from pathlib import Path

import pytest

from kobune_images.archive import ImageConfig
from kobune_images.context import Build
from kobune_images.debian import BuildError, require, run
from kobune_images.elf import copy_with_libraries, needed
from kobune_images.launcher import packages
from kobune_images.modules import install_modules

IMAGES = Path(__file__).resolve().parents[3] / "images"


def elf(libraries: list[str], interpreter: str = "") -> bytes:
    """The least of a 64-bit ELF file that names libraries: one loaded segment, a dynamic section, a string table."""
    strings = b"\0"
    entries = []
    for library in libraries:
        entries.append((1, len(strings)))
        strings += library.encode() + b"\0"
    count = 3 if interpreter else 2
    dynamic_at = 64 + 56 * count
    strings_at = dynamic_at + 16 * (len(entries) + 2)
    interpreter_at = strings_at + len(strings)
    total = interpreter_at + len(interpreter) + 1
    base = 0x400000
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in [*entries, (5, base + strings_at), (0, 0)])
    headers = [(1, 0, 0, base, base, total, total, 0), (2, 0, dynamic_at, 0, 0, len(dynamic), len(dynamic), 0)]
    if interpreter:
        headers.append((3, 0, interpreter_at, 0, 0, len(interpreter) + 1, len(interpreter) + 1, 0))
    head = bytearray(64)
    head[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 56, count)
    body = bytes(head) + b"".join(struct.pack("<IIQQQQQQ", *header) for header in headers) + dynamic + strings
    return body + interpreter.encode() + b"\0"


def test_needed_reads_libraries_and_the_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(elf(["libone.so.1", "libc.so.6"], "/lib64/ld-linux-x86-64.so.2"))
    assert sorted(needed(program)) == ["ld-linux-x86-64.so.2", "libc.so.6", "libone.so.1"]
    program.write_text("#!/bin/sh\n")
    assert needed(program) == []


def test_programs_come_with_the_libraries_of_their_libraries_and_links_stay_links(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    libraries = source / "lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (source / "usr/bin").mkdir(parents=True)
    (source / "usr/bin/program").write_bytes(elf(["liba.so.1"]))
    (libraries / "liba.so.1").symlink_to("liba.so.1.2")
    (libraries / "liba.so.1.2").write_bytes(elf(["libb.so.1"]))
    (libraries / "libb.so.1").write_bytes(elf([]))
    (libraries / "libunused.so.1").write_bytes(elf([]))
    copy_with_libraries(source, target, ["usr/bin/program"])
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir())
    assert found == [f"lib/x86_64-linux-gnu/{name}" for name in ("liba.so.1", "liba.so.1.2", "libb.so.1")] + [
        "usr/bin/program"
    ]
    assert (target / "lib/x86_64-linux-gnu/liba.so.1").is_symlink()


def test_a_missing_library_names_who_needs_it(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(elf(["libgone.so.1"]))
    with pytest.raises(BuildError, match=r"program needs libgone\.so\.1"):
        copy_with_libraries(tmp_path, tmp_path / "target", ["program"])


def test_modules_come_with_what_they_depend_on_in_loading_order(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "kernel").mkdir(parents=True)
    for name, depends, alias in (
        ("virtio-rng", "virtio,rng_core", "virtio:d00000004v*"),
        ("rng-core", "", ""),
        ("virtio", "virtio_ring", ""),
        ("virtio_ring", "", ""),
        ("unused", "", "pci:*"),
    ):
        text = f"\0license=GPL\0depends={depends}\0name={name.replace('-', '_')}\0" + (
            f"alias={alias}\0" if alias else ""
        )
        (source / f"kernel/{name}.ko").write_bytes(text.encode())
    install_modules(source, target, ["virtio_rng"])
    lines = dict(line.split(":") for line in (target / "modules.dep").read_text().splitlines())
    # modprobe loads this list from its end.
    assert lines["kernel/virtio-rng.ko"].split() == ["kernel/virtio.ko", "kernel/rng-core.ko", "kernel/virtio_ring.ko"]
    assert sorted(path.name for path in (target / "kernel").iterdir()) == [
        "rng-core.ko",
        "virtio-rng.ko",
        "virtio.ko",
        "virtio_ring.ko",
    ]
    assert (target / "modules.alias").read_text() == "alias virtio:d00000004v* virtio_rng\n"
    with pytest.raises(BuildError, match="no module ahci"):
        install_modules(source, target, ["ahci"])


def test_modules_are_unpacked_and_builtin_ones_need_no_file(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "kernel").mkdir(parents=True)
    packed = lzma.compress(b"\0depends=virtio\0alias=virtio:d0000001Av*\0")
    (source / "kernel/virtiofs.ko.xz").write_bytes(packed)
    (source / "kernel/virtio.ko.xz").write_bytes(lzma.compress(b"\0depends=\0"))
    (source / "modules.builtin").write_text("kernel/drivers/char/tpm/tpm_tis.ko\n")
    install_modules(source, target, ["virtiofs", "tpm-tis"])
    assert sorted(path.name for path in (target / "kernel").iterdir()) == ["virtio.ko", "virtiofs.ko"]
    assert (target / "kernel/virtiofs.ko").read_bytes() == lzma.decompress(packed)
    assert "kernel/virtiofs.ko: kernel/virtio.ko" in (target / "modules.dep").read_text().splitlines()


def test_a_costly_layer_is_made_once_per_content_of_its_inputs(tmp_path: Path) -> None:
    recipe = tmp_path / "packages.txt"
    made: list[str] = []

    def make(target: Path) -> None:
        made.append(recipe.read_text())
        target.write_text(recipe.read_text())

    build = Build(tmp_path, tmp_path, (), tmp_path, tmp_path / "cache", lambda text: None)
    recipe.write_text("one")
    first = build.cached_layer("base", [recipe], make)
    assert build.cached_layer("base", [recipe], make) == first
    recipe.write_text("two")
    second = build.cached_layer("base", [recipe], make)
    assert made == ["one", "two"]
    assert second.digest != first.digest
    assert not first.path.exists(), "the cache keeps every old layer"


def test_a_layer_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    recipe.write_text("x")
    build = Build(tmp_path, tmp_path, (), tmp_path, tmp_path / "cache", lambda text: None)
    layer = build.cached_layer("base", [recipe], lambda target: void(target.write_text("whole")))
    layer.path.write_text("wh")
    again = build.cached_layer("base", [recipe], lambda target: void(target.write_text("whole")))
    assert again.path.read_text() == "whole"


def void(value: object) -> None:
    del value


def test_missing_programs_are_told_with_the_command_that_installs_them() -> None:
    with pytest.raises(BuildError, match="apt-get install -y package-a package-b"):
        require({"no-such-program-1": "package-b", "no-such-program-2": "package-a", "sh": "dash"})


def test_a_failing_tool_is_told_with_its_last_words() -> None:
    with pytest.raises(BuildError, match=r"(?s)failed \(3\).*no space left"):
        run(["sh", "-c", "echo no space left >&2; exit 3"])


def test_the_launchers_customization_makes_users_settings_and_a_package_list(tmp_path: Path) -> None:
    for name in ("etc", "var/lib/dpkg/info", "var/log", "usr/share/perl/5.36", "usr/bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nqemu:x:5:5::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nkvm:x:104:\n")
    (tmp_path / "etc/machine-id").write_text("1234\n")
    (tmp_path / "usr/bin/perl").write_text("")
    (tmp_path / "var/lib/dpkg/status").write_text("Package: b\nVersion: 2\n\nPackage: a\nVersion: 1:1\n")
    customize = runpy.run_path(str(IMAGES / "launcher/customize.py"))["customize"]
    customize(tmp_path)
    passwd = (tmp_path / "etc/passwd").read_text().splitlines()
    assert [line.split(":")[:4] for line in passwd if line.startswith("qemu:")] == [["qemu", "x", "107", "107"]]
    assert "libvirt-qemu" in {line.split(":")[0] for line in passwd}
    assert (tmp_path / "etc/group").read_text().count("kvm:") == 1
    assert "namespaces = []" in (tmp_path / "etc/libvirt/qemu.conf").read_text()
    assert (tmp_path / "usr/share/kobune/packages.txt").read_text() == "a 1:1\nb 2\n"
    assert not (tmp_path / "usr/bin/perl").exists()
    assert not (tmp_path / "etc/machine-id").exists()


def test_package_lists_may_have_comments() -> None:
    names = packages(IMAGES / "launcher/packages.txt")
    assert "qemu-system-x86" in names
    assert not any(" " in name or "#" in name for name in names)


def test_nothing_is_configured_that_nobody_asked_for() -> None:
    assert ImageConfig() == ImageConfig((), (), (), "", "/", {})
