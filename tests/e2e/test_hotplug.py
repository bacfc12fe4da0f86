"""Volumes that come to a running guest and leave it: plugged in, written to, grown, unplugged, kept over restarts."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.instance import ROOT, Console, Instance

NAME = "plugger"
SIZES_MIB = {"files": 48, "raw": 32}


def claims() -> list[dict[str, object]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "volumeMode": mode,
                "resources": {"requests": {"storage": f"{SIZES_MIB[name]}Mi"}},
            },
        }
        for name, mode in (("files", "Filesystem"), ("raw", "Block"))
    ]


@pytest.fixture(scope="module")
def machine(instance: Instance) -> Iterator[Instance]:
    machine = yaml.safe_load((ROOT / "examples/demo-vm.yaml").read_text())
    machine["metadata"]["name"] = NAME
    instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([machine, *claims()]))
    instance.wait_phase(NAME, "Running")
    yield instance
    instance.kubectl("delete", "vm", NAME, "--timeout=120s")
    instance.kubectl("delete", "pvc", *SIZES_MIB, "--timeout=120s")
    instance.eventually("no pod is left", lambda: pods(instance) == [])


def pods(instance: Instance) -> list[str]:
    """Those that hold volumes."""
    found = instance.get("pods", "-l", "kubevirt.io=hotplug-disk")["items"]
    return [str(pod["metadata"]["name"]) for pod in found]


def entry(instance: Instance, name: str) -> dict[str, object]:
    status = instance.get("vmi", NAME)["status"]
    found = [each for each in status["volumeStatus"] if each["name"] == name]
    return found[0] if found else {}


def wait_ready(instance: Instance, name: str) -> dict[str, object]:
    instance.eventually(f"{name} is plugged in", lambda: entry(instance, name).get("phase") == "Ready")
    return entry(instance, name)


def wait_gone(instance: Instance, name: str) -> None:
    instance.eventually(f"{name} is gone", lambda: entry(instance, name) == {})


def by_serial(console: Console, serial: str) -> str:
    """The guest's device of that serial, empty when there is none."""
    return console.run(f"ls -l /dev/disk/by-id | sed -n 's/.*-{serial} -> .*\\///p'")


def device(console: Console, serial: str) -> str:
    """The device, waited for: the guest looks for it in its own time."""
    for _ in range(60):
        if name := by_serial(console, serial):
            return name
        time.sleep(0.5)
    raise AssertionError(f"the guest has no disk with serial {serial}")


def size_mib(console: Console, name: str) -> int:
    return int(console.run(f"echo $(( $(cat /sys/block/{name}/size) / 2048 ))"))


def mounts_of_launcher(instance: Instance) -> str:
    return instance.kubectl("exec", launcher(instance), "--", "cat", "/proc/self/mountinfo")


def launcher(instance: Instance) -> str:
    found = instance.get("pods", "-l", f"vm.kubevirt.io/name={NAME}", "--field-selector=status.phase=Running")["items"]
    return str(found[0]["metadata"]["name"])


