"""virt-handler's controller with an API in memory and launchers without libvirt, over their real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from msgspec import convert

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.containerfs.files import FakeContainerFiles
from kobune.host.procroot import HeldProcess
from kobune.host.run.fake import FakeRunner
from kobune.kube.client.core import PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.kube.runtime import ControllerProcess
from kobune.kube.testing import FakeApi
from kobune.virt.handler.capabilities import CapabilityCache
from kobune.virt.handler.devices.kvm import KvmProof
from kobune.virt.handler.instance.wire import InstanceController
from kobune.virt.handler.launchers import pod_volume
from kobune.virt.handler.leftovers import Leftovers
from kobune.virt.handler.network.fake import FakeNetworks
from kobune.virt.handler.network.model import UnsupportedInterface
from kobune.virt.handler.network.setup import NotReady
from kobune.virt.launcherproto.fake import FakeLauncher
from kobune.virt.launcherproto.messages import ErrorCode, Failure, Shutdown, SyncVirtualMachine

NODE = "n1"


def hold(pid: int, pod_uid: str) -> HeldProcess:
    """The launchers here are this process, which belongs to no pod."""
    return HeldProcess(pid)


RAW: Resource[dict[str, Any]] = Resource(
    "kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance", True, dict
)


class Node:
    """A node with one instance `default/vm` that virt-controller has handed over, and its launcher pod."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.api = FakeApi(no_status=frozenset({"virtualmachineinstances"}))
        self.networks = FakeNetworks()
        self.files = FakeContainerFiles()
        self.launcher = FakeLauncher()
        self.uid = ""
        self.pod_uid = ""

    async def hand_over(self) -> None:
        created = await self.api.create(
            RAW,
            {
                "metadata": {
                    "namespace": "default",
                    "name": "vm",
                    "labels": {"kubevirt.io/nodeName": NODE},
                    "finalizers": ["kubevirt.io/foregroundDeleteVirtualMachine"],
                },
                "spec": {
                    "domain": {"devices": {"interfaces": [{"name": "default", "masquerade": {}}]}},
                    "networks": [{"name": "default", "pod": {}}],
                    "terminationGracePeriodSeconds": 5,
                },
                "status": {"phase": "Scheduled", "nodeName": NODE},
            },
            "default",
        )
        self.uid = created["metadata"]["uid"]
        self.launcher.hello = type(self.launcher.hello)(protocol=1, uid=self.uid, namespace="default", name="vm")
        owner = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "vm", "uid": self.uid}
        pod = await self.api.create(
            PODS,
            {
                "metadata": {
                    "namespace": "default",
                    "name": "virt-launcher-vm",
                    "labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": self.uid},
                    "ownerReferences": [{**owner, "controller": True}],
                },
                "spec": {"nodeName": NODE, "containers": [{"name": "compute"}]},
            },
            "default",
        )
        self.pod_uid = pod.metadata.uid
        await self.pod_status(phase="Running", podIP="10.42.0.7", podIPs=[{"ip": "10.42.0.7"}])
        sockets = pod_volume(self.root, self.pod_uid, "sockets")
        sockets.parent.mkdir(parents=True)
        # The launcher binds a short path, as it does inside its container.
        (self.root / "s").mkdir()
        sockets.symlink_to(self.root / "s")

    async def pod_status(self, **status: Any) -> None:
        await self.api.patch(PODS, "virt-launcher-vm", Patch.merge({"status": status}), "default", subresource="status")

    async def launcher_starts(self) -> None:
        await self.launcher.start(self.root / "s" / "launcher.sock")

    async def container_ends(self, exit_code: int) -> None:
        await self.launcher.stop()
        terminated = {"name": "compute", "state": {"terminated": {"exitCode": exit_code, "message": "told"}}}
        await self.pod_status(phase="Failed" if exit_code else "Succeeded", containerStatuses=[terminated])

    async def vmi(self) -> VirtualMachineInstance:
        return await self.api.get(VIRTUAL_MACHINE_INSTANCES, "vm", "default")

    async def until(self, condition: Callable[[VirtualMachineInstance], bool], what: str) -> VirtualMachineInstance:
        try:
            async with asyncio.timeout(5):
                while not condition(found := await self.vmi()):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                return found
        except TimeoutError:
            raise AssertionError(f"{what}: {(await self.vmi()).status}") from None

    async def phase(self, phase: str) -> VirtualMachineInstance:
        return await self.until(lambda vmi: vmi.status.phase == phase, f"phase {phase}")

    async def events(self) -> list[str]:
        events = await self.api.list(Resource("", "v1", "events", "Event", True, dict), "default")
        return [event["reason"] for event in events.items]

    @asynccontextmanager
    async def handler(self) -> AsyncIterator[InstanceController]:
        """A virt-handler process; leaving it is its SIGKILL as far as anybody else can tell."""
        process = ControllerProcess(self.api, component="virt-handler", instance=NODE)
        kvm = KvmProof(FakeRunner(), self.root)
        capabilities = CapabilityCache(self.root, self.root / "state", "boot-1")
        controller = InstanceController(
            process, NODE, self.root, self.networks, kvm, self.files, capabilities, hold=hold
        )
        tasks = [
            asyncio.create_task(process.run()),
            asyncio.create_task(Leftovers(controller.pods, self.networks).run()),
        ]
        try:
            yield controller
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            controller.launchers.close()
            await asyncio.sleep(0)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    # Not tmp_path: a unix socket's path must be short.
    with TemporaryDirectory(prefix="kb-") as folder:
        node = Node(Path(folder))
        await node.hand_over()
        try:
            yield node
        finally:
            await node.launcher.stop()


