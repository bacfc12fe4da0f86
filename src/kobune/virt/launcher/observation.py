"""From what libvirt says of the domain to the state that virt-handler gets. Pure.

Owns: which status, pause reason and exit follow from libvirt's states and the journal, and what is read from the live
domain XML (so that a new launcher process knows all of it without being told).
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kobune.host.libvirt.types import DomainInfo, PausedReason, ShutoffReason, State
from kobune.virt.launcher.journal import Journal
from kobune.virt.launcherproto.messages import DiskState, DomainStatus, ExitInfo, InterfaceState, PauseReason

__all__ = ["LiveDomain", "Standing", "read_live_domain", "standing", "started", "with_troubles"]

_PAUSE_REASONS: dict[int, PauseReason] = {
    PausedReason.USER: PauseReason.USER,
    PausedReason.IO_ERROR: PauseReason.IO_ERROR,
    PausedReason.MIGRATION: PauseReason.MIGRATION,
    PausedReason.POSTCOPY: PauseReason.MIGRATION,
    PausedReason.POSTCOPY_FAILED: PauseReason.MIGRATION,
    PausedReason.SAVE: PauseReason.SNAPSHOT,
    PausedReason.SNAPSHOT: PauseReason.SNAPSHOT,
    PausedReason.FROM_SNAPSHOT: PauseReason.SNAPSHOT,
    PausedReason.CRASHED: PauseReason.CRASHED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the domain is: its status, and why when it is paused or ended."""

    status: DomainStatus
    pause_reason: PauseReason | None = None
    exit: ExitInfo | None = None


def standing(info: DomainInfo | None, journal: Journal, *, crash_message: str = "") -> Standing:
    """What libvirt's answer means, given what was done before.

    Without a domain, or with one that was never started: NONE, or ENDED when a shutdown was asked for.
    `crash_message` is the last trouble that was noticed, for the exit of a crashed domain.
    """
    asked = journal.shutdown_deadline_s is not None or journal.killed
    if info is None or (not info.active and not journal.started_at):
        if journal.started_at:
            # Only undefining makes a started domain vanish; nobody does but a person in the pod.
            return Standing(DomainStatus.ENDED, exit=_crash("the domain vanished from libvirt", crash_message))
        if asked:
            return Standing(DomainStatus.ENDED, exit=ExitInfo(crashed=False, killed=journal.killed))
        return Standing(DomainStatus.NONE)
    match info.state:
        case State.RUNNING | State.BLOCKED | State.PMSUSPENDED:
            return Standing(DomainStatus.SHUTTING_DOWN if asked else DomainStatus.RUNNING)
        case State.PAUSED if info.reason == PausedReason.STARTING_UP:
            return Standing(DomainStatus.STARTING)
        case State.PAUSED:
            reason = _PAUSE_REASONS.get(info.reason, PauseReason.OTHER)
            return Standing(DomainStatus.PAUSED, pause_reason=reason)
        case State.SHUTDOWN:
            return Standing(DomainStatus.SHUTTING_DOWN)
        case State.CRASHED:
            return Standing(DomainStatus.ENDED, exit=_crash("the guest crashed", crash_message))
        case State.SHUTOFF | State.NOSTATE:
            return Standing(DomainStatus.ENDED, exit=_shut_off(info.reason, journal, asked, crash_message))


def started(info: DomainInfo) -> bool:
    """Whether the domain's start is complete: libvirt throws a half-started one away when it is restarted itself."""
    return info.active and not (info.state is State.PAUSED and info.reason == PausedReason.STARTING_UP)


