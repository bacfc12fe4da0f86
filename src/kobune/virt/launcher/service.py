"""The launcher's service: takes commands, starts the domain, and keeps everything running that serves it.

What was asked for (shutdown, kill) is in the journal, and `shutdown` acts on it until it is so; what is known is in
`record`. Owns: the start, the order of things and their limits. It must not parse XML (observation) or touch disks
(storage).
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable

import msgspec

from kobune.api.kubevirt.instance import VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.base.errors import KobuneError
from kobune.host.disk.image import InvalidImage
from kobune.host.guestagent.agent import AgentAnswerInvalid
from kobune.host.libvirt.types import LibvirtError, LibvirtUnavailable
from kobune.host.run import Runner
from kobune.virt.domain.document import DomainSource, InvalidSpec
from kobune.virt.domain.facts import Facts
from kobune.virt.domain.hotplug import bootable
from kobune.virt.domain.identity import domain_uuid
from kobune.virt.domain.numa import passes_numa
from kobune.virt.domain.render import render_domain
from kobune.virt.launcher.actions import AGENT_COMMANDS, Actions
from kobune.virt.launcher.environment import container_environment, numa_nodes
from kobune.virt.launcher.filesystems import FilesystemsUnready, wait_for_filesystems
from kobune.virt.launcher.firmware import check_tables
from kobune.virt.launcher.libvirtline import Connect
from kobune.virt.launcher.nics import follow_nics
from kobune.virt.launcher.observation import read_live_domain
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.plugging import Plugging
from kobune.virt.launcher.record import DomainRecord
from kobune.virt.launcher.shutdown import Pursuit
from kobune.virt.launcher.storage import find_kernel, prepare_disks
from kobune.virt.launcher.tags import device_metadata, tagged_drive
from kobune.virt.launcher.vmstate import prepare_state
from kobune.virt.launcherproto.messages import (
    Command,
    DomainState,
    DomainStatus,
    ErrorCode,
    GetState,
    Hello,
    Kill,
    Result,
    Shutdown,
    Subscribe,
    SyncVirtualMachine,
)
from kobune.virt.launcherproto.server import Refusal
from kobune.virt.launcherproto.text import MAX_MESSAGE, readable

__all__ = ["LauncherService"]

RETRY_DELAY_S = 1.0

log = logging.getLogger(__name__)
S = DomainStatus


def wants_metrics(spec: VirtualMachineInstanceSpec) -> bool:
    """Whether the guest asks for metrics of its host, on a disk or by a channel."""
    return spec.domain.devices.downward_metrics is not None or any(v.downward_metrics is not None for v in spec.volumes)


class LauncherService:
    """A `launcherproto.server.Service` over one libvirt domain. `run` must run as long as it is used.

    `ended` is set once the domain has ended for good.
    """

    def __init__(self, hello: Hello, places: Places, runner: Runner, connect: Connect) -> None:
        self.hello = hello
        self._places = places
        self._runner = runner
        self._record = DomainRecord(hello, places, connect)
        self._actions = Actions(self._record)
        self._plugging = Plugging(self._record.domain, places, runner)
        self._pursuit = Pursuit(self._record)
        self.ended = self._record.ended
        # Held while the domain's life is changed, so that two commands never start or end it at the same time.
        self._changing = asyncio.Lock()
        # The instance's specification is known.
        self._synchronized = asyncio.Event()
        if self._record.guest.vmi is not None:
            self._synchronized.set()

    # --- Service ---

    @property
    def state(self) -> DomainState:
        """See server.Service."""
        return self._record.state

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """See server.Service."""
        return self._record.watch(changed)

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
            by_agent = isinstance(command, AGENT_COMMANDS)
            code = ErrorCode.AGENT_UNAVAILABLE if by_agent else ErrorCode.LIBVIRT_UNAVAILABLE
            raise Refusal(code, str(error)) from error
        except LibvirtError as error:
            by_agent = isinstance(command, AGENT_COMMANDS)
            raise Refusal(ErrorCode.AGENT_REFUSED if by_agent else ErrorCode.LIBVIRT_REFUSED, str(error)) from error
        except FilesystemsUnready as error:
            raise Refusal(ErrorCode.TIMEOUT, str(error)) from error
        except TimeoutError as error:
            raise Refusal(ErrorCode.TIMEOUT, f"{type(command).__name__} took too long") from error

    async def _execute(self, command: Command) -> Result:
        match command:
            case SyncVirtualMachine():
                return await self._sync(command)
            case Shutdown(grace_s=grace_s):
                return self.request_shutdown(grace_s)
            case Kill():
                self._record.note(shutdown_deadline_s=0.0, killed=True)
                return self.state
            case GetState() | Subscribe():
                raise Refusal(ErrorCode.BAD_REQUEST, "the server answers this itself")
        return await self._actions.execute(command)

    def request_shutdown(self, grace_s: float) -> DomainState:
        """Shutdown, also for SIGTERM. A later request never gives more time than an earlier one."""
        deadline = time.time() + max(grace_s, 0)
        earlier = self._record.journal.shutdown_deadline_s
        self._record.note(shutdown_deadline_s=deadline if earlier is None else min(deadline, earlier))
        return self.state

    # --- starting ---

    async def _sync(self, command: SyncVirtualMachine) -> DomainState:
        record = self._record
        async with self._changing:
            if record.ended.is_set():
                return record.state
            vmi = self._read_vmi(command.vmi)
            await record.line.wait()
            state = await record.look()
            if state.status is not S.NONE:
                record.remember(vmi, bytes(command.vmi))
                return await self._follow(vmi, command.facts)
            record.starting = True
            try:
                record.publish(status=S.STARTING)
                record.remember(vmi, bytes(command.vmi))
                self._synchronized.set()
                await self._start(vmi, command.facts)
                record.trouble = ""
            except KobuneError as error:
                record.trouble = readable(str(error), MAX_MESSAGE)
                raise
            finally:
                record.starting = False
                with contextlib.suppress(LibvirtError):  # the reason why it failed matters more
                    await record.look()
            return record.state

    async def _follow(self, vmi: VirtualMachineInstance, facts: Facts) -> DomainState:
        """Bring disks and interfaces of the running domain to what the VMI says."""
        record = self._record
        hypervisor = record.line.live()
        info = await hypervisor.lookup(record.domain)
        if info is not None and info.active and record.state.status in (S.RUNNING, S.PAUSED):
            record.disk_troubles = await self._plugging.follow(hypervisor, vmi, facts, read_live_domain(info.xml))
            await follow_nics(hypervisor, record.domain, vmi, facts, info.xml)
        return await record.look()

    def _read_vmi(self, document: msgspec.Raw) -> VirtualMachineInstance:
        try:
            vmi = msgspec.json.decode(document, type=VirtualMachineInstance)
        except msgspec.MsgspecError as error:
            raise InvalidSpec("", f"this is no VirtualMachineInstance: {error}") from error
        if vmi.metadata.uid != self.hello.uid:
            raise InvalidSpec("metadata.uid", f"this launcher belongs to {self.hello.uid}")
        return vmi

    async def _start(self, vmi: VirtualMachineInstance, facts: Facts) -> None:
        domain = self._record.domain
        began = time.monotonic()
        vmi = bootable(vmi, facts.plugged)
        hypervisor = self._record.line.live()
        disks = await prepare_disks(vmi, facts, self._places, self._runner)
        await wait_for_filesystems(vmi.spec.domain.devices.filesystems, self._places.filesystem_sockets)
        check_tables(vmi, self._places)
        prepared = time.monotonic()
        kernel = find_kernel(vmi, self._places)
        cpus = tuple(sorted(os.sched_getaffinity(0)))
        nodes = numa_nodes() if passes_numa(vmi.spec.domain) else {}
        source = DomainSource(vmi, facts, disks, kernel, cpus, container_environment(), nodes)
        prepare_state(vmi.spec.domain, domain_uuid(source), self._places)
        xml = render_domain(source)
        log.debug("domain:\n%s", xml)
        if await hypervisor.lookup(domain) is not None:  # of an attempt that failed
            await hypervisor.undefine(domain)
        await hypervisor.define(xml)
        if drive := tagged_drive(vmi):
            # Where devices are is known now; the guest reads of it on its drive.
            info = await hypervisor.lookup(domain)
            devices = device_metadata(vmi, info.xml) if info is not None else []
            await prepare_disks(vmi, facts, self._places, self._runner, only=(drive,), devices=devices)
        defined = time.monotonic()
        await hypervisor.start(domain, paused=vmi.spec.start_strategy == "Paused")
        self._record.note_started()
        log.info(
            "started: disks %.3f s, definition %.3f s, QEMU %.3f s",
            prepared - began,
            defined - prepared,
            time.monotonic() - defined,
        )

    # --- the loops ---

    async def run(self) -> None:
        """Keep connected, keep looking, pursue what was asked for; returns once the domain has ended."""
        record = self._record
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(record.line.run()),
                tasks.create_task(self._keep_looking()),
                tasks.create_task(self._pursuit.run()),
                tasks.create_task(record.guest.run()),
                tasks.create_task(self._give_metrics()),
            ]
            await record.ended.wait()
            for task in background:
                task.cancel()
        await record.line.close()

    async def _give_metrics(self) -> None:
        """To a guest that asks for them."""
        await self._synchronized.wait()
        vmi = self._record.guest.vmi
        if vmi is None or not wants_metrics(vmi.spec):
            return
        # What few guests ask for must not cost all others memory.
        from kobune.virt.launcher.downwardmetrics import give_metrics

        await give_metrics(vmi, self._places)

    async def _keep_looking(self) -> None:
        record = self._record
        while True:
            await record.wake.wait()
            record.wake.clear()
            if not record.line.up or record.starting:
                continue
            try:
                await record.look()
            except LibvirtError as error:
                log.warning("%s", error)
                await asyncio.sleep(RETRY_DELAY_S)
                record.wake.set()
