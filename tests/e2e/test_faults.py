"""Five guests, kept running in five ways, while every process around them is killed in turn.

A guest ends with its own QEMU or its own pod, and with nothing else; then its run strategy decides what follows. After
each fault all five are managed as before, and after all of them nothing is left behind.
The tests build on each other, in this order.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.cgroup import Cgroups
from kobune.host.cni import remove_left_rules
from kobune.host.run import HostRunner
from support.fault_guests import (
    BARE,
    FIVE,
    STRATEGIES,
    DirectApi,
    Process,
    bare,
    command_line,
    kill_all,
    manifests,
    pod_processes,
)
from support.instance import Instance
from support.traces import more_than, settled, traces

COMPONENTS = ("apiserver", "controllers", "kubelet", "virt-api", "virt-controller", "virt-handler")
QEMU = "qemu-system"
WAIT_S = 150


@dataclass
class World:
    """The instance with its five guests. `boots` are their boot ids, `qemus` their QEMU processes by pod."""

    instance: Instance
    api: DirectApi
    clean: dict[str, Any]
    boots: dict[str, str] = field(default_factory=dict)
    qemus: dict[str, Process] = field(default_factory=dict)

    def eventually(self, what: str, check: Callable[[], bool]) -> None:
        """Wait until `check` holds; an API that does not answer counts as not yet."""

        def holds() -> bool:
            try:
                return check()
            except OSError:
                return False

        self.instance.eventually(what, holds, WAIT_S)

    def phases(self) -> dict[str, str]:
        return {name: str(vmi["status"].get("phase")) for name, vmi in self.api.instances().items()}

    def printed(self) -> dict[str, str]:
        return {name: str(vm["status"].get("printableStatus")) for name, vm in self.api.machines().items()}

    def condition(self, name: str, kind: str) -> str:
        conditions = self.api.instances()[name]["status"].get("conditions", [])
        return next((str(one["status"]) for one in conditions if one["type"] == kind), "")

    def all_run(self) -> bool:
        """Every instance runs and is ready, every machine says so, and each has one pod, which runs."""
        pods = self.api.pods()
        return (
            self.phases() == dict.fromkeys(FIVE, "Running")
            and self.printed() == dict.fromkeys(STRATEGIES, "Running")
            and all(self.condition(name, "Ready") == "True" for name in FIVE)
            and sorted(pod["metadata"]["labels"]["guest"] for pod in pods) == sorted(FIVE)
            and all(pod["status"]["phase"] == "Running" for pod in pods)
        )

    def start_all(self) -> None:
        """Bring all five to life, whatever they are now."""
        for name, phase in self.phases().items():
            if phase in ("Failed", "Succeeded"):
                self.instance.kubectl("delete", "vmi", name, "--ignore-not-found", "--timeout=60s")
        self.instance.kubectl("apply", "-f", "-", stdin=manifests())
        if "manual" not in self.phases():
            self.api.machine_verb("manual", "start")
        self.eventually("all five run", self.all_run)
        self.remember()

    def remember(self) -> None:
        """The boots and QEMU processes of now."""
        self.boots = {name: self.boot(name) for name in FIVE}
        self.qemus = self.processes(QEMU)
        assert len(self.qemus) == len(FIVE)

    def boot(self, name: str) -> str:
        """The guest's boot id by its console: the same one means that it never stopped."""
        console = self.instance.console(name).login()
        try:
            return console.run("cat /proc/sys/kernel/random/boot_id")
        finally:
            console.close()

    def processes(self, word: str) -> dict[str, Process]:
        """The (oldest) process with that word in each of the five's pods, by the pod's uid."""
        own = {str(pod["metadata"]["uid"]) for pod in self.api.pods()}
        return {uid: process for uid, process in pod_processes(self.instance, word).items() if uid in own}

    def pod_of(self, name: str) -> str:
        """The uid of the guest's launcher pod."""
        pods = (pod["metadata"] for pod in self.api.pods())
        return next(str(metadata["uid"]) for metadata in pods if metadata["labels"]["guest"] == name)

    def are_managed(self) -> None:
        """A request travels the whole way to each guest, and its effect comes back as status."""
        for verb, value in (("pause", "True"), ("unpause", "")):
            asked: set[str] = set()

            def ask(verb: str = verb, asked: set[str] = asked) -> bool:
                for name in FIVE:
                    if name not in asked:
                        self.api.instance_verb(name, verb)
                        asked.add(name)
                return True

            self.eventually(f"{verb} is accepted", ask)
            self.eventually(
                f"{verb} took effect",
                lambda value=value: all(self.condition(name, "Paused") == value for name in FIVE),  # type: ignore[misc]
            )

    def survived(self) -> None:
        """The same guests run, under the same QEMU processes, and are managed."""
        self.are_managed()
        self.eventually("all five run", self.all_run)
        assert self.processes(QEMU) == self.qemus

    def same_boots(self) -> None:
        """From inside: no guest has started again."""
        assert {name: self.boot(name) for name in FIVE} == self.boots


