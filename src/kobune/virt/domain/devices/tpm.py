"""A TPM 2.0 emulated by swtpm, which libvirt starts beside QEMU."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.persistence import persistent_tpm

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<tpm>`; its state lives as long as the pod, or on the machine's claim."""
    wanted = source.vmi.spec.domain.devices.tpm
    if wanted is not None and wanted.enabled is not False:
        element = add(domain.devices, "tpm", model="tpm-crb")
        # libvirt must not erase what it finds in the state's folder when it forgets a domain.
        kept = "yes" if persistent_tpm(source.vmi.spec.domain) else None
        add(element, "backend", type="emulator", version="2.0", persistent_state=kept)
