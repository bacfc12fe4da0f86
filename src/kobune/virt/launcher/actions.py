"""What can be done with a domain that is there: pause, reset, ask its agent, look at its screen.

Owns: each such command's order of steps. Starting and ending the domain are the service's and the shutdown's.
"""

import asyncio
import logging
from typing import TypeAlias

from kobune.base.errors import KobuneError
from kobune.virt.launcher.dumps import prepare_dump
from kobune.virt.launcher.guest import guest_filesystems, guest_info, guest_users, run_in_guest
from kobune.virt.launcher.record import DomainRecord
from kobune.virt.launcherproto.messages import (
    DomainStatus,
    Done,
    DumpMemory,
    ErrorCode,
    Freeze,
    GetFilesystems,
    GetGuestInfo,
    GetUsers,
    GuestExec,
    GuestPing,
    Image,
    Pause,
    Reset,
    Result,
    Screenshot,
    SoftReboot,
    Unfreeze,
    Unpause,
)
from kobune.virt.launcherproto.server import Refusal

__all__ = ["AGENT_COMMANDS", "Action", "Actions"]

log = logging.getLogger(__name__)
S = DomainStatus

AgentCommand: TypeAlias = Freeze | Unfreeze | GetGuestInfo | GetUsers | GetFilesystems | GuestPing | GuestExec
Action: TypeAlias = AgentCommand | Pause | Unpause | SoftReboot | Reset | Screenshot | DumpMemory
AGENT_COMMANDS = (Freeze, Unfreeze, GetGuestInfo, GetUsers, GetFilesystems, GuestPing, GuestExec)


class Actions:
    """Carries out commands on the domain of one record."""

    def __init__(self, record: DomainRecord) -> None:
        self._record = record

    async def execute(self, command: Action) -> Result:
        """The command's result. Raises Refusal, LibvirtError, AgentAnswerInvalid, TimeoutError."""
        record = self._record
        match command:
            case Pause():
                record.require(S.RUNNING, S.PAUSED)
                if record.state.status is S.RUNNING:
                    await record.line.live().suspend(record.domain)
                return await record.look()
            case Unpause():
                record.require(S.RUNNING, S.PAUSED)
                if record.state.status is S.PAUSED:
                    await record.line.live().resume(record.domain)
                    record.trouble = ""  # an I/O error that it was paused for is over, or comes back
                return await record.look()
            case SoftReboot():
                record.require(S.RUNNING)
                await record.line.live().reboot(record.domain, by_agent=record.state.agent_connected)
                return Done()
            case Reset():
                record.require(S.RUNNING, S.PAUSED)
                await record.line.live().reset(record.domain)
                return Done()
            case Screenshot():
                record.require(S.RUNNING, S.PAUSED)
                return Image(png=await record.line.live().screenshot(record.domain))
            case DumpMemory(volume=volume, file=file):
                record.require(S.RUNNING, S.PAUSED)
                path = await asyncio.to_thread(prepare_dump, record.places.hotplug_disks, volume, file)
                try:
                    await record.line.live().dump_memory(record.domain, str(path))
                except BaseException:
                    path.unlink(missing_ok=True)
                    raise
                return Done()
        return await self._by_agent(command)

    async def _by_agent(self, command: AgentCommand) -> Result:
        record = self._record
        match command:
            case Freeze(unfreeze_after_s=after_s):
                await record.agent().fsfreeze_freeze()
                if after_s > 0:
                    asyncio.get_running_loop().call_later(after_s, self._thaw_later)
                await record.guest.look()
                return Done()
            case Unfreeze():
                await record.agent().fsfreeze_thaw()
                await record.guest.look()
                return Done()
            case GetGuestInfo():
                return await guest_info(record.agent())
            case GetUsers():
                return await guest_users(record.agent())
            case GetFilesystems():
                return await guest_filesystems(record.agent())
            case GuestPing():
                await record.agent().ping()
                return Done()
            case GuestExec(program=program, timeout_s=limit_s):
                if not program:
                    raise Refusal(ErrorCode.BAD_REQUEST, "there is no program to run")
                async with asyncio.timeout(limit_s):
                    return await run_in_guest(record.agent(), program)

    def _thaw_later(self) -> None:
        async def thaw() -> None:
            try:
                await self._record.agent().fsfreeze_thaw()
                await self._record.guest.look()
            except KobuneError as error:
                log.warning("thawing the guest's file systems: %s", error)

        self._thawing = asyncio.create_task(thaw())