def remove_all(instance: Instance) -> None:
    own = [*(f"vm/{name}" for name in STRATEGIES), *(f"vmi/{name}" for name in FIVE)]
    instance.kubectl("delete", *own, "--ignore-not-found", "--timeout=150s")


@pytest.fixture(scope="module")
def world(instance: Instance) -> Iterator[World]:
    clean = settled(instance)
    made = World(instance, DirectApi(instance), clean)
    made.start_all()
    yield made
    remove_all(instance)


@pytest.mark.parametrize("name", COMPONENTS)
def test_guests_survive_a_killed_component(world: World, name: str) -> None:
    pid = world.instance.component_pid(name)
    os.kill(pid, signal.SIGKILL)
    world.eventually("it is started again", lambda: world.instance.component_pid(name) != pid)
    world.survived()


@pytest.mark.parametrize("word", ["kobune.virt.launcher", "/usr/sbin/libvirtd"])
def test_guests_survive_killed_processes_of_their_pods(world: World, word: str) -> None:
    before = world.processes(word)
    assert len(before) == len(FIVE)
    kill_all(before, signal.SIGKILL)

    def started_again() -> bool:
        now = world.processes(word)
        return now.keys() == before.keys() and not set(now.values()) & set(before.values())

    world.eventually("they are started again", started_again)
    world.survived()


def test_guests_keep_their_network_when_what_serves_it_is_killed(world: World) -> None:
    def servers() -> set[int]:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        lines = {pid: command_line(pid) for pid in pids}
        return {pid for pid, line in lines.items() if "dnsmasq" in line and any(uid in line for uid in world.qemus)}

    before = servers()
    assert len(before) == len(FIVE)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    world.eventually("they are started again", lambda: len(servers() - before) == len(FIVE))
    world.survived()


def containerd_pid(instance: Instance) -> int:
    return int((instance.data_dir / "run/containerd.pid").read_text())


def test_guests_survive_a_killed_containerd(world: World) -> None:
    pid = containerd_pid(world.instance)
    os.kill(pid, signal.SIGKILL)
    world.eventually("it is started again", lambda: containerd_pid(world.instance) != pid)
    world.instance.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    world.survived()


def test_guests_survive_a_killed_supervisor(world: World) -> None:
    os.kill(int((world.instance.data_dir / "run/kobune.lock").read_text()), signal.SIGKILL)
    world.instance.eventually("the API is gone", lambda: not answers(world))
    world.instance.up()
    world.survived()


def answers(world: World) -> bool:
    try:
        world.api.ask("GET", "/readyz")
    except OSError:
        return False
    return True


def test_no_guest_has_started_again_by_all_that(world: World) -> None:
    world.same_boots()


def test_killed_qemus_are_crashes_that_the_run_strategies_answer(world: World) -> None:
    uids = {name: vmi["metadata"]["uid"] for name, vmi in world.api.instances().items()}
    kill_all(world.qemus, signal.SIGKILL)
    ended_as_told(world, uids)
    assert "crash" in events_of(world, BARE)


def ended_as_told(world: World, uids: dict[str, str]) -> None:
    """What follows when all five guests are gone: two are made anew, one stays down, two stay as failed."""

    def settled_down() -> bool:
        instances = world.api.instances()
        phases = world.phases()
        return (
            instances.keys() == {"always", "rerun", "once", BARE}
            and all(phases[name] == "Running" for name in ("always", "rerun"))
            and all(instances[name]["metadata"]["uid"] != uids[name] for name in ("always", "rerun"))
            and all(phases[name] == "Failed" for name in ("once", BARE))
            and all(instances[name]["metadata"]["uid"] == uids[name] for name in ("once", BARE))
            and world.printed() == {"always": "Running", "rerun": "Running", "manual": "Stopped", "once": "Stopped"}
        )

    try:
        world.eventually("every strategy has its way", settled_down)
    except AssertionError as error:
        raise AssertionError(f"{error}: {world.phases()} {world.printed()}") from error
    for name in ("once", BARE):
        assert world.condition(name, "Ready") == "False"
        assert world.condition(name, "AgentConnected") == ""
    running = {pod["metadata"]["labels"]["guest"] for pod in world.api.pods() if pod["status"]["phase"] == "Running"}
    assert running == {"always", "rerun"}
    assert len(world.processes(QEMU)) == 2


