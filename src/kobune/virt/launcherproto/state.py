"""The state of the domain as virt-launcher tells it. Owns: what virt-handler may know of a domain."""

from enum import Enum

from kobune.virt.launcherproto.base import Message

__all__ = [
    "DiskState",
    "DomainState",
    "DomainStatus",
    "ExitInfo",
    "FsFreezeStatus",
    "GuestOs",
    "InterfaceState",
    "PauseReason",
    "Versions",
]


class DomainStatus(Enum):
    """Where the domain is. `ENDED` is final: a launcher runs one domain once, a restart is a new pod."""

    NONE = "None"  # nothing was asked for yet
    STARTING = "Starting"  # SyncVirtualMachine was accepted; disks are prepared or QEMU starts
    RUNNING = "Running"
    PAUSED = "Paused"  # `pause_reason` says why
    SHUTTING_DOWN = "ShuttingDown"  # the guest was asked to power off, the grace period runs
    ENDED = "Ended"  # `exit` says how
    UNKNOWN = "Unknown"  # libvirt does not answer; the guest may well be running


class PauseReason(Enum):
    """Why a domain is paused."""

    USER = "User"
    IO_ERROR = "IOError"
    MIGRATION = "Migration"
    SNAPSHOT = "Snapshot"
    CRASHED = "Crashed"
    OTHER = "Other"


class FsFreezeStatus(Enum):
    """As the guest agent says it."""

    THAWED = "thawed"
    FROZEN = "frozen"


class ExitInfo(Message, frozen=True, kw_only=True):
    """How the domain ended. `crashed` covers QEMU's death, a guest panic and a start that failed.

    `by_guest` is true when the guest powered itself off without being asked; `killed` when it was destroyed because
    the grace period was over or Kill was asked for.
    """

    crashed: bool
    by_guest: bool = False
    killed: bool = False
    message: str = ""


class InterfaceState(Message, frozen=True, kw_only=True):
    """One interface of the guest.

    `name` is the VMI's network name, or empty for one that only the agent knows; `guest_name` is its name inside the
    guest. `ip_addresses` has no prefix lengths; link-local IPv6 addresses are included, loopback is not.
    """

    name: str = ""
    mac: str = ""
    guest_name: str = ""
    ip_addresses: list[str] = []
    queues: int = 0
    link_up: bool = True
    from_domain: bool = False
    from_agent: bool = False


class DiskState(Message, frozen=True, kw_only=True):
    """One disk of the guest. `name` is the VMI's volume, `target` as the domain names it (`sda`).

    `trouble` says why it is not as the VMI wants it: it could not be plugged in, or the guest does not let go of it.
    """

    name: str
    target: str = ""
    trouble: str = ""


class GuestOs(Message, frozen=True, kw_only=True):
    """The guest's operating system by its agent; empty strings for what the agent does not say."""

    name: str = ""
    id: str = ""
    pretty_name: str = ""
    version: str = ""
    version_id: str = ""
    kernel_release: str = ""
    kernel_version: str = ""
    machine: str = ""


class Versions(Message, frozen=True, kw_only=True):
    """What runs in the pod, for status and support."""

    launcher: str = ""
    libvirt: str = ""
    qemu: str = ""


class DomainState(Message, frozen=True, kw_only=True, tag_field="result", tag="state"):
    """All that virt-handler may know of a domain.

    `sequence` grows by at least one with every change within one launcher process; a smaller one than last time
    means that the launcher process was started anew. Times are RFC 3339 UTC. `kvm` tells what it runs on, `machine`
    the machine type as libvirt resolved it (`pc-q35-7.2`). `disks` are those that the domain has (with a target), and
    those that it should have and could not get (without). `memory_bytes` is the guest's memory now. `resets` counts
    reboots of the guest within this process. `credentials_synced` is None when there are none to bring into the guest
    by its agent, else whether the last attempt went well; `credentials_message` says why not. `last_error` is the last
    failure, fit for a user; empty when the last command went well.
    """

    sequence: int
    status: DomainStatus
    uuid: str = ""
    started_at: str = ""
    pause_reason: PauseReason | None = None
    exit: ExitInfo | None = None
    kvm: bool = False
    machine: str = ""
    memory_bytes: int = 0
    cores: int = 0
    sockets: int = 0
    threads: int = 0
    interfaces: list[InterfaceState] = []
    disks: list[DiskState] = []
    agent_connected: bool = False
    agent_version: str = ""
    hostname: str = ""
    guest_os: GuestOs | None = None
    fs_freeze: FsFreezeStatus | None = None
    resets: int = 0
    credentials_synced: bool | None = None
    credentials_message: str = ""
    last_error: str = ""
    versions: Versions = Versions()
