"""Commands of the QEMU guest agent and what they answer. Source of names: QEMU's guest agent protocol reference.

Owns: the wire names. Must not know libvirt or the launcher's messages.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from kobune.base.errors import TerminalError

__all__ = ["AgentAnswerInvalid", "GuestAgent", "Transport"]

MAX_ANSWER_BYTES = 1024 * 1024

Transport = Callable[[str], Awaitable[str]]
"""Sends one JSON command, returns the JSON answer; raises what the way to the guest raises."""

T = TypeVar("T")


class AgentAnswerInvalid(TerminalError):
    """The guest sent something that is no answer to the command."""


class Wire(Struct, frozen=True, kw_only=True, rename="kebab"):
    """Base: kebab-case on the wire, unknown fields ignored."""


class AgentCommand(Wire, frozen=True, kw_only=True):
    """A command that the agent knows."""

    name: str
    enabled: bool = True


class AgentInfo(Wire, frozen=True, kw_only=True):
    """guest-info."""

    version: str = ""
    supported_commands: list[AgentCommand] = msgspec.field(name="supported_commands", default_factory=list)


class OsInfo(Wire, frozen=True, kw_only=True):
    """guest-get-osinfo."""

    name: str = ""
    id: str = ""
    pretty_name: str = ""
    version: str = ""
    version_id: str = ""
    kernel_release: str = ""
    kernel_version: str = ""
    machine: str = ""


class Address(Wire, frozen=True, kw_only=True):
    """One IP address."""

    ip_address: str = ""
    prefix: int = 0


class NetworkInterface(Wire, frozen=True, kw_only=True):
    """One of guest-network-get-interfaces."""

    name: str = ""
    hardware_address: str = ""
    ip_addresses: list[Address] = []


class HostName(Wire, frozen=True, kw_only=True):
    """guest-get-host-name."""

    host_name: str = ""


class TimeZone(Wire, frozen=True, kw_only=True):
    """guest-get-timezone; `offset` in seconds east of UTC."""

    zone: str = ""
    offset: int = 0


class User(Wire, frozen=True, kw_only=True):
    """One of guest-get-users; `login_time` in Unix seconds."""

    user: str = ""
    domain: str = ""
    login_time: float = 0


class FilesystemDisk(Wire, frozen=True, kw_only=True):
    """A disk below a file system."""

    serial: str = ""
    bus_type: str = ""


class Filesystem(Wire, frozen=True, kw_only=True):
    """One of guest-get-fsinfo."""

    name: str = ""
    mountpoint: str = ""
    type: str = ""
    used_bytes: int = 0
    total_bytes: int = 0
    disk: list[FilesystemDisk] = []


class ExecPid(Wire, frozen=True, kw_only=True):
    """guest-exec."""

    pid: int


class ExecStatus(Wire, frozen=True, kw_only=True):
    """guest-exec-status; the outputs are base64."""

    exited: bool
    exitcode: int | None = None
    signal: int | None = None
    out_data: str = ""
    err_data: str = ""


class GuestAgent:
    """Asks one guest's agent. Methods raise what the transport raises, or AgentAnswerInvalid."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def info(self) -> AgentInfo:
        """Version and commands."""
        return await self._ask("guest-info", AgentInfo)

    async def os_info(self) -> OsInfo:
        """The operating system."""
        return await self._ask("guest-get-osinfo", OsInfo)

    async def host_name(self) -> str:
        """The guest's name of itself."""
        return (await self._ask("guest-get-host-name", HostName)).host_name

    async def timezone(self) -> TimeZone:
        """The guest's time zone."""
        return await self._ask("guest-get-timezone", TimeZone)

    async def interfaces(self) -> list[NetworkInterface]:
        """Network interfaces, loopback included."""
        return await self._ask("guest-network-get-interfaces", list[NetworkInterface])

    async def users(self) -> list[User]:
        """Login sessions."""
        return await self._ask("guest-get-users", list[User])

    async def filesystems(self) -> list[Filesystem]:
        """Mounted file systems."""
        return await self._ask("guest-get-fsinfo", list[Filesystem])

    async def fsfreeze_status(self) -> str:
        """`thawed` or `frozen`."""
        return await self._ask("guest-fsfreeze-status", str)

    async def fsfreeze_freeze(self) -> int:
        """Freeze all file systems; the number of frozen ones."""
        return await self._ask("guest-fsfreeze-freeze", int)

    async def fsfreeze_thaw(self) -> int:
        """Thaw them; the number of thawed ones."""
        return await self._ask("guest-fsfreeze-thaw", int)

    async def ping(self) -> None:
        """Whether it answers."""
        await self._ask("guest-ping", dict[str, Any])

    async def exec(self, program: list[str]) -> int:
        """Start a program; its process id. Its output is kept for `exec_status`."""
        started = await self._ask(
            "guest-exec", ExecPid, **{"path": program[0], "arg": program[1:], "capture-output": True}
        )
        return started.pid

    async def exec_status(self, pid: int) -> ExecStatus:
        """How a started program is doing; once it has ended, the agent forgets it with this answer."""
        return await self._ask("guest-exec-status", ExecStatus, pid=pid)

    async def set_authorized_keys(self, user: str, keys: list[str]) -> None:
        """Replace the ssh keys that may log in as `user`."""
        await self._ask("guest-ssh-add-authorized-keys", dict[str, Any], username=user, keys=keys, reset=True)

    async def set_password(self, user: str, password: bytes) -> None:
        """Set a user's password, given in clear."""
        encoded = base64.b64encode(password).decode()
        await self._ask("guest-set-user-password", dict[str, Any], username=user, password=encoded, crypted=False)

    async def _ask(self, command: str, answer: type[T], **arguments: Any) -> T:
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        text = await self._transport(msgspec.json.encode(request).decode())
        if len(text.encode("utf-8", "replace")) > MAX_ANSWER_BYTES:
            raise AgentAnswerInvalid(f"{command}: the guest's answer is over {MAX_ANSWER_BYTES} bytes")
        try:
            returned = msgspec.json.decode(text, type=dict[str, msgspec.Raw])["return"]
            return msgspec.json.decode(returned, type=answer)
        except (msgspec.MsgspecError, KeyError, RecursionError) as error:
            raise AgentAnswerInvalid(f"{command}: the guest's answer is not understood: {error}") from error
