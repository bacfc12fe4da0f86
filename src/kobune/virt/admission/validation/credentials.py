"""Access credentials: one kind, one source and one way each."""

from kobune.api.kubevirt import SSHPublicKeyAccessCredential, UserPasswordAccessCredential, VirtualMachineInstanceSpec
from kobune.virt.admission.validation.check import Findings

__all__ = ["check_credentials"]


def check_credentials(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """All access credentials of a specification at `path`."""
    for index, credential in enumerate(spec.access_credentials):
        here = f"{path}.accessCredentials[{index}]"
        kinds = [kind for kind in (credential.ssh_public_key, credential.user_password) if kind is not None]
        if len(kinds) != 1:
            findings.add(here, f"{here} must have exactly one access credential type set")
        if credential.ssh_public_key is not None:
            _ssh(findings, here, credential.ssh_public_key, spec)
        if credential.user_password is not None:
            _password(findings, here, credential.user_password)


def _ssh(
    findings: Findings, here: str, credential: SSHPublicKeyAccessCredential, spec: VirtualMachineInstanceSpec
) -> None:
    where = f"{here}.sshPublicKey"
    if credential.source.secret is None:
        findings.add(f"{where}.source", f"{here} must have exactly one source set")
    method = credential.propagation_method
    ways = [way for way in (method.config_drive, method.no_cloud, method.qemu_guest_agent) if way is not None]
    if len(ways) != 1:
        findings.add(f"{where}.propagationMethod", f"{here} must have exactly one propagationMethod set")
    for name, way, exists in (
        ("configDrive", method.config_drive, any(v.cloud_init_config_drive is not None for v in spec.volumes)),
        ("noCloud", method.no_cloud, any(v.cloud_init_no_cloud is not None for v in spec.volumes)),
    ):
        if way is not None and not exists:
            message = f"{here} requires a {name} volume to exist when the {name} propagationMethod is in use."
            findings.add(f"{where}.propagationMethod", message)
    if method.qemu_guest_agent is not None and not method.qemu_guest_agent.users:
        message = f"{here} requires at least one user to be present in the users list"
        findings.add(f"{where}.propagationMethod.qemuGuestAgent.users", message)


def _password(findings: Findings, here: str, credential: UserPasswordAccessCredential) -> None:
    if credential.source.secret is None:
        findings.add(f"{here}.userPassword.source", f"{here} must have exactly one source set")
    if credential.propagation_method.qemu_guest_agent is None:
        message = f"{here} must have exactly one propagationMethod set"
        findings.add(f"{here}.userPassword.propagationMethod", message)
