"""What the guest boots by: boot loader, kernel, SMBIOS. Source: kubevirt.io/v1 (Firmware, Chassis)."""

from kobune.api.meta import Object

__all__ = [
    "ACPI",
    "BIOS",
    "EFI",
    "Bootloader",
    "Chassis",
    "Firmware",
    "KernelBoot",
    "KernelBootContainer",
    "Machine",
]


class Machine(Object, frozen=True, kw_only=True):
    """libvirt's machine type, such as q35."""

    type: str | None = None
    """A machine type of QEMU; its newest version if no version is named."""


class ACPI(Object, frozen=True, kw_only=True):
    """ACPI tables for the guest, from Secrets' volumes."""

    msdm_name_ref: str | None = None
    """The Secret volume with the MSDM table, which holds a Windows licence key."""
    slic_name_ref: str | None = None
    """The Secret volume with the SLIC table."""


class BIOS(Object, frozen=True, kw_only=True):
    """SeaBIOS; `use_serial` shows it on the serial console."""

    use_serial: bool | None = None
    """Whether the firmware's output goes to the serial console."""


class EFI(Object, frozen=True, kw_only=True):
    """UEFI; secure boot is on unless `secure_boot` is false."""

    persistent: bool | None = None
    """Keeps the firmware's variables over restarts, on a claim of their own."""
    secure_boot: bool | None = None
    """Whether only signed boot loaders run; true if left out, and needs the SMM feature."""


class Bootloader(Object, frozen=True, kw_only=True):
    """BIOS or EFI; at most one."""

    bios: BIOS | None = None
    efi: EFI | None = None


class KernelBootContainer(Object, frozen=True, kw_only=True):
    """An image that carries a kernel and an initrd at these paths."""

    image: str
    """The image with the kernel and the initrd."""
    image_pull_policy: str | None = None
    """Always, IfNotPresent or Never."""
    image_pull_secret: str | None = None
    """The Secret with the registry's credentials."""
    initrd_path: str | None = None
    """Absolute path of the initrd in the image."""
    kernel_path: str | None = None
    """Absolute path of the kernel in the image."""


class KernelBoot(Object, frozen=True, kw_only=True):
    """Boots a kernel directly."""

    container: KernelBootContainer | None = None
    kernel_args: str | None = None
    """The kernel's command line."""


class Firmware(Object, frozen=True, kw_only=True):
    """Boot loader, SMBIOS uuid and serial."""

    acpi: ACPI | None = None
    bootloader: Bootloader | None = None
    kernel_boot: KernelBoot | None = None
    serial: str | None = None
    """The system's serial number in SMBIOS."""
    uuid: str | None = None
    """The system's UUID in SMBIOS; made from the VM's name if left out."""


class Chassis(Object, frozen=True, kw_only=True):
    """SMBIOS chassis strings."""

    asset: str | None = None
    """Asset tag."""
    manufacturer: str | None = None
    """Manufacturer."""
    serial: str | None = None
    """Serial number."""
    sku: str | None = None
    """Stock keeping unit."""
    version: str | None = None
    """Version."""
