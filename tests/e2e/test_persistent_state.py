"""EFI variables and a TPM that outlive the pod: written in the guest, found again in the next instance's guest."""

from collections.abc import Iterator

import pytest

from support.guest_shell import look, machine
from support.instance import Instance

EFIVARS = "/sys/firmware/efi/efivars"
VARIABLE = f"{EFIVARS}/KobuneTest-6b6f6275-6e65-4465-8d6f-64656d6f0001"
MOUNT = f"sudo modprobe -q efivarfs; mountpoint -q {EFIVARS} || sudo mount -t efivarfs none {EFIVARS}"
# The last byte of the variable's content, after four bytes of attributes.
SECURE_BOOT = f"sudo od -An -tu1 {EFIVARS}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c | awk '{{print $NF}}'"


def tpm(command: str) -> str:
    """A shell command that sends one TPM command (hexadecimal) and prints the answer the same way."""
    octal = "".join(f"\\{byte:03o}" for byte in bytes.fromhex(command))
    return (
        f"sudo sh -c \"exec 3<>/dev/tpm0; printf '{octal}' >&3; "
        "dd bs=4096 count=1 <&3 2>/dev/null | od -v -An -tx1 | tr -d ' \\n'\"; echo"
    )


# TPM2_GetCapability of TPM_PT_PERMANENT: the lowest bit of the last word says that the owner has a password.
PERMANENT = "80010000001600000 17a000000060000020000000001".replace(" ", "")
# TPM2_HierarchyChangeAuth: gives the owner the password "kept".
SET_OWNER = "8002000000210000012940000001 00000009400000090000000000 0004 6b657074".replace(" ", "")


@pytest.fixture
def guest(instance: Instance) -> Iterator[str]:
    manifest = machine(
        "stateful",
        memory="512Mi",
        devices={"tpm": {"persistent": True}},
        domain={
            "features": {"smm": {"enabled": True}},
            "firmware": {"bootloader": {"efi": {"secureBoot": True, "persistent": True}}},
        },
    )
    instance.kubectl("apply", "-f", "-", stdin=manifest)
    instance.wait_phase("stateful", "Running")
    yield "stateful"
    instance.kubectl("delete", "vm", "stateful", "--ignore-not-found", "--timeout=120s")


def test_efi_variables_and_the_tpm_are_as_they_were_after_a_restart(instance: Instance, guest: str) -> None:
    claim = instance.get("pvc", "persistent-state-for-stateful")
    assert claim["metadata"]["labels"]["persistent-state-for"] == "stateful"
    assert claim["metadata"]["ownerReferences"][0]["kind"] == "VirtualMachine"
    _, secure, _, before, changed, after = look(
        instance,
        guest,
        MOUNT,
        SECURE_BOOT,
        f"printf '\\007\\000\\000\\000kept' | sudo tee {VARIABLE} >/dev/null",
        tpm(PERMANENT),
        tpm(SET_OWNER),
        tpm(PERMANENT),
    )
    assert secure == "1"
    assert before[12:20] == changed[12:20] == "00000000", (before, changed)
    assert (int(before[-8:], 16) & 1, int(after[-8:], 16) & 1) == (0, 1)

    old = instance.get("vmi", guest)["metadata"]["uid"]
    instance.kobune("restart", guest)
    instance.eventually("a new instance", lambda: instance.get("vmi", guest)["metadata"]["uid"] != old)
    instance.wait_phase(guest, "Running")
    _, secure, variable, kept = look(
        instance, guest, MOUNT, SECURE_BOOT, f"sudo tail -c +5 {VARIABLE}; echo", tpm(PERMANENT)
    )
    assert (secure, variable) == ("1", "kept")
    assert int(kept[-8:], 16) & 1 == 1

    instance.kubectl("delete", "vm", guest, "--timeout=120s")
    claims = ("get", "pvc", "persistent-state-for-stateful", "--ignore-not-found")
    instance.eventually("its state goes with the machine", lambda: instance.kubectl(*claims).strip() == "")
