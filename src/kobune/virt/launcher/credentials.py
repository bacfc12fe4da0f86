"""Brings ssh keys and passwords of `spec.accessCredentials` into the guest.

By cloud-init: keys become part of the metadata that the guest reads at boot (`public_keys`). By the guest agent: keys
and passwords are set in the running guest (`propagate`), and again when the mounted secret changes.
Values are never logged.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.host.guestagent.agent import GuestAgent

__all__ = ["by_agent", "fingerprint", "propagate", "public_keys"]


def public_keys(vmi: VirtualMachineInstance, folder: Path, *, config_drive: bool) -> list[str]:
    """The ssh keys that go into the metadata of that data source. `folder` has the secrets, by index."""
    keys: list[str] = []
    for index, credential in enumerate(vmi.spec.access_credentials):
        ssh = credential.ssh_public_key
        if ssh is None:
            continue
        method = ssh.propagation_method
        if (method.config_drive if config_drive else method.no_cloud) is not None:
            keys += _keys(_read(folder / str(index)))
    return keys


def by_agent(vmi: VirtualMachineInstance) -> bool:
    """Whether anything is to be set by the guest agent."""
    return any(
        (c.ssh_public_key is not None and c.ssh_public_key.propagation_method.qemu_guest_agent is not None)
        or (c.user_password is not None and c.user_password.propagation_method.qemu_guest_agent is not None)
        for c in vmi.spec.access_credentials
    )


async def propagate(vmi: VirtualMachineInstance, folder: Path, agent: GuestAgent) -> None:
    """Set all keys and passwords that the agent is to set. Raises what the agent's transport raises."""
    keys_of: dict[str, list[str]] = {}
    passwords: dict[str, bytes] = {}
    for index, credential in enumerate(vmi.spec.access_credentials):
        secret = _read(folder / str(index))
        ssh, password = credential.ssh_public_key, credential.user_password
        if ssh is not None and ssh.propagation_method.qemu_guest_agent is not None:
            for user in ssh.propagation_method.qemu_guest_agent.users:
                keys_of.setdefault(user, []).extend(_keys(secret))
        elif password is not None and password.propagation_method.qemu_guest_agent is not None:
            passwords.update(secret)
    for user, keys in keys_of.items():
        await agent.set_authorized_keys(user, keys)
    for user, value in passwords.items():
        await agent.set_password(user, value)


def fingerprint(vmi: VirtualMachineInstance, folder: Path) -> str:
    """Changes when any of the secrets does."""
    digest = hashlib.sha256()
    for index in range(len(vmi.spec.access_credentials)):
        for name, value in sorted(_read(folder / str(index)).items()):
            digest.update(f"{index}/{name}/{len(value)}/".encode())
            digest.update(value)
    return digest.hexdigest()


def _keys(secret: Mapping[str, bytes]) -> list[str]:
    """One key per line of any value; comments are left out."""
    lines = [line.strip() for value in secret.values() for line in value.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _read(folder: Path) -> dict[str, bytes]:
    """The keys of a mounted secret, without the kubelet's own links; empty while it is not there."""
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return {}
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".") and path.is_file()}
