"""What options of disks become in the domain, one by one."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from kobune.virt.domain.document import DiskSource, DomainSource
from kobune.virt.domain.facts import Facts
from kobune.virt.domain.iothreads import disk_threads
from kobune.virt.domain.render import render_domain
from support.vmis import vmi, vmi_document

FILE = DiskSource("/disks/a.img")
FACTS = Facts()


def rendered(disk: dict[str, Any], source: DiskSource = FILE, **domain: Any) -> ElementTree.Element:
    document = vmi_document(**domain)
    document["spec"]["domain"]["devices"] = {"disks": [{"name": "root", **disk}]}
    xml = render_domain(DomainSource(vmi(document), facts=FACTS, disks={"root": source}))
    found = ElementTree.fromstring(xml).find("devices/disk")
    assert found is not None
    return found


def driver(disk: dict[str, Any]) -> dict[str, str]:
    found = rendered({"disk": {}, **disk}).find("driver")
    assert found is not None
    return dict(found.attrib)


@pytest.mark.parametrize(
    ("options", "cache", "io"),
    [
        ({}, "writeback", None),
        ({"cache": "none"}, "none", None),
        ({"cache": "writethrough"}, "writethrough", None),
        ({"io": "threads"}, "writeback", "threads"),
        ({"io": "native"}, "none", "native"),
        ({"io": "native", "cache": "none"}, "none", "native"),
        ({"io": "default"}, "writeback", None),
    ],
)
def test_cache_and_io(options: dict[str, Any], cache: str, io: str | None) -> None:
    found = driver(options)
    assert (found["cache"], found.get("io")) == (cache, io)


@pytest.mark.parametrize("policy", ["stop", "ignore", "report", "enospace"])
def test_error_policies(policy: str) -> None:
    assert driver({"errorPolicy": policy})["error_policy"] == policy
    assert driver({})["error_policy"] == "stop"


def test_what_is_written_can_be_given_back() -> None:
    assert driver({})["discard"] == "unmap"
    cdrom = rendered({"cdrom": {}}).find("driver")
    assert cdrom is not None
    assert cdrom.get("discard") is None


@pytest.mark.parametrize(
    ("block_size", "expected"),
    [
        ({"matchVolume": {}}, ("512", "4096")),
        ({"matchVolume": {"enabled": True}}, ("512", "4096")),
        ({"matchVolume": {"enabled": False}}, None),
        ({"custom": {"logical": 512, "physical": 512}}, ("512", "512")),
    ],
)
def test_block_sizes(block_size: dict[str, Any], expected: tuple[str, str] | None) -> None:
    source = DiskSource("/dev/block", block=True, block_sizes=(512, 4096))
    found = rendered({"disk": {}, "blockSize": block_size}, source).find("blockio")
    told = (found.get("logical_block_size"), found.get("physical_block_size")) if found is not None else None
    assert told == expected


def threads(policy: str | None, dedicated: int, shared: int, cores: int = 1) -> dict[str, int]:
    disks = [{"name": f"d{n}", "disk": {}, "dedicatedIOThread": True} for n in range(dedicated)]
    disks += [{"name": f"s{n}", "disk": {}} for n in range(shared)]
    disks.append({"name": "scsi", "disk": {"bus": "scsi"}, "dedicatedIOThread": True})
    document = vmi_document(devices={"disks": disks}, ioThreadsPolicy=policy, cpu={"cores": cores})
    return disk_threads(DomainSource(vmi(document), facts=FACTS))


def test_threads_of_disks() -> None:
    assert threads(None, 1, 2) == {"d0": 1}
    assert threads("shared", 2, 2) == {"s0": 1, "s1": 1, "d0": 2, "d1": 3}
    assert threads("auto", 0, 3, cores=2) == {"s0": 1, "s1": 2, "s2": 3}
    assert threads("auto", 0, 3, cores=1) == {"s0": 1, "s1": 2, "s2": 1}
    assert threads("auto", 2, 2, cores=1) == {"s0": 1, "s1": 1, "d0": 2, "d1": 3}
    assert threads("shared", 1, 0) == {"d0": 1}
