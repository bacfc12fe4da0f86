"""The life of a virtual machine as its user sees it, from inside of the guest."""

from pathlib import Path

import pytest

from support.instance import Instance

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "examples/demo-vm.yaml")


def boot_id(instance: Instance, name: str) -> str:
    console = instance.console(name).login()
    try:
        return console.run("cat /proc/sys/kernel/random/boot_id")
    finally:
        console.close()


def vmi_uid(instance: Instance, name: str) -> str:
    return str(instance.get("vmi", name)["metadata"]["uid"])


def no_vmi(instance: Instance, name: str) -> bool:
    return instance.kubectl("get", "vmi", name, "--ignore-not-found") == ""


@pytest.mark.e2e
def test_a_vm_boots_is_logged_into_reached_stopped_started_restarted_and_deleted(instance: Instance) -> None:
    instance.kubectl("apply", "-f", DEMO)
    instance.wait_phase("demo", "Running")
    instance.kubectl("wait", "vm/demo", "--for=condition=Ready", "--timeout=120s")

    # Log in on the console and look at what cloud-init was told.
    console = instance.console("demo").login()
    assert console.run("hostname") == "demo"
    assert "NAME=" in console.run("cat /etc/os-release")
    first_boot = console.run("cat /proc/sys/kernel/random/boot_id")
    console.close()

    # What kubectl shows.
    table = instance.kubectl("get", "vm,vmi,pod")
    assert "Running" in table
    assert "virt-launcher-demo" in table
    address = instance.get("vmi", "demo")["status"]["interfaces"][0]["ipAddress"]

    # A pod reaches the guest by ssh, through the launcher pod's address.
    instance.kubectl("apply", "-f", "-", stdin=CLIENT_POD)
    instance.kubectl("wait", "pod/client", "--for=condition=Ready", "--timeout=120s")
    instance.eventually("ssh from a pod", lambda: ssh(instance, address, "hostname") == "demo")
    assert ssh(instance, address, "cat /proc/sys/kernel/random/boot_id") == first_boot

    # Stop: the guest shuts down, the instance and its pod go.
    instance.kobune("stop", "demo")
    instance.eventually("the instance is gone", lambda: no_vmi(instance, "demo"))
    instance.eventually(
        "the VM is Stopped", lambda: instance.get("vm", "demo")["status"]["printableStatus"] == "Stopped"
    )

    # Start: a new boot.
    instance.kobune("start", "demo")
    instance.wait_phase("demo", "Running")
    second_boot = boot_id(instance, "demo")
    assert second_boot != first_boot

    # Restart: another instance of the same VM.
    before = vmi_uid(instance, "demo")
    instance.kobune("restart", "demo")
    instance.eventually("a new instance", lambda: vmi_uid(instance, "demo") != before)
    instance.wait_phase("demo", "Running")
    assert boot_id(instance, "demo") not in (first_boot, second_boot)

    # Delete: nothing of it stays.
    instance.kubectl("delete", "vm", "demo", "--timeout=120s")
    instance.eventually("no instance", lambda: no_vmi(instance, "demo"))
    instance.eventually("no launcher pod", lambda: instance.get("pod", "-l", "vm.kubevirt.io/name=demo")["items"] == [])
    instance.kubectl("delete", "pod", "client", "--grace-period=1")


CLIENT_POD = """
apiVersion: v1
kind: Pod
metadata:
  name: client
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: client
    image: kobune/toolbox
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
"""


def ssh(instance: Instance, address: str, command: str) -> str:
    """A command in the guest by ssh from the client pod; `DROPBEAR_PASSWORD` is dropbear's way to give a password."""
    return instance.kubectl(
        *("exec", "client", "--", "env", "DROPBEAR_PASSWORD=kobune"),
        *("dbclient", "-y", "-y", f"kobune@{address}", command),
    ).strip()
