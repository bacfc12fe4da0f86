"""What a node can offer to a guest, as labels of its Node that launcher pods select by (names are KubeVirt's).

Owns: `machine-type.node.kubevirt.io/TYPE` by what QEMU says, `cpu-vendor.node.kubevirt.io/VENDOR`.
"""

import logging
import re
from pathlib import Path
from typing import Final

from kobune.host.run import CommandError, Runner

__all__ = ["node_labels", "observe_labels"]

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
ALWAYS: Final = "q35"
"""The machine type of every guest that names none; each QEMU that can run our launcher has it."""
_MACHINE = re.compile(r"^(q35|pc-q35-[0-9.]+)\s(?!.*\(deprecated\))", re.MULTILINE)
_VENDORS: Final = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}


def node_labels(machine_help: str, cpuinfo: str) -> dict[str, str]:
    """The labels, from the text of `qemu -machine help` and of /proc/cpuinfo. Pure."""
    machines = {ALWAYS, *_MACHINE.findall(machine_help)}
    labels = {f"machine-type.node.kubevirt.io/{machine}": "true" for machine in sorted(machines)}
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", cpuinfo, re.MULTILINE)
    if vendor is not None and vendor.group(1) in _VENDORS:
        labels[f"cpu-vendor.node.kubevirt.io/{_VENDORS[vendor.group(1)]}"] = "true"
    return labels


async def observe_labels(runner: Runner, proc: Path = Path("/proc")) -> dict[str, str]:
    """The labels of this node; without QEMU on the node itself, only the default machine type is promised."""
    try:
        told = (await runner.run(["qemu-system-x86_64", "-machine", "help"], timeout_s=TIMEOUT_S)).text
    except CommandError as error:
        log.info("machine types are not known: %s", error)
        told = ""
    return node_labels(told, (proc / "cpuinfo").read_text())
