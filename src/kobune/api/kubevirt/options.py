"""Bodies and answers of subresources.kubevirt.io. Source: kubevirt.io/v1."""

from msgspec import field

from kobune.api.core import TypedObjectReference
from kobune.api.kubevirt.status import VirtualMachineInstanceGuestOSInfo
from kobune.api.meta import Int32, Int64, LabelSelector, ListMeta, Object

__all__ = [
    "EvacuateCancelOptions",
    "FreezeUnfreezeTimeout",
    "GuestAgentCommandInfo",
    "MigrateOptions",
    "ObjectGraphNode",
    "ObjectGraphOptions",
    "PauseOptions",
    "RestartOptions",
    "SEVMeasurementInfo",
    "SEVPlatformInfo",
    "SEVSecretOptions",
    "SEVSessionOptions",
    "StartOptions",
    "StopOptions",
    "UnpauseOptions",
    "VirtualMachineInstanceFileSystem",
    "VirtualMachineInstanceFileSystemDisk",
    "VirtualMachineInstanceFileSystemInfo",
    "VirtualMachineInstanceFileSystemList",
    "VirtualMachineInstanceGuestAgentInfo",
    "VirtualMachineInstanceGuestOSUser",
    "VirtualMachineInstanceGuestOSUserList",
]


class StartOptions(Object, frozen=True, kw_only=True):
    """`paused` starts the guest paused."""

    api_version: str | None = None
    dry_run: list[str] = []
    kind: str | None = None
    paused: bool | None = None


class StopOptions(Object, frozen=True, kw_only=True):
    """`grace_period` in seconds."""

    api_version: str | None = None
    dry_run: list[str] = []
    grace_period: Int64 | None = None
    kind: str | None = None


class RestartOptions(Object, frozen=True, kw_only=True):
    """`grace_period_seconds` 0 forces the restart."""

    api_version: str | None = None
    dry_run: list[str] = []
    grace_period_seconds: Int64 | None = None
    kind: str | None = None


class PauseOptions(Object, frozen=True, kw_only=True):
    """`dry_run` is empty or All."""

    api_version: str | None = None
    dry_run: list[str] = []
    kind: str | None = None


class UnpauseOptions(Object, frozen=True, kw_only=True):
    """`dry_run` is empty or All."""

    api_version: str | None = None
    dry_run: list[str] = []
    kind: str | None = None


class FreezeUnfreezeTimeout(Object, frozen=True, kw_only=True):
    """After this time file systems thaw by themselves."""

    unfreeze_timeout: str


class MigrateOptions(Object, frozen=True, kw_only=True):
    """Extra node selector terms for the target."""

    added_node_selector: dict[str, str] = {}
    api_version: str | None = None
    dry_run: list[str] = []
    kind: str | None = None


class EvacuateCancelOptions(Object, frozen=True, kw_only=True):
    """`dry_run` is empty or All."""

    evacuation_node_name: str
    api_version: str | None = None
    dry_run: list[str] = []
    kind: str | None = None


class VirtualMachineInstanceGuestOSUser(Object, frozen=True, kw_only=True):
    """A login session in the guest."""

    user_name: str
    domain: str | None = None
    login_time: float | None = None


class VirtualMachineInstanceGuestOSUserList(Object, frozen=True, kw_only=True):
    """Login sessions in the guest."""

    metadata: ListMeta = ListMeta()
    items: list[VirtualMachineInstanceGuestOSUser]
    api_version: str | None = None
    kind: str | None = None


class VirtualMachineInstanceFileSystemDisk(Object, frozen=True, kw_only=True):
    """The disk below a file system."""

    bus_type: str
    serial: str | None = None


class VirtualMachineInstanceFileSystem(Object, frozen=True, kw_only=True):
    """A mounted file system; sizes in bytes."""

    disk_name: str
    file_system_type: str
    mount_point: str
    total_bytes: Int32
    used_bytes: Int32
    disk: list[VirtualMachineInstanceFileSystemDisk] = []


class VirtualMachineInstanceFileSystemInfo(Object, frozen=True, kw_only=True):
    """Mounted file systems."""

    disks: list[VirtualMachineInstanceFileSystem]


class VirtualMachineInstanceFileSystemList(Object, frozen=True, kw_only=True):
    """Mounted file systems in the guest."""

    metadata: ListMeta = ListMeta()
    items: list[VirtualMachineInstanceFileSystem]
    api_version: str | None = None
    kind: str | None = None


class GuestAgentCommandInfo(Object, frozen=True, kw_only=True):
    """A command that the guest agent knows."""

    name: str
    enabled: bool | None = None


class VirtualMachineInstanceGuestAgentInfo(Object, frozen=True, kw_only=True):
    """What the guest agent tells."""

    api_version: str | None = None
    fs_freeze_status: str | None = None
    fs_info: VirtualMachineInstanceFileSystemInfo | None = None
    guest_agent_version: str | None = None
    hostname: str | None = None
    kind: str | None = None
    os: VirtualMachineInstanceGuestOSInfo | None = None
    supported_commands: list[GuestAgentCommandInfo] = []
    timezone: str | None = None
    user_list: list[VirtualMachineInstanceGuestOSUser] = []


class ObjectGraphNode(Object, frozen=True, kw_only=True):
    """A resource that the VM needs, and what that needs."""

    object_reference: TypedObjectReference
    api_version: str | None = None
    children: list["ObjectGraphNode"] = []
    kind: str | None = None
    labels: dict[str, str] = {}
    optional: bool | None = None


class ObjectGraphOptions(Object, frozen=True, kw_only=True):
    """What to leave out."""

    include_optional_nodes: bool | None = None
    label_selector: LabelSelector | None = None


class SEVMeasurementInfo(Object, frozen=True, kw_only=True):
    """Launch measurement of an SEV guest."""

    api_major: Int32 | None = None
    api_minor: Int32 | None = None
    api_version: str | None = None
    build_id: Int32 | None = field(name="buildID", default=None)
    kind: str | None = None
    loader_sha: str | None = field(name="loaderSHA", default=None)
    measurement: str | None = None
    policy: Int32 | None = None


class SEVPlatformInfo(Object, frozen=True, kw_only=True):
    """Certificates of an SEV host."""

    api_version: str | None = None
    cert_chain: str | None = None
    kind: str | None = None
    pdh: str | None = None


class SEVSecretOptions(Object, frozen=True, kw_only=True):
    """A secret for an SEV guest."""

    header: str | None = None
    secret: str | None = None


class SEVSessionOptions(Object, frozen=True, kw_only=True):
    """Session of an SEV guest's owner."""

    dh_cert: str | None = None
    session: str | None = None
