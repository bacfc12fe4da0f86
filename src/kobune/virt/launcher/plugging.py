"""Makes the disks of a running domain be what the VMI says: plugged in, unplugged, and as large as their claims.

Level-triggered: compares the VMI with libvirt's own description, and is called again by whoever waits for the result.
Owns the order and what is told about a disk that is not as it should be. One disk in trouble holds up no other.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.base.errors import KobuneError
from kobune.host.libvirt.types import Hypervisor, LibvirtRefused
from kobune.host.run import Runner
from kobune.virt.domain.devices.disk import bus_of, disk_element, free_target
from kobune.virt.domain.document import DiskSource, DomainSource
from kobune.virt.domain.facts import Facts
from kobune.virt.domain.hotplug import bootable, claim_of, hotplug_volumes
from kobune.virt.domain.iothreads import disk_threads
from kobune.virt.launcher.observation import LiveDomain
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.storage import prepare_disks

__all__ = ["Plugging"]

log = logging.getLogger(__name__)

RELEASE_ASKED = "the guest was asked to let go of the disk and has not done so yet: is it mounted?"


@dataclass(frozen=True, slots=True)
class Plugging:
    """For one domain."""

    domain: str
    places: Places
    runner: Runner

    async def follow(
        self, hypervisor: Hypervisor, vmi: VirtualMachineInstance, facts: Facts, live: LiveDomain
    ) -> dict[str, str]:
        """What is not (yet) as it should be, by volume: why. Raises LibvirtUnavailable."""
        troubles: dict[str, str] = {}
        targets = {disk.name: disk.target for disk in live.disks}
        wanted = {disk.name for disk in vmi.spec.domain.devices.disks}
        for name in targets:
            if name and name not in wanted:
                troubles[name] = await self._unplug(hypervisor, name)
        there = bootable(vmi, facts.plugged)
        threads = live.io_threads
        for index, disk in enumerate(there.spec.domain.devices.disks):
            if disk.name in targets or disk.name not in hotplug_volumes(vmi.spec):
                continue
            target = free_target(bus_of(disk), set(targets.values()))
            try:
                threads = await self._plug(hypervisor, there, facts, index, target, threads)
                targets[disk.name] = target
            except KobuneError as error:
                if not isinstance(error, LibvirtRefused):
                    log.info("volume %s: %s", disk.name, error)
                troubles[disk.name] = str(error)
        return troubles | await self._grow(hypervisor, there, facts, targets)

    async def _unplug(self, hypervisor: Hypervisor, name: str) -> str:
        try:
            await hypervisor.detach_device(self.domain, f"ua-{name}")
        except LibvirtRefused as error:
            # Also said while an earlier request waits for the guest.
            return f"{RELEASE_ASKED} ({error})"
        return RELEASE_ASKED

    async def _plug(
        self,
        hypervisor: Hypervisor,
        vmi: VirtualMachineInstance,
        facts: Facts,
        index: int,
        target: str,
        threads: int,
    ) -> int:
        """The number of I/O threads that the domain has afterwards."""
        disk = vmi.spec.domain.devices.disks[index]
        sources = await prepare_disks(vmi, facts, self.places, self.runner, only=(disk.name,))
        source = DomainSource(vmi, facts, sources)
        xml = ElementTree.tostring(disk_element(source, index, target), encoding="unicode")
        while threads < disk_threads(source).get(disk.name, 0):
            threads += 1
            await hypervisor.add_io_thread(self.domain, threads)
        await hypervisor.attach_device(self.domain, xml)
        log.info("plugged in %s as %s", disk.name, target)
        return threads

    async def _grow(
        self, hypervisor: Hypervisor, vmi: VirtualMachineInstance, facts: Facts, targets: Mapping[str, str]
    ) -> dict[str, str]:
        """Disks in claims take the size of what is behind them, which `prepare_disks` grows with the claim."""
        troubles = {}
        for volume in vmi.spec.volumes:
            if not claim_of(volume) or volume.name not in targets:
                continue
            try:
                sources = await prepare_disks(vmi, facts, self.places, self.runner, only=(volume.name,))
                for source in sources.values():
                    await self._resize(hypervisor, source, targets[volume.name])
            except (KobuneError, OSError) as error:
                troubles[volume.name] = f"its new size could not be shown to the guest: {error}"
        return troubles

    async def _resize(self, hypervisor: Hypervisor, source: DiskSource, target: str) -> None:
        size_bytes = _size_of(Path(source.path))
        if not source.read_only and size_bytes > await hypervisor.disk_bytes(self.domain, target):
            await hypervisor.resize_disk(self.domain, target, size_bytes)
            log.info("%s has %d bytes now", target, size_bytes)


def _size_of(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
