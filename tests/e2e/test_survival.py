"""A running guest never dies because a Kobune process did, and it is managed again afterwards."""

import os
import signal
from pathlib import Path

import pytest

from support.instance import Instance

ROOT = Path(__file__).parents[2]

VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: survivor
spec:
  runStrategy: Always
  template:
    spec:
      terminationGracePeriodSeconds: 30
      domain:
        devices:
          disks:
          - name: root
            disk: {bus: virtio}
          interfaces:
          - name: default
            masquerade: {}
        memory: {guest: 128Mi}
      networks:
      - name: default
        pod: {}
      volumes:
      - name: root
        containerDisk: {image: kobune/demo}
"""

COMPONENTS = ["apiserver", "controllers", "kubelet", "virt-api", "virt-controller", "virt-handler"]


@pytest.fixture(scope="module")
def survivor(instance: Instance) -> str:
    instance.kubectl("apply", "-f", "-", stdin=VM)
    instance.wait_phase("survivor", "Running")
    return guest_boot(instance)


def guest_boot(instance: Instance) -> str:
    """The guest's boot id, read on its console: the same one as before means that it never stopped."""
    console = instance.console("survivor").login()
    try:
        return console.run("cat /proc/sys/kernel/random/boot_id")
    finally:
        console.close()


def processes_of_pod(instance: Instance, *words: str) -> list[int]:
    """Processes of the survivor's launcher container whose command line has all the words."""
    found = []
    uid = instance.get("pod", "-l", "kubevirt.io=virt-launcher")["items"][0]["metadata"]["uid"]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                cgroup = (entry / "cgroup").read_text()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if uid in cgroup.replace("_", "-") and all(word in line for word in words):
                found.append(int(entry.name))
    return found


def pause_and_unpause(instance: Instance) -> None:
    """Proves that the guest is managed: a request travels the whole way, and its effect comes back as status."""

    def paused() -> bool:
        conditions = instance.get("vmi", "survivor")["status"].get("conditions", [])
        return any(c["type"] == "Paused" and c["status"] == "True" for c in conditions)

    def ask(verb: str) -> bool:
        instance.kobune(verb, "survivor")
        return True

    instance.eventually("pause is accepted", lambda: ask("pause"))
    instance.eventually("the guest is paused", paused)
    instance.eventually("unpause is accepted", lambda: ask("unpause"))
    instance.eventually("the guest runs", lambda: not paused())


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_guest_survives_a_killed_component(instance: Instance, survivor: str, name: str) -> None:
    pid = instance.component_pid(name)
    os.kill(pid, signal.SIGKILL)
    instance.eventually("it is started again", lambda: instance.component_pid(name) != pid)
    pause_and_unpause(instance)
    assert guest_boot(instance) == survivor
    assert instance.get("vmi", "survivor")["status"]["phase"] == "Running"


@pytest.mark.parametrize("words", [("kobune.virt.launcher",), ("libvirtd",)], ids=["launcher", "libvirt"])
def test_the_guest_survives_a_killed_process_of_its_pod(
    instance: Instance, survivor: str, words: tuple[str, ...]
) -> None:
    before = processes_of_pod(instance, *words)
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    instance.eventually("it is started again", lambda: bool(set(processes_of_pod(instance, *words)) - set(before)))
    pause_and_unpause(instance)
    assert guest_boot(instance) == survivor


def containerd_pid(instance: Instance) -> int:
    return int((instance.data_dir / "run/containerd.pid").read_text())


def test_the_guest_survives_a_killed_containerd(instance: Instance, survivor: str) -> None:
    pid = containerd_pid(instance)
    os.kill(pid, signal.SIGKILL)
    instance.eventually("it is started again", lambda: containerd_pid(instance) != pid)
    instance.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    pause_and_unpause(instance)
    assert guest_boot(instance) == survivor


def test_the_guest_survives_a_killed_supervisor(instance: Instance, survivor: str) -> None:
    os.kill(int((instance.data_dir / "run/kobune.lock").read_text()), signal.SIGKILL)
    instance.eventually("the API is gone", lambda: instance.kubectl("get", "--raw", "/readyz", check=False) == "")
    instance.up()
    pause_and_unpause(instance)
    assert guest_boot(instance) == survivor


def test_a_killed_qemu_is_a_crash_that_the_run_strategy_answers(instance: Instance, survivor: str) -> None:
    before = instance.get("vmi", "survivor")["metadata"]["uid"]
    for pid in processes_of_pod(instance, "qemu-system"):
        os.kill(pid, signal.SIGKILL)
    instance.eventually("a new instance is made", lambda: instance.get("vmi", "survivor")["metadata"]["uid"] != before)
    instance.wait_phase("survivor", "Running")
    assert guest_boot(instance) != survivor


def test_a_shutdown_after_all_that_is_clean(instance: Instance, survivor: str) -> None:
    instance.kubectl("delete", "vm", "survivor", "--timeout=180s")
    instance.eventually(
        "no launcher pod", lambda: instance.get("pod", "-l", "kubevirt.io=virt-launcher")["items"] == []
    )
