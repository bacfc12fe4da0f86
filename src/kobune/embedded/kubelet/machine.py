"""What this machine is: processors, memory, names, addresses. Reads files of the kernel; decides nothing."""

import os
import platform
import socket
from dataclasses import dataclass
from pathlib import Path

from kobune.api.core import NodeSystemInfo

__all__ = ["MEMORY_RESERVE_BYTES", "Machine", "Pressure", "own_address", "read_machine", "read_pressure"]

KUBELET_VERSION = "v1.33.0+kobune"
MEMORY_RESERVE_BYTES = 100 << 20
"""Kept free of pods: the kubelet's usual hard limit of available memory."""
MIN_DISK_SHARE = 0.1
MIN_DISK_BYTES = 5 << 30
MIN_INODES_SHARE = 0.05
MIN_PIDS = 1000
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Machine:
    """Sizes in bytes."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    hugepages: dict[str, int]
    info: NodeSystemInfo


@dataclass(frozen=True, slots=True)
class Pressure:
    """What is running out on the machine, by the kubelet's usual thresholds."""

    memory: bool = False
    disk: bool = False
    pid: bool = False


def read_pressure(root: Path) -> Pressure:
    """Of this machine now; `root` is a directory on the file system that pods use."""
    stats = os.statvfs(root)
    free_bytes = stats.f_frsize * stats.f_bavail
    inodes_short = stats.f_files > 0 and stats.f_favail < stats.f_files * MIN_INODES_SHARE
    return Pressure(
        memory=_meminfo("MemAvailable") < MEMORY_RESERVE_BYTES,
        # A share of a large disk is a lot: what counts is that the next disk image still fits.
        disk=free_bytes < min(stats.f_frsize * stats.f_blocks * MIN_DISK_SHARE, MIN_DISK_BYTES) or inodes_short,
        pid=_free_pids() < MIN_PIDS,
    )


def read_machine(root: Path, runtime: str, runtime_version: str) -> Machine:
    """Of this machine; `root` is a directory on the file system that pods use."""
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=_meminfo("MemTotal"),
        disk_bytes=_disk_bytes(root),
        hugepages=_hugepages(),
        info=NodeSystemInfo(
            machine_id=_text("/etc/machine-id"),
            system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
            boot_id=_text("/proc/sys/kernel/random/boot_id"),
            kernel_version=platform.release(),
            os_image=_os_image(),
            container_runtime_version=f"{runtime}://{runtime_version}",
            kubelet_version=KUBELET_VERSION,
            kube_proxy_version="",
            operating_system="linux",
            architecture=machine_architecture(),
        ),
    )


def machine_architecture() -> str:
    """In Go's words, as images and nodes use them."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def own_address() -> str:
    """The address from which this machine reaches others, else the loopback's. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # A documentation address: connect() on a datagram socket only asks the routing table.
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _free_pids() -> int:
    limit = int(Path("/proc/sys/kernel/pid_max").read_text())
    # The fourth field of loadavg is RUNNING/ALL kernel scheduling entities.
    used = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    return limit - used


def _disk_bytes(root: Path) -> int:
    stats = os.statvfs(root)
    return stats.f_frsize * stats.f_blocks


def _hugepages() -> dict[str, int]:
    """Reserved bytes by resource name, such as hugepages-2Mi; every size that the kernel knows."""
    found: dict[str, int] = {}
    for directory in sorted(Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")):
        size_kib = int(directory.name.removeprefix("hugepages-").removesuffix("kB"))
        name = f"hugepages-{size_kib >> 20}Gi" if size_kib >= 1 << 20 else f"hugepages-{size_kib >> 10}Mi"
        count = int((directory / "nr_hugepages").read_text())
        found[name] = count * size_kib * 1024
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"
