"""libvirt in memory, for tests: the states, reasons and events of one hypervisor, without a daemon.

Its XML is what was defined, with what libvirt would add for a running domain left out: tests that need the live XML use
the real thing. `die` and `revive` play the daemon's crash.
"""

import asyncio
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from kobune.host.libvirt.types import (
    ClosedCallback,
    DomainEvent,
    DomainInfo,
    DomainNotFound,
    EventCallback,
    EventKind,
    LibvirtRefused,
    LibvirtUnavailable,
    PausedReason,
    ShutoffReason,
    State,
)

__all__ = ["FakeConnection", "FakeHypervisor"]


class FakeHypervisor:
    """The daemon and its domains; `connect` gives a connection.

    `calls` are all calls that changed something. With `obeys_acpi` a guest powers off at once. `agent` answers agent
    commands by name with the JSON text of the whole answer; None: no agent is connected. `refuse_start` makes the next
    start fail, `refuse_attach` the next plug; `die_in_start` makes the daemon die in the middle of a start. A guest
    lets go of devices at once while `releases_devices`. `disk_bytes` are sizes by target.
    """

    def __init__(self) -> None:
        self.domains: dict[str, DomainInfo] = {}
        self.calls: list[str] = []
        self.obeys_acpi = True
        self.agent: dict[str, str] | None = None
        self.refuse_start = ""
        self.refuse_attach = ""
        self.releases_devices = True
        self.disk_bytes: dict[str, int] = {}
        self.die_in_start = False
        self.running = True
        self._connections: list[FakeConnection] = []

    async def connect(self, on_event: EventCallback, on_closed: ClosedCallback) -> "FakeConnection":
        """A connection; raises LibvirtUnavailable while the daemon is dead."""
        if not self.running:
            raise LibvirtUnavailable("connect: no daemon listens")
        connection = FakeConnection(self, on_event, on_closed)
        self._connections.append(connection)
        return connection

    def die(self) -> None:
        """The daemon is killed; domains go on."""
        self.running = False
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.lost = True
            connection.on_closed()

    def revive(self) -> None:
        """The daemon is there again; it has ended what was only half started, as the real one does."""
        self.running = True
        for name, info in self.domains.items():
            if info.state is State.PAUSED and info.reason == PausedReason.STARTING_UP:
                self.domains[name] = replace(info, state=State.SHUTOFF, reason=ShutoffReason.FAILED)

    def change(self, name: str, state: State, reason: int, event: EventKind = EventKind.LIFECYCLE) -> None:
        """A domain changes by itself (the guest powers off, QEMU dies, an I/O error pauses it)."""
        self.domains[name] = replace(self.domains[name], state=state, reason=reason)
        self.emit(DomainEvent(event, name))

    def connect_agent(self, name: str, answers: dict[str, str]) -> None:
        """The guest's agent comes up."""
        self.agent = answers
        info = self.domains[name]
        root = ElementTree.fromstring(info.xml)  # noqa: S314 - made by the test
        target = root.find("devices/channel/target")
        assert target is not None, "the domain has no channel"
        target.set("state", "connected")
        self.domains[name] = replace(info, xml=ElementTree.tostring(root, encoding="unicode"))
        self.emit(DomainEvent(EventKind.AGENT, name, "connected"))

    def emit(self, event: DomainEvent) -> None:
        """Tell all connections."""
        for connection in list(self._connections):
            connection.on_event(event)


