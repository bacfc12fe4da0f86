"""What callers see of libvirt: states, events, errors and the protocol that the fake keeps too.

Owns: libvirt's numbers as enums. Values: libvirt's virDomainState, virDomainShutoffReason, virDomainPausedReason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol

from kobune.base.errors import KobuneError, RetryableError, TerminalError

__all__ = [
    "DomainEvent",
    "DomainInfo",
    "DomainNotFound",
    "EventKind",
    "Hypervisor",
    "LibvirtError",
    "LibvirtRefused",
    "LibvirtUnavailable",
    "PausedReason",
    "ShutoffReason",
    "State",
]


class State(IntEnum):
    """virDomainState."""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


class ShutoffReason(IntEnum):
    """virDomainShutoffReason. UNKNOWN is also what a domain says that was defined but never started."""

    UNKNOWN = 0
    SHUTDOWN = 1
    DESTROYED = 2
    CRASHED = 3
    MIGRATED = 4
    SAVED = 5
    FAILED = 6
    FROM_SNAPSHOT = 7
    DAEMON = 8


class PausedReason(IntEnum):
    """virDomainPausedReason."""

    UNKNOWN = 0
    USER = 1
    MIGRATION = 2
    SAVE = 3
    DUMP = 4
    IO_ERROR = 5
    WATCHDOG = 6
    FROM_SNAPSHOT = 7
    SHUTTING_DOWN = 8
    SNAPSHOT = 9
    CRASHED = 10
    STARTING_UP = 11
    POSTCOPY = 12
    POSTCOPY_FAILED = 13
    API_ERROR = 14


@dataclass(frozen=True, slots=True)
class DomainInfo:
    """A domain now. `reason` is a number of the enum that belongs to `state`. `xml` is its live description."""

    name: str
    uuid: str
    state: State
    reason: int
    xml: str

    @property
    def active(self) -> bool:
        """Whether there is a QEMU process."""
        return self.state not in (State.NOSTATE, State.SHUTOFF, State.CRASHED)


class EventKind(Enum):
    """What happened. Events are triggers to look again; only what cannot be looked up is in them."""

    LIFECYCLE = "lifecycle"
    REBOOT = "reboot"
    IO_ERROR = "io-error"
    AGENT = "agent"  # it connected or went away
    DEVICE = "device"  # one was added or removed
    WATCHDOG = "watchdog"


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something happened to the domain of that name. `detail` is text for a log or a condition."""

    kind: EventKind
    domain: str
    detail: str = ""


class LibvirtError(KobuneError):
    """A libvirt call failed. `code` is its virErrorNumber, 0 where there was none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class LibvirtUnavailable(LibvirtError, RetryableError):
    """No daemon answers, or the connection to it broke, or it did not answer in time."""


class LibvirtRefused(LibvirtError, TerminalError):
    """libvirt or QEMU said no; the message is theirs."""


class DomainNotFound(LibvirtRefused):
    """There is no domain of that name."""


class Hypervisor(Protocol):
    """One connection. All methods raise LibvirtUnavailable, LibvirtRefused or DomainNotFound.

    Names are domain names. After `closed` has been called the connection is of no use any more; open a new one.
    """

    async def versions(self) -> tuple[str, str]:
        """libvirt's and QEMU's version, as text."""
        ...

    async def lookup(self, name: str) -> DomainInfo | None:
        """The domain, or None when there is none of that name."""
        ...

    async def define(self, xml: str) -> None:
        """Store a domain's description; replaces that of an inactive domain of the same name and UUID."""
        ...

    async def start(self, name: str, *, paused: bool = False) -> None:
        """Start a defined domain; returns when its CPUs run (or are paused)."""
        ...

    async def undefine(self, name: str) -> None:
        """Forget an inactive domain."""
        ...

    async def destroy(self, name: str) -> None:
        """End the domain's QEMU now. Nothing happens when it has ended."""
        ...

    async def shutdown(self, name: str) -> None:
        """Press the ACPI power button."""
        ...

    async def reboot(self, name: str, *, by_agent: bool) -> None:
        """Ask the guest to reboot, through its agent or by ACPI."""
        ...

    async def reset(self, name: str) -> None:
        """Press the reset button."""
        ...

    async def suspend(self, name: str) -> None:
        """Stop the virtual CPUs."""
        ...

    async def resume(self, name: str) -> None:
        """Continue the virtual CPUs."""
        ...

    async def attach_device(self, name: str, xml: str) -> None:
        """Plug a device into the running domain; it is there when this returns."""
        ...

    async def update_device(self, name: str, xml: str) -> None:
        """Change a device of the running domain, which its alias or address tells, to this description."""
        ...

    async def detach_device(self, name: str, alias: str) -> None:
        """Ask the guest to let go of a device; an event of kind DEVICE tells when it is gone."""
        ...

    async def add_io_thread(self, name: str, number: int) -> None:
        """Give the running domain another I/O thread."""
        ...

    async def disk_bytes(self, name: str, target: str) -> int:
        """The size of a disk as the guest sees it."""
        ...

    async def resize_disk(self, name: str, target: str, size_bytes: int) -> None:
        """Let the guest see another size of a disk; what is behind it has that size already."""
        ...

    async def dump_memory(self, name: str, path: str) -> None:
        """Write the guest's memory to a file that is not there, as an ELF core; the guest stands still meanwhile."""
        ...

    async def screenshot(self, name: str) -> bytes:
        """What the first screen shows, as PNG (QEMU makes it from 7.1 on)."""
        ...

    async def agent_command(self, name: str, command: str, *, timeout_s: int) -> str:
        """Pass one JSON command to the guest agent and return its JSON answer.

        Raises LibvirtUnavailable when no agent answers in time, LibvirtRefused when it answers with an error.
        """
        ...

    async def close(self) -> None:
        """End the connection; domains go on."""
        ...


EventCallback = Callable[[DomainEvent], None]
ClosedCallback = Callable[[], None]
