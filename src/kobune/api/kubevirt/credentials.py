"""Keys and passwords for guests. Source: kubevirt.io/v1 (AccessCredential and below)."""

from kobune.api.meta import Object

__all__ = [
    "AccessCredential",
    "AccessCredentialSecretSource",
    "ConfigDriveSSHPublicKeyAccessCredentialPropagation",
    "NoCloudSSHPublicKeyAccessCredentialPropagation",
    "QemuGuestAgentSSHPublicKeyAccessCredentialPropagation",
    "QemuGuestAgentUserPasswordAccessCredentialPropagation",
    "SSHPublicKeyAccessCredential",
    "SSHPublicKeyAccessCredentialPropagationMethod",
    "SSHPublicKeyAccessCredentialSource",
    "UserPasswordAccessCredential",
    "UserPasswordAccessCredentialPropagationMethod",
    "UserPasswordAccessCredentialSource",
]


class AccessCredentialSecretSource(Object, frozen=True, kw_only=True):
    """A Secret with one credential per key."""

    secret_name: str
    """The Secret, in the VM's namespace."""


class SSHPublicKeyAccessCredentialSource(Object, frozen=True, kw_only=True):
    """Where public keys come from."""

    secret: AccessCredentialSecretSource | None = None


class ConfigDriveSSHPublicKeyAccessCredentialPropagation(Object, frozen=True, kw_only=True):
    """By cloud-init's ConfigDrive metadata."""


class NoCloudSSHPublicKeyAccessCredentialPropagation(Object, frozen=True, kw_only=True):
    """By cloud-init's NoCloud metadata."""


class QemuGuestAgentSSHPublicKeyAccessCredentialPropagation(Object, frozen=True, kw_only=True):
    """By the guest agent, for these users."""

    users: list[str]
    """Users of the guest who get the keys."""


class SSHPublicKeyAccessCredentialPropagationMethod(Object, frozen=True, kw_only=True):
    """Exactly one way."""

    config_drive: ConfigDriveSSHPublicKeyAccessCredentialPropagation | None = None
    no_cloud: NoCloudSSHPublicKeyAccessCredentialPropagation | None = None
    qemu_guest_agent: QemuGuestAgentSSHPublicKeyAccessCredentialPropagation | None = None


class SSHPublicKeyAccessCredential(Object, frozen=True, kw_only=True):
    """SSH public keys."""

    propagation_method: SSHPublicKeyAccessCredentialPropagationMethod
    source: SSHPublicKeyAccessCredentialSource


class UserPasswordAccessCredentialSource(Object, frozen=True, kw_only=True):
    """Where passwords come from: one key per user."""

    secret: AccessCredentialSecretSource | None = None


class QemuGuestAgentUserPasswordAccessCredentialPropagation(Object, frozen=True, kw_only=True):
    """By the guest agent."""


class UserPasswordAccessCredentialPropagationMethod(Object, frozen=True, kw_only=True):
    """Exactly one way."""

    qemu_guest_agent: QemuGuestAgentUserPasswordAccessCredentialPropagation | None = None


class UserPasswordAccessCredential(Object, frozen=True, kw_only=True):
    """Passwords."""

    propagation_method: UserPasswordAccessCredentialPropagationMethod
    source: UserPasswordAccessCredentialSource


class AccessCredential(Object, frozen=True, kw_only=True):
    """Either SSH keys or passwords."""

    ssh_public_key: SSHPublicKeyAccessCredential | None = None
    user_password: UserPasswordAccessCredential | None = None
