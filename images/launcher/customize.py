"""Runs on the freshly installed root file system of the launcher image: users, libvirt's settings, less ballast.

Argument: the root's path. What is removed here is never used by a launcher and makes a third of the size.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kobune_images.absent import TRAP, Absent, remove, reporting, returning

# libvirt looks these up by name even when everything runs as uid 107; KubeVirt's ids, because volumes carry them.
PASSWD = """\
qemu:x:107:107:QEMU:/var/run/kubevirt-private:/usr/sbin/nologin
libvirt-qemu:x:64055:107:libvirt:/nonexistent:/usr/sbin/nologin
"""
GROUP = """\
qemu:x:107:
kvm:x:36:qemu
libvirt-qemu:x:64055:
"""

QEMU_CONF = """\
# No mount namespace, cgroup or security driver per guest: the pod is the cage, and uid 107 could not make them.
namespaces = []
cgroup_controllers = []
security_driver = "none"
security_default_confined = 0
dynamic_ownership = 0
remember_owner = 0
# virtlogd is not there; the guest's messages go to a file.
stdio_handler = "file"
clear_emulator_capabilities = 0
max_core = 0
"""

LIBVIRTD_CONF = """\
listen_tls = 0
listen_tcp = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:stderr"
"""

# How libvirtd and QEMU get memory: from one pool, and what they free goes back to the kernel within half a second (at
# once costs QEMU 0.2 s of system time until a guest has booted: it needs much of it again soon). They need much of
# it only once, to read XML and to start devices; with the C library's allocator it would stay theirs.
MALLOC_CONF = "narenas:1,tcache:false,dirty_decay_ms:500,muzzy_decay_ms:0"

LIBRARIES = "usr/lib/x86_64-linux-gnu"

# Linked with QEMU and libvirt, and never used in a launcher; with what they need themselves they are a tenth of its
# memory. Each is entered by functions that fail as the real ones do (CS_ERR_ARCH, SSH_ERROR, CURLE_FAILED_INIT,
# U_FILE_ACCESS_ERROR, null pointers).
ABSENT = (
    # QEMU's disassembler for debugging: its monitor shows bytes instead of instructions.
    Absent("libcapstone.so.4", {"cs_open": returning(2)}),
    # Persistent memory of the host (nvdimm), which no VMI can ask for.
    Absent("libpmem.so.1", others=TRAP),
    # Migration by RDMA; ours goes over sockets.
    Absent("librdmacm.so.1", {"rdma_create_event_channel": returning(0), "rdma_getaddrinfo": returning(-1)}),
    Absent("libibverbs.so.1", {"ibv_get_device_list": returning(0)}),
    # libvirt's ways to other hosts: connections by ssh, and the management of ESX by https.
    Absent("libssh.so.4", {"ssh_init": returning(-1)}),
    Absent("libssh2.so.1", {"libssh2_session_init_ex": returning(0)}),
    Absent("libcurl-gnutls.so.4", {"curl_global_init": returning(2), "curl_easy_init": returning(0)}),
    # XML in other encodings than UTF-8, UTF-16 and Latin-1.
    Absent("libicuuc.so.72", {"ucnv_open_72": reporting(4)}),
)

BALLAST = (
    # Sound, remote display and graphics of a desktop QEMU; guests of other architectures.
    "usr/bin/qemu-system-x86_64-microvm",
    "usr/bin/qemu-system-amd64",
    # A wrapper for the one below; with it libvirtd asks QEMU for its abilities twice, 0.3 s each time it starts.
    "usr/bin/qemu-system-i386",
    "usr/libexec/qemu-system-i386",
    "usr/share/qemu/skiboot.lid",
    "usr/share/qemu/openbios-*",
    "usr/share/qemu/slof.bin",
    "usr/share/qemu/palcode-*",
    "usr/share/qemu/s390-*",
    "usr/share/qemu/hppa-*",
    "usr/share/qemu/u-boot*",
    "usr/share/qemu/opensbi-*",
    "usr/share/qemu/vof*",
    # Firmware in the 2 MiB layout that nothing starts from any more.
    "usr/share/ovmf",
    "usr/share/OVMF/OVMF_CODE.fd",
    "usr/share/OVMF/OVMF_CODE.secboot.fd",
    "usr/share/OVMF/OVMF_CODE.ms.fd",
    "usr/share/OVMF/OVMF_VARS.fd",
    "usr/share/OVMF/OVMF_VARS.ms.fd",
    "usr/share/qemu/OVMF.fd",
    # Test keys that everybody has.
    "usr/share/OVMF/*snakeoil*",
    # Needs to be root; there is another one for launchers.
    "usr/lib/qemu/virtiofsd",
    "usr/share/qemu/vhost-user/50-qemu-virtiofsd.json",
    # libvirt's drivers besides QEMU's: the network is virt-handler's, disks are files and devices of the pod.
    "usr/lib/*/libvirt/connection-driver/libvirt_driver_interface.so",
    "usr/lib/*/libvirt/connection-driver/libvirt_driver_network.so",
    "usr/lib/*/libvirt/connection-driver/libvirt_driver_nodedev.so",
    "usr/lib/*/libvirt/connection-driver/libvirt_driver_nwfilter.so",
    "usr/lib/*/libvirt/connection-driver/libvirt_driver_secret.so",
    "usr/lib/*/libvirt/connection-driver/libvirt_driver_storage.so",
    # Perl, apt and translations serve package installation only.
    "usr/share/perl",
    "usr/lib/*/perl",
    "usr/lib/*/perl-base",
    "usr/share/perl5",
    "usr/bin/perl*",
    "usr/lib/*/libperl.so.*",
    "usr/lib/apt",
    "usr/lib/*/libapt-*",
    "usr/bin/apt*",
    "usr/lib/*/gconv",
    # Unicode's data, and the libraries on top of the one in ABSENT.
    "usr/lib/*/libicudata.so.*",
    "usr/lib/*/libicui18n.so.*",
    "usr/lib/*/libicuio.so.*",
    "usr/lib/*/libicutest.so.*",
    "usr/lib/*/libicutu.so.*",
    "usr/share/zoneinfo",
    "usr/share/iso-codes",
    "usr/share/xml",
    "usr/share/bash-completion",
    "usr/share/i18n",
    "usr/share/common-licenses/GFDL*",
    "usr/share/locale",
    # TLS and OpenSSL's digests, which asyncio and hashlib would load when they are there: the launcher speaks no TLS,
    # and the digests are Python's own. asyncio asks for `ssl` three times;
    # that it is not there is told faster than that it does not work.
    "usr/lib/python3.11/ssl.py",
    "usr/lib/python3.11/lib-dynload/_ssl.*",
    "usr/lib/python3.11/lib-dynload/_hashlib.*",
    "usr/lib/python3.11/idlelib",
    "usr/lib/python3.11/test",
    "usr/lib/python3.11/ensurepip",
    "usr/lib/python3.11/lib2to3",
    "usr/lib/python3.11/pydoc_data",
    "var/lib/dpkg/info",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/log/*",
    "boot",
)


def customize(root: Path) -> None:
    """Apply everything above to `root`."""
    packages = installed(root / "var/lib/dpkg/status")
    for pattern in BALLAST:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name, lines in (("passwd", PASSWD), ("group", GROUP)):
        path = root / "etc" / name
        taken = {line.split(":")[0] for line in lines.splitlines()}
        kept = [line for line in path.read_text().splitlines() if line.split(":")[0] not in taken]
        path.write_text("\n".join(kept) + "\n" + lines)
    for name, text in (("qemu.conf", QEMU_CONF), ("libvirtd.conf", LIBVIRTD_CONF)):
        path = root / "etc/libvirt" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "etc/malloc.conf").unlink(missing_ok=True)
    os.symlink(MALLOC_CONF, root / "etc/malloc.conf")
    shared = root / "usr/share/kobune"
    shared.mkdir(parents=True)
    (shared / "packages.txt").write_text(packages)
    for name in ("usr/share/zoneinfo", "usr/share/locale"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("etc/machine-id", "var/lib/dbus/machine-id", "etc/hostname", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)


def compile_without_docstrings(root: Path) -> None:
    """Byte code as the image's Python runs it (PYTHONOPTIMIZE=2), instead of Debian's: a process is 2 MB smaller."""
    folders = ("usr/lib/python3.11", "usr/lib/python3")
    for folder in folders:
        for old in (root / folder).rglob("*.pyc"):
            old.unlink()
    # -B, and -f all the same: what this very process imports must not be written as if source files kept their times.
    # Without the columns of each instruction: they serve the carets below a traceback's lines.
    python = ["env", "PYTHONNODEBUGRANGES=1", "python3", "-B", "-OO"]
    compiling = [*python, "-m", "compileall", "-f", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(["chroot", str(root), *compiling, *(f"/{folder}" for folder in folders)], check=True, timeout=300)


def installed(status: Path) -> str:
    """`package version` lines from dpkg's status file: what the image contains."""
    lines, package = [], ""
    for line in status.read_text().splitlines():
        key, _, value = line.partition(": ")
        if key == "Package":
            package = value
        elif key == "Version":
            lines.append(f"{package} {value}")
    return "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    customize(Path(sys.argv[1]))
    remove(Path(sys.argv[1]), LIBRARIES, ABSENT)
    compile_without_docstrings(Path(sys.argv[1]))