def test_a_volume_of_an_instance_comes_is_used_grows_and_leaves(machine: Instance) -> None:
    console = machine.console(NAME).login()
    try:
        said = machine.kobune("addvolume", NAME, "--volume-name=files", "--dry-run")
        assert "Successfully submitted" in said
        machine.kobune("addvolume", NAME, "--volume-name=files", "--serial=plugged1", "--ephemeral")
        ready = wait_ready(machine, "files")
        assert str(ready["target"]).startswith("sd")
        holder = ready["hotplugVolume"]
        assert isinstance(holder, dict)
        assert holder["attachPodName"] in pods(machine)
        assert holder["attachPodUID"]
        name = device(console, "plugged1")
        assert size_mib(console, name) == SIZES_MIB["files"]
        console.run(f"sudo mkfs.ext4 -q /dev/{name} && sudo mkdir -p /plugged && sudo mount /dev/{name} /plugged")
        console.run("echo kept | sudo tee /plugged/word && sync")

        # The claim grows: the guest sees it without a restart.
        grown = {"spec": {"resources": {"requests": {"storage": "80Mi"}}}}
        machine.kubectl("patch", "pvc", "files", "--type=merge", "-p", json.dumps(grown))
        machine.eventually("the disk has grown", lambda: size_mib(console, name) == 80)
        assert console.run("cat /plugged/word") == "kept"

        # Unplugging a SCSI disk needs no word of the guest; it is unmounted first all the same.
        console.run("sudo umount /plugged")
        machine.kobune("removevolume", NAME, "--volume-name=files")
        wait_gone(machine, "files")
        machine.eventually("the guest has lost it", lambda: by_serial(console, "plugged1") == "")
        machine.eventually("the pod is gone", lambda: pods(machine) == [])
        assert "/hotplug-disks/" not in mounts_of_launcher(machine)

        # What was written is there when the volume comes back.
        machine.kobune("addvolume", NAME, "--volume-name=files", "--serial=plugged1", "--ephemeral")
        wait_ready(machine, "files")
        name = device(console, "plugged1")
        assert console.run(f"sudo mount /dev/{name} /plugged && cat /plugged/word") == "kept"
        console.run("sudo umount /plugged")
        machine.kobune("removevolume", NAME, "--volume-name=files")
        wait_gone(machine, "files")
    finally:
        console.close()


def test_a_volume_of_the_machine_outlives_handler_and_restart(machine: Instance) -> None:
    # A block volume on virtio, by the machine: no restart is asked for.
    machine.kobune("addvolume", NAME, "--volume-name=raw", "--bus=virtio", "--persist")
    # The handler is killed while it is at it, and comes back.
    os.kill(machine.component_pid("virt-handler"), signal.SIGKILL)
    ready = wait_ready(machine, "raw")
    assert str(ready["target"]).startswith("vd")
    conditions = [item["type"] for item in machine.get("vm", NAME)["status"]["conditions"]]
    assert "RestartRequired" not in conditions
    console = machine.console(NAME).login()
    try:
        name = device(console, "raw")
        assert size_mib(console, name) == SIZES_MIB["raw"]
        console.run(f"printf persisted | sudo dd of=/dev/{name} conv=fsync")
        grown = {"spec": {"resources": {"requests": {"storage": "64Mi"}}}}
        machine.kubectl("patch", "pvc", "raw", "--type=merge", "-p", json.dumps(grown))
        machine.eventually("the disk has grown", lambda: size_mib(console, name) == 64)
    finally:
        console.close()

    before = machine.get("vmi", NAME)["metadata"]["uid"]
    machine.kobune("restart", NAME)
    machine.eventually("a new instance", lambda: machine.get("vmi", NAME)["metadata"]["uid"] != before)
    machine.wait_phase(NAME, "Running")
    wait_ready(machine, "raw")
    console = machine.console(NAME).login()
    try:
        name = device(console, "raw")
        assert console.run(f"sudo head -c 9 /dev/{name}") == "persisted"
        assert size_mib(console, name) == 64
    finally:
        console.close()
    # The handler is killed with the volume plugged in; it is taken out by the next one. Consoles go through it.
    os.kill(machine.component_pid("virt-handler"), signal.SIGKILL)
    machine.kobune("removevolume", NAME, "--volume-name=raw", "--persist")
    wait_gone(machine, "raw")
    console = machine.console(NAME).login()
    try:
        machine.eventually("the guest has lost it", lambda: by_serial(console, "raw") == "")
    finally:
        console.close()
    machine.eventually("the pod is gone", lambda: pods(machine) == [])
    devices = machine.kubectl("exec", launcher(machine), "--", "ls", "/dev/hotplug", check=False)
    assert devices.split() == []
    assert [
        v["name"] for v in machine.get("vm", NAME)["spec"]["template"]["spec"]["volumes"] if v["name"] == "raw"
    ] == []


