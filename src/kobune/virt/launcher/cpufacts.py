"""Asks this image's libvirt what CPUs and machines guests can have here; the program of a pod without a guest.

Owns: one connection on a unix socket, one answer (`launcherproto.cpufacts`), then its end. libvirt runs inside of this
process (`qemu:///embed`), so that nothing is left behind. Waits at most `LIFETIME_S` for its client.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Final

import msgspec

from kobune.virt.launcherproto.cpufacts import CPU_FACTS_SOCKET, CpuFacts, CpuFactsQuestion
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES, encode_line, read_message

__all__ = ["main", "model_features", "serve"]

LIFETIME_S: Final = 120.0
ARCHITECTURE: Final = "x86_64"
MACHINE: Final = "q35"
CPU_MAP: Final = Path("/usr/share/libvirt/cpu_map")
_PREFIX: Final = "x86_"


def main() -> int:
    """Serve one client; 0 when it was answered."""
    parser = argparse.ArgumentParser(prog="kobune-cpu-facts", allow_abbrev=False)
    parser.add_argument("directory", type=Path, help="where the socket is made; virt-handler looks for it there")
    options = parser.parse_args()
    if os.getpid() == 1 and (child := os.fork()):
        return _reap(child)
    answered = asyncio.run(serve(options.directory))
    # libvirt's threads would hold up the end.
    sys.stdout.flush()
    os._exit(0 if answered else 1)


def _reap(child: int) -> int:
    """As the container's first process: take leave of every process that ends (libvirt waits until the QEMU that it
    asked is gone), and end with `child`; its exit status."""
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


async def serve(directory: Path) -> bool:
    """Wait for the client and answer it; False when nobody came in time."""
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question = await read_message(reader, msgspec.json.Decoder(CpuFactsQuestion))
            facts = await asyncio.to_thread(ask_libvirt, question.kvm)
            writer.write(encode_line(facts))
            await writer.drain()
            done.set()
        finally:
            writer.close()

    path = directory / CPU_FACTS_SOCKET
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(answer, path, limit=MAX_LINE_BYTES)
    async with server:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIFETIME_S):
                await done.wait()
    return done.is_set()


def ask_libvirt(kvm: bool) -> CpuFacts:
    """Blocks for a second or two: libvirt starts QEMU to learn what it can do."""
    import libvirt

    hypervisor = "kvm" if kvm else "qemu"
    try:
        libvirt.virEventRegisterDefaultImpl()
        connection: Any = libvirt.open(f"qemu:///embed?root={tempfile.mkdtemp(prefix='cpu-facts-')}")
        document = connection.getDomainCapabilities(None, ARCHITECTURE, MACHINE, hypervisor, 0)
        baseline = ""
        if (host := _host_model(document)) is not None:
            baseline = connection.baselineHypervisorCPU(
                None, ARCHITECTURE, MACHINE, hypervisor, [host], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
            )
        capabilities = connection.getCapabilities()
    except libvirt.libvirtError as error:
        return CpuFacts(error=str(error))
    return CpuFacts(
        domain_capabilities=document,
        capabilities=capabilities,
        baseline=baseline,
        model_features=model_features(CPU_MAP),
    )


def _host_model(document: str) -> str | None:
    """The `<cpu>` that host-model stands for; None when the hypervisor has no such mode."""
    mode = ElementTree.fromstring(document).find("cpu/mode[@name='host-model'][@supported='yes']")  # noqa: S314 - libvirt's own
    if mode is None:
        return None
    cpu = ElementTree.Element("cpu", {"mode": "custom", "match": "exact"})
    cpu.extend(mode)
    return ElementTree.tostring(cpu, encoding="unicode")


def model_features(cpu_map: Path) -> dict[str, list[str]]:
    """The features of each model in libvirt's map; one file per model."""
    found: dict[str, list[str]] = {}
    for path in sorted(cpu_map.glob(f"{_PREFIX}*.xml")):
        model = ElementTree.parse(path).getroot().find("model")  # noqa: S314 - of this image
        if model is not None:
            found[model.get("name", "")] = [item.get("name", "") for item in model.findall("feature")]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
