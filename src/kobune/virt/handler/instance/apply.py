"""Carries out what was decided for an instance. Owns the order of the steps of a start; decides nothing."""

import asyncio
import contextlib
import logging
import os
import platform
from dataclasses import replace
from typing import Final, assert_never

import msgspec

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import Clock
from kobune.base.errors import RetryableError
from kobune.host import procroot
from kobune.host.procroot import HeldProcess
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.runtime.decision import PatchObject
from kobune.kube.runtime.writer import ApiWriter, Written
from kobune.virt.domain.cpu import topology
from kobune.virt.domain.facts import Facts, InterfaceFacts
from kobune.virt.domain.hostdevices import asks_for_devices
from kobune.virt.domain.memory import guest_memory_bytes
from kobune.virt.domain.numa import chosen_vcpus
from kobune.virt.handler.capabilities import CapabilityCache
from kobune.virt.handler.devices.kvm import KvmProof
from kobune.virt.handler.devices.memorylock import allow_locked_memory
from kobune.virt.handler.hotplug.deliver import QUIET_RETRY_S, Delivery
from kobune.virt.handler.hotplug.dump import Dump
from kobune.virt.handler.hotplug.plan import VolumePlan, capacities
from kobune.virt.handler.instance.actions import (
    DeliverVolumes,
    DumpMemory,
    Follow,
    Forget,
    HandlerAction,
    Kill,
    NoteShutdownTold,
    PrepareNetwork,
    PruneNetwork,
    Shutdown,
    Start,
    SynchronizeInterfaces,
    SynchronizeVolumes,
)
from kobune.virt.handler.instance.realtime import make_realtime
from kobune.virt.handler.launchers import LauncherLink, Launchers, NoLauncher
from kobune.virt.handler.network.model import QEMU_ID
from kobune.virt.handler.network.setup import GuestNetworks, HoldInPod
from kobune.virt.launcherproto.errors import CommandFailed, ConnectionLost

__all__ = ["InstanceExecutor"]

log = logging.getLogger(__name__)


