"""Options of disks, looked at from inside of the guest; disks that cannot be had, or cannot be written."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.instance import ROOT, Console, Instance

NAME = "optional"


def machine(name: str, disks: list[dict[str, Any]], volumes: list[dict[str, Any]], **domain: Any) -> str:
    """The demo machine with more disks, as YAML."""
    document = yaml.safe_load((ROOT / "examples/demo-vm.yaml").read_text())
    document["metadata"]["name"] = name
    spec = document["spec"]["template"]["spec"]
    spec["domain"]["devices"]["disks"][0]["bootOrder"] = 1
    # In front, where the firmware would look first if nobody told it otherwise: nothing can be booted from these.
    spec["domain"]["devices"]["disks"] = [*disks, *spec["domain"]["devices"]["disks"]]
    spec["domain"] |= domain
    spec["volumes"] += volumes
    return yaml.safe_dump(document)


def empty(name: str, capacity: str = "16Mi") -> dict[str, Any]:
    return {"name": name, "emptyDisk": {"capacity": capacity}}


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"disk": {"bus": "virtio"}},
    "through": {"disk": {"bus": "virtio"}, "cache": "writethrough"},
    "native": {"disk": {"bus": "virtio"}, "io": "native", "dedicatedIOThread": True},
    "threads": {"disk": {"bus": "virtio"}, "io": "threads", "cache": "none", "errorPolicy": "report"},
    "blocks": {"disk": {"bus": "virtio"}, "blockSize": {"custom": {"logical": 4096, "physical": 4096}}},
    "fixed": {"disk": {"bus": "virtio", "readonly": True}},
    "onscsi": {"disk": {"bus": "scsi"}},
    "onusb": {"disk": {"bus": "usb"}},
    "onsata": {"disk": {"bus": "sata"}},
}


def stop(instance: Instance, name: str) -> None:
    instance.kubectl("delete", "vm", name, "--timeout=120s", "--ignore-not-found")


@pytest.fixture(scope="module")
def optional(instance: Instance) -> Iterator[Instance]:
    disks: list[dict[str, Any]] = [{"name": name, "serial": name, **options} for name, options in OPTIONS.items()]
    disks.append({"name": "shelf", "cdrom": {"bus": "sata"}})
    volumes = [empty(name) for name in OPTIONS]
    volumes.append({"name": "shelf", "configMap": {"name": "shelf"}})
    instance.kubectl("create", "configmap", "shelf", "--from-literal=word=on-the-shelf")
    instance.kubectl("apply", "-f", "-", stdin=machine(NAME, disks, volumes, ioThreadsPolicy="auto"))
    instance.wait_phase(NAME, "Running")
    yield instance
    stop(instance, NAME)
    instance.kubectl("delete", "configmap", "shelf")


def device(console: Console, serial: str) -> str:
    return console.run(f"ls -l /dev/disk/by-id | sed -n 's/.*-{serial} -> .*\\///p'")


def qemu_command(instance: Instance) -> str:
    pod = instance.get("pods", "-l", f"vm.kubevirt.io/name={NAME}")["items"][0]["metadata"]["name"]
    script = "for p in /proc/[0-9]*; do grep -q qemu-system $p/comm && tr '\\0' ' ' < $p/cmdline; done; true"
    return instance.kubectl("exec", pod, "--", "sh", "-c", script)


def test_options_of_disks_reach_the_guest(optional: Instance) -> None:
    console = optional.console(NAME).login()

    def told(serial: str, file: str) -> str:
        return console.run(f"cat /sys/block/{device(console, serial)}/{file}")

    try:
        assert told("plain", "queue/write_cache") == "write back"
        assert told("through", "queue/write_cache") == "write through"
        assert told("native", "queue/write_cache") == "write back"
        assert told("blocks", "queue/logical_block_size") == "4096"
        assert told("plain", "queue/logical_block_size") == "512"
        assert (told("fixed", "ro"), told("plain", "ro")) == ("1", "0")
        assert int(told("plain", "queue/discard_max_bytes")) > 0
        assert int(told("onscsi", "size")) == 32768
        for serial in ("native", "threads", "blocks", "onscsi"):
            name = device(console, serial)
            console.run(f"echo written-{serial} | sudo dd of=/dev/{name} bs=4096 conv=sync,fsync")
            assert console.run(f"sudo dd if=/dev/{name} bs=4096 count=1 2>/dev/null | head -n 1") == f"written-{serial}"
        refused = console.run(f"echo no | sudo dd of=/dev/{device(console, 'fixed')} bs=512 conv=sync; true")
        assert "denied" in refused or "not permitted" in refused or "error" in refused.lower()
    finally:
        console.close()


def test_what_a_guest_cannot_see_of_its_disks_is_in_qemu(optional: Instance) -> None:
    command = qemu_command(optional)
    assert '"aio":"native"' in command
    assert '"aio":"threads"' in command
    assert command.count('"direct":true') >= 2
    assert '"discard":"unmap"' in command
    # A thread of a disk's own, and others that disks share in turn: two for each CPU in all.
    assert set(re.findall(r'"iothread":"(\w+)"', command)) == {"iothread1", "iothread2"}
    assert re.findall(r'"id":"ua-(\w+)","bootindex":1\b', command) == ["root"]
    assert "usb-storage" in command
    assert "ide-hd" in command
    assert "ide-cd" in command


def test_a_disk_whose_storage_is_full_pauses_the_guest_and_goes_on_with_room(instance: Instance) -> None:
    """The guest waits for the write instead of losing it."""
    small = Path(f"{instance.data_dir}-small")
    small.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,uid=107,gid=107,mode=0770", "tmpfs", small], check=True)
    try:
        gated(instance, "HostDisk")
        path = f"{small}/disk.img"
        volume = {"name": "full", "hostDisk": {"type": "DiskOrCreate", "path": path, "capacity": "32Mi"}}
        disk = {"name": "full", "serial": "full", "disk": {"bus": "virtio"}}
        document = machine("fuller", [disk], [volume])
        instance.eventually("the gate is open", lambda: bool(instance.kubectl("apply", "-f", "-", stdin=document)))
        instance.wait_phase("fuller", "Running")
        console = instance.console("fuller").login()
        try:
            name = device(console, "full")
            console.child.sendline(f"sudo dd if=/dev/zero of=/dev/{name} bs=1M count=16 conv=fsync; echo DO''NE $?")
            instance.eventually("it pauses", lambda: paused(instance) == "PausedIOError")
            assert instance.get("vm", "fuller")["status"]["printableStatus"] == "Paused"
            # Without room it pauses again at once; with room it goes on where it was.
            subprocess.run(["mount", "-o", "remount,size=64M", small], check=True)
            instance.kobune("unpause", "fuller")
            console.child.expect("DONE 0", timeout=120)
            instance.eventually("it runs", lambda: paused(instance) == "")
            assert console.run(f"sudo dd if=/dev/{name} bs=1M skip=15 count=1 2>/dev/null | wc -c") == str(1 << 20)
        finally:
            console.close()
    finally:
        gated(instance)
        stop(instance, "fuller")
        subprocess.run(["umount", "--lazy", small], check=True)
        small.rmdir()


def gated(instance: Instance, *gates: str) -> None:
    """Open these feature gates and no others."""
    found = instance.get("kubevirt", "--all-namespaces")["items"][0]["metadata"]
    patch = {"spec": {"configuration": {"developerConfiguration": {"featureGates": list(gates)}}}}
    where = (str(found["name"]), "-n", str(found["namespace"]))
    instance.kubectl("patch", "kubevirt", *where, "--type=merge", "-p", json.dumps(patch))


def paused(instance: Instance) -> str:
    """Why the guest is paused, empty when it is not."""
    conditions = instance.get("vmi", "fuller")["status"]["conditions"]
    return next((str(c["reason"]) for c in conditions if c["type"] == "Paused" and c["status"] == "True"), "")


def test_a_container_disk_that_cannot_be_pulled_is_told_in_one_word(instance: Instance) -> None:
    document = yaml.safe_load(machine("imageless", [], []))
    for volume in document["spec"]["template"]["spec"]["volumes"]:
        if "containerDisk" in volume:
            volume["containerDisk"] = {"image": "127.0.0.1:9/no/such:image"}
    instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))

    def word() -> str:
        return str(instance.get("vm", "imageless")["status"].get("printableStatus"))

    try:
        instance.eventually("it says so", lambda: word() in ("ErrImagePull", "ImagePullBackOff"))
        instance.eventually("it backs off", lambda: word() == "ImagePullBackOff")
        conditions = instance.get("vmi", "imageless")["status"]["conditions"]
        (told,) = [item for item in conditions if item["type"] == "Synchronized"]
        assert "127.0.0.1:9/no/such:image" in told["message"]
    finally:
        stop(instance, "imageless")


def test_a_hostile_disk_is_refused_and_the_instance_says_why(instance: Instance) -> None:
    """A claim whose disk.img leads out of it: the guest must not see what it points at."""
    volumes = instance.data_dir / "volumes"
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "hostile"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
    }
    maker = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "maker"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "maker",
                    "image": launcher_image(instance),
                    "command": ["ln", "-s", "/etc/passwd", "/claim/disk.img"],
                    "volumeMounts": [{"name": "claim", "mountPath": "/claim"}],
                }
            ],
            "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": "hostile"}}],
        },
    }
    instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([claim, maker]))
    instance.eventually("it is made", lambda: instance.get("pod", "maker")["status"]["phase"] == "Succeeded")
    assert any(volumes.iterdir())
    document = yaml.safe_load(
        machine(
            "target",
            [{"name": "data", "disk": {"bus": "virtio"}}],
            [{"name": "data", "persistentVolumeClaim": {"claimName": "hostile"}}],
        )
    )
    document["spec"]["runStrategy"] = "Once"
    try:
        instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))
        instance.wait_phase("target", "Failed")
        assert "is not a regular file but a symbolic link" in instance.get("vmi", "target")["status"]["reason"]
    finally:
        stop(instance, "target")
        instance.kubectl("delete", "pod", "maker", "--grace-period=1")
        instance.kubectl("delete", "pvc", "hostile", "--timeout=60s")


def launcher_image(instance: Instance) -> str:
    """An image that the node has."""
    nodes = instance.get("nodes")["items"]
    names = [name for image in nodes[0]["status"].get("images", []) for name in image["names"]]
    return str(next(name for name in names if "virt-launcher:" in name))
