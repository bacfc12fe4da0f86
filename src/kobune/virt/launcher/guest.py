"""What the guest says of itself through its agent, as the protocol's messages.

Owns: turning the agent's words into ours, and leaving out what no user needs (loopback). The guest is not trusted:
texts are cut, lists and numbers are bounded, so that all of it fits into one message to virt-handler.
"""

import asyncio
import base64
import re
from dataclasses import dataclass, replace

import msgspec

from kobune.base.errors import TerminalError
from kobune.host.guestagent.agent import GuestAgent, NetworkInterface, OsInfo
from kobune.virt.launcherproto.messages import (
    ExecResult,
    FilesystemDisk,
    Filesystems,
    FsFreezeStatus,
    GuestFilesystem,
    GuestInfo,
    GuestOs,
    GuestUser,
    InterfaceState,
    Users,
)
from kobune.virt.launcherproto.text import readable

__all__ = [
    "GuestView",
    "guest_filesystems",
    "guest_info",
    "guest_users",
    "look_inside",
    "merged_interfaces",
    "run_in_guest",
]

MAX_ENTRIES = 256
MAX_FILESYSTEMS = 128
MAX_DISKS = 4  # of one file system
MAX_ADDRESSES = 64  # of one interface
MAX_NUMBER = 2**62
MAX_OUTPUT_BYTES = 64 * 1024
# What looks like an address is enough here: virt-handler parses it, and the module for it costs memory in every pod.
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(%[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class GuestView:
    """What is kept in the state while the agent is connected."""

    agent_version: str = ""
    hostname: str = ""
    os: GuestOs | None = None
    interfaces: tuple[InterfaceState, ...] = ()
    fs_freeze: FsFreezeStatus | None = None


async def look_inside(agent: GuestAgent, known: GuestView | None = None) -> GuestView:
    """Ask everything that belongs to the state; with `known`, only what changes while a guest runs.

    Raises what the agent's transport raises. A command that this agent does not know leaves its part empty. While file
    systems are frozen the agent refuses almost every question: what is known stays.
    """
    freeze_status = _freeze_status(await agent.fsfreeze_status())
    if freeze_status is FsFreezeStatus.FROZEN:
        if known is not None:
            return replace(known, fs_freeze=freeze_status)
        return GuestView(agent_version=_cut((await agent.info()).version), fs_freeze=freeze_status)
    if known is None:
        info = await agent.info()
        enabled = {command.name for command in info.supported_commands if command.enabled}
        view = GuestView(
            agent_version=_cut(info.version),
            os=_os(await agent.os_info()) if "guest-get-osinfo" in enabled else None,
        )
    else:
        view = known
    return GuestView(
        agent_version=view.agent_version,
        os=view.os,
        hostname=_cut(await _or_empty(agent)),
        interfaces=tuple(_interfaces(await agent.interfaces())),
        fs_freeze=freeze_status,
    )


async def guest_info(agent: GuestAgent) -> GuestInfo:
    """Everything at once, for the guestosinfo subresource; of a frozen guest, what its agent still answers."""
    info = await agent.info()
    commands = [_cut(c.name) for c in info.supported_commands[:MAX_ENTRIES] if c.enabled]
    freeze_status = _freeze_status(await agent.fsfreeze_status())
    if freeze_status is FsFreezeStatus.FROZEN:
        return GuestInfo(agent_version=_cut(info.version), supported_commands=commands, fs_freeze=freeze_status)
    timezone = await agent.timezone()
    return GuestInfo(
        agent_version=_cut(info.version),
        supported_commands=commands,
        hostname=_cut(await agent.host_name()),
        timezone=f"{_cut(timezone.zone)}, {max(-MAX_NUMBER, min(timezone.offset, MAX_NUMBER))}",
        os=_os(await agent.os_info()),
        interfaces=_interfaces(await agent.interfaces()),
        users=(await guest_users(agent)).users,
        filesystems=(await guest_filesystems(agent)).filesystems,
        fs_freeze=freeze_status,
    )


async def guest_users(agent: GuestAgent) -> Users:
    """Login sessions."""
    users = (await agent.users())[:MAX_ENTRIES]
    return Users(users=[GuestUser(user=_cut(u.user), domain=_cut(u.domain), login_time_s=u.login_time) for u in users])


async def guest_filesystems(agent: GuestAgent) -> Filesystems:
    """Mounted file systems."""
    return Filesystems(
        filesystems=[
            GuestFilesystem(
                name=_cut(f.name),
                mountpoint=_cut(f.mountpoint),
                type=_cut(f.type),
                used_bytes=_number(f.used_bytes),
                total_bytes=_number(f.total_bytes),
                disks=[FilesystemDisk(serial=_cut(d.serial), bus=_cut(d.bus_type)) for d in f.disk[:MAX_DISKS]],
            )
            for f in (await agent.filesystems())[:MAX_FILESYSTEMS]
        ]
    )


async def run_in_guest(agent: GuestAgent, program: list[str]) -> ExecResult:
    """Run a program to its end; the caller limits the time."""
    pid = await agent.exec(program)
    delay_s = 0.02
    while True:
        status = await agent.exec_status(pid)
        if status.exited:
            code = status.exitcode if status.exitcode is not None else 128 + (status.signal or 0)
            return ExecResult(exit_status=code, stdout=_output(status.out_data), stderr=_output(status.err_data))
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 2, 0.5)


def merged_interfaces(domain: tuple[InterfaceState, ...], guest: tuple[InterfaceState, ...]) -> list[InterfaceState]:
    """The domain's interfaces with what the guest says of the same MAC, then those that only the guest knows."""
    by_mac = {interface.mac.lower(): interface for interface in guest if interface.mac}
    merged = []
    for interface in domain:
        inside = by_mac.pop(interface.mac.lower(), None)
        if inside is not None:
            interface = msgspec.structs.replace(
                interface, guest_name=inside.guest_name, ip_addresses=inside.ip_addresses, from_agent=True
            )
        merged.append(interface)
    return [*merged, *by_mac.values()]


async def _or_empty(agent: GuestAgent) -> str:
    try:
        return await agent.host_name()
    except TerminalError:  # an agent older than the command
        return ""


def _interfaces(found: list[NetworkInterface]) -> list[InterfaceState]:
    return [
        InterfaceState(
            mac=_cut(interface.hardware_address),
            guest_name=_cut(interface.name),
            ip_addresses=[a.ip_address for a in interface.ip_addresses[:MAX_ADDRESSES] if _is_address(a.ip_address)],
            from_agent=True,
        )
        for interface in found[:MAX_ENTRIES]
        if interface.name != "lo"
    ]


def _os(info: OsInfo) -> GuestOs:
    return GuestOs(
        name=_cut(info.name),
        id=_cut(info.id),
        pretty_name=_cut(info.pretty_name),
        version=_cut(info.version),
        version_id=_cut(info.version_id),
        kernel_release=_cut(info.kernel_release),
        kernel_version=_cut(info.kernel_version),
        machine=_cut(info.machine),
    )


def _freeze_status(text: str) -> FsFreezeStatus | None:
    return FsFreezeStatus(text) if text in ("thawed", "frozen") else None


def _output(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True)[:MAX_OUTPUT_BYTES].decode("utf-8", "replace")
    except ValueError:  # no base64, or no ASCII at all
        return ""


def _cut(text: str) -> str:
    return readable(text)


def _number(value: int) -> int:
    return min(max(value, 0), MAX_NUMBER)


def _is_address(text: str) -> bool:
    return len(text) <= 64 and _ADDRESS.fullmatch(text) is not None
