"""A small image for pods that test something: busybox, an ssh client, curl, iproute2."""

from pathlib import Path

from kobune_images.archive import ImageConfig, tree_entries, write_layer
from kobune_images.context import Build, Image
from kobune_images.debian import extract
from kobune_images.elf import copy_with_libraries
from kobune_images.links import link_applets

__all__ = ["build"]

PACKAGES = ("busybox-static", "dropbear-bin", "curl", "iproute2", "ca-certificates")
PROGRAM_FILES = (
    "lib64/ld-linux-x86-64.so.2",
    "bin/busybox",
    "usr/bin/dbclient",
    "usr/bin/dropbearkey",
    "usr/bin/curl",
    "bin/ip",
    "bin/ss",
    "lib/x86_64-linux-gnu/libnss_files.so.2",
    "lib/x86_64-linux-gnu/libnss_dns.so.2",
)
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/os-release": 'PRETTY_NAME="Kobune toolbox (from Debian 12 packages)"\nID=kobune-toolbox\n',
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
}


def build(build: Build) -> Image:
    """One layer."""
    debian, root = build.work / "debian", build.work / "root"
    build.say("unpacking Debian packages")
    extract(debian, PACKAGES)
    for name in ("tmp", "root", "var/log", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    copy_with_libraries(debian, root, PROGRAM_FILES)
    link_applets(root)
    # dbclient is dropbear's ssh client; DROPBEAR_PASSWORD gives it a password.
    (root / "usr/bin/ssh").symlink_to("dbclient")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _certificates(debian, root)
    for package in sorted((debian / "usr/share/doc").glob("*/copyright")):
        target = root / package.relative_to(debian)
        target.parent.mkdir(parents=True)
        target.write_bytes(package.read_bytes())
    layer = write_layer(build.work / "layer.tar", tree_entries(root))
    return Image([layer], ImageConfig(command=("/bin/sh",)))


def _certificates(debian: Path, root: Path) -> None:
    """The bundle that curl reads; in Debian a maintainer script makes it."""
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True)
    certificates = sorted((debian / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle.write_text("".join(path.read_text().strip() + "\n" for path in certificates))