async def test_an_instance_runs_once_its_launcher_answers(node: Node) -> None:
    async with node.handler():
        await asyncio.sleep(0.05)
        assert (await node.vmi()).status.phase == "Scheduled", "no launcher yet, and nothing bad about that"
        await node.launcher_starts()
        vmi = await node.phase("Running")
        assert node.launcher.facts is not None
        assert [interface.tap for interface in node.launcher.facts.interfaces] == ["tap0"]
        assert node.launcher.vmi is not None
        assert node.launcher.vmi["metadata"]["uid"] == node.uid
        assert vmi.status.interfaces[0].ip_address == "10.42.0.7"
        async with asyncio.timeout(5):
            while not {"Started", "SoftwareEmulation"} <= set(await node.events()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_power_off_ends_the_instance_and_releases_the_network(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
        assert node.pod_uid in node.networks.ready
        node.launcher.guest_powers_off()
        await node.phase("Succeeded")
        await node.container_ends(0)
        async with asyncio.timeout(5):
            while node.networks.ready:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def test_a_crash_fails_the_instance_with_its_reason(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
        node.launcher.qemu_dies("QEMU was ended by signal 9")
        assert (await node.phase("Failed")).status.reason == "QEMU was ended by signal 9"


async def test_deletion_shuts_the_guest_down(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
        await node.api.delete(VIRTUAL_MACHINE_INSTANCES, "vm", "default")
        await node.phase("Succeeded")
        [asked] = [command for command in node.launcher.commands if isinstance(command, Shutdown)]
        assert 3 < asked.grace_s <= 5


async def test_a_guest_outlives_its_handler_and_the_next_one_takes_over(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
    commands = len(node.launcher.commands)
    node.launcher.guest_gets_address("10.0.2.2")
    calls = node.networks.calls
    async with node.handler():
        await node.until(
            lambda vmi: any(found.type == "AgentConnected" for found in vmi.status.conditions), "agent connected"
        )
        async with asyncio.timeout(5):
            while node.networks.calls == calls:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    assert len(node.launcher.commands) == commands, "the guest was not started again"


async def test_a_launcher_process_that_comes_back_is_found_again(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
        await node.launcher.stop()
        await asyncio.sleep(0.1)
        assert (await node.vmi()).status.phase == "Running"
        await node.launcher_starts()
        node.launcher.change(agent_connected=True)
        await node.until(
            lambda vmi: any(found.type == "AgentConnected" for found in vmi.status.conditions), "agent connected"
        )


async def test_an_end_that_was_missed_is_read_from_the_container(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
    await node.container_ends(1)
    async with node.handler():
        assert (await node.phase("Failed")).status.reason == "told"
    assert node.networks.ready == {}


async def test_a_pod_that_ended_while_nobody_looked_is_cleaned_up(node: Node) -> None:
    node.networks.ready["pod-of-yesterday"] = []
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
        assert set(node.networks.ready) == {node.pod_uid}


async def test_a_network_that_is_not_there_yet_is_waited_for(node: Node) -> None:
    node.networks.fail_next = NotReady("no eth0 yet")
    await node.launcher_starts()
    async with node.handler():
        await node.until(lambda vmi: any(c.type == "Synchronized" for c in vmi.status.conditions), "told")
        vmi = await node.phase("Running")
        assert not any(found.type == "Synchronized" for found in vmi.status.conditions)


async def test_an_adopted_guest_runs_on_while_its_network_cannot_be_completed(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")
    node.networks.fail_next = NotReady("dnsmasq is not installed")
    before = node.networks.calls
    async with node.handler():
        async with asyncio.timeout(5):
            while node.networks.calls < before + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert node.networks.calls == before + 2, "once more after its pause, not in a loop"
    assert (await node.vmi()).status.phase == "Running"


async def test_an_interface_that_can_never_be_made_fails_the_instance(node: Node) -> None:
    node.networks.fail_next = UnsupportedInterface("interface default: no")
    await node.launcher_starts()
    async with node.handler():
        assert (await node.phase("Failed")).status.reason == "interface default: no"
    assert not any(isinstance(command, SyncVirtualMachine) for command in node.launcher.commands)


async def test_a_launcher_that_is_busy_is_asked_again(node: Node) -> None:
    node.launcher.fail_next = Failure(code=ErrorCode.LIBVIRT_UNAVAILABLE, message="libvirt is being restarted")
    await node.launcher_starts()
    async with node.handler():
        await node.phase("Running")


async def test_a_stranger_behind_the_socket_is_not_obeyed(node: Node) -> None:
    node.launcher.hello = convert(
        {"protocol": 1, "uid": "somebody-else", "namespace": "default", "name": "vm"}, type=type(node.launcher.hello)
    )
    await node.launcher_starts()
    async with node.handler():
        await asyncio.sleep(0.2)
    assert node.launcher.commands == []


async def test_a_converged_instance_costs_no_writes(node: Node) -> None:
    await node.launcher_starts()
    async with node.handler() as controller:
        await node.phase("Running")
        await asyncio.sleep(0.1)
        before = len([request for request in node.api.requests if request.verb == "patch"])
        for _ in range(5):
            controller.controller.queue.add(("default", "vm"))  # type: ignore[arg-type]
            await asyncio.sleep(0.02)
        after = len([request for request in node.api.requests if request.verb == "patch"])
        assert after == before
