"""What sandboxes leave in the cluster's network is given back, whatever became of the sandbox."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.embedded.kubelet.networks.cluster import ClusterNetwork
from kobune.embedded.kubelet.networks.lost import LostSandboxes
from kobune.host.cni import BridgeNetwork, CniFailed
from kobune.host.cni.fake import FakePlugins
from kobune.host.mount import FakeMounter
from kobune.host.run import Completed
from kobune.host.run.fake import Call, FakeRunner
from kobune.kube.client.core import PODS
from kobune.kube.testing import eventually
from support.kubelet_world import World

ONCE = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "img:1"}]}


class NatTable:
    """The masquerade rules of sandboxes, by id; `failing` calls of iptables fail before one works."""

    def __init__(self, runner: FakeRunner, network: str) -> None:
        self.owners: list[str] = []
        self.failing = 0
        self._network = network
        runner.on("iptables", answer=self._answer)

    def _answer(self, call: Call) -> Completed:
        if self.failing:
            self.failing -= 1
            return Completed(call.args, 4, stderr=b"resource temporarily unavailable")
        verb = call.args[5]
        if verb == "-D":
            comment = call.args[call.args.index("--comment") + 1]
            self.owners = [owner for owner in self.owners if f'id: "{owner}"' not in comment]
        lines = [
            f'-A POSTROUTING -m comment --comment "name: \\"{self._network}\\" id: \\"{owner}\\"" -j CNI-{owner}'
            for owner in self.owners
        ]
        return Completed(call.args, 0, "\n".join(lines).encode() if verb == "-S" else b"")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.close()


async def test_rules_that_the_runtime_left_go_with_the_pod(world: World) -> None:
    table = NatTable(world.runner, "kobune")
    worker = await world.start(ONCE)
    await world.until_phase("Running")
    [sandbox] = await world.cri.list_sandboxes()
    table.owners = [sandbox.id, "another"]
    worker.removed(await world.pod())
    await eventually(lambda: table.owners == ["another"], "its rules are gone, and no others")


async def test_a_finished_pod_whose_sandbox_has_died_gives_its_network_back_while_its_object_stays(
    world: World,
) -> None:
    table = NatTable(world.runner, "kobune")
    await world.start(ONCE)
    await world.until_phase("Running")
    [sandbox] = await world.cri.list_sandboxes()
    table.owners = [sandbox.id]
    world.cri.lose_sandbox(sandbox.id)
    await world.until_phase("Failed")
    await eventually(lambda: table.owners == [], "its rules are gone")
    assert world.cri.calls.count("stop_sandbox") == 1, "once is enough"


async def test_it_is_tried_again_until_it_is_done(world: World) -> None:
    table = NatTable(world.runner, "kobune")
    worker = await world.start(ONCE)
    pod = await world.until_phase("Running")
    [sandbox] = await world.cri.list_sandboxes()
    table.owners, table.failing = [sandbox.id], 3
    await world.api.delete(PODS, "web", "default")
    worker.removed(pod)
    for _ in range(20):
        await world.clock.advance(1.0)
    await eventually(lambda: table.owners == [], "its rules are gone")


def test_a_sandbox_is_lost_when_the_runtime_does_not_list_it_for_long() -> None:
    lost = LostSandboxes(after_s=300)
    assert lost.look({"a", "b"}, {"a"}, 0) == []
    assert lost.look({"a", "b"}, {"a"}, 299) == []
    assert lost.look({"a", "b"}, {"a"}, 300) == ["b"]
    assert lost.look({"a", "b"}, {"a"}, 360) == ["b"], "until nothing of it is left"
    assert lost.look({"a"}, {"a"}, 420) == []


def test_one_that_appears_meanwhile_was_only_being_made() -> None:
    lost = LostSandboxes(after_s=300)
    assert lost.look({"a"}, set(), 0) == []
    assert lost.look({"a"}, {"a"}, 250) == []
    assert lost.look({"a"}, set(), 310) == [], "its removal has just begun"
    assert lost.look({"a"}, set(), 610) == ["a"]


class Node:
    """A node's cluster network with a directory for each thing that may be left."""

    def __init__(self, root: Path) -> None:
        self.leases, self.namespaces, self.results = root / "leases" / "kobune", root / "netns", root / "results"
        for folder in (self.leases, self.namespaces, self.results):
            folder.mkdir(parents=True)
        self.runner, self.plugins, self.mounter = FakeRunner(), FakePlugins(), FakeMounter()
        self.table = NatTable(self.runner, "kobune")
        network = BridgeNetwork(state_dir=root / "leases")
        self.network = ClusterNetwork(network, self.plugins, self.runner, self.mounter, self.namespaces, self.results)

    def attach(self, sandbox_id: str, namespace: Path) -> None:
        """Leave of a sandbox what the runtime does."""
        namespace.touch()
        self.mounter.mounts.append(("bind", "/proc/1/ns/net", namespace, ()))
        self.plugins.attached[(sandbox_id, "eth0")] = "kobune"
        result = {"interfaces": [{"name": "veth1"}, {"name": "eth0", "sandbox": str(namespace)}]}
        (self.results / f"kobune-{sandbox_id}-eth0").write_text(json.dumps({"result": result}))
        (self.results / f"cni-loopback-{sandbox_id}-lo").write_text("{}")


async def test_owners_are_found_by_address_by_rule_and_by_record(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert await node.network.owners() == frozenset()
    (node.leases / "10.42.0.2").write_text("leased\neth0")
    (node.leases / "last_reserved_ip.0").write_text("10.42.0.2")
    (node.leases / "lock").touch()
    (node.results / "kobune-recorded-eth0").touch()
    (node.results / "kobune-a1b2c3-another-eth0").touch()
    (node.results / "cni-loopback-recorded-lo").touch()
    node.table.owners = ["ruled"]
    assert await node.network.owners() == {"leased", "ruled", "recorded"}


async def test_a_lost_sandbox_is_detached_and_its_namespace_goes(tmp_path: Path) -> None:
    node = Node(tmp_path)
    namespace = node.namespaces / "cni-1"
    node.attach("one", namespace)
    node.table.owners = ["one", "two"]
    await node.network.release("one")
    assert node.plugins.attached == {}
    assert node.table.owners == ["two"]
    assert node.mounter.mounts == []
    assert not namespace.exists()
    assert list(node.results.iterdir()) == []
    await node.network.release("one")


async def test_what_a_plugin_cannot_give_back_stays_for_the_next_time(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.attach("one", node.namespaces / "cni-1")
    node.plugins.fail_next = CniFailed("no")
    with pytest.raises(CniFailed):
        await node.network.release("one")
    assert "one" in await node.network.owners()
    await node.network.release("one")
    assert await node.network.owners() == frozenset()


async def test_a_namespace_elsewhere_is_not_touched(tmp_path: Path) -> None:
    node = Node(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    node.attach("one", elsewhere)
    await node.network.release("one")
    assert elsewhere.exists()
    assert len(node.mounter.mounts) == 1
