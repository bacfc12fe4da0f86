"""Devices besides virtio, and what the firmware and the processor tell, seen by the guest that has drivers for them."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.fault_guests import pod_processes
from support.guest_shell import DRIVERS, look, machine
from support.instance import Instance

UUID = "5d307ca9-b3ef-428c-8861-06e72d69f223"
HOUR_S = 3600
PAGES = 80
PCI_IDS = "cat /sys/bus/pci/devices/*/uevent | grep -E '^(PCI_ID|PCI_CLASS)='"
METRICS_DISK = "/dev/disk/by-id/virtio-metrics"
# Asks on the port as vm-dump-metrics does, and reads until the document's end.
METRICS_PORT = (
    'sudo sh -c \'exec 3<>/dev/virtio-ports/org.github.vhostmd.1; printf "GET /metrics/XML\\n\\n" >&3; '
    'while read -r line <&3; do echo "$line"; [ "$line" != "</metrics>" ] || break; done\''
)


def gated(instance: Instance, *gates: str) -> None:
    patch: Mapping[str, Any] = {"spec": {"configuration": {"developerConfiguration": {"featureGates": list(gates)}}}}
    (found,) = instance.get("kubevirt", "-A")["items"]
    where = ("-n", found["metadata"]["namespace"], found["metadata"]["name"])
    instance.kubectl("patch", "kubevirt", *where, "--type=merge", "-p", json.dumps(patch))


def secret(name: str, **values: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


OBJECTS = [
    secret("devices-password", root="Changed-1"),
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "answers"}, "data": {"Autounattend.xml": "<a/>"}},
]

GUEST = machine(
    "devices",
    image=DRIVERS,
    memory="256Mi",
    root={"bus": "sata"},
    disks=[
        {"name": "stick", "disk": {"bus": "usb"}, "serial": "stick"},
        {"name": "answers", "cdrom": {}},
        {"name": "metrics", "disk": {"bus": "virtio"}, "serial": "metrics"},
    ],
    volumes=[
        {"name": "stick", "emptyDisk": {"capacity": "16Mi"}},
        {"name": "answers", "sysprep": {"configMap": {"name": "answers"}}},
        {"name": "metrics", "downwardMetrics": {}},
    ],
    devices={
        "interfaces": [{"name": "default", "masquerade": {}, "model": "e1000e"}],
        "inputs": [
            {"name": "pen", "type": "tablet", "bus": "usb"},
            {"name": "pad", "type": "tablet", "bus": "virtio"},
        ],
        "watchdog": {"name": "dog", "i6300esb": {"action": "reset"}},
        "sound": {"name": "music", "model": "ich9"},
        "video": {"type": "virtio"},
        "panicDevices": [{"model": "isa"}],
        "tpm": {},
        "rng": {},
        "downwardMetrics": {},
    },
    domain={
        "cpu": {
            "model": "Nehalem",
            "sockets": 1,
            "cores": 2,
            "threads": 1,
            "features": [{"name": "sse4.2", "policy": "disable"}],
        },
        "machine": {"type": "q35"},
        "clock": {"utc": {"offsetSeconds": HOUR_S}, "timer": {"hpet": {"present": False}}},
        "firmware": {"uuid": UUID, "serial": "S-1"},
        "chassis": {"asset": "A-1"},
    },
    accessCredentials=[
        {
            "userPassword": {
                "source": {"secret": {"secretName": "devices-password"}},
                "propagationMethod": {"qemuGuestAgent": {}},
            }
        }
    ],
)


@pytest.fixture(scope="module")
def guest(instance: Instance) -> Iterator[str]:
    gated(instance, "DownwardMetrics")
    instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(OBJECTS))

    def accepted() -> bool:
        return "devices" in instance.kubectl("apply", "-f", "-", stdin=GUEST)

    # The gate takes effect when virt-api has seen it.
    instance.eventually("it is accepted with the gate", accepted, 30)
    instance.wait_phase("devices", "Running")
    yield "devices"
    everything = f"{yaml.safe_dump_all(OBJECTS)}---\n{GUEST}"
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=everything)
    gated(instance)


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """Enough pages of 2 MiB are reserved for one guest more."""
    folder = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
    before = int((folder / "nr_hugepages").read_text())
    # Pieces of memory of that size may have to be made first.
    Path("/proc/sys/vm/compact_memory").write_text("1")
    (folder / "nr_hugepages").write_text(str(before + PAGES))
    assert int((folder / "nr_hugepages").read_text()) == before + PAGES, "this machine's memory is in pieces"
    yield
    (folder / "nr_hugepages").write_text(str(before))


def test_every_device_is_there_with_its_driver(instance: Instance, guest: str) -> None:
    pci, usb, drivers, inputs, rng, panic, tpm, interface = look(
        instance,
        guest,
        PCI_IDS,
        "cat /sys/bus/usb/devices/*/product",
        "for d in /sys/bus/pci/devices/*/driver /sys/bus/usb/devices/*/driver; do basename $(readlink $d); done",
        "grep ^N: /proc/bus/input/devices",
        "cat /sys/class/misc/hw_random/rng_available",
        "ls -d /sys/bus/acpi/devices/QEMU0001:00",
        "cat /sys/class/tpm/tpm0/tpm_version_major",
        "basename $(readlink /sys/class/net/eth0/device/driver)",
    )
    # An ICH9 HD audio controller; virtio's graphics card.
    assert "PCI_ID=8086:293E" in pci
    assert "PCI_ID=1AF4:1050" in pci
    assert "QEMU USB Tablet" in usb
    assert "QEMU Virtio Tablet" in inputs
    assert {"ahci", "xhci_hcd", "i6300ESB", "usb-storage"} <= set(drivers.split())
    assert "virtio_rng" in rng
    assert panic.endswith("QEMU0001:00")
    assert (tpm, interface) == ("2", "e1000e")


def test_disks_are_on_the_buses_that_they_were_asked_for(instance: Instance, guest: str) -> None:
    root, stick, answers = look(
        instance,
        guest,
        "readlink -f /sys/class/block/$(cat /run/root-device)",
        "for d in /sys/block/sd*; do case $(readlink -f $d) in */usb*) cat $d/size;; esac; done",
        "sudo mkdir -p /mnt/cd && sudo mount -t iso9660 -o ro /dev/sr0 /mnt/cd && cat /mnt/cd/Autounattend.xml; echo",
    )
    assert "/ata" in root
    assert stick == str((16 << 20) // 512)
    assert answers == "<a/>"


def test_the_processor_the_clock_and_the_firmware_tell_what_was_asked(instance: Instance, guest: str) -> None:
    cpus, model, flags, cores, clock, told = look(
        instance,
        guest,
        "nproc",
        "grep -m1 'model name' /proc/cpuinfo",
        "grep -m1 ^flags /proc/cpuinfo",
        "grep -m1 'cpu cores' /proc/cpuinfo",
        "date +%s",
        "sudo sh -c 'cd /sys/class/dmi/id; cat product_uuid product_serial chassis_asset_tag product_family'",
    )
    assert cpus == "2"
    assert "Nehalem" in model
    assert " sse4_1 " in flags
    assert " sse4_2 " not in flags
    assert cores.split()[-1] == "2"
    assert abs(int(clock) - time.time() - HOUR_S) < 300
    assert told.split() == [UUID, "S-1", "A-1", "KubeVirt"]


def test_metrics_of_the_host_are_on_a_disk_and_on_a_port(instance: Instance, guest: str) -> None:
    node = instance.get("vmi", guest)["status"]["nodeName"]
    read = f"sudo dd if={METRICS_DISK} bs=4096 count=4 iflag=direct 2>/dev/null | tr -d '\\000'"
    first, port = look(instance, guest, read, METRICS_PORT)
    for document in (first, port):
        assert f"<value>{node}</value>" in document
        assert "<name>TotalCPUTime</name>" in document
    assert first.startswith("mvbd")
    instance.eventually("it is written anew", lambda: look(instance, guest, read)[0] != first, 60)


def test_a_password_is_set_by_the_agent_and_again_when_its_secret_changes(instance: Instance, guest: str) -> None:
    def has(password: str) -> bool:
        (answer,) = look(
            instance,
            guest,
            "h=$(sudo grep ^root: /etc/shadow | cut -d: -f2); s=$(echo \"$h\" | cut -d'$' -f3); "
            f'[ "$(echo {password} | mkpasswd -m sha512 -S $s -P 0)" = "$h" ] && echo yes || echo no',
        )
        return answer == "yes"

    instance.eventually("the first password", lambda: has("Changed-1"), 90)
    changed = yaml.safe_dump(secret("devices-password", root="Changed-2"))
    instance.kubectl("apply", "-f", "-", stdin=changed)
    instance.eventually("the second password", lambda: has("Changed-2"), 180)


def test_a_watchdog_that_is_not_fed_resets_the_guest(instance: Instance, guest: str) -> None:
    def boot() -> str:
        return look(instance, guest, "cat /proc/sys/kernel/random/boot_id")[0]

    before = boot()
    # Opened, told to bark after a while in which this shell is left, and never fed again.
    look(instance, guest, "sudo sh -c 'watchdog -T 10 -t 3600 /dev/watchdog; sleep 1' >/dev/null 2>&1")
    instance.eventually("another boot", lambda: boot() != before, 120)


@pytest.mark.usefixtures("huge_pages")
def test_a_guest_lives_in_huge_pages(instance: Instance) -> None:
    def offered() -> bool:
        (node,) = instance.get("node")["items"]
        return bool(node["status"]["allocatable"].get("hugepages-2Mi", "0") != "0")

    # As any kubelet, it counts them when it starts.
    os.kill(instance.component_pid("kubelet"), signal.SIGKILL)
    instance.eventually("the node offers them", offered, 120)
    manifest = machine("huge", domain={"memory": {"guest": "128Mi", "hugepages": {"pageSize": "2Mi"}}})
    instance.kubectl("apply", "-f", "-", stdin=manifest)
    try:
        instance.wait_phase("huge", "Running")
        (memory,) = look(instance, "huge", "awk '/MemTotal/ {print $2}' /proc/meminfo")
        assert int(memory) > 60_000
        pod = instance.get("pod", "-l", "vm.kubevirt.io/name=huge")["items"][0]["metadata"]["uid"]
        (qemu,) = pod_processes(instance, "qemu-system", pod).values()
        status = Path(f"/proc/{qemu.pid}/status").read_text()
        held = next(line for line in status.splitlines() if line.startswith("HugetlbPages:"))
        assert int(held.split()[1]) >= 128 << 10, "the guest's memory is somewhere else"
    finally:
        instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=manifest)
