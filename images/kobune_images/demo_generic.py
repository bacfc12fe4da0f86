"""The demo guest with Debian's generic kernel: drivers for SATA and USB, emulated network cards, a watchdog.

A second slower to its login than the cloud kernel, and without hot-plug of processors where there is no KVM: it trusts
only hypervisors that it knows by name to mean it.
"""

from kobune_images.context import Build, Image
from kobune_images.demo import DISK_MODULES, MODULES, Flavour, build_flavour

__all__ = ["GENERIC", "build"]

GENERIC = Flavour(
    "linux-image-amd64",
    # ext4 asks for the last one by the name of the algorithm.
    (*DISK_MODULES, "ahci", "nvme", "xhci_pci", "usb_storage", "uas", "ext4", "crc32c_generic"),
    (*MODULES, "e1000e", "e1000", "8139cp", "usbhid", "hid_generic", "sg", "i6300esb"),
    # The first release whose generic kernel is packed for fast unpacking (zstd instead of xz).
    newer=True,
    # No tests of ciphers, no comparing of clocks, nothing prepared that it never uses: half a second in all.
    cmdline=(
        "init_on_alloc=0 cryptomgr.notests=1 tsc=reliable no_timer_check nokaslr "
        "initcall_blacklist=bpf_tcp_ca_kfunc_init,bpf_dummy_struct_ops_init,init_encrypted,jent_mod_init,"
        "crypto_kdf108_init"
    ),
    boot_mib=32,
    root_mib=48,
)


def build(build: Build) -> Image:
    """One layer with the disk."""
    return build_flavour(build, GENERIC)
