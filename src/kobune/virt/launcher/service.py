"""The launcher's service: carries out commands and keeps the state true.

Level-triggered: events, commands and the clock only cause `_look`, which asks libvirt, computes the state and tells
those who watch; what was asked for (shutdown, kill) is in the journal, and `_pursue` acts on it until it is so.
Owns: the order of things and their limits. It must not parse XML (observation) or touch disks (storage).
"""

import asyncio
import contextlib
import logging
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.base.clock import format_time
from kobune.base.errors import KobuneError
from kobune.host.disk.image import InvalidImage
from kobune.host.guestagent.agent import AgentAnswerInvalid, GuestAgent
from kobune.host.libvirt.types import DomainEvent, DomainInfo, EventKind, LibvirtError, LibvirtUnavailable
from kobune.host.run import Runner
from kobune.virt.domain.document import DomainSource, InvalidSpec
from kobune.virt.domain.facts import Facts
from kobune.virt.domain.identity import domain_name
from kobune.virt.domain.render import render_domain
from kobune.virt.launcher.guest import (
    GuestView,
    guest_filesystems,
    guest_info,
    guest_users,
    merged_interfaces,
    run_in_guest,
)
from kobune.virt.launcher.guestwatch import GuestWatch
from kobune.virt.launcher.journal import Journal, read_journal, replace_file, write_journal
from kobune.virt.launcher.libvirtline import Connect, LibvirtLine
from kobune.virt.launcher.observation import LiveDomain, Standing, read_live_domain, standing, started
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.storage import find_kernel, prepare_disks
from kobune.virt.launcherproto.messages import (
    Command,
    DomainState,
    DomainStatus,
    Done,
    ErrorCode,
    Freeze,
    GetFilesystems,
    GetGuestInfo,
    GetState,
    GetUsers,
    GuestExec,
    GuestPing,
    Hello,
    Image,
    Kill,
    Pause,
    PauseReason,
    Reset,
    Result,
    Screenshot,
    Shutdown,
    SoftReboot,
    Subscribe,
    SyncVirtualMachine,
    Unfreeze,
    Unpause,
    Versions,
)
from kobune.virt.launcherproto.server import Refusal

__all__ = ["LauncherService"]

AGENT_TIMEOUT_S = 5
POWER_BUTTON_EVERY_S = 10.0
RETRY_DELAY_S = 1.0
LAST_WORDS_BYTES = 8192
MAX_LAST_WORDS = 500

log = logging.getLogger(__name__)
S = DomainStatus
_QEMUS_OWN = re.compile(r"\bqemu-system-\w+: ")


