"""Which of a guest's own state must outlive its pod: EFI variables and the TPM, when they are asked to be persistent.

Owns: that decision, shared by the domain, the pod's volumes and the claim. Pure.
"""

from kobune.api.kubevirt.domain import DomainSpec

__all__ = ["has_persistent_state", "persistent_efi", "persistent_tpm"]


def persistent_efi(domain: DomainSpec) -> bool:
    """Whether EFI variables are kept over restarts (`firmware.bootloader.efi.persistent`)."""
    loader = domain.firmware.bootloader if domain.firmware is not None else None
    return loader is not None and loader.efi is not None and loader.efi.persistent is True


def persistent_tpm(domain: DomainSpec) -> bool:
    """Whether the TPM's state is kept over restarts (`devices.tpm.persistent`)."""
    tpm = domain.devices.tpm
    return tpm is not None and tpm.enabled is not False and tpm.persistent is True


def has_persistent_state(domain: DomainSpec) -> bool:
    """Whether the guest needs a claim for its state."""
    return persistent_efi(domain) or persistent_tpm(domain)