def events_of(world: World, name: str) -> str:
    found = world.api.ask("GET", "/api/v1/namespaces/default/events")["items"]
    return " ".join(one["message"] for one in found if one["involvedObject"]["name"] == name)


@pytest.mark.parametrize("what", ["first process", "shim"])
def test_a_killed_pod_is_the_end_of_its_guest_alone(world: World, what: str) -> None:
    world.start_all()
    uids = {name: vmi["metadata"]["uid"] for name, vmi in world.api.instances().items()}
    victims = ["rerun", BARE]
    for name in victims:
        uid = world.pod_of(name)
        if what == "shim":
            kill_shim(world.instance, uid)
        else:
            kill_all(pod_processes(world.instance, "virt-launcher-monitor", uid), signal.SIGKILL)

    def over() -> bool:
        instances = world.api.instances()
        return (
            instances["rerun"]["metadata"]["uid"] != uids["rerun"]
            and world.phases() == {**dict.fromkeys(FIVE, "Running"), BARE: "Failed"}
            and world.printed() == dict.fromkeys(STRATEGIES, "Running")
        )

    world.eventually("the others run, and one of the two runs anew", over)
    spared = ["always", "manual", "once"]
    assert {name: world.boot(name) for name in spared} == {name: world.boots[name] for name in spared}
    world.instance.kubectl("delete", "vmi", BARE, "--timeout=90s")


def kill_shim(instance: Instance, pod_uid: str) -> None:
    """The process between containerd and a pod: the parent of the pod's first one."""
    [monitor] = pod_processes(instance, "virt-launcher-monitor", pod_uid).values()
    fields = Path(f"/proc/{monitor.pid}/stat").read_text().rpartition(")")[2].split()
    shim = int(fields[1])
    assert "containerd-shim" in command_line(shim)
    os.kill(shim, signal.SIGKILL)


# --- faults between two steps ---


def test_a_controller_that_dies_between_an_instance_and_its_pod_makes_the_pod(world: World) -> None:
    pid = world.instance.component_pid("virt-controller")
    os.kill(pid, signal.SIGSTOP)
    world.api.ask("POST", "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances", bare())
    time.sleep(1)
    assert not [pod for pod in world.api.pods() if pod["metadata"]["labels"]["guest"] == BARE]
    os.kill(pid, signal.SIGKILL)
    handler = world.instance.component_pid("virt-handler")
    world.eventually("it is handed over", lambda: world.phases()[BARE] in ("Scheduled", "Running"))
    # And the one that takes over dies while it starts the guest.
    os.kill(handler, signal.SIGKILL)
    world.eventually("all five run", world.all_run)
    world.remember()
    world.are_managed()


def test_a_kubelet_that_dies_while_a_pod_is_ended_ends_it_afterwards(world: World) -> None:
    uid = world.pod_of(BARE)
    world.api.ask("DELETE", f"/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances/{BARE}")
    world.eventually("the guest is gone", lambda: not pod_processes(world.instance, QEMU, uid))
    os.kill(world.instance.component_pid("kubelet"), signal.SIGKILL)
    world.eventually("the instance is gone", lambda: BARE not in world.api.instances())
    world.eventually("the pod is gone", lambda: len(world.api.pods()) == 4)
    world.eventually("its directory is gone", lambda: not (world.instance.data_dir / "kubelet/pods" / uid).exists())


def test_after_a_loss_of_power_machines_are_as_their_strategies_say(world: World) -> None:
    world.start_all()
    uids = {name: vmi["metadata"]["uid"] for name, vmi in world.api.instances().items()}
    lose_power(world.instance)
    world.instance.up()
    ended_as_told(world, uids)
    assert world.boot("always") != world.boots["always"]


def lose_power(instance: Instance) -> None:
    """All processes end at once; mounts, interfaces, rules, namespaces and cgroups are gone, and files stay."""
    data = instance.data_dir
    own = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and str(data) in command_line(int(entry.name))
    ]
    node = NodeInstance.of(data)
    for pid in [*own, *Cgroups().processes(node.cgroup_root)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert Cgroups().kill(node.cgroup_root)
    assert Cgroups().remove(node.cgroup_root)
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(data) in line]
    for point in reversed(mounts):
        subprocess.run(["umount", "--lazy", point], check=False, timeout=30)
    subprocess.run(["ip", "link", "delete", node.network.bridge], check=False, timeout=30)
    asyncio.run(remove_left_rules(HostRunner(), node.network.name))


def test_nothing_is_left_behind(world: World) -> None:
    remove_all(world.instance)

    def more() -> dict[str, Any]:
        return more_than(world.clean, traces(world.instance))

    try:
        world.instance.eventually("nothing is left", lambda: not more(), WAIT_S)
    except AssertionError:
        assert more() == {}
