"""Device plugins against a kubelet's side over real sockets, and the KVM proof."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import grpc.aio
import pytest

from kobune.host.deviceplugin import deviceplugin_pb2 as pb
from kobune.host.deviceplugin import deviceplugin_pb2_grpc as pb_grpc
from kobune.host.procroot import HeldProcess
from kobune.host.run import CommandTimeout, Completed
from kobune.host.run.fake import Call, FakeRunner
from kobune.kube.testing import eventually
from kobune.virt.handler.devices import plugin as plugin_module
from kobune.virt.handler.devices.kvm import BOOT_SECTOR, GUEST_STATUS, KvmProof
from kobune.virt.handler.devices.plugin import DeviceNode, DevicePlugin

add_registration: Any = pb_grpc.add_RegistrationServicer_to_server
plugin_stub: Any = pb_grpc.DevicePluginStub


class Kubelet(pb_grpc.RegistrationServicer):  # type: ignore[misc,name-defined,unused-ignore]
    """The registration side: remembers who registered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registered: list[pb.RegisterRequest] = []
        self._server: grpc.aio.Server | None = None

    async def Register(self, request: pb.RegisterRequest, context: Any) -> pb.Empty:
        self.registered.append(request)
        return pb.Empty()

    async def start(self) -> None:
        for stale in self.folder.iterdir():
            stale.unlink()
        self._server = grpc.aio.server()
        add_registration(self, self._server)
        self._server.add_insecure_port(f"unix:{self.folder / 'kubelet.sock'}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)


@pytest.fixture
async def kubelet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubelet]:
    monkeypatch.setattr(plugin_module, "CHECK_S", 0.02)
    with TemporaryDirectory(prefix="kb-") as folder:
        kubelet = Kubelet(Path(folder))
        await kubelet.start()
        yield kubelet
        await kubelet.stop()


@contextlib.asynccontextmanager
async def running(plugin: DevicePlugin) -> AsyncIterator[None]:
    task = asyncio.create_task(plugin.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_device_is_registered_listed_and_allocated(kubelet: Kubelet) -> None:
    plugin = DevicePlugin(DeviceNode("devices.kubevirt.io/tun", "/dev/net/tun", 3), kubelet.folder)
    async with running(plugin):
        await eventually(lambda: plugin.registrations == 1, "registered")
        [request] = kubelet.registered
        assert (request.version, request.resource_name) == ("v1beta1", "devices.kubevirt.io/tun")
        async with grpc.aio.insecure_channel(f"unix:{kubelet.folder / request.endpoint}") as channel:
            stub = plugin_stub(channel)
            watch = stub.ListAndWatch(pb.Empty())
            listed = await watch.read()
            assert [(device.ID, device.health) for device in listed.devices] == [
                ("tun0", "Healthy"),
                ("tun1", "Healthy"),
                ("tun2", "Healthy"),
            ]
            ask = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=["tun1"])])
            [answer] = (await stub.Allocate(ask)).container_responses
            assert [(d.host_path, d.container_path, d.permissions) for d in answer.devices] == [
                ("/dev/net/tun", "/dev/net/tun", "mrw")
            ]
            watch.cancel()


async def test_a_restarted_kubelet_is_registered_with_again(kubelet: Kubelet) -> None:
    plugin = DevicePlugin(DeviceNode("devices.kubevirt.io/tun", "/dev/net/tun", 1), kubelet.folder)
    async with running(plugin):
        await eventually(lambda: plugin.registrations == 1, "registered")
        await kubelet.stop()
        await kubelet.start()
        await eventually(lambda: plugin.registrations == 2, "registered again")
        assert (kubelet.folder / "kobune-tun.sock").exists()


async def test_a_kubelet_that_is_not_there_is_waited_for(kubelet: Kubelet) -> None:
    await kubelet.stop()
    for left in kubelet.folder.iterdir():
        left.unlink()
    plugin = DevicePlugin(DeviceNode("devices.kubevirt.io/tun", "/dev/net/tun", 1), kubelet.folder)
    async with running(plugin):
        await asyncio.sleep(0.1)
        assert plugin.registrations == 0
        await kubelet.start()
        await eventually(lambda: plugin.registrations == 1, "registered")


class Machine:
    """A /proc and a device that the test decides about."""

    def __init__(self, folder: Path, flags: str, device: Path) -> None:
        self.folder = folder
        self.device = device
        self.boot = folder / "sys/kernel/random/boot_id"
        self.boot.parent.mkdir(parents=True)
        self.boot.write_text("boot-1\n")
        (folder / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
        self.runner = FakeRunner()

    def proof(self) -> KvmProof:
        return KvmProof(self.runner, self.folder / "state", device=self.device, proc=self.folder)


async def test_a_device_without_cpu_support_is_not_tried(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "sse2", Path("/dev/null"))
    verdict = await machine.proof().prove()
    assert not verdict.proved
    assert "vmx nor svm" in verdict.reason
    assert machine.runner.calls == []


async def test_no_device_is_no_kvm(tmp_path: Path) -> None:
    verdict = await Machine(tmp_path, "vmx", tmp_path / "none").proof().prove()
    assert not verdict.proved


async def test_a_guest_that_ran_is_a_proof_that_is_kept_for_the_boot(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "vmx", Path("/dev/null"))

    def ran(call: Call) -> Completed:
        return Completed(call.args, GUEST_STATUS)

    machine.runner.on("qemu-system-x86_64", answer=ran)
    assert not machine.proof().proved, "nothing counts before it was tried"
    proof = machine.proof()
    assert (await proof.prove()).proved
    assert proof.proved
    assert (await machine.proof().prove()).proved
    assert len(machine.runner.calls) == 1
    machine.boot.write_text("boot-2\n")
    await machine.proof().prove()
    assert len(machine.runner.calls) == 2, "another boot, another proof"


async def test_a_guest_that_hangs_or_ends_otherwise_is_no_proof(tmp_path: Path) -> None:
    def hangs(call: Call) -> Completed:
        raise CommandTimeout(call.args, 10)

    def fails(call: Call) -> Completed:
        return Completed(call.args, 1, stderr=b"failed to initialize kvm: Permission denied")

    for number, answer in enumerate((hangs, fails)):
        machine = Machine(tmp_path / str(number), "svm", Path("/dev/null"))
        machine.runner.on("qemu-system-x86_64", answer=answer)
        proof = machine.proof()
        assert not (await proof.prove()).proved
        assert not await proof.granted_to(HeldProcess(os.getpid()))


def test_the_guest_is_a_boot_sector() -> None:
    assert len(BOOT_SECTOR) == 512
    assert BOOT_SECTOR[-2:] == b"\x55\xaa"