class LauncherService:
    """A `launcherproto.server.Service` over one libvirt domain. `run` must run as long as it is used.

    `ended` is set once the domain has ended for good.
    """

    def __init__(self, hello: Hello, places: Places, runner: Runner, connect: Connect) -> None:
        self.hello = hello
        self.ended = asyncio.Event()
        self._domain = domain_name(hello.namespace, hello.name)
        self._places = places
        self._runner = runner
        self._line = LibvirtLine(connect, on_up=self._up, on_event=self._on_event, on_away=self._away)
        self._journal = read_journal(places.journal)
        # A domain that was started by a former process is not known until libvirt has answered.
        first = S.UNKNOWN if self._journal.started_at else S.NONE
        self._state = DomainState(sequence=0, status=first, versions=Versions(launcher=hello.version))
        self._watchers: list[Callable[[], None]] = []
        # Held while the domain's life is changed, so that two commands never start or end it at the same time.
        self._changing = asyncio.Lock()
        self._starting = False
        self._trouble = ""
        self._resets = 0
        self._pressed_at_s = float("-inf")
        self._wake = asyncio.Event()  # something happened: look again
        # Held while libvirt is asked, so that an older answer is never published after a newer one.
        self._looking = asyncio.Lock()
        self._guest = GuestWatch(places.access_credentials, agent=self._agent, on_change=self._wake.set)
        self._guest.vmi = _read_stored_vmi(places.vmi)

    # --- Service ---

    @property
    def state(self) -> DomainState:
        """See server.Service."""
        return self._state

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """See server.Service."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    async def execute(self, command: Command) -> Result:
        """See server.Service. Translates all expected errors of lower layers into refusals."""
        try:
            return await self._execute(command)
        except InvalidSpec as error:
            raise Refusal(ErrorCode.INVALID_SPEC, str(error), field=error.field) from error
        except AgentAnswerInvalid as error:
            raise Refusal(ErrorCode.AGENT_REFUSED, str(error)) from error
        except InvalidImage as error:
            raise Refusal(ErrorCode.INVALID_DISK, str(error)) from error
        except LibvirtUnavailable as error:
            code = ErrorCode.AGENT_UNAVAILABLE if isinstance(command, _AGENT) else ErrorCode.LIBVIRT_UNAVAILABLE
            raise Refusal(code, str(error)) from error
        except LibvirtError as error:
            code = ErrorCode.AGENT_REFUSED if isinstance(command, _AGENT) else ErrorCode.LIBVIRT_REFUSED
            raise Refusal(code, str(error)) from error
        except TimeoutError as error:
            raise Refusal(ErrorCode.TIMEOUT, f"{type(command).__name__} took too long") from error

    async def _execute(self, command: Command) -> Result:
        match command:
            case SyncVirtualMachine():
                return await self._sync(command)
            case Shutdown(grace_s=grace_s):
                return self.request_shutdown(grace_s)
            case Kill():
                self._note(shutdown_deadline_s=0.0, killed=True)
                return self._state
            case Pause():
                self._require(S.RUNNING, S.PAUSED)
                if self._state.status is S.RUNNING:
                    await self._line.live().suspend(self._domain)
                return await self._look()
            case Unpause():
                self._require(S.RUNNING, S.PAUSED)
                if self._state.status is S.PAUSED:
                    await self._line.live().resume(self._domain)
                    self._trouble = ""  # an I/O error that it was paused for is over, or comes back
                return await self._look()
            case SoftReboot():
                self._require(S.RUNNING)
                await self._line.live().reboot(self._domain, by_agent=self._state.agent_connected)
                return Done()
            case Reset():
                self._require(S.RUNNING, S.PAUSED)
                await self._line.live().reset(self._domain)
                return Done()
            case Freeze(unfreeze_after_s=after_s):
                await self._agent().fsfreeze_freeze()
                if after_s > 0:
                    asyncio.get_running_loop().call_later(after_s, self._thaw_later)
                await self._guest.look()
                return Done()
            case Unfreeze():
                await self._agent().fsfreeze_thaw()
                await self._guest.look()
                return Done()
            case GetGuestInfo():
                return await guest_info(self._agent())
            case GetUsers():
                return await guest_users(self._agent())
            case GetFilesystems():
                return await guest_filesystems(self._agent())
            case GuestPing():
                await self._agent().ping()
                return Done()
            case GuestExec(program=program, timeout_s=limit_s):
                if not program:
                    raise Refusal(ErrorCode.BAD_REQUEST, "there is no program to run")
                async with asyncio.timeout(limit_s):
                    return await run_in_guest(self._agent(), program)
            case Screenshot():
                self._require(S.RUNNING, S.PAUSED)
                return Image(png=await self._line.live().screenshot(self._domain))
            case GetState() | Subscribe():
                raise Refusal(ErrorCode.BAD_REQUEST, "the server answers this itself")

    def request_shutdown(self, grace_s: float) -> DomainState:
        """Shutdown, also for SIGTERM. A later request never gives more time than an earlier one."""
        deadline = time.time() + max(grace_s, 0)
        earlier = self._journal.shutdown_deadline_s
        self._note(shutdown_deadline_s=deadline if earlier is None else min(deadline, earlier))
        return self._state

    # --- starting ---

    async def _sync(self, command: SyncVirtualMachine) -> DomainState:
        async with self._changing:
            if self.ended.is_set():
                return self._state
            vmi = self._read_vmi(command.vmi)
            await self._line.wait()
            state = await self._look()
            if state.status is not S.NONE:
                self._remember(vmi, bytes(command.vmi))
                return state
            self._starting = True
            try:
                self._publish(status=S.STARTING)
                self._remember(vmi, bytes(command.vmi))
                await self._start(vmi, command.facts)
                self._trouble = ""
            except KobuneError as error:
                self._trouble = str(error)
                raise
            finally:
                self._starting = False
                with contextlib.suppress(LibvirtError):  # the reason why it failed matters more
                    await self._look()
            return self._state

    def _read_vmi(self, document: msgspec.Raw) -> VirtualMachineInstance:
        try:
            vmi = msgspec.json.decode(document, type=VirtualMachineInstance)
        except msgspec.MsgspecError as error:
            raise InvalidSpec("", f"this is no VirtualMachineInstance: {error}") from error
        if vmi.metadata.uid != self.hello.uid:
            raise InvalidSpec("metadata.uid", f"this launcher belongs to {self.hello.uid}")
        return vmi

    def _remember(self, vmi: VirtualMachineInstance, document: bytes) -> None:
        """Keep the VMI for what is done while the guest runs, and for the next launcher process."""
        if vmi != self._guest.vmi:
            replace_file(self._places.vmi, document)
            self._guest.vmi = vmi
            self._guest.wake()

    async def _start(self, vmi: VirtualMachineInstance, facts: Facts) -> None:
        began = time.monotonic()
        hypervisor = self._line.live()
        disks = await prepare_disks(vmi, facts, self._places, self._runner)
        prepared = time.monotonic()
        kernel = find_kernel(vmi, self._places)
        cpus = tuple(sorted(os.sched_getaffinity(0)))
        xml = render_domain(DomainSource(vmi, facts, disks, kernel, cpus))
        log.debug("domain:\n%s", xml)
        if await hypervisor.lookup(self._domain) is not None:  # of an attempt that failed
            await hypervisor.undefine(self._domain)
        await hypervisor.define(xml)
        defined = time.monotonic()
        await hypervisor.start(self._domain, paused=vmi.spec.start_strategy == "Paused")
        self._note_started()
        log.info(
            "started: disks %.3f s, definition %.3f s, QEMU %.3f s",
            prepared - began,
            defined - prepared,
            time.monotonic() - defined,
        )

    # --- the loops ---

    async def run(self) -> None:
        """Keep connected, keep looking, pursue what was asked for; returns once the domain has ended."""
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._line.run()),
                tasks.create_task(self._keep_looking()),
                tasks.create_task(self._pursue()),
                tasks.create_task(self._guest.run()),
            ]
            await self.ended.wait()
            for task in background:
                task.cancel()
        await self._line.close()

    async def _keep_looking(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._line.up or self._starting:
                continue
            try:
                await self._look()
            except LibvirtError as error:
                log.warning("%s", error)
                await asyncio.sleep(RETRY_DELAY_S)
                self._wake.set()

    async def _pursue(self) -> None:
        """Carry out a shutdown that was asked for: the power button until the deadline, then destroy."""
        changed = asyncio.Event()
        unwatch = self.watch(changed.set)
        try:
            while True:
                changed.clear()
                wait_s = await self._pursue_once()
                try:
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
                        await asyncio.sleep(0.01)  # many changes come at once
                except TimeoutError:
                    pass
        finally:
            unwatch()

    async def _pursue_once(self) -> float | None:
        deadline = self._journal.shutdown_deadline_s
        if deadline is None or self._starting or self.ended.is_set():
            return None if deadline is None else 0.2
        if not self._line.up:
            return 0.2
        try:
            state = await self._look()
            left_s = deadline - time.time()
            if state.status is S.ENDED:
                return None
            if left_s <= 0:
                self._write_journal(msgspec.structs.replace(self._journal, killed=True))
                await self._line.live().destroy(self._domain)
                await self._look()
                return 1.0
            since_pressed_s = time.monotonic() - self._pressed_at_s
            if since_pressed_s < POWER_BUTTON_EVERY_S:
                return min(left_s, POWER_BUTTON_EVERY_S - since_pressed_s)
            if state.status is S.PAUSED and state.pause_reason is PauseReason.USER:
                await self._line.live().resume(self._domain)
            await self._line.live().shutdown(self._domain)
            # A guest that is still booting misses the button: press it again after a while.
            self._pressed_at_s = time.monotonic()
            return min(left_s, POWER_BUTTON_EVERY_S)
        except LibvirtError as error:
            log.warning("shutting down: %s", error)
            return 0.5

    # --- the state ---

    async def _look(self) -> DomainState:
        """Ask libvirt and publish what is new. Raises LibvirtError. Once the domain has ended there is nothing new."""
        async with self._looking:
            if self.ended.is_set():
                return self._state
            return self._show(await self._line.live().lookup(self._domain))

    def _show(self, info: DomainInfo | None) -> DomainState:
        """Publish what libvirt's answer means."""
        if info is not None and started(info) and not self._starting:
            # The process that started it was killed before it could note so, or libvirt before it could answer.
            self._note_started()
        where = standing(info, self._journal, crash_message=self._trouble)
        if where.exit is not None and where.exit.crashed and not self._trouble:
            where = standing(info, self._journal, crash_message=_last_words(self._places.qemu_logs, self._domain))
        if self._starting and where.status in (S.NONE, S.ENDED):
            where = Standing(S.STARTING)
        live = read_live_domain(info.xml) if info is not None else LiveDomain()
        self._guest.tell(connected=live.agent_connected)
        guest = (self._guest.view if live.agent_connected else None) or GuestView()
        shown = where.status not in (S.NONE, S.STARTING)
        self._publish(
            status=where.status,
            pause_reason=where.pause_reason,
            exit=where.exit,
            uuid=info.uuid if info is not None and shown else "",
            started_at=self._journal.started_at if shown else "",
            kvm=live.kvm,
            machine=live.machine,
            memory_bytes=live.memory_bytes,
            cores=live.cores,
            sockets=live.sockets,
            threads=live.threads,
            interfaces=merged_interfaces(live.interfaces, guest.interfaces),
            agent_connected=live.agent_connected,
            agent_version=guest.agent_version,
            hostname=guest.hostname,
            guest_os=guest.os,
            fs_freeze=guest.fs_freeze,
            resets=self._resets,
            credentials_synced=self._guest.credentials[0],
            credentials_message=self._guest.credentials[1],
            last_error=self._trouble,
        )
        if where.status is S.ENDED:
            self.ended.set()
        return self._state

    def _publish(self, **fields: object) -> None:
        """Set fields of the state; a new sequence number and a word to watchers only when something changed."""
        changed = msgspec.structs.replace(self._state, **fields)
        if changed == self._state:
            return
        if changed.status is not self._state.status:
            log.info("%s -> %s %s", self._state.status.value, changed.status.value, changed.exit or "")
        self._state = msgspec.structs.replace(changed, sequence=self._state.sequence + 1)
        for watcher in list(self._watchers):
            watcher()

    def _up(self, libvirt: str, qemu: str) -> None:
        self._publish(versions=Versions(launcher=self.hello.version, libvirt=libvirt, qemu=qemu))
        self._wake.set()

    def _away(self, reason: str) -> None:
        if self._state.status is not S.NONE:
            self._publish(status=S.UNKNOWN, last_error=f"libvirt does not answer: {reason}")

    def _on_event(self, event: DomainEvent) -> None:
        if event.domain != self._domain:
            return
        log.info("libvirt event: %s %s", event.kind.value, event.detail)
        if event.kind is EventKind.REBOOT:
            self._resets += 1
        elif event.kind is EventKind.IO_ERROR:
            self._trouble = event.detail
        self._wake.set()

    # --- parts ---

    def _note(self, **fields: object) -> None:
        """Write an intention to the journal and let `_pursue` act on it."""
        self._write_journal(msgspec.structs.replace(self._journal, **fields))
        status = self._state.status
        if status in (S.RUNNING, S.PAUSED):
            self._publish(status=S.SHUTTING_DOWN, pause_reason=None)
        elif status is S.NONE and not self._starting:
            where = standing(None, self._journal)
            self._publish(status=where.status, exit=where.exit)
            if where.status is S.ENDED:
                self.ended.set()
        for watcher in list(self._watchers):
            watcher()

    def _note_started(self) -> None:
        if not self._journal.started_at:
            now = format_time(datetime.now(UTC))
            self._write_journal(msgspec.structs.replace(self._journal, started_at=now))

    def _write_journal(self, journal: Journal) -> None:
        if journal != self._journal:
            write_journal(self._places.journal, journal)
            self._journal = journal

    def _require(self, *legal: DomainStatus) -> None:
        if self._state.status not in legal:
            raise Refusal(ErrorCode.ILLEGAL_STATE, f"the domain is {self._state.status.value}")

    def _agent(self) -> GuestAgent:
        self._require(S.RUNNING)
        if not self._state.agent_connected:
            raise Refusal(ErrorCode.AGENT_UNAVAILABLE, "no guest agent is connected")
        hypervisor = self._line.live()
        return GuestAgent(lambda text: hypervisor.agent_command(self._domain, text, timeout_s=AGENT_TIMEOUT_S))

    def _thaw_later(self) -> None:
        async def thaw() -> None:
            try:
                await self._agent().fsfreeze_thaw()
                await self._guest.look()
            except KobuneError as error:
                log.warning("thawing the guest's file systems: %s", error)

        self._thawing = asyncio.create_task(thaw())


def _last_words(folder: Path, domain: str) -> str:
    """What QEMU said last, for the message of a crash: the end of its log, without command lines and libvirt's own."""
    try:
        with (folder / f"{domain}.log").open("rb") as log_file:
            log_file.seek(max(0, log_file.seek(0, os.SEEK_END) - LAST_WORDS_BYTES))
            lines = log_file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    own = [line for line in lines if _QEMUS_OWN.search(line)]
    return own[-1].strip()[-MAX_LAST_WORDS:] if own else ""


def _read_stored_vmi(path: Path) -> VirtualMachineInstance | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=VirtualMachineInstance)
    except FileNotFoundError:
        return None


_AGENT = (Freeze, Unfreeze, GetGuestInfo, GetUsers, GetFilesystems, GuestPing, GuestExec)
