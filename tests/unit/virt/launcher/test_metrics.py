"""Metrics of the host for the guest: their values, the disk's layout, the channel."""

import asyncio
import contextlib
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from kobune.virt.launcher.downwardmetrics import give_metrics, metrics_disk
from kobune.virt.launcher.metrics import DISK_BYTES, disk_image, metrics_xml
from kobune.virt.launcher.places import Places
from support.vmis import vmi, vmi_document


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    (folder / "42").mkdir(parents=True)
    (folder / "stat").write_text("cpu  100 0 100 5000 50 0 0 0 0 0\ncpu0 1 2\ncpu1 1 2\nbtime 1\n")
    (folder / "meminfo").write_text("MemTotal: 4000 kB\nMemFree: 1000 kB\nMemAvailable: 3000 kB\nSwapFree: 5 kB\n")
    (folder / "vmstat").write_text("pswpin 2\npswpout 3\n")
    (folder / "42/comm").write_text("qemu-system-x86\n")
    (folder / "42/stat").write_text("42 (qemu-system-x86) S " + "0 " * 10 + "300 100 0 0")
    return folder


def values(xml: str, context: str) -> dict[str, str]:
    found = ElementTree.fromstring(xml).findall(f"metric[@context='{context}']")
    return {metric.findtext("name", ""): metric.findtext("value", "") for metric in found}


def test_host_and_guest_have_their_figures(proc: Path) -> None:
    document = vmi_document(devices={"downwardMetrics": {}})
    document["status"] = {"nodeName": "node-1"}
    xml = metrics_xml(vmi(document), proc, 1234.5)
    host, guest = values(xml, "host"), values(xml, "vm")
    assert (host["HostName"], host["NumberOfPhysicalCPUs"], host["Time"]) == ("node-1", "2", "1234")
    assert (host["FreePhysicalMemory"], host["UsedVirtualMemory"], host["FreeVirtualMemory"]) == (
        "1000",
        "1000",
        "3005",
    )
    assert (float(host["TotalCPUTime"]), float(guest["TotalCPUTime"])) == (2.0, 4.0)
    assert int(guest["ResourceMemoryLimit"]) > 0
    assert guest["ResourceProcessorLimit"] == "1"


def test_the_disk_has_a_header_with_length_and_checksum() -> None:
    image = disk_image("<metrics/>")
    assert len(image) == DISK_BYTES
    assert struct.unpack(">4sIII", image[:16]) == (b"mvbd", 0, sum(b"<metrics/>"), 10)
    assert image[16:26] == b"<metrics/>"
    with pytest.raises(ValueError, match="do not fit"):
        disk_image("x" * DISK_BYTES)


async def test_a_disk_is_written_and_a_channel_is_answered(proc: Path, tmp_path: Path) -> None:
    document = vmi_document(devices={"downwardMetrics": {}})
    document["spec"]["volumes"].append({"name": "metrics", "downwardMetrics": {}})
    places = Places(private=tmp_path, ephemeral_disks=tmp_path)
    guest: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_unix_server(lambda r, w: guest.put_nowait((r, w)), str(tmp_path / "virt-metrics"))
    giving = asyncio.create_task(give_metrics(vmi(document), places, proc))
    try:
        async with asyncio.timeout(10):
            reader, writer = await guest.get()
            writer.write(b"GET /metrics/XML\n\n")
            assert "<metrics>" in (await reader.readuntil(b"</metrics>\n\n")).decode()
            writer.write(b"DELETE /\n\n")
            assert await reader.readuntil(b"\n\n") == b"INVALID REQUEST\n\n"
            # Whoever says too much is hung up on, and may come again.
            writer.write(b"x" * 2000)
            _, again = await guest.get()
            assert metrics_disk(places).read_bytes()[:4] == b"mvbd"
            for each in (writer, again):
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()
    finally:
        giving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await giving
        server.close()