def set_volumes(instance: Instance, *names: str) -> None:
    """Make these the plugged volumes of the template, each a claim on virtio."""
    spec = instance.get("vm", NAME)["spec"]["template"]["spec"]
    disks, volumes = spec["domain"]["devices"]["disks"], spec["volumes"]
    kept = [volume for volume in volumes if "persistentVolumeClaim" not in volume]
    shown = [disk for disk in disks if disk["name"] in {volume["name"] for volume in kept}]
    kept += [{"name": name, "persistentVolumeClaim": {"claimName": name, "hotpluggable": True}} for name in names]
    shown += [{"name": name, "serial": name, "disk": {"bus": "virtio"}} for name in names]
    patch = {"spec": {"template": {"spec": {"volumes": kept, "domain": {"devices": {"disks": shown}}}}}}
    instance.kubectl("patch", "vm", NAME, "--type=merge", "-p", json.dumps(patch))


def kill_launcher_process(instance: Instance) -> None:
    """The process beside the guest, not the guest."""
    uid = instance.get("pod", launcher(instance))["metadata"]["uid"]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if uid in (folder / "cgroup").read_text() and b"kobune.virt.launcher" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended
            continue
    assert found
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def test_a_template_names_volumes_that_come_late_and_leave_when_the_guest_agrees(machine: Instance) -> None:
    # A claim that is not there yet holds up nothing and is told.
    set_volumes(machine, "late")
    machine.eventually("it is missed", lambda: entry(machine, "late").get("reason") == "FailedPvcNotFound")
    assert entry(machine, "late")["phase"] == "Pending"
    late = {**claims()[0], "metadata": {"name": "late"}}
    machine.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(late))
    wait_ready(machine, "late")

    # The launcher's process dies and comes back: the guest keeps its disk, and still loses it when asked to.
    kill_launcher_process(machine)
    console = machine.console(NAME).login()
    try:
        assert size_mib(console, device(console, "late")) == SIZES_MIB["files"]
        console.run("sudo dd if=/dev/urandom of=/dev/disk/by-id/virtio-late bs=1M count=4 conv=fsync")
    finally:
        console.close()

    # A guest that cannot answer keeps the disk, and the instance says what it waits for.
    machine.kobune("pause", NAME)
    set_volumes(machine)
    machine.eventually("it waits", lambda: "has not done so yet" in str(entry(machine, "late").get("message")))
    assert entry(machine, "late")["phase"] == "Ready"
    machine.kobune("unpause", NAME)
    wait_gone(machine, "late")
    machine.eventually("the pod is gone", lambda: pods(machine) == [])

    # A machine that is deleted takes all of it along.
    set_volumes(machine, "late", "raw")
    os.kill(machine.component_pid("virt-controller"), signal.SIGKILL)
    wait_ready(machine, "late")
    wait_ready(machine, "raw")
    assert len(pods(machine)) == 2
    machine.kobune("stop", NAME)
    machine.eventually("nothing holds the volumes", lambda: pods(machine) == [])
    machine.kubectl("delete", "pvc", "late", "--timeout=60s")
    set_volumes(machine)
    machine.kobune("start", NAME)
    machine.wait_phase(NAME, "Running")


def test_what_cannot_be_plugged_is_refused_with_the_reason(machine: Instance) -> None:
    with pytest.raises(AssertionError, match="is not hotpluggable"):
        machine.kobune("removevolume", NAME, "--volume-name=root")
    with pytest.raises(AssertionError, match="requires bus to be 'scsi' or 'virtio'"):
        machine.kobune("addvolume", NAME, "--volume-name=files", "--bus=sata")
    with pytest.raises(AssertionError, match="does not exist"):
        machine.kobune("removevolume", NAME, "--volume-name=nothing", "--persist")
    assert entry(machine, "files") == {}
