"""Keys and passwords on their way into the guest."""

import json
from pathlib import Path
from typing import Any

import pytest

from kobune.host.guestagent.agent import GuestAgent
from kobune.virt.launcher.credentials import by_agent, fingerprint, propagate, public_keys
from support.vmis import vmi, vmi_document


def ssh(method: dict[str, Any]) -> dict[str, Any]:
    return {"sshPublicKey": {"source": {"secret": {"secretName": "k"}}, "propagationMethod": method}}


PASSWORD = {
    "userPassword": {"source": {"secret": {"secretName": "p"}}, "propagationMethod": {"qemuGuestAgent": {}}},
}


def with_credentials(*credentials: dict[str, Any]) -> Any:
    document = vmi_document()
    document["spec"]["accessCredentials"] = list(credentials)
    return vmi(document)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for index, files in enumerate(({"a": "ssh-ed25519 AAA me\n# note\n", "b": "ssh-rsa BBB\n"}, {"root": "s3cret"})):
        folder = tmp_path / str(index)
        (folder / "..data").mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    return tmp_path


def test_keys_for_cloud_init_go_to_the_data_source_that_is_named(secrets: Path) -> None:
    keys = ["ssh-ed25519 AAA me", "ssh-rsa BBB"]
    assert public_keys(with_credentials(ssh({"noCloud": {}})), secrets, config_drive=False) == keys
    assert public_keys(with_credentials(ssh({"noCloud": {}})), secrets, config_drive=True) == []
    assert public_keys(with_credentials(ssh({"configDrive": {}})), secrets, config_drive=True) == keys
    assert not by_agent(with_credentials(ssh({"noCloud": {}})))


async def test_the_agent_gets_keys_by_user_and_passwords_in_base64(secrets: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def transport(text: str) -> str:
        asked.append(json.loads(text))
        return '{"return": {}}'

    instance = with_credentials(ssh({"qemuGuestAgent": {"users": ["kobune"]}}), PASSWORD)
    assert by_agent(instance)
    await propagate(instance, secrets, GuestAgent(transport))
    assert asked == [
        {
            "execute": "guest-ssh-add-authorized-keys",
            "arguments": {"username": "kobune", "keys": ["ssh-ed25519 AAA me", "ssh-rsa BBB"], "reset": True},
        },
        {
            "execute": "guest-set-user-password",
            "arguments": {"username": "root", "password": "czNjcmV0", "crypted": False},
        },
    ]


def test_a_changed_secret_has_another_fingerprint(secrets: Path) -> None:
    instance = with_credentials(ssh({"qemuGuestAgent": {"users": ["kobune"]}}), PASSWORD)
    before = fingerprint(instance, secrets)
    assert fingerprint(instance, secrets) == before
    (secrets / "1/root").write_text("other")
    assert fingerprint(instance, secrets) != before


def test_a_secret_that_is_not_mounted_has_no_keys(tmp_path: Path) -> None:
    assert public_keys(with_credentials(ssh({"noCloud": {}})), tmp_path, config_drive=False) == []