class FakeConnection:
    """A `Hypervisor`."""

    def __init__(self, daemon: FakeHypervisor, on_event: EventCallback, on_closed: ClosedCallback) -> None:
        self._daemon = daemon
        self.on_event = on_event
        self.on_closed = on_closed
        self.lost = False

    async def versions(self) -> tuple[str, str]:
        """See types.Hypervisor."""
        self._alive()
        return "9.0.0", "7.2.0"

    async def lookup(self, name: str) -> DomainInfo | None:
        """See types.Hypervisor."""
        self._alive()
        return self._daemon.domains.get(name)

    async def define(self, xml: str) -> None:
        """See types.Hypervisor."""
        self._alive("define")
        root = ElementTree.fromstring(xml)  # noqa: S314 - our own text
        name, uuid = root.findtext("name"), root.findtext("uuid")
        assert name
        assert uuid
        if not (root.findtext("memory") or "").strip().isdigit():
            raise LibvirtRefused("define: XML error: Invalid value for element or attribute './memory'", 27)
        kind = root.find("os/type")
        if kind is not None and kind.get("machine") == "q35":
            kind.set("machine", "pc-q35-7.2")  # as libvirt does with a name that means the newest version
            xml = ElementTree.tostring(root, encoding="unicode")
        old = self._daemon.domains.get(name)
        if old is not None and old.uuid != uuid:
            raise LibvirtRefused(f"define: domain {name!r} already exists with uuid {old.uuid}", 9)
        if old is None or not old.active:
            self._daemon.domains[name] = DomainInfo(name, uuid, State.SHUTOFF, ShutoffReason.UNKNOWN, xml)

    async def start(self, name: str, *, paused: bool = False) -> None:
        """See types.Hypervisor."""
        info = self._get(name, "start")
        if info.active:
            raise LibvirtRefused("start: domain is already running", 55)
        if self._daemon.die_in_start:
            self._daemon.die_in_start = False
            self._daemon.change(name, State.PAUSED, PausedReason.STARTING_UP)
            self._daemon.die()
            raise LibvirtUnavailable("start: the connection to libvirt is broken")
        refusal, self._daemon.refuse_start = self._daemon.refuse_start, ""
        if refusal:
            self._daemon.change(name, State.SHUTOFF, ShutoffReason.FAILED)
            raise LibvirtRefused(f"start: {refusal}", 1)
        if paused:
            self._daemon.change(name, State.PAUSED, PausedReason.USER)
        else:
            self._daemon.change(name, State.RUNNING, 1)

    async def undefine(self, name: str) -> None:
        """See types.Hypervisor."""
        if self._get(name, "undefine").active:
            raise LibvirtRefused("undefine: domain is running", 55)
        del self._daemon.domains[name]

    async def destroy(self, name: str) -> None:
        """See types.Hypervisor."""
        if self._get(name, "destroy").active:
            self._daemon.change(name, State.SHUTOFF, ShutoffReason.DESTROYED)

    async def shutdown(self, name: str) -> None:
        """See types.Hypervisor."""
        info = self._require_active(name, "shutdown")
        if self._daemon.obeys_acpi and info.state is State.RUNNING:
            self._daemon.change(name, State.SHUTOFF, ShutoffReason.SHUTDOWN)

    async def reboot(self, name: str, *, by_agent: bool) -> None:
        """See types.Hypervisor."""
        self._require_active(name, "reboot by agent" if by_agent else "reboot by acpi")
        self._daemon.emit(DomainEvent(EventKind.REBOOT, name))

    async def reset(self, name: str) -> None:
        """See types.Hypervisor."""
        self._require_active(name, "reset")
        self._daemon.emit(DomainEvent(EventKind.REBOOT, name))

    async def suspend(self, name: str) -> None:
        """See types.Hypervisor."""
        self._require_active(name, "suspend")
        self._daemon.change(name, State.PAUSED, PausedReason.USER)

    async def resume(self, name: str) -> None:
        """See types.Hypervisor."""
        self._require_active(name, "resume")
        self._daemon.change(name, State.RUNNING, 1)

    async def attach_device(self, name: str, xml: str) -> None:
        """See types.Hypervisor."""
        info = self._require_active(name, "attach device")
        refusal, self._daemon.refuse_attach = self._daemon.refuse_attach, ""
        if refusal:
            raise LibvirtRefused(f"attach device: {refusal}", 1)
        root, device = ElementTree.fromstring(info.xml), ElementTree.fromstring(xml)  # noqa: S314 - our own text
        if _with_target(root, device.find("target")) is not None:
            raise LibvirtRefused("attach device: the target already exists", 55)
        devices = root.find("devices")
        assert devices is not None, "the domain has no devices"
        devices.append(device)
        self._daemon.disk_bytes |= _size_of(device)
        self._rewrite(info, root)

    async def update_device(self, name: str, xml: str) -> None:
        """See types.Hypervisor."""
        info = self._require_active(name, "update device")
        root, device = ElementTree.fromstring(info.xml), ElementTree.fromstring(xml)  # noqa: S314 - our own text
        alias, devices = device.find("alias"), root.find("devices")
        wanted = alias.get("name") if alias is not None else ""
        found = [d for d in devices or () if d.find(f"alias[@name='{wanted}']") is not None]
        if devices is None or not found:
            raise LibvirtRefused(f"update device: no device has the alias {wanted}", 99)
        devices[list(devices).index(found[0])] = device
        self._rewrite(info, root)

    async def detach_device(self, name: str, alias: str) -> None:
        """See types.Hypervisor."""
        info = self._require_active(name, "detach device")
        root = ElementTree.fromstring(info.xml)  # noqa: S314 - our own text
        devices = root.find("devices")
        found = [] if devices is None else [d for d in devices if d.find(f"alias[@name='{alias}']") is not None]
        if devices is None or not found:
            raise LibvirtRefused(f"detach device: no device has the alias {alias}", 99)
        if self._daemon.releases_devices:
            devices.remove(found[0])
            self._rewrite(info, root)
            self._daemon.emit(DomainEvent(EventKind.DEVICE, name, alias))

    async def add_io_thread(self, name: str, number: int) -> None:
        """See types.Hypervisor."""
        info = self._require_active(name, f"add I/O thread {number}")
        root = ElementTree.fromstring(info.xml)  # noqa: S314 - our own text
        threads = root.find("iothreads")
        if threads is None:
            threads = ElementTree.SubElement(root, "iothreads")
        threads.text = str(int(threads.text or 0) + 1)
        self._rewrite(info, root)

    async def disk_bytes(self, name: str, target: str) -> int:
        """See types.Hypervisor."""
        self._require_active(name, "disk size")
        return self._daemon.disk_bytes.get(target, 0)

    async def resize_disk(self, name: str, target: str, size_bytes: int) -> None:
        """See types.Hypervisor."""
        self._require_active(name, f"resize {target}")
        self._daemon.disk_bytes[target] = size_bytes

    def _rewrite(self, info: DomainInfo, root: ElementTree.Element) -> None:
        xml = ElementTree.tostring(root, encoding="unicode")
        self._daemon.domains[info.name] = replace(info, xml=xml)

    async def dump_memory(self, name: str, path: str) -> None:
        """See types.Hypervisor."""
        self._require_active(name, "dump memory")
        await asyncio.to_thread(Path(path).write_bytes, b"\x7fELF")

    async def screenshot(self, name: str) -> bytes:
        """See types.Hypervisor."""
        self._require_active(name, "screenshot")
        return b"\x89PNG\r\n\x1a\n"

    async def agent_command(self, name: str, command: str, *, timeout_s: int) -> str:
        """See types.Hypervisor."""
        del timeout_s
        self._require_active(name, "agent")
        if self._daemon.agent is None:
            raise LibvirtUnavailable("agent command: no agent is connected", 86)
        for known, answer in self._daemon.agent.items():
            if f'"{known}"' in command:
                return answer
        raise LibvirtRefused("agent command: the command has not been found", 1)

    async def close(self) -> None:
        """See types.Hypervisor."""
        self.lost = True
        if self in self._daemon._connections:
            self._daemon._connections.remove(self)

    def _alive(self, call: str = "") -> None:
        if self.lost or not self._daemon.running:
            raise LibvirtUnavailable("the connection to libvirt is broken")
        if call:
            self._daemon.calls.append(call)

    def _get(self, name: str, call: str) -> DomainInfo:
        self._alive(call)
        info = self._daemon.domains.get(name)
        if info is None:
            raise DomainNotFound(f"{call}: no domain {name!r}", 42)
        return info

    def _require_active(self, name: str, call: str) -> DomainInfo:
        info = self._get(name, call)
        if not info.active:
            raise LibvirtRefused(f"{call}: domain is not running", 55)
        return info


def _with_target(root: ElementTree.Element, target: ElementTree.Element | None) -> ElementTree.Element | None:
    return None if target is None else root.find(f"devices/disk/target[@dev='{target.get('dev')}']")


def _size_of(disk: ElementTree.Element) -> dict[str, int]:
    """By its target, if what is behind it is a file here."""
    source, target = disk.find("source"), disk.find("target")
    path = Path(source.get("file", "")) if source is not None else Path()
    return {target.get("dev", ""): path.stat().st_size} if target is not None and path.is_file() else {}
