"""Puts the state that must outlive the pod where libvirt and swtpm look for it.

Owns: the layout of the claim of a machine's own state (`nvram/`, `swtpm/`). Idempotent.
"""

from kobune.api.kubevirt.domain import DomainSpec
from kobune.virt.domain.persistence import persistent_efi, persistent_tpm
from kobune.virt.launcher.places import Places

__all__ = ["prepare_state"]


def prepare_state(domain: DomainSpec, uuid: str, places: Places) -> None:
    """Make the folders, and lead libvirt's folder of the TPM (by the domain's uuid) to the claim. Raises OSError."""
    if persistent_efi(domain):
        (places.vm_state / "nvram").mkdir(mode=0o700, exist_ok=True)
    if persistent_tpm(domain):
        kept = places.vm_state / "swtpm"
        kept.mkdir(mode=0o700, exist_ok=True)
        places.tpm_states.mkdir(mode=0o711, parents=True, exist_ok=True)
        link = places.tpm_states / uuid
        if not link.is_symlink():
            link.symlink_to(kept)
