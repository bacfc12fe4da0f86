"""What virt-handler may ask of virt-launcher. Every command says when it is legal, and what answers it."""

from typing import TypeAlias

from msgspec import Raw

from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.base import Message

__all__ = [
    "Command",
    "DumpMemory",
    "Freeze",
    "GetFilesystems",
    "GetGuestInfo",
    "GetState",
    "GetUsers",
    "GuestExec",
    "GuestPing",
    "Kill",
    "Pause",
    "Reset",
    "Screenshot",
    "Shutdown",
    "SoftReboot",
    "Subscribe",
    "SyncVirtualMachine",
    "Unfreeze",
    "Unpause",
]


class Subscribe(Message, frozen=True, kw_only=True, tag_field="command", tag="subscribe"):
    """Push `StateChanged` on this connection from now on, the current state first. Legal always. -> Done."""


class GetState(Message, frozen=True, kw_only=True, tag_field="command", tag="getState"):
    """Legal always. -> DomainState."""


class SyncVirtualMachine(Message, frozen=True, kw_only=True, tag_field="command", tag="syncVirtualMachine"):
    """Make the domain be what the VMI says; starts it when there is none. Idempotent.

    Of a domain that runs, volumes are plugged in and out and disks follow their claims' sizes; what could not be done
    is in `DomainState.disks`. `vmi` is the whole VirtualMachineInstance object as JSON. Legal always; once the domain
    has ended it changes nothing. The reply comes when the domain runs (or its start failed). -> DomainState.
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


class DumpMemory(Message, frozen=True, kw_only=True, tag_field="command", tag="dumpMemory"):
    """Write the guest's memory to `file` in the plugged `volume`, in place of an older dump there. The guest stands
    still meanwhile. Legal in RUNNING and PAUSED. -> Done, when the file is complete.
    """

    volume: str
    file: str


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
    | DumpMemory
)