def _shut_off(reason: int, journal: Journal, asked: bool, crash_message: str) -> ExitInfo:
    if reason == ShutoffReason.SHUTDOWN:
        return ExitInfo(crashed=False, by_guest=not asked, killed=journal.killed)
    if reason == ShutoffReason.DESTROYED and asked:
        return ExitInfo(crashed=False, killed=True)
    if reason == ShutoffReason.DESTROYED:
        # on_reboot=destroy, a watchdog's power-off, or a person with virsh: the guest ended, nothing broke.
        return ExitInfo(crashed=False, by_guest=True)
    if reason in (ShutoffReason.MIGRATED, ShutoffReason.SAVED):
        return ExitInfo(crashed=False, message="the domain is gone to another place")
    if asked:
        return ExitInfo(crashed=False, killed=journal.killed)
    if reason in (ShutoffReason.UNKNOWN, ShutoffReason.DAEMON):
        return _crash("the domain ended while nobody watched", crash_message)
    return _crash("QEMU ended unexpectedly", crash_message)


def _crash(what: str, detail: str) -> ExitInfo:
    return ExitInfo(crashed=True, message=f"{what}: {detail}" if detail else what)


@dataclass(frozen=True, slots=True)
class LiveDomain:
    """What the live domain XML tells."""

    kvm: bool = False
    machine: str = ""
    memory_bytes: int = 0
    sockets: int = 0
    cores: int = 0
    threads: int = 0
    interfaces: tuple[InterfaceState, ...] = ()
    disks: tuple[DiskState, ...] = ()
    io_threads: int = 0
    agent_connected: bool = False


_UNITS = {"b": 1, "bytes": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def read_live_domain(text: str) -> LiveDomain:
    """Read libvirt's own description of a domain."""
    root = ElementTree.fromstring(text)  # noqa: S314 - libvirt's own text, not a guest's
    memory = root.find("currentMemory")
    kind = root.find("os/type")
    topology = root.find("cpu/topology")
    vcpu = root.find("vcpu")
    cores, threads = _number(topology, "cores"), _number(topology, "threads")
    vcpus = 0
    if vcpu is not None:
        vcpus = int(vcpu.get("current") or vcpu.text or 0)
    agent = root.find("devices/channel/target[@name='org.qemu.guest_agent.0']")
    return LiveDomain(
        kvm=root.get("type") == "kvm",
        machine=kind.get("machine", "") if kind is not None else "",
        memory_bytes=int(memory.text or 0) * _UNITS.get(memory.get("unit", "KiB"), 1024) if memory is not None else 0,
        sockets=vcpus // max(cores * threads, 1),
        cores=cores,
        threads=threads,
        interfaces=tuple(_interface(element) for element in root.iterfind("devices/interface")),
        disks=tuple(_disk(element) for element in root.iterfind("devices/disk")),
        io_threads=int(root.findtext("iothreads") or 0),
        agent_connected=agent is not None and agent.get("state") == "connected",
    )


def _interface(element: ElementTree.Element) -> InterfaceState:
    def attribute(path: str, name: str, default: str = "") -> str:
        found = element.find(path)
        return found.get(name, default) if found is not None else default

    return InterfaceState(
        name=attribute("alias", "name").removeprefix("ua-"),
        mac=attribute("mac", "address"),
        queues=int(attribute("driver", "queues", "1")),
        link_up=attribute("link", "state", "up") != "down",
        from_domain=True,
    )


def _disk(element: ElementTree.Element) -> DiskState:
    alias, target = element.find("alias"), element.find("target")
    return DiskState(
        name=alias.get("name", "").removeprefix("ua-") if alias is not None else "",
        target=target.get("dev", "") if target is not None else "",
    )


def with_troubles(disks: Iterable[DiskState], troubles: Mapping[str, str], wanted: Collection[str]) -> list[DiskState]:
    """The domain's disks with what is wrong with them, and `wanted` ones that could not be plugged in."""
    shown = [DiskState(name=d.name, target=d.target, trouble=troubles.get(d.name, "")) for d in disks]
    known = {disk.name for disk in shown}
    missing = [name for name in troubles if name not in known and name in wanted]
    return [*shown, *(DiskState(name=name, trouble=troubles[name]) for name in missing)]


def _number(element: ElementTree.Element | None, name: str) -> int:
    return int(element.get(name, "1")) if element is not None else 1
