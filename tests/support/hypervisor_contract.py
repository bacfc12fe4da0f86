"""What the launcher may rely on in libvirt: the fake and the real daemon pass it.

A test class that inherits `HypervisorContract` offers the fixture `daemon`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from kobune.host.libvirt.types import (
    ClosedCallback,
    DomainEvent,
    DomainNotFound,
    EventCallback,
    EventKind,
    Hypervisor,
    LibvirtRefused,
    LibvirtUnavailable,
    PausedReason,
    ShutoffReason,
    State,
)

NAME = "contract"
DOMAIN = """
<domain type="qemu">
  <name>contract</name>
  <uuid>6b8a6e2e-1f0b-4a56-8a54-1f0a54d0c0de</uuid>
  <memory unit="MiB">32</memory>
  <vcpu>1</vcpu>
  <os><type arch="x86_64" machine="q35">hvm</type></os>
  <features><acpi/></features>
  <devices>
    <controller type="usb" index="0" model="none"/>
    <controller type="scsi" index="0" model="virtio-scsi"/>
    <channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>
    <memballoon model="none"/>
  </devices>
</domain>
"""

DISK = """
<disk type="file" device="disk">
  <driver name="qemu" type="raw"/>
  <source file="{path}"/>
  <target dev="sda" bus="scsi"/>
  <alias name="ua-plugged"/>
