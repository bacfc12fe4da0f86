"""What processes take of this machine's memory: proportional set sizes, of single processes and of pods.

The proportional set size counts a page that several processes share to each of them in equal parts: the sizes of all
processes add up to what they take together. So a pod alone on its node pays for all of QEMU's, libvirt's and Python's
code, and beside others of its kind for a part.
"""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PodMemory", "pod_memory", "processes", "pss_kib"]

_KINDS = ("qemu-system", "libvirtd", "kobune.virt.launcher", "swtpm", "pause")


@dataclass(frozen=True)
class PodMemory:
    """A pod's memory in MiB: its processes' by kind without the guest's RAM, and what is resident of that RAM."""

    parts_mib: dict[str, float]
    guest_ram_mib: float

    @property
    def besides_guest_mib(self) -> float:
        """What the pod takes besides its guest's RAM."""
        return sum(self.parts_mib.values())


def pss_kib(pid: int) -> int:
    """Proportional set size of a process; 0 when it has ended."""
    try:
        return int(re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[0])
    except (OSError, IndexError):
        return 0


def processes() -> dict[int, str]:
    """All processes with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return found


def pod_memory(uid: str, guest_mib: int) -> PodMemory:
    """What the pod with this uid takes now; its guest has `guest_mib` of RAM."""
    parts: dict[str, float] = {}
    ram_mib = 0.0
    for pid, line in processes().items():
        try:
            inside = uid in Path(f"/proc/{pid}/cgroup").read_text().replace("_", "-")
        except OSError:
            continue
        if inside:
            kind = next((kind for kind in _KINDS if kind in line), "other")
            ram_kib = _mappings_kib(pid, guest_mib * 1024) if kind == "qemu-system" else 0
            ram_mib += ram_kib / 1024
            parts[kind] = parts.get(kind, 0.0) + (pss_kib(pid) - ram_kib) / 1024
    return PodMemory(parts, ram_mib)


def _mappings_kib(pid: int, size_kib: int) -> int:
    """Proportional set size of the process's mappings of exactly that size: nothing else of QEMU has its guest's."""
    try:
        mappings = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text())
    except OSError:
        return 0
    sized = (mapping for mapping in mappings if re.search(rf"^Size:\s+{size_kib} kB", mapping, re.M))
    return sum(int(re.findall(r"^Pss:\s+(\d+)", mapping, re.M)[0]) for mapping in sized)
