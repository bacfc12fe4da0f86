"""The closed set of messages between virt-handler (client) and virt-launcher (server).

Owns: the words of the protocol. Every command says when it is legal; a command that is not legal now fails with
`ErrorCode.ILLEGAL_STATE` and changes nothing. States are levels, not edges: an event carries the whole state with a
sequence number, so that a reader who missed some loses nothing but history.

Wire form: one JSON object per line (`framing`), first a `Hello` by the server, then `Request` from the client and
`Reply` or `StateChanged` from the server, in any order; `Reply.id` repeats `Request.id`. Unknown fields are ignored
on both sides, so that a launcher of an older Kobune keeps serving a newer virt-handler.
"""

from enum import Enum
from typing import TypeAlias

from msgspec import Raw, Struct

from kobune.virt.domain.facts import Facts

__all__ = [
    "PROTOCOL_VERSION",
    "Command",
    "DomainState",
    "DomainStatus",
    "Done",
    "ErrorCode",
    "ExecResult",
    "ExitInfo",
    "Failure",
    "FilesystemDisk",
    "Filesystems",
    "Freeze",
    "FsFreezeStatus",
    "GetFilesystems",
    "GetGuestInfo",
    "GetState",
    "GetUsers",
    "GuestExec",
    "GuestFilesystem",
    "GuestInfo",
    "GuestOs",
    "GuestPing",
    "GuestUser",
    "Hello",
    "Image",
    "InterfaceState",
    "Kill",
    "Pause",
    "PauseReason",
    "Reply",
    "Request",
    "Reset",
    "Result",
    "Screenshot",
    "ServerMessage",
    "Shutdown",
    "SoftReboot",
    "StateChanged",
    "Subscribe",
    "SyncVirtualMachine",
    "Unfreeze",
    "Unpause",
    "Users",
    "Versions",
]

PROTOCOL_VERSION = 1


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of all messages: frozen, keyword-only, camelCase on the wire."""


# --- the state of the domain -----------------------------------------------------------------------------------------


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
    the machine type as libvirt resolved it (`pc-q35-7.2`). `memory_bytes` is the guest's memory now. `resets` counts
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


# --- commands --------------------------------------------------------------------------------------------------------


class Subscribe(Message, frozen=True, kw_only=True, tag_field="command", tag="subscribe"):
    """Push `StateChanged` on this connection from now on, the current state first. Legal always. -> Done."""


class GetState(Message, frozen=True, kw_only=True, tag_field="command", tag="getState"):
    """Legal always. -> DomainState."""


class SyncVirtualMachine(Message, frozen=True, kw_only=True, tag_field="command", tag="syncVirtualMachine"):
    """Make the domain be what the VMI says; starts it when there is none. Idempotent.

    `vmi` is the whole VirtualMachineInstance object as JSON. Legal always; once the domain has ended it changes
    nothing. The reply comes when the domain runs (or its start failed). -> DomainState.
    """

    vmi: Raw
    facts: Facts = Facts()


class Shutdown(Message, frozen=True, kw_only=True, tag_field="command", tag="shutdown"):
    """Ask the guest to power off, and destroy the domain when `grace_s` seconds have passed.

    Legal always: a later Shutdown may only shorten the grace period; without a domain it ends the launcher.
    The reply comes at once, ENDED by event. -> DomainState.
    """

    grace_s: float


class Kill(Message, frozen=True, kw_only=True, tag_field="command", tag="kill"):
    """Destroy the domain now. Legal always. -> DomainState."""


class Pause(Message, frozen=True, kw_only=True, tag_field="command", tag="pause"):
    """Stop the virtual CPUs. Legal in RUNNING, and in PAUSED by the user, where nothing changes. -> DomainState."""


class Unpause(Message, frozen=True, kw_only=True, tag_field="command", tag="unpause"):
    """Continue the virtual CPUs. Legal in PAUSED, and in RUNNING, where nothing changes. -> DomainState."""


class SoftReboot(Message, frozen=True, kw_only=True, tag_field="command", tag="softReboot"):
    """Ask the guest to reboot, by agent, else by ACPI. Legal in RUNNING. -> Done."""


class Reset(Message, frozen=True, kw_only=True, tag_field="command", tag="reset"):
    """The reset button. Legal in RUNNING and PAUSED. -> Done."""


class Freeze(Message, frozen=True, kw_only=True, tag_field="command", tag="freeze"):
    """Freeze the guest's file systems by its agent; they thaw by themselves after `unfreeze_after_s` (0: never).

    Legal in RUNNING with a connected agent. -> Done.
    """

    unfreeze_after_s: float = 0


class Unfreeze(Message, frozen=True, kw_only=True, tag_field="command", tag="unfreeze"):
    """Thaw the guest's file systems. Legal in RUNNING with a connected agent. -> Done."""


class GetGuestInfo(Message, frozen=True, kw_only=True, tag_field="command", tag="getGuestInfo"):
    """What the agent says of the guest. Legal in RUNNING with a connected agent. -> GuestInfo."""


class GetUsers(Message, frozen=True, kw_only=True, tag_field="command", tag="getUsers"):
    """Who is logged in. Legal in RUNNING with a connected agent. -> Users."""


class GetFilesystems(Message, frozen=True, kw_only=True, tag_field="command", tag="getFilesystems"):
    """What is mounted. Legal in RUNNING with a connected agent. -> Filesystems."""


class GuestPing(Message, frozen=True, kw_only=True, tag_field="command", tag="guestPing"):
    """Whether the agent answers. Legal in RUNNING with a connected agent. -> Done."""