</disk>
"""


@dataclass
class Daemon:
    """A libvirt daemon under test. `disk` is a raw file that it can open, `grow` makes it that large."""

    connect: Callable[[EventCallback, ClosedCallback], Awaitable[Hypervisor]]
    kill: Callable[[], Awaitable[None]]
    revive: Callable[[], Awaitable[None]]
    disk: str
    grow: Callable[[int], None]


@dataclass
class Line:
    """A connection and what it told."""

    hypervisor: Hypervisor
    events: list[DomainEvent] = field(default_factory=list)
    closed: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def event(self, kind: EventKind, after: int = 0) -> None:
        """Wait for an event of that kind, not counting the first `after` events."""
        await self.until(lambda: any(event.kind is kind for event in self.events[after:]))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self.news.clear()
                await self.news.wait()


async def open_line(daemon: Daemon) -> Line:
    """Connect; a daemon that is just starting is given some time."""
    line: Line

    def told(event: DomainEvent) -> None:
        line.events.append(event)
        line.news.set()

    def closed() -> None:
        line.closed += 1
        line.news.set()

    async with asyncio.timeout(60):
        while True:
            try:
                line = Line(await daemon.connect(told, closed))
                return line
            except LibvirtUnavailable:
                await asyncio.sleep(0.05)


class HypervisorContract:
    @pytest.fixture
    async def line(self, daemon: Daemon) -> AsyncIterator[Line]:
        line = await open_line(daemon)
        yield line
        await line.hypervisor.close()

    async def test_tells_its_versions(self, line: Line) -> None:
        libvirt, qemu = await line.hypervisor.versions()
        assert [part.isdigit() for part in (*libvirt.split("."), *qemu.split("."))] == [True] * 6

    async def test_a_domain_that_nobody_defined_is_not_there(self, line: Line) -> None:
        assert await line.hypervisor.lookup("nobody") is None
        with pytest.raises(DomainNotFound):
            await line.hypervisor.start("nobody")
        with pytest.raises(DomainNotFound):
            await line.hypervisor.destroy("nobody")

    async def test_nonsense_is_refused(self, line: Line) -> None:
        with pytest.raises(LibvirtRefused):
            await line.hypervisor.define(DOMAIN.replace(">32<", ">much<"))

    async def test_defined_is_not_started(self, line: Line) -> None:
        await line.hypervisor.define(DOMAIN)
        await line.hypervisor.define(DOMAIN)
        info = await line.hypervisor.lookup(NAME)
        assert info is not None
        assert (info.state, info.reason, info.active) == (State.SHUTOFF, ShutoffReason.UNKNOWN, False)
        assert info.uuid == "6b8a6e2e-1f0b-4a56-8a54-1f0a54d0c0de"
        assert 'machine="pc-q35' in info.xml.replace("'", '"')
        for call in (line.hypervisor.suspend, line.hypervisor.reset, line.hypervisor.shutdown):
            with pytest.raises(LibvirtRefused):
                await call(NAME)
        await line.hypervisor.undefine(NAME)
        assert await line.hypervisor.lookup(NAME) is None

    async def test_the_life_of_a_domain(self, line: Line) -> None:
        hypervisor = line.hypervisor
        await hypervisor.define(DOMAIN)
        await hypervisor.start(NAME)
        await line.event(EventKind.LIFECYCLE)
        assert await self.state(line) is State.RUNNING
        with pytest.raises(LibvirtRefused):
            await hypervisor.start(NAME)
        with pytest.raises(LibvirtUnavailable):
            await hypervisor.agent_command(NAME, '{"execute":"guest-ping"}', timeout_s=1)

        seen = len(line.events)
        await hypervisor.suspend(NAME)
        await line.event(EventKind.LIFECYCLE, seen)
        info = await hypervisor.lookup(NAME)
        assert info is not None
        assert (info.state, info.reason, info.active) == (State.PAUSED, PausedReason.USER, True)
        await hypervisor.resume(NAME)
        assert await self.state(line) is State.RUNNING

        seen = len(line.events)
        await hypervisor.reset(NAME)
        await line.event(EventKind.REBOOT, seen)

        seen = len(line.events)
        await hypervisor.destroy(NAME)
        await line.event(EventKind.LIFECYCLE, seen)
        info = await hypervisor.lookup(NAME)
        assert info is not None
        assert (info.state, info.reason) == (State.SHUTOFF, ShutoffReason.DESTROYED)
        await hypervisor.destroy(NAME)
        await hypervisor.undefine(NAME)

    async def test_a_domain_may_start_paused(self, line: Line) -> None:
        await line.hypervisor.define(DOMAIN)
        await line.hypervisor.start(NAME, paused=True)
        assert await self.state(line) is State.PAUSED
        await line.hypervisor.destroy(NAME)
        await line.hypervisor.undefine(NAME)

    async def test_domains_survive_the_daemon_and_a_new_connection_sees_them(self, daemon: Daemon, line: Line) -> None:
        await line.hypervisor.define(DOMAIN)
        await line.hypervisor.start(NAME)
        await daemon.kill()
        await line.until(lambda: line.closed > 0)
        with pytest.raises(LibvirtUnavailable):
            await line.hypervisor.lookup(NAME)
        await daemon.revive()
        again = await open_line(daemon)
        assert await self.state(again) is State.RUNNING
        await again.hypervisor.destroy(NAME)
        await again.event(EventKind.LIFECYCLE)
        await again.hypervisor.undefine(NAME)
        await again.hypervisor.close()
        assert line.closed == 1

    async def state(self, line: Line) -> State:
        info = await line.hypervisor.lookup(NAME)
        assert info is not None
        return info.state

    async def test_a_disk_is_plugged_in_grown_and_unplugged(self, daemon: Daemon, line: Line) -> None:
        hypervisor = line.hypervisor
        daemon.grow(1 << 20)
        disk = DISK.format(path=daemon.disk)
        await hypervisor.define(DOMAIN)
        with pytest.raises(LibvirtRefused):
            await hypervisor.attach_device(NAME, disk)
        await hypervisor.start(NAME)
        await hypervisor.attach_device(NAME, disk)
        info = await hypervisor.lookup(NAME)
        assert info is not None
        assert "ua-plugged" in info.xml
        with pytest.raises(LibvirtRefused):
            await hypervisor.attach_device(NAME, disk)
        assert await hypervisor.disk_bytes(NAME, "sda") == 1 << 20
        daemon.grow(3 << 20)
        await hypervisor.resize_disk(NAME, "sda", 3 << 20)
        assert await hypervisor.disk_bytes(NAME, "sda") == 3 << 20
        await hypervisor.add_io_thread(NAME, 1)
        info = await hypervisor.lookup(NAME)
        assert info is not None
        assert "<iothreads>1</iothreads>" in info.xml

        seen = len(line.events)
        await hypervisor.detach_device(NAME, "ua-plugged")
        await line.event(EventKind.DEVICE, seen)
        info = await hypervisor.lookup(NAME)
        assert info is not None
        assert "ua-plugged" not in info.xml
        with pytest.raises(LibvirtRefused):
            await hypervisor.detach_device(NAME, "ua-plugged")
        await hypervisor.destroy(NAME)
        await hypervisor.undefine(NAME)
