"""An interface that a network binding plugin attaches: the guest waits for the plugin, and is on the network by it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.instance import Console, Instance
from support.network_guests import definition, guest, manifests

PLUGIN = "flat"
NETWORKS: dict[str, Any] = {"default": {"pod": {}}, "lan": {"multus": {"networkName": "flat"}}}
OBJECTS = (
    definition("flat"),
    guest(
        "bound",
        NETWORKS,
        [
            {"name": "default", "masquerade": {}},
            {"name": "lan", "binding": {"name": PLUGIN}, "macAddress": "02:4b:00:00:00:0b"},
        ],
    ),
    guest("bridged", NETWORKS, [{"name": "default", "masquerade": {}}, {"name": "lan", "bridge": {}}]),
)


def register(instance: Instance, plugins: dict[str, Any]) -> None:
    (found,) = instance.get("kubevirt", "-A")["items"]
    where = ("-n", found["metadata"]["namespace"], found["metadata"]["name"])
    patch = {"spec": {"configuration": {"network": {"binding": plugins}}}}
    instance.kubectl("patch", "kubevirt", *where, "--type=merge", "-p", json.dumps(patch))


@pytest.fixture(scope="module")
def guests(instance: Instance) -> Iterator[Instance]:
    text = manifests(*OBJECTS)
    instance.kubectl("apply", "-f", "-", stdin=text)
    yield instance
    instance.kubectl("delete", "--ignore-not-found", "--timeout=150s", "-f", "-", stdin=text)
    register(instance, {PLUGIN: None})


def pings(console: Console, where: str) -> bool:
    return "1 packets received" in console.run(f"sudo ping -c 1 -W 3 {where} | tail -n 2")


def test_a_guest_whose_plugin_is_not_registered_says_so_and_waits(guests: Instance) -> None:
    def told() -> bool:
        conditions = guests.get("vmi", "bound")["status"].get("conditions", [])
        return any(f"couldn't find configuration for network binding: {PLUGIN}" in str(one) for one in conditions)

    guests.eventually("it says what is missing", told, 60)
    assert guests.get("pods", "-l", "guest=bound")["items"] == []


def test_the_plugin_s_guest_is_on_the_network_with_an_address_of_its_own(guests: Instance) -> None:
    register(guests, {PLUGIN: {"domainAttachmentType": "managedTap"}})
    for name in ("bound", "bridged"):
        guests.wait_phase(name, "Running")
    bound, bridged = (guests.console(name).login() for name in ("bound", "bridged"))
    try:
        assert bound.run("cat /sys/class/net/eth1/address") == "02:4b:00:00:00:0b"
        bound.run("sudo ip address add 192.168.78.1/24 dev eth1")
        bridged.run("sudo ip address add 192.168.78.2/24 dev eth1")
        guests.eventually("bound reaches bridged", lambda: pings(bound, "192.168.78.2"), 60)
        assert pings(bridged, "192.168.78.1")
    finally:
        bound.close()
        bridged.close()
    conditions = guests.get("vmi", "bound")["status"]["conditions"]
    assert not [one for one in conditions if one["type"] == "Synchronized" and one["status"] == "False"]
