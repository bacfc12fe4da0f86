"""Disks that outlive their virtual machine: claims of the default class, as a file and as a block device."""

import json
import subprocess

import yaml

from support.instance import ROOT, Instance

SIZES_KIB = {"files": 65536, "raw": 32768}
GROWN_KIB = {"files": 98304, "raw": 49152}


def manifests() -> str:
    """The demo machine with a disk of each kind, told apart in the guest by their serials."""
    machine = yaml.safe_load((ROOT / "examples/demo-vm.yaml").read_text())
    machine["metadata"]["name"] = "keeper"
    spec = machine["spec"]["template"]["spec"]
    documents = [machine]
    for name, mode in (("files", "Filesystem"), ("raw", "Block")):
        spec["domain"]["devices"]["disks"].append({"name": name, "serial": name, "disk": {"bus": "virtio"}})
        spec["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": name}})
        requests = {"storage": f"{SIZES_KIB[name]}Ki"}
        claim = {"accessModes": ["ReadWriteOnce"], "volumeMode": mode, "resources": {"requests": requests}}
        documents.append(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": claim}
        )
    return yaml.safe_dump_all(documents)


def in_guest(instance: Instance, *commands: str) -> list[str]:
    console = instance.console("keeper").login()
    try:
        return [console.run(command) for command in commands]
    finally:
        console.close()


def disk(name: str) -> str:
    return f"/dev/disk/by-id/virtio-{name}"


def sizes(instance: Instance) -> dict[str, int]:
    commands = [f"echo $(( $(sudo blockdev --getsize64 {disk(name)}) / 1024 ))" for name in SIZES_KIB]
    return {name: int(said) for name, said in zip(SIZES_KIB, in_guest(instance, *commands), strict=True)}


def contents(instance: Instance) -> list[str]:
    return in_guest(instance, *[f"sudo head -c 3 {disk(name)}" for name in SIZES_KIB])


def attached(instance: Instance) -> list[str]:
    """Backing files of this instance's loop devices."""
    told = subprocess.run(["losetup", "--json", "--list"], capture_output=True, text=True, check=True).stdout
    devices = json.loads(told or '{"loopdevices": []}')["loopdevices"]
    return [own["back-file"] for own in devices if own["back-file"].startswith(str(instance.data_dir))]


def start_anew(instance: Instance) -> None:
    instance.kobune("stop", "keeper")
    instance.eventually(
        "it has stopped", lambda: instance.get("vm", "keeper")["status"]["printableStatus"] == "Stopped"
    )
    instance.kobune("start", "keeper")
    instance.wait_phase("keeper", "Running")


def test_disks_keep_what_a_guest_writes_and_grow(instance: Instance) -> None:
    volumes = instance.data_dir / "volumes"
    before = set(volumes.iterdir()) if volumes.is_dir() else set()
    instance.kubectl("apply", "-f", "-", stdin=manifests())
    instance.wait_phase("keeper", "Running")
    assert sizes(instance) == SIZES_KIB
    in_guest(instance, *[f"printf {name:.3s} | sudo dd conv=fsync of={disk(name)}" for name in SIZES_KIB])
    in_use = [claim for claim in SIZES_KIB if instance.get("pvc", claim)["status"]["phase"] == "Bound"]
    assert in_use == list(SIZES_KIB)

    # Claims grow while they are used; the guest sees it when it starts again, with its data.
    for name, size in GROWN_KIB.items():
        patch = {"spec": {"resources": {"requests": {"storage": f"{size}Ki"}}}}
        instance.kubectl("patch", "pvc", name, "--type=merge", "-p", json.dumps(patch))
    start_anew(instance)
    assert sizes(instance) == GROWN_KIB
    assert contents(instance) == ["fil", "raw"]

    # The instance goes down and comes back: no device is left meanwhile, no data is lost.
    instance.down("--grace-period=1")
    assert attached(instance) == []
    instance.up()
    instance.wait_phase("keeper", "Running")
    assert contents(instance) == ["fil", "raw"]

    # Claims that are deleted wait for their user, and take their data along.
    own = [instance.get("pvc", name)["spec"]["volumeName"] for name in SIZES_KIB]
    instance.kubectl("delete", "pvc", *SIZES_KIB, "--wait=false")
    made = set(volumes.iterdir()) - before
    assert len(made) == len(SIZES_KIB)
    instance.kubectl("delete", "vm", "keeper", "--timeout=120s")
    instance.eventually("data is erased", lambda: not made & set(volumes.iterdir()))
    gone = ("get", "pv", *own, "--ignore-not-found")
    instance.eventually("volumes are gone", lambda: instance.kubectl(*gone) == "")
    assert not [file for file in attached(instance) if file.startswith(tuple(map(str, made)))]
