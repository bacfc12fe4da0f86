"""Machine type, firmware, kernel boot and what the guest reads in SMBIOS."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.identity import domain_uuid
from kobune.virt.domain.paths import VM_STATE
from kobune.virt.domain.persistence import persistent_efi

__all__ = ["DEFAULT_MACHINE", "configure"]

DEFAULT_MACHINE = "q35"
_OVMF = "/usr/share/OVMF"


def configure(source: DomainSource, domain: Domain) -> None:
    """`<os>` and `<sysinfo>`."""
    spec = source.vmi.spec.domain
    machine = spec.machine.type if spec.machine is not None and spec.machine.type else DEFAULT_MACHINE
    os = domain.section("os")
    add(os, "type", "hvm", arch=source.facts.architecture, machine=machine)
    firmware = spec.firmware
    loader = firmware.bootloader if firmware is not None else None
    if loader is not None and loader.efi is not None:
        # Secure boot is the default of the API when EFI is asked for.
        secure = loader.efi.secure_boot is not False
        variant = "_CODE_4M.secboot.fd" if secure else "_CODE_4M.fd"
        template = "_VARS_4M.ms.fd" if secure else "_VARS_4M.fd"
        add(
            os,
            "loader",
            f"{_OVMF}/OVMF{variant}",
            readonly="yes",
            secure="yes" if secure else "no",
            type="pflash",
        )
        # libvirt makes the file from the template only where there is none yet.
        folder = f"{VM_STATE}/nvram" if persistent_efi(spec) else "/var/run/libvirt/nvram"
        add(
            os,
            "nvram",
            f"{folder}/{source.vmi.metadata.name}_VARS.fd",
            template=f"{_OVMF}/OVMF{template}",
        )
    if loader is not None and loader.bios is not None and loader.bios.use_serial:
        add(os, "bios", useserial="yes")
    if source.kernel is not None and firmware is not None and firmware.kernel_boot is not None:
        for tag, value in (
            ("kernel", source.kernel.kernel),
            ("initrd", source.kernel.initrd),
            ("cmdline", firmware.kernel_boot.kernel_args),
        ):
            if value:
                add(os, tag, value)
    add(os, "smbios", mode="sysinfo")
    # Without a boot order on any disk or interface, the first disk is booted.
    devices = spec.devices
    if not any(d.boot_order for d in devices.disks) and not any(i.boot_order for i in devices.interfaces):
        add(os, "boot", dev="hd")
    _smbios(source, domain)


def _smbios(source: DomainSource, domain: Domain) -> None:
    spec = source.vmi.spec.domain
    sysinfo = domain.section("sysinfo")
    sysinfo.set("type", "smbios")
    system = add(sysinfo, "system")
    # Guests' tools recognise the platform by the family, as KubeVirt's guests do.
    entries = {
        "manufacturer": "Kobune",
        "product": "VirtualMachine",
        "serial": spec.firmware.serial if spec.firmware is not None else None,
        "uuid": domain_uuid(source),
        "family": "KubeVirt",
    }
    for name, value in entries.items():
        if value:
            add(system, "entry", value, name=name)
    chassis = spec.chassis
    if chassis is not None:
        section = add(sysinfo, "chassis")
        for name in ("manufacturer", "version", "serial", "asset", "sku"):
            value = getattr(chassis, name)
            if value:
                add(section, "entry", value, name=name)
