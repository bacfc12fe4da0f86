"""A launcher without libvirt, for tests of virt-handler: the real server over an in-memory domain.

It keeps the real launcher's contract (tests/support/launcher_contract.py runs against both), and tests can make
things happen in it: the guest gets an address, powers off, crashes, or a start fails.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.messages import (
    PROTOCOL_VERSION,
    Command,
    DomainState,
    DomainStatus,
    Done,
    DumpMemory,
    ErrorCode,
    ExecResult,
    ExitInfo,
    Failure,
    Filesystems,
    Freeze,
    FsFreezeStatus,
    GetFilesystems,
    GetGuestInfo,
    GetUsers,
    GuestExec,
    GuestInfo,
    GuestPing,
    Hello,
    Image,
    InterfaceState,
    Kill,
    Pause,
    PauseReason,
    Reset,
    Result,
    Screenshot,
    Shutdown,
    SoftReboot,
    SyncVirtualMachine,
    Unfreeze,
    Unpause,
    Users,
)
from kobune.virt.launcherproto.server import LauncherServer, Refusal

__all__ = ["FakeLauncher"]

S = DomainStatus


class FakeLauncher:
    """A `Service` and its server.

    `commands` are all that were executed, in order; `vmi` and `facts` the last that were synchronised.
    With `obeys_acpi` false the guest ignores a shutdown until its grace period ends. `fail_next` makes the next
    command fail with that failure.
    """

    def __init__(self, *, uid: str = "uid-1", namespace: str = "default", name: str = "vm") -> None:
        self.hello = Hello(protocol=PROTOCOL_VERSION, uid=uid, namespace=namespace, name=name, version="fake")
        self.commands: list[Command] = []
        self.vmi: dict[str, Any] | None = None
        self.facts: Facts | None = None
        self.obeys_acpi = True
        self.fail_next: Failure | None = None
        self._state = DomainState(sequence=0, status=S.NONE)
        self._watchers: list[Callable[[], None]] = []
        self._server: LauncherServer | None = None
        self._grace: asyncio.TimerHandle | None = None

    async def start(self, path: Path) -> None:
        """Listen on `path`."""
        self._server = LauncherServer(self, self.hello)
        await self._server.listen(path)

    async def stop(self) -> None:
        """End all connections, as when the process is killed; the domain lives on and `start` may follow."""
        if self._server is not None:
            await self._server.close()
            self._server = None

    # --- what tests make happen ---

    def change(self, **fields: Any) -> None:
        """Set fields of the state and tell subscribers."""
        self._state = msgspec.structs.replace(self._state, sequence=self._state.sequence + 1, **fields)
        for watcher in list(self._watchers):
            watcher()

    def guest_gets_address(self, *addresses: str) -> None:
        """The agent connects and tells the addresses of the first interface."""
        first = self._state.interfaces[0] if self._state.interfaces else InterfaceState()
        told = msgspec.structs.replace(first, ip_addresses=list(addresses), guest_name="eth0", from_agent=True)
        self.change(agent_connected=True, interfaces=[told, *self._state.interfaces[1:]])

    def guest_powers_off(self) -> None:
        """The guest shuts down by itself."""
        self.change(status=S.ENDED, exit=ExitInfo(crashed=False, by_guest=True))

    def qemu_dies(self, message: str = "QEMU was ended by signal 9") -> None:
        """The domain crashes."""
        self.change(status=S.ENDED, exit=ExitInfo(crashed=True, message=message), last_error=message)

    # --- Service ---

    @property
    def state(self) -> DomainState:
        """The state now."""
        return self._state

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """See server.Service."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    async def execute(self, command: Command) -> Result:
        """See server.Service."""
        self.commands.append(command)
        if self.fail_next is not None:
            failure, self.fail_next = self.fail_next, None
            self.change(last_error=failure.message)
            return failure
        match command:
            case SyncVirtualMachine():
                return self._sync(command)
            case Shutdown():
                return self._shutdown(command)
            case Kill():
                self._end(killed=self._state.status not in (S.NONE, S.ENDED))
                return self._state
            case Pause():
                self._require(S.RUNNING, S.PAUSED)
                if self._state.status is S.RUNNING:
                    self.change(status=S.PAUSED, pause_reason=PauseReason.USER)
                return self._state
            case Unpause():
                self._require(S.RUNNING, S.PAUSED)
                if self._state.status is S.PAUSED:
                    self.change(status=S.RUNNING, pause_reason=None)
                return self._state
            case SoftReboot():
                self._require(S.RUNNING)
                self.change(resets=self._state.resets + 1)
                return Done()
            case Reset():
                self._require(S.RUNNING, S.PAUSED)
                self.change(resets=self._state.resets + 1)
                return Done()
            case Freeze():
                self._require_agent()
                self.change(fs_freeze=FsFreezeStatus.FROZEN)
                return Done()
            case Unfreeze():
                self._require_agent()
                self.change(fs_freeze=FsFreezeStatus.THAWED)
                return Done()
            case GetGuestInfo():
                self._require_agent()
                return GuestInfo(hostname=self.hello.name, interfaces=self._state.interfaces)
            case GetUsers():
                self._require_agent()
                return Users()
            case GetFilesystems():
                self._require_agent()
                return Filesystems()
            case GuestPing():
                self._require_agent()
                return Done()
            case GuestExec():
                self._require_agent()
                return ExecResult(exit_status=0)
            case Screenshot():
                self._require(S.RUNNING, S.PAUSED)
                return Image(png=b"\x89PNG\r\n\x1a\n")
            case DumpMemory():
                self._require(S.RUNNING, S.PAUSED)
                return Done()
            case _:
                raise Refusal(ErrorCode.BAD_REQUEST, f"{type(command).__name__} is no command for a launcher")

    def _sync(self, command: SyncVirtualMachine) -> DomainState:
        if self._state.status is S.ENDED:
            return self._state
        try:
            vmi = msgspec.json.decode(command.vmi, type=VirtualMachineInstance)
        except msgspec.MsgspecError as error:
            raise Refusal(ErrorCode.INVALID_SPEC, f"this is no VirtualMachineInstance: {error}") from error
        if vmi.metadata.uid != self.hello.uid:
            raise Refusal(ErrorCode.INVALID_SPEC, f"this launcher belongs to {self.hello.uid}", field="metadata.uid")
        self.vmi = msgspec.json.decode(command.vmi)
        self.facts = command.facts
        if self._state.status is S.NONE:
            self.change(status=S.STARTING)
            self.change(
                status=S.RUNNING,
                uuid=self.hello.uid,
                started_at="2026-01-01T00:00:00Z",
                kvm=command.facts.kvm,
                machine="pc-q35-7.2",
                last_error="",
                interfaces=[
                    InterfaceState(name=i.name, mac=i.mac, queues=i.queues, from_domain=True)
                    for i in command.facts.interfaces
                ],
            )
        return self._state

    def _shutdown(self, command: Shutdown) -> DomainState:
        if self._state.status in (S.NONE, S.ENDED):
            self._end(killed=False)
        elif self.obeys_acpi:
            self.change(status=S.SHUTTING_DOWN)
            self._end(killed=False)
        else:
            self.change(status=S.SHUTTING_DOWN)
            loop = asyncio.get_running_loop()
            if self._grace is None or loop.time() + command.grace_s < self._grace.when():
                if self._grace is not None:
                    self._grace.cancel()
                self._grace = loop.call_later(command.grace_s, lambda: self._end(killed=True))
        return self._state

    def _end(self, *, killed: bool) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._state.status is not S.ENDED:
            self.change(status=S.ENDED, pause_reason=None, exit=ExitInfo(crashed=False, killed=killed))

    def _require(self, *legal: DomainStatus) -> None:
        if self._state.status not in legal:
            raise Refusal(ErrorCode.ILLEGAL_STATE, f"the domain is {self._state.status.value}")

    def _require_agent(self) -> None:
        self._require(S.RUNNING)
        if not self._state.agent_connected:
            raise Refusal(ErrorCode.AGENT_UNAVAILABLE, "no guest agent is connected")
