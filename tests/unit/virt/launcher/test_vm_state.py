"""Where the state that outlives the pod is put."""

from pathlib import Path
from typing import Any

from kobune.api.kubevirt.domain import DomainSpec
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.vmstate import prepare_state
from support.vmis import vmi, vmi_document


def domain(**parts: Any) -> DomainSpec:
    return vmi(vmi_document(**parts)).spec.domain


def test_libvirts_folder_of_the_tpm_leads_to_the_claim_again_and_again(tmp_path: Path) -> None:
    places = Places(private=tmp_path, tpm_states=tmp_path / "swtpm")
    places.vm_state.mkdir()
    for _ in range(2):
        prepare_state(domain(devices={"tpm": {"persistent": True}}), "u-u-i-d", places)
    (tmp_path / "swtpm/u-u-i-d/tpm2").mkdir()
    assert (places.vm_state / "swtpm/tpm2").is_dir()
    assert not (places.vm_state / "nvram").exists()


def test_variables_have_a_folder_on_the_claim(tmp_path: Path) -> None:
    places = Places(private=tmp_path, tpm_states=tmp_path / "swtpm")
    places.vm_state.mkdir()
    prepare_state(domain(firmware={"bootloader": {"efi": {"persistent": True}}}), "u", places)
    assert (places.vm_state / "nvram").stat().st_mode & 0o777 == 0o700


def test_nothing_is_made_without_wishes(tmp_path: Path) -> None:
    prepare_state(domain(devices={"tpm": {}}), "u", Places(private=tmp_path / "none", tpm_states=tmp_path / "swtpm"))
    assert list(tmp_path.iterdir()) == []
