"""Gives the guest the metrics that it asks for: on a disk that is written anew every few seconds, and by a channel.

Imported only for guests that want them. The guest is not trusted: requests are short and answered one at a time.
"""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.virt.domain.paths import METRICS_SOCKET
from kobune.virt.launcher.metrics import disk_image, metrics_xml
from kobune.virt.launcher.places import Places

__all__ = ["give_metrics", "metrics_disk", "write_metrics_disk"]

EVERY_S = 5.0
RETRY_S = 1.0
MAX_REQUEST_BYTES = 256
REQUEST = b"GET /metrics/XML"
END = b"\n\n"

log = logging.getLogger(__name__)


def metrics_disk(places: Places) -> Path:
    """The disk's file; there is one at most."""
    return places.ephemeral_disks / "downward-metrics.img"


def write_metrics_disk(vmi: VirtualMachineInstance, places: Places, proc: Path) -> None:
    """Write the disk in place: QEMU has the file open. Raises OSError, ValueError."""
    image = disk_image(metrics_xml(vmi, proc, time.time()))
    path = metrics_disk(places)
    with open(path, "r+b" if path.exists() else "wb") as disk:
        disk.write(image)


async def give_metrics(vmi: VirtualMachineInstance, places: Places, proc: Path = Path("/proc")) -> None:
    """For ever, whatever of the two the instance asks for."""
    async with asyncio.TaskGroup() as tasks:
        if any(volume.downward_metrics is not None for volume in vmi.spec.volumes):
            tasks.create_task(_keep_disk(vmi, places, proc))
        if vmi.spec.domain.devices.downward_metrics is not None:
            tasks.create_task(_keep_channel(vmi, places.private / Path(METRICS_SOCKET).name, proc))


async def _keep_disk(vmi: VirtualMachineInstance, places: Places, proc: Path) -> None:
    while True:
        try:
            await asyncio.to_thread(write_metrics_disk, vmi, places, proc)
        except (OSError, ValueError) as error:
            log.warning("metrics disk: %s", error)
        await asyncio.sleep(EVERY_S)


async def _keep_channel(vmi: VirtualMachineInstance, socket: Path, proc: Path) -> None:
    """QEMU listens; it is there once the guest has started."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(str(socket), limit=MAX_REQUEST_BYTES)
            try:
                await _answer(vmi, reader, writer, proc)
            finally:
                writer.close()
        await asyncio.sleep(RETRY_S)


async def _answer(
    vmi: VirtualMachineInstance, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proc: Path
) -> None:
    while True:
        try:
            request = await reader.readuntil(END)
        except asyncio.LimitOverrunError:
            return
        except asyncio.IncompleteReadError:
            return
        known = request.strip().startswith(REQUEST)
        answer = metrics_xml(vmi, proc, time.time()) + "\n" if known else "INVALID REQUEST\n\n"
        writer.write(answer.encode())
        await writer.drain()
