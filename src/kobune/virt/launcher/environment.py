"""What surrounds the guest: its container's environment, where device plugins tell what they gave, and NUMA nodes."""

import os
from pathlib import Path

from kobune.virt.domain.hostdevices import PREFIXES

__all__ = ["container_environment", "cpu_list", "numa_nodes"]


def container_environment(proc: Path = Path("/proc")) -> dict[str, str]:
    """Its variables about devices.

    As the container's first process got them: a shell in between drops those whose name it could not set itself
    (`PCI_RESOURCE_EXAMPLE_COM_MY-DEVICE`).
    """
    found = dict(os.environ)
    try:
        lines = (proc / "1/environ").read_bytes().split(b"\0")
    except OSError:
        lines = []
    for line in lines:
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        if equals:
            found[name] = value
    return {name: value for name, value in found.items() if name.startswith(PREFIXES)}


def numa_nodes(system: Path = Path("/sys/devices/system/node")) -> dict[int, tuple[int, ...]]:
    """The host's CPUs by their NUMA node; none where the kernel tells of none."""
    found: dict[int, tuple[int, ...]] = {}
    for folder in system.glob("node[0-9]*"):
        cpus = cpu_list((folder / "cpulist").read_text())
        if cpus:
            found[int(folder.name.removeprefix("node"))] = cpus
    return dict(sorted(found.items()))


def cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's lists of CPUs: `0-3,8`."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            cpus.extend(range(int(first), int(last or first) + 1))
    return tuple(cpus)
