"""What is known of the domain: libvirt's answers, the guest's, the journal, and the state that they make.

Level-triggered: events, commands and the clock only cause `look`, which asks libvirt, computes the state and tells
those who watch. Owns: the state and the journal. It must not decide what to do about them (service, actions, shutdown).
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.base.clock import format_time
from kobune.host.files import write_file
from kobune.host.guestagent.agent import GuestAgent
from kobune.host.libvirt.types import DomainEvent, DomainInfo, EventKind
from kobune.virt.domain.identity import domain_name
from kobune.virt.launcher.guest import GuestView, merged_interfaces
from kobune.virt.launcher.guestwatch import GuestWatch
from kobune.virt.launcher.journal import Journal, read_journal, write_journal
from kobune.virt.launcher.libvirtline import Connect, LibvirtLine
from kobune.virt.launcher.observation import (
    LiveDomain,
    Standing,
    read_live_domain,
    standing,
    started,
    with_troubles,
)
from kobune.virt.launcher.places import Places
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, ErrorCode, Hello, Versions
from kobune.virt.launcherproto.server import Refusal

__all__ = ["DomainRecord"]

AGENT_TIMEOUT_S = 5
LAST_WORDS_BYTES = 8192
MAX_LAST_WORDS = 500

log = logging.getLogger(__name__)
S = DomainStatus
_QEMUS_OWN = re.compile(r"\bqemu-system-\w+: ")


class DomainRecord:
    """One domain. `line` and `guest` must run as long as it is used.

    `wake` is set when something happened that asks for a look; `ended` once the domain has ended for good. `starting`
    is true while a start is under way, when libvirt's answers mean less; `trouble` is the last failure, fit for a user,
    and `disk_troubles` what is wrong with single disks, by volume.
    """

    def __init__(self, hello: Hello, places: Places, connect: Connect) -> None:
        self.hello = hello
        self.places = places
        self.domain = domain_name(hello.namespace, hello.name)
        self.ended = asyncio.Event()
        self.wake = asyncio.Event()
        self.starting = False
        self.trouble = ""
        self.disk_troubles: dict[str, str] = {}
        self.line = LibvirtLine(connect, on_up=self._up, on_event=self._on_event, on_away=self._away)
        self.journal = read_journal(places.journal)
        # A domain that was started by a former process is not known until libvirt has answered.
        first = S.UNKNOWN if self.journal.started_at else S.NONE
        self._state = DomainState(sequence=0, status=first, versions=Versions(launcher=hello.version))
        self._watchers: list[Callable[[], None]] = []
        self._resets = 0
        # Held while libvirt is asked, so that an older answer is never published after a newer one.
        self._looking = asyncio.Lock()
        self.guest = GuestWatch(places.access_credentials, agent=self.agent, on_change=self.wake.set)
        self.guest.vmi = _read_stored_vmi(places.vmi)

    @property
    def state(self) -> DomainState:
        """What was published last."""
        return self._state

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of state or intention; returns how to end that."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    async def look(self) -> DomainState:
        """Ask libvirt and publish what is new. Raises LibvirtError. Once the domain has ended there is nothing new."""
        async with self._looking:
            if self.ended.is_set():
                return self._state
            return self._show(await self.line.live().lookup(self.domain))

    def _show(self, info: DomainInfo | None) -> DomainState:
        """Publish what libvirt's answer means."""
        if info is not None and started(info) and not self.starting:
            # The process that started it was killed before it could note so, or libvirt before it could answer.
            self.note_started()
        where = standing(info, self.journal, crash_message=self.trouble)
        if where.exit is not None and where.exit.crashed and not self.trouble:
            where = standing(info, self.journal, crash_message=_last_words(self.places.qemu_logs, self.domain))
        if self.starting and where.status in (S.NONE, S.ENDED):
            where = Standing(S.STARTING)
        live = read_live_domain(info.xml) if info is not None else LiveDomain()
        self.guest.tell(connected=live.agent_connected)
        guest = (self.guest.view if live.agent_connected else None) or GuestView()
        shown = where.status not in (S.NONE, S.STARTING)
        self.publish(
            status=where.status,
            pause_reason=where.pause_reason,
            exit=where.exit,
            uuid=info.uuid if info is not None and shown else "",
            started_at=self.journal.started_at if shown else "",
            kvm=live.kvm,
            machine=live.machine,
            memory_bytes=live.memory_bytes,
            cores=live.cores,
            sockets=live.sockets,
            threads=live.threads,
            interfaces=merged_interfaces(live.interfaces, guest.interfaces),
            disks=with_troubles(live.disks, self.disk_troubles, self._wanted_disks()),
            agent_connected=live.agent_connected,
            agent_version=guest.agent_version,
            hostname=guest.hostname,
            guest_os=guest.os,
            fs_freeze=guest.fs_freeze,
            resets=self._resets,
            credentials_synced=self.guest.credentials[0],
            credentials_message=self.guest.credentials[1],
            last_error=self.trouble,
        )
        if where.status is S.ENDED:
            self.ended.set()
        return self._state

    def _wanted_disks(self) -> list[str]:
        vmi = self.guest.vmi
        return [disk.name for disk in vmi.spec.domain.devices.disks] if vmi is not None else []

    def publish(self, **fields: object) -> None:
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
        self.publish(versions=Versions(launcher=self.hello.version, libvirt=libvirt, qemu=qemu))
        self.wake.set()

    def _away(self, reason: str) -> None:
        if self._state.status is not S.NONE:
            self.publish(status=S.UNKNOWN, last_error=f"libvirt does not answer: {reason}")

    def _on_event(self, event: DomainEvent) -> None:
        if event.domain != self.domain:
            return
        log.info("libvirt event: %s %s", event.kind.value, event.detail)
        if event.kind is EventKind.REBOOT:
            self._resets += 1
        elif event.kind is EventKind.IO_ERROR:
            self.trouble = event.detail
        self.wake.set()

    def note(self, **fields: object) -> None:
        """Write an intention to the journal, and let those who watch act on it."""
        self.keep(msgspec.structs.replace(self.journal, **fields))
        status = self._state.status
        if status in (S.RUNNING, S.PAUSED):
            self.publish(status=S.SHUTTING_DOWN, pause_reason=None)
        elif status is S.NONE and not self.starting:
            where = standing(None, self.journal)
            self.publish(status=where.status, exit=where.exit)
            if where.status is S.ENDED:
                self.ended.set()
        for watcher in list(self._watchers):
            watcher()

    def note_started(self) -> None:
        """The domain was started, now unless that is known already."""
        if not self.journal.started_at:
            now = format_time(datetime.now(UTC))
            self.keep(msgspec.structs.replace(self.journal, started_at=now))

    def keep(self, journal: Journal) -> None:
        """Replace the journal."""
        if journal != self.journal:
            write_journal(self.places.journal, journal)
            self.journal = journal

    def require(self, *legal: DomainStatus) -> None:
        """Refuse what is not legal now. Raises Refusal."""
        if self._state.status not in legal:
            raise Refusal(ErrorCode.ILLEGAL_STATE, f"the domain is {self._state.status.value}")

    def agent(self) -> GuestAgent:
        """The guest's agent. Raises Refusal or LibvirtUnavailable while it can't be asked."""
        self.require(S.RUNNING)
        if not self._state.agent_connected:
            raise Refusal(ErrorCode.AGENT_UNAVAILABLE, "no guest agent is connected")
        hypervisor = self.line.live()
        return GuestAgent(lambda text: hypervisor.agent_command(self.domain, text, timeout_s=AGENT_TIMEOUT_S))

    def remember(self, vmi: VirtualMachineInstance, document: bytes) -> None:
        """Keep the VMI for what is done while the guest runs, and for the next launcher process."""
        if vmi != self.guest.vmi:
            write_file(self.places.vmi, document)
            self.guest.vmi = vmi
            self.guest.wake()


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
