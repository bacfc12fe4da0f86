"""What a launcher needs beside its guest's memory: the sum of what was measured of each part, and a margin. Pure.

`bench/overhead.py` measures guests of several shapes under load and fails when a reservation is less than the 95th
percentile of what they use; docs/performance.md has the figures. A part that was not seen at its largest (a screen in
its largest mode, the caches of a large disk) counts with its bound, not with what was seen.
"""

from decimal import ROUND_CEILING
from typing import Final

from kobune.api.kubevirt import CPU, VirtualMachineInstanceSpec
from kobune.base.quantity import parse_quantity, to_bytes
from kobune.virt.domain.features import tcg_buffer_mib
from kobune.virt.domain.hostdevices import asks_for_devices

__all__ = ["guest_memory_bytes", "memory_overhead_bytes", "vcpus"]

MIB: Final = 1024 * 1024
PROCESSES_MIB: Final = 88
"""PID 1, launcher, libvirtd and QEMU with the devices that every guest has; nothing shared with other guests."""
PER_VCPU_MIB: Final = 8
TCG_PER_VCPU_MIB: Final = 6
"""In software emulation: the tables of a virtual processor that translates."""
SCREEN_MIB: Final = 32
"""16 MiB of video memory, and what VNC keeps of a screen of that size; in text mode 4 MiB are seen."""
PER_DISK_MIB: Final = 4
"""Queues and the tables of an image; of a qcow2 image of 32 GiB they are as large as this."""
PER_INTERFACE_MIB: Final = 2
FIRMWARE_MIB: Final = 12
"""UEFI: its code and its variables are mapped, and it draws on the screen."""
TPM_MIB: Final = 20
"""swtpm."""
PER_FILESYSTEM_MIB: Final = 16
"""virtiofsd."""
HOST_DEVICES_MIB: Final = 1024
"""Devices of the node: their registers are mapped into QEMU and count as its locked memory. Not measured, as no
machine with an IOMMU was at hand; it is what libvirt and KubeVirt reckon with."""
PAGE_TABLE_RATIO: Final = 512
MARGIN: Final = 1.15
LIMITED_MIB: Final = 48
"""With a limit the kernel counts more: its own memory for the pod, and pages of files that were just read."""


def vcpus(spec: VirtualMachineInstanceSpec) -> int:
    """How many virtual CPUs the guest has: by its topology, else by its CPU limit or request, else one."""
    topology = spec.domain.cpu or CPU()
    if topology.sockets or topology.cores or topology.threads:
        return (topology.sockets or 1) * (topology.cores or 1) * (topology.threads or 1)
    resources = spec.domain.resources
    if resources is not None:
        for amounts in (resources.limits, resources.requests):
            if "cpu" in amounts:
                return max(1, int(parse_quantity(amounts["cpu"]).to_integral_value(ROUND_CEILING)))
    return 1


def guest_memory_bytes(spec: VirtualMachineInstanceSpec) -> int:
    """Memory that the guest sees, in bytes; 0 when the spec does not say."""
    if spec.domain.memory is not None and spec.domain.memory.guest is not None:
        return to_bytes(spec.domain.memory.guest)
    resources = spec.domain.resources
    for amounts in (resources.requests, resources.limits) if resources is not None else ():
        if "memory" in amounts:
            return to_bytes(amounts["memory"])
    return 0


def memory_overhead_bytes(spec: VirtualMachineInstanceSpec, *, kvm: bool) -> int:
    """Memory of the launcher pod beyond the guest's, in bytes, whole MiB. `kvm`: its guest runs without emulation."""
    devices, guest = spec.domain.devices, guest_memory_bytes(spec)
    parts_mib = PROCESSES_MIB + PER_VCPU_MIB * vcpus(spec)
    if not kvm:
        parts_mib += tcg_buffer_mib(guest) + TCG_PER_VCPU_MIB * vcpus(spec)
    if devices.autoattach_graphics_device is not False:
        parts_mib += SCREEN_MIB
    parts_mib += PER_DISK_MIB * len(spec.volumes) + PER_INTERFACE_MIB * len(devices.interfaces)
    parts_mib += PER_FILESYSTEM_MIB * len(devices.filesystems)
    if devices.tpm is not None and devices.tpm.enabled is not False:
        parts_mib += TPM_MIB
    firmware = spec.domain.firmware
    if firmware is not None and firmware.bootloader is not None and firmware.bootloader.efi is not None:
        parts_mib += FIRMWARE_MIB
    if asks_for_devices(spec):
        parts_mib += HOST_DEVICES_MIB
    if _is_limited(spec):
        parts_mib += LIMITED_MIB
    return int(parts_mib * MARGIN + guest / PAGE_TABLE_RATIO / MIB + 1) * MIB


def _is_limited(spec: VirtualMachineInstanceSpec) -> bool:
    """Whether the pod gets a memory limit: asked for, or because processors of its own make it a guaranteed one."""
    if spec.domain.cpu is not None and spec.domain.cpu.dedicated_cpu_placement:
        return True
    return spec.domain.resources is not None and "memory" in spec.domain.resources.limits
