"""How virt-launcher answers a command: with what was asked for, or with a failure."""

from enum import Enum
from typing import TypeAlias

from kobune.virt.launcherproto.base import Message
from kobune.virt.launcherproto.state import DomainState, FsFreezeStatus, GuestOs, InterfaceState

__all__ = [
    "Done",
    "ErrorCode",
    "ExecResult",
    "Failure",
    "FilesystemDisk",
    "Filesystems",
    "GuestFilesystem",
    "GuestInfo",
    "GuestUser",
    "Image",
    "Result",
    "Users",
]


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