class GuestExec(Message, frozen=True, kw_only=True, tag_field="command", tag="guestExec"):
    """Run a program in the guest, by its agent, to its end. Legal in RUNNING with a connected agent. -> ExecResult.

    After `timeout_s` the answer is TIMEOUT; the program itself is not ended, the agent has no means to.
    """

    program: list[str]
    timeout_s: float = 5


class Screenshot(Message, frozen=True, kw_only=True, tag_field="command", tag="screenshot"):
    """What the guest's screen shows. Legal in RUNNING and PAUSED. -> Image."""


Command: TypeAlias = (
    Subscribe
    | GetState
    | SyncVirtualMachine
    | Shutdown
    | Kill
    | Pause
    | Unpause
    | SoftReboot
    | Reset
    | Freeze
    | Unfreeze
    | GetGuestInfo
    | GetUsers
    | GetFilesystems
    | GuestPing
    | GuestExec
    | Screenshot
)


# --- results ---------------------------------------------------------------------------------------------------------


class Done(Message, frozen=True, kw_only=True, tag_field="result", tag="done"):
    """It was done, and there is nothing more to say."""


class GuestUser(Message, frozen=True, kw_only=True):
    """A login session. `login_time_s` is a Unix time."""

    user: str
    domain: str = ""
    login_time_s: float = 0


class Users(Message, frozen=True, kw_only=True, tag_field="result", tag="users"):
    """Who is logged in."""

    users: list[GuestUser] = []


class FilesystemDisk(Message, frozen=True, kw_only=True):
    """A disk below a file system: its serial and its bus (`virtio`, `sata`, `scsi`)."""

    serial: str = ""
    bus: str = ""


class GuestFilesystem(Message, frozen=True, kw_only=True):
    """A mounted file system. `name` is its device in the guest."""

    name: str
    mountpoint: str
    type: str = ""
    used_bytes: int = 0
    total_bytes: int = 0
    disks: list[FilesystemDisk] = []


class Filesystems(Message, frozen=True, kw_only=True, tag_field="result", tag="filesystems"):
    """What is mounted."""

    filesystems: list[GuestFilesystem] = []


class ExecResult(Message, frozen=True, kw_only=True, tag_field="result", tag="exec"):
    """How a program in the guest ended; its output is cut, and what is no UTF-8 is replaced."""

    exit_status: int
    stdout: str = ""
    stderr: str = ""


class Image(Message, frozen=True, kw_only=True, tag_field="result", tag="image"):
    """A picture in PNG format."""

    png: bytes


class GuestInfo(Message, frozen=True, kw_only=True, tag_field="result", tag="guestInfo"):
    """What the agent says of the guest. `supported_commands` are the agent's enabled commands."""

    agent_version: str = ""
    supported_commands: list[str] = []
    hostname: str = ""
    timezone: str = ""
    os: GuestOs = GuestOs()
    interfaces: list[InterfaceState] = []
    users: list[GuestUser] = []
    filesystems: list[GuestFilesystem] = []
    fs_freeze: FsFreezeStatus | None = None


class ErrorCode(Enum):
    """Why a command failed. Those in `RETRYABLE` may succeed later without anybody changing anything."""

    ILLEGAL_STATE = "illegal-state"  # the command is not legal in the domain's state
    INVALID_SPEC = "invalid-spec"  # the VMI cannot be rendered
    INVALID_DISK = "invalid-disk"  # a disk image is damaged, hostile, or not where it should be
    AGENT_UNAVAILABLE = "agent-unavailable"  # no guest agent is connected, or it does not answer
    AGENT_REFUSED = "agent-refused"  # the guest agent answered with an error
    LIBVIRT_UNAVAILABLE = "libvirt-unavailable"  # libvirt is being restarted
    LIBVIRT_REFUSED = "libvirt-refused"  # libvirt or QEMU refused; the message is theirs
    TIMEOUT = "timeout"
    BAD_REQUEST = "bad-request"  # the request is no message of this protocol
    INTERNAL = "internal"  # a defect of the launcher; its log has the stack

    @property
    def retryable(self) -> bool:
        """Whether the same command may succeed later."""
        return self in (
            ErrorCode.AGENT_UNAVAILABLE,
            ErrorCode.LIBVIRT_UNAVAILABLE,
            ErrorCode.TIMEOUT,
            ErrorCode.INTERNAL,
        )


class Failure(Message, frozen=True, kw_only=True, tag_field="result", tag="failure"):
    """The command failed; `message` is fit for a user, `field` is the path in the VMI at fault, if one is."""

    code: ErrorCode
    message: str
    field: str = ""


Result: TypeAlias = DomainState | Done | GuestInfo | Users | Filesystems | ExecResult | Image | Failure


# --- frames ----------------------------------------------------------------------------------------------------------


class Request(Message, frozen=True, kw_only=True):
    """Client to server. `id` is the client's and unique among its open requests."""

    id: int
    command: Command


class Hello(Message, frozen=True, kw_only=True, tag_field="message", tag="hello"):
    """The server's first word: whose launcher this is. `uid` is the VMI's."""

    protocol: int
    uid: str
    namespace: str
    name: str
    version: str = ""


class Reply(Message, frozen=True, kw_only=True, tag_field="message", tag="reply"):
    """Server to client: the result of the request with that id."""

    id: int
    result: Result


class StateChanged(Message, frozen=True, kw_only=True, tag_field="message", tag="state"):
    """Server to subscribers. A subscriber that reads slowly gets the newest state, not all of them."""

    state: DomainState


ServerMessage: TypeAlias = Hello | Reply | StateChanged
