"""A TPM 2.0 emulated by swtpm, which libvirt starts beside QEMU."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<tpm>`; its state lives as long as the pod."""
    wanted = source.vmi.spec.domain.devices.tpm
    if wanted is not None and wanted.enabled is not False:
        element = add(domain.devices, "tpm", model="tpm-crb")
        add(element, "backend", type="emulator", version="2.0")