class InstanceExecutor:
    """`execute` of the controller."""

    def __init__(
        self,
        writer: ApiWriter,
        launchers: Launchers,
        networks: GuestNetworks,
        kvm: KvmProof,
        capabilities: CapabilityCache,
        volumes: Delivery,
        clock: Clock,
        hold: HoldInPod = HeldProcess.of_group,
    ) -> None:
        self._writer = writer
        self._launchers = launchers
        self._networks = networks
        self._kvm = kvm
        self._capabilities = capabilities
        self._volumes = volumes
        self._clock = clock
        self._hold = hold

    async def execute(self, action: HandlerAction) -> Written | None:
        """Carry out one action. Raises RetryableError or TerminalError."""
        match action:
            case PatchObject():
                return await self._writer.execute(action)
            case Follow(key, pod_uid, vmi_uid):
                self._launchers.follow(key, pod_uid, vmi_uid)
            case Forget(key):
                self._launchers.forget(key)
            case PrepareNetwork(key, vmi):
                link = self._launchers.link(key)
                link.begin(lambda: self._prepare(link, vmi))
            case DeliverVolumes(key, plan):
                link = self._launchers.link(key)
                link.begin(lambda: self._deliver(link, plan))
            case SynchronizeVolumes(key, vmi, plan):
                link = self._launchers.link(key)
                link.begin(lambda: self._synchronize(link, vmi, plan))
            case DumpMemory(key, volume, file):
                link = self._launchers.link(key)
                link.begin(lambda: self._dump(link, volume, file))
            case SynchronizeInterfaces(key, vmi):
                link = self._launchers.link(key)
                link.begin(lambda: self._synchronize_interfaces(link, vmi))
            case PruneNetwork(key, vmi, names):
                link = self._launchers.link(key)
                link.begin(lambda: self._prune(link, vmi, names))
            case Start(key, vmi, image, plugged, sriov):
                link = self._launchers.link(key)
                link.begin(lambda: self._start(link, vmi, image, plugged, sriov))
            case Shutdown(key, grace_s):
                await self._shut_down(key, grace_s)
            case NoteShutdownTold(key):
                self._launchers.link(key).shutdown_told = True
            case Kill(key):
                await self._launchers.link(key).client.kill()
            case _:
                assert_never(action)
        return None

    async def _prepare(self, link: LauncherLink, vmi: VirtualMachineInstance) -> None:
        await asyncio.to_thread(_raise_priority, self._hold(link.client.peer_pid, link.pod_uid), vmi)
        # The guest runs: what its pod does not have yet comes once it is attached.
        await self._networks.ensure(link.pod_uid, link.client.peer_pid, vmi, partly=True)
        link.network_ready = True

    async def _synchronize_interfaces(self, link: LauncherLink, vmi: VirtualMachineInstance) -> None:
        client = link.client
        interfaces = await self._networks.ensure(link.pod_uid, client.peer_pid, vmi, partly=True)
        given = self._volumes.view(client.peer_pid, link.pod_uid, {}).given
        facts = Facts(architecture=platform.machine(), plugged=sorted(given), interfaces=interfaces)
        state = await client.sync_virtual_machine(msgspec.json.encode(vmi), facts)
        link.pruned -= {interface.name for interface in interfaces}
        absent = {one.name for one in vmi.spec.domain.devices.interfaces if one.state == "absent"}
        held = sorted(one.name for one in state.interfaces if one.from_domain and one.name in absent)
        if held:
            # It usually does within a second; an event of libvirt brings the key back before this is tried again.
            raise RetryableError(f"interface {held[0]}: the guest was asked to let go of it")

    async def _prune(self, link: LauncherLink, vmi: VirtualMachineInstance, names: frozenset[str]) -> None:
        await self._networks.prune(link.pod_uid, link.client.peer_pid, vmi)
        link.pruned |= names

    async def _deliver(self, link: LauncherLink, plan: VolumePlan) -> None:
        try:
            await self._volumes.carry_out(link.client.peer_pid, link.pod_uid, plan)
        except RetryableError as error:
            # The pods that hold them have only just started; the guest is waiting, so this is tried again soon.
            log.info("pod %s: %s", link.pod_uid, error)
            await self._clock.sleep(QUIET_RETRY_S)

    async def _dump(self, link: LauncherLink, volume: str, file: str) -> None:
        dump = Dump(file, self._clock.now())
        link.dumps = {**link.dumps, volume: dump}
        link.tell()
        try:
            await link.client.dump_memory(volume, file)
            trouble = ""
        except (CommandFailed, ConnectionLost, NoLauncher) as error:
            trouble = str(error)
        link.dumps = {**link.dumps, volume: replace(dump, ended=self._clock.now(), trouble=trouble)}

    async def _synchronize(self, link: LauncherLink, vmi: VirtualMachineInstance, plan: VolumePlan) -> None:
        client = link.client
        failure: RetryableError | None = None
        try:
            await self._volumes.carry_out(client.peer_pid, link.pod_uid, plan)
            link.dumps = {name: dump for name, dump in link.dumps.items() if name not in plan.take}
        except RetryableError as error:
            failure = error
        if plan.follow or plan.bring:
            given = self._volumes.view(client.peer_pid, link.pod_uid, {}).given
            facts = Facts(architecture=platform.machine(), plugged=sorted(given))
            state = await client.sync_virtual_machine(msgspec.json.encode(vmi), facts)
            if troubles := [f"volume {disk.name}: {disk.trouble}" for disk in state.disks if disk.trouble]:
                failure = RetryableError("; ".join(troubles))
            else:
                link.capacities = capacities(vmi)
        if failure is not None:
            raise failure

    async def _start(
        self,
        link: LauncherLink,
        vmi: VirtualMachineInstance,
        image: str,
        plugged: tuple[str, ...],
        sriov: tuple[tuple[str, str], ...],
    ) -> None:
        client = link.client
        began_s = self._clock.monotonic_s()
        interfaces = await self._networks.ensure(link.pod_uid, client.peer_pid, vmi)
        link.network_ready = True
        process = self._hold(client.peer_pid, link.pod_uid)
        await asyncio.to_thread(_grant_claims, process, vmi)
        if vmi.spec.domain.devices.autoattach_vsock:
            procroot.grant_device(process, *VHOST_VSOCK, QEMU_ID)
        if asks_for_devices(vmi.spec):
            await asyncio.to_thread(_grant_host_devices, process, vmi)
        network_s = self._clock.monotonic_s() - began_s
        facts = Facts(
            kvm=await self._kvm.granted_to(process),
            architecture=platform.machine(),
            host_cpus=os.cpu_count() or 1,
            nested=self._kvm.cpu_has_virtualization,
            interfaces=[*interfaces, *(InterfaceFacts(name=name, pci=address) for name, address in sriov)],
            plugged=list(plugged),
        )
        # Now or never: once the guest has run, nothing of this pod may reach another one.
        await self._capabilities.collect(link.pod_uid, image)
        await client.sync_virtual_machine(msgspec.json.encode(vmi), facts)
        link.capacities = capacities(vmi)
        await asyncio.to_thread(_raise_priority, process, vmi)
        total_s = self._clock.monotonic_s() - began_s
        log.info("%s runs: network %.3f s, launcher %.3f s", key_of(vmi), network_s, total_s - network_s)

    async def _shut_down(self, key: Key, grace_s: float) -> None:
        link = self._launchers.link(key)
        await link.client.shutdown(grace_s)
        link.shutdown_grace_s = grace_s


VHOST_VSOCK: Final = ("/dev/vhost-vsock", (10, 241))
"""Where the pod has it, and its numbers in every kernel."""


VFIO_DEVICES: Final = "/dev/vfio"
USB_DEVICES: Final = "/dev/bus/usb"


def _grant_host_devices(process: HeldProcess, vmi: VirtualMachineInstance) -> None:
    """Open the devices of the node that the pod was given to QEMU's user. Raises MemoryNotLockable."""
    if procroot.grant_devices_below(process, VFIO_DEVICES, QEMU_ID):
        allow_locked_memory(process, guest_memory_bytes(vmi.spec.domain))
    procroot.grant_devices_below(process, USB_DEVICES, QEMU_ID, depth=2)


def _raise_priority(process: HeldProcess, vmi: VirtualMachineInstance) -> None:
    """Real-time priority for the virtual CPUs that are to have it. Raises NoRealtime."""
    realtime = vmi.spec.domain.cpu.realtime if vmi.spec.domain.cpu is not None else None
    if realtime is not None:
        make_realtime(process, chosen_vcpus(realtime.mask or "", topology(vmi.spec.domain).vcpus))


def _grant_claims(process: HeldProcess, vmi: VirtualMachineInstance) -> None:
    """Open the block devices of claims to QEMU's user; claims with a file system have none."""
    for volume in vmi.spec.volumes:
        if volume.persistent_volume_claim is not None or volume.data_volume is not None:
            with contextlib.suppress(FileNotFoundError):
                procroot.grant_block_device(process, f"/dev/{volume.name}", QEMU_ID)
