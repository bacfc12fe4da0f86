"""Further networks of pods: what annotations mean, and that a sandbox gets exactly them whatever happens meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.api.core import Pod
from kobune.embedded.kubelet.networks.selection import (
    DEFAULT_NETWORK,
    NETWORK_STATUS,
    NETWORKS,
    Selection,
    asked_networks,
    selections,
)
from kobune.embedded.kubelet.networks.state import Attached, Records
from kobune.host.cni import CniFailed, InvalidNetwork
from kobune.kube.client.core import PODS
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually, eventually_true
from support.kubelet_world import World

BRIDGE = json.dumps({"cniVersion": "0.4.0", "name": "lan", "type": "bridge", "bridge": "br-lan"})
ONE = {"restartPolicy": "Always", "containers": [{"name": "c", "image": "img:1"}]}


def pod(annotations: dict[str, str], **spec: Any) -> Pod:
    document = {"metadata": {"name": "p", "namespace": "ns", "uid": "u", "annotations": annotations}, "spec": spec}
    return msgspec.convert(document, Pod)


def asked(*entries: dict[str, Any]) -> dict[str, str]:
    return {NETWORKS: json.dumps(entries)}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, []),
        ({NETWORKS: "lan"}, [Selection(namespace="ns", name="lan", interface="net1")]),
        (
            {NETWORKS: " lan@eth7, other/lan "},
            [
                Selection(namespace="ns", name="lan", interface="eth7"),
                Selection(namespace="other", name="lan", interface="net2"),
            ],
        ),
        (
            asked({"name": "lan", "namespace": "x", "mac": "02:AA:00:00:00:01", "interface": "pod16477688c0e"}),
            [Selection(namespace="x", name="lan", interface="pod16477688c0e", mac="02:aa:00:00:00:01")],
        ),
        (
            asked({"name": "lan", "ips": ["10.0.0.5/24"], "cni-args": {"a": "b"}}),
            [Selection(namespace="ns", name="lan", interface="net1", ips=("10.0.0.5/24",), args=(("a", "b"),))],
        ),
        (
            {DEFAULT_NETWORK: "own", NETWORKS: "lan"},
            [
                Selection(namespace="ns", name="own", interface="eth0", primary=True),
                Selection(namespace="ns", name="lan", interface="net1"),
            ],
        ),
    ],
)  # fmt: skip
def test_annotations_become_selections(annotations: dict[str, str], expected: list[Selection]) -> None:
    assert selections(pod(annotations)) == expected


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (asked({"name": "../etc"}), "is no name"),
        (asked({"name": "lan", "interface": "a/b"}), "cannot be the name of an interface"),
        (asked({"name": "lan", "interface": "sixteen-letters1"}), "cannot be the name of an interface"),
        (asked({"name": "lan", "interface": "eth0"}), "first network's"),
        (asked({"name": "lan", "interface": "a"}, {"name": "b", "interface": "a"}), "is taken"),
        (asked({"name": "lan", "mac": "nonsense"}), "no MAC address"),
        (asked({"name": "lan", "ips": ["10.0.0.300"]}), "no IP address"),
        (asked({"name": "lan", "default-route": ["10.0.0.1"]}), "'default-route' is not supported"),
        (asked({"name": "lan", "cni-args": {"K8S": "a;CNI_PATH=/tmp"}}), "semicolons"),
        ({NETWORKS: "[{"}, "no JSON"),
        ({NETWORKS: ",".join(f"n{i}" for i in range(33))}, "more than 32"),
    ],
)  # fmt: skip
def test_what_cannot_be_attached_is_refused_with_its_reason(annotations: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        selections(pod(annotations))


def test_a_pod_on_the_hosts_network_has_none() -> None:
    assert asked_networks(pod({NETWORKS: "lan"}, hostNetwork=True)) == ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    made.networks["default/lan"] = BRIDGE
    yield made
    await made.close()


def there(world: World) -> list[str]:
    return sorted(interface for _, interface in world.plugins.attached)


async def test_networks_are_there_before_a_container_and_told(world: World) -> None:
    world.networks["default/net"] = json.dumps({"type": "macvlan", "ipam": {"type": "static"}})
    await world.start(ONE, annotations=asked({"name": "lan", "interface": "podlan"}, {"name": "net"}))
    await world.until_phase("Running")
    assert there(world) == ["net2", "podlan"]
    status = json.loads((await world.pod()).metadata.annotations[NETWORK_STATUS])
    assert [(one["name"], one["interface"], one.get("ips", [])) for one in status] == [
        ("kobune", "eth0", []), ("default/lan", "podlan", []), ("default/net", "net2", ["10.9.0.2"])
    ]  # fmt: skip
    assert status[0]["default"] is True
    assert "AddedInterface" in await world.reasons()


async def test_no_container_starts_without_them_and_the_event_says_why(world: World) -> None:
    await world.start(ONE, annotations={NETWORKS: "missing"})
    await eventually(lambda: bool(world.worker and world.worker.sandboxes), "a sandbox")

    async def told() -> bool:
        return "FailedCreatePodSandBox" in await world.reasons()

    await eventually_true(told, "the event")
    assert world.cri.running() == []
    world.networks["default/missing"] = BRIDGE
    async with asyncio.timeout(5):
        while world.cri.running() != ["c"]:
            await world.clock.advance(10)
            await asyncio.sleep(0.01)


async def test_a_plugin_that_failed_is_undone_and_tried_again(world: World) -> None:
    world.plugins.fail_next = CniFailed("plugin bridge: no")
    await world.start(ONE, annotations={NETWORKS: "lan"})
    async with asyncio.timeout(5):
        while world.cri.running() != ["c"]:
            await world.clock.advance(1)
            await asyncio.sleep(0.01)
    assert world.plugins.calls == ["ADD lan net1", "DEL lan net1", "ADD lan net1"]


async def test_they_go_with_the_pod(world: World) -> None:
    worker = await world.start(ONE, annotations={NETWORKS: "lan"})
    worker.removed(await world.until_phase("Running"))
    await eventually(lambda: there(world) == [], "detached")
    await eventually(lambda: list(Records(world.paths.networks).uids()) == [], "forgotten")


async def test_a_changed_annotation_is_followed_while_the_pod_runs(world: World) -> None:
    world.networks["default/more"] = BRIDGE
    worker = await world.start(ONE, annotations={NETWORKS: "lan@a"})
    await world.until_phase("Running")
    for text, expected in (("lan@a,more@b", ["a", "b"]), ("more@b", ["b"]), (None, [])):
        body = {"metadata": {"annotations": {NETWORKS: text}}}
        worker.update(await world.api.patch(PODS, "web", Patch.merge(body), "default"))
        await eventually(lambda expected=expected: there(world) == expected, f"{expected}")  # type: ignore[misc]

    async def untold() -> bool:
        return NETWORK_STATUS not in (await world.pod()).metadata.annotations

    await eventually_true(untold, "nothing is told any more")
    assert world.cri.running() == ["c"]


async def test_a_new_kubelet_undoes_what_was_cut_short_and_keeps_the_rest(world: World) -> None:
    await world.start(ONE, annotations={NETWORKS: "lan@a"})
    await world.until_phase("Running")
    created = await world.pod()
    await world.crash()
    records = Records(world.paths.networks)
    record = records.read(created.metadata.uid)
    assert record is not None
    cut = Attached(selection=Selection(namespace="default", name="lan", interface="b"), config=BRIDGE)
    records.write(created.metadata.uid, msgspec.structs.replace(record, attached=(*record.attached, cut)))
    world.plugins.calls.clear()
    world.begin(created)
    await eventually(lambda: world.plugins.calls == ["DEL lan b"], "only what was cut short is undone")
    assert there(world) == ["a"]


async def test_a_primary_network_gives_the_pod_its_address(world: World) -> None:
    world.networks["default/own"] = json.dumps({"type": "macvlan", "ipam": {"type": "static"}})
    await world.start(ONE, annotations={DEFAULT_NETWORK: "own"})
    await world.until_phase("Running")
    assert (await world.pod()).status.pod_ip == "10.9.0.2"
