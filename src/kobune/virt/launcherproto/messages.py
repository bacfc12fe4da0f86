"""The closed set of messages between virt-handler (client) and virt-launcher (server).

Owns: the frames of the protocol, and the list of its words, which `state`, `commands` and `results` hold. Every command
says when it is legal; a command that is not legal now fails with `ErrorCode.ILLEGAL_STATE` and changes nothing. States
are levels, not edges: an event carries the whole state with a sequence number, so that a reader who missed some loses
nothing but history.

Wire form: one JSON object per line (`framing`), first a `Hello` by the server, then `Request` from the client and
`Reply` or `StateChanged` from the server, in any order; `Reply.id` repeats `Request.id`. Unknown fields are ignored
on both sides, so that a launcher of an older Kobune keeps serving a newer virt-handler.
"""

from typing import TypeAlias

from kobune.virt.launcherproto.base import (
    Message,
)
from kobune.virt.launcherproto.commands import (
    Command,
    DumpMemory,
    Freeze,
    GetFilesystems,
    GetGuestInfo,
    GetState,
    GetUsers,
    GuestExec,
    GuestPing,
    Kill,
    Pause,
    Reset,
    Screenshot,
    Shutdown,
    SoftReboot,
    Subscribe,
    SyncVirtualMachine,
    Unfreeze,
    Unpause,
)
from kobune.virt.launcherproto.results import (
    Done,
    ErrorCode,
    ExecResult,
    Failure,
    FilesystemDisk,
    Filesystems,
    GuestFilesystem,
    GuestInfo,
    GuestUser,
    Image,
    Result,
    Users,
)
from kobune.virt.launcherproto.state import (
    DiskState,
    DomainState,
    DomainStatus,
    ExitInfo,
    FsFreezeStatus,
    GuestOs,
    InterfaceState,
    PauseReason,
    Versions,
)

__all__ = [
    "PROTOCOL_VERSION",
    "Command",
    "DiskState",
    "DomainState",
    "DomainStatus",
    "Done",
    "DumpMemory",
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
