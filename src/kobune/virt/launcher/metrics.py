"""What the guest may know of its host: the figures of vhostmd, as XML and as the disk that vm-dump-metrics reads.

Owns: names, types and units of the metrics, and the layout of the disk. Reads /proc, which in a container shows the
node's figures but for processes. Source of the format: vhostmd's metrics disk, version 1.0.
"""

import os
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.virt.domain.cpu import topology
from kobune.virt.domain.memory import guest_memory_bytes

__all__ = ["DISK_BYTES", "disk_image", "metrics_xml"]

DISK_BYTES = 256 * 1024
_SIGNATURE = b"mvbd"
_QEMU = "qemu-system-x86"
_PAGE_KIB = os.sysconf("SC_PAGESIZE") // 1024


def metrics_xml(vmi: VirtualMachineInstance, proc: Path, now_s: float) -> str:
    """All metrics now, as one XML document. Memory of the host is in KiB, times in seconds. Raises OSError."""
    root = ElementTree.Element("metrics")
    memory, paging = _table(proc / "meminfo"), _table(proc / "vmstat")
    total_kib, available_kib = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
    swap_kib = memory.get("SwapFree", 0)
    for name, kind, value in (
        ("HostName", "string", vmi.status.node_name or ""),
        ("HostSystemInfo", "string", "linux"),
        ("VirtualizationVendor", "string", "kobune.io"),
        ("VirtProductInfo", "string", "Kobune"),
        ("NumberOfPhysicalCPUs", "uint64", str(_cpus(proc))),
        ("TotalCPUTime", "real64", f"{_busy_s(proc):.6f}"),
        ("FreePhysicalMemory", "uint64", str(memory.get("MemFree", 0))),
        ("FreeVirtualMemory", "uint64", str(available_kib + swap_kib)),
        ("UsedVirtualMemory", "uint64", str(total_kib - available_kib)),
        ("PagedInMemory", "uint64", str(paging.get("pswpin", 0) * _PAGE_KIB)),
        ("PagedOutMemory", "uint64", str(paging.get("pswpout", 0) * _PAGE_KIB)),
        ("Time", "uint64", str(int(now_s))),
    ):
        _metric(root, "host", name, kind, value)
    guest = guest_memory_bytes(vmi.spec.domain) // 1024
    for name, kind, value in (
        ("TotalCPUTime", "real64", f"{_qemu_s(proc):.6f}"),
        ("ResourceProcessorLimit", "uint64", str(topology(vmi.spec.domain).vcpus)),
        ("PhysicalMemoryAllocatedToVirtualSystem", "uint64", str(guest)),
        ("ResourceMemoryLimit", "uint64", str(guest)),
    ):
        _metric(root, "vm", name, kind, value)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def disk_image(xml: str) -> bytes:
    """The disk's content: a header of four words (signature, busy, checksum, length; big endian), then the XML.

    Raises ValueError when it does not fit.
    """
    content = xml.encode()
    if len(content) > DISK_BYTES - 16:
        raise ValueError(f"{len(content)} bytes of metrics do not fit on their disk")
    header = struct.pack(">4sIII", _SIGNATURE, 0, sum(content), len(content))
    return (header + content).ljust(DISK_BYTES, b"\0")


def _metric(root: ElementTree.Element, context: str, name: str, kind: str, value: str) -> None:
    metric = ElementTree.SubElement(root, "metric", {"type": kind, "context": context})
    ElementTree.SubElement(metric, "name").text = name
    ElementTree.SubElement(metric, "value").text = value


def _table(path: Path) -> dict[str, int]:
    found = {}
    for line in path.read_text().splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    return found


def _cpus(proc: Path) -> int:
    lines = (proc / "stat").read_text().splitlines()
    return sum(1 for line in lines if line.startswith("cpu") and line[3:4].isdigit())


def _busy_s(proc: Path) -> float:
    """Processor time of the whole node that was not idle."""
    words = (proc / "stat").read_text().split("\n", 1)[0].split()[1:]
    ticks = [int(word) for word in words[:8]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def _qemu_s(proc: Path) -> float:
    """Processor time of the guest's QEMU, the only one in the container."""
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if (folder / "comm").read_text().strip() != _QEMU:
                continue
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
