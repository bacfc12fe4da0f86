"""Configurations of secondary networks are checked, and plugins get what the specification says."""

import json
from pathlib import Path
from typing import Any

import pytest

from kobune.host.cni import Attachment, CniFailed, CniPlugins, InvalidNetwork, parse_network
from kobune.host.cni.plugins import plugin_config
from kobune.host.run import Completed
from kobune.host.run.fake import Call, FakeRunner

WHERE = Attachment("sandbox", "/run/netns/x", "net1", mac="02:00:00:00:00:09", args={"K8S_POD_NAME": "p"})
RESULT = {
    "cniVersion": "0.4.0",
    "interfaces": [{"name": "veth1"}, {"name": "net1", "mac": "02:00:00:00:00:09", "sandbox": "/run/netns/x"}],
    "ips": [{"address": "10.9.0.2/24", "gateway": "10.9.0.1"}],
}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ({"type": "../bin/sh"}, "no name of a CNI plugin"),
        ({"type": "/bin/sh"}, "no name of a CNI plugin"),
        ({"type": ".."}, "no name of a CNI plugin"),
        ({}, "no name of a CNI plugin"),
        ({"type": "bridge", "ipam": {"type": "../../tmp/x"}}, "ipam.type"),
        ({"type": "bridge", "ipam": {"type": "host-local", "dataDir": "/etc"}}, "dataDir"),
        ({"type": "tuning", "dataDir": "/etc"}, "dataDir"),
        ({"type": "bridge", "cniVersion": "9.9.9"}, "cniVersion"),
        ({"type": "bridge", "name": "../x"}, "no name of a network"),
        ({"plugins": []}, "1 to 16"),
        ({"plugins": [{"type": "bridge"}] * 17}, "1 to 16"),
        ({"type": "bridge", "comment": "x" * 70000}, "more than"),
    ],
)  # fmt: skip
def test_what_must_not_run_is_refused(config: Any, message: str) -> None:
    with pytest.raises(InvalidNetwork, match=message):
        parse_network(config if isinstance(config, str) else json.dumps(config), "lan")


def test_a_configuration_and_a_list_are_the_same_thing() -> None:
    one = parse_network('{"type": "bridge"}', "lan")
    many = parse_network('{"cniVersion": "0.4.0", "name": "lan", "plugins": [{"type": "bridge"}]}', "other")
    assert one == many


def test_a_plugin_gets_the_network_the_wishes_it_can_follow_and_the_nodes_directory() -> None:
    network = parse_network(
        json.dumps(
            {"type": "bridge", "capabilities": {"mac": True}, "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}
        ),
        "lan",
    )
    config = plugin_config(network, network.plugins[0], WHERE, {"ips": []}, "/leases")
    assert config["name"] == "lan"
    assert config["cniVersion"] == "0.4.0"
    assert config["runtimeConfig"] == {"mac": "02:00:00:00:00:09"}
    assert config["ipam"]["dataDir"] == "/leases"
    assert config["prevResult"] == {"ips": []}


class Machine:
    """A folder of plugins whose answers the test gives."""

    def __init__(self, folder: Path, *plugins: str) -> None:
        for plugin in plugins:
            (folder / plugin).touch()
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.failing = ""
        self.runner = FakeRunner()
        self.plugins = CniPlugins(self.runner, folder, folder / "leases")
        for plugin in plugins:
            self.runner.on(str(folder / plugin), answer=self._answer)

    def _answer(self, call: Call) -> Completed:
        name, command = Path(call.args[0]).name, call.env["CNI_COMMAND"]
        self.asked.append((command, name, json.loads(call.input or b"{}")))
        assert call.env["CNI_ARGS"] == "IgnoreUnknown=true;K8S_POD_NAME=p;MAC=02:00:00:00:00:09"
        if self.failing == f"{command} {name}":
            return Completed(call.args, 1, b'{"code": 7, "msg": "no room", "details": "at all"}')
        return Completed(call.args, 0, json.dumps(RESULT).encode() if command == "ADD" else b"")

    @property
    def order(self) -> list[str]:
        return [f"{command} {name}" for command, name, _ in self.asked]


LIST = parse_network('{"plugins": [{"type": "bridge"}, {"type": "tuning"}]}', "lan")


async def test_a_list_is_added_forwards_and_deleted_backwards(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "bridge", "tuning")
    result = await machine.plugins.add(LIST, WHERE)
    assert (result.ips, result.mac, result.gateways) == (("10.9.0.2/24",), "02:00:00:00:00:09", ("10.9.0.1",))
    assert machine.asked[1][2]["prevResult"] == RESULT
    await machine.plugins.delete(LIST, WHERE, result.raw)
    assert machine.order == ["ADD bridge", "ADD tuning", "DEL tuning", "DEL bridge"]
    assert machine.asked[3][2]["prevResult"] == RESULT


async def test_rules_that_a_bridge_plugin_cannot_find_any_more_are_removed(tmp_path: Path) -> None:
    # It looks for them by the addresses of the interface, which may have moved into a guest.
    machine = Machine(tmp_path, "bridge")
    comment = f'"name: \\"lan\\" id: \\"{WHERE.container_id}\\""'
    left = f"-A POSTROUTING -s 10.9.0.2/32 -m comment --comment {comment} -j CNI-1"
    machine.runner.on("iptables", stdout=left.encode())
    for masquerades in (False, True):
        network = parse_network(json.dumps({"type": "bridge", "ipMasq": masquerades}), "lan")
        await machine.plugins.delete(network, WHERE, {})
        removed = [call.args[5] for call in machine.runner.calls if call.args[0] == "iptables"]
        assert removed == (["-S", "-D", "-F", "-X"] if masquerades else [])


async def test_what_a_failed_plugin_left_is_removed_and_its_words_are_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "bridge", "tuning")
    machine.failing = "ADD tuning"
    with pytest.raises(CniFailed, match="plugin tuning: no room: at all"):
        await machine.plugins.add(LIST, WHERE)
    assert machine.order == ["ADD bridge", "ADD tuning", "DEL tuning", "DEL bridge"]


async def test_a_plugin_that_cannot_give_back_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "bridge", "tuning")
    machine.failing = "DEL tuning"
    with pytest.raises(CniFailed):
        await machine.plugins.delete(LIST, WHERE, {})
    assert machine.order == ["DEL tuning", "DEL bridge"]


async def test_a_plugin_that_the_node_does_not_have_is_named_before_any_other_runs(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "bridge")
    with pytest.raises(InvalidNetwork, match="no CNI plugin 'tuning'"):
        await machine.plugins.add(LIST, WHERE)
    assert machine.order == []
