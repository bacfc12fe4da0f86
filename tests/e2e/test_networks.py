"""Guests on several networks, looked at from inside: bridges with and without addresses, the pod network by bridge."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kobune.embedded.kubelet.instance import NodeInstance
from support.instance import Console, Instance, free_port
from support.network_guests import BRIDGE_PREFIX, definition, guest, manifests, server_pod

POD: dict[str, object] = {"pod": {}}
SUBNET = "10.177.0.0/24"
HOST_PORT = free_port()
OBJECTS = (
    definition("lan"),
    definition("leased", ipam={"type": "host-local", "subnet": SUBNET}),
    server_pod("peer", "from-the-peer", host_port=HOST_PORT),
    guest(
        "left",
        {"default": POD, "lan": {"multus": {"networkName": "lan"}}, "leased": {"multus": {"networkName": "leased"}}},
        [
            {"name": "default", "bridge": {}},
            {"name": "lan", "bridge": {}, "macAddress": "02:4b:00:00:00:01"},
            {"name": "leased", "bridge": {}},
        ],
        cores=2,
        devices={"networkInterfaceMultiqueue": True},
    ),
    guest(
        "right",
        {
            "default": POD,
            "lan": {"multus": {"networkName": "default/lan"}},
            "leased": {"multus": {"networkName": "leased"}},
        },
        [
            {"name": "default", "masquerade": {}},
            {"name": "lan", "bridge": {}},
            {"name": "leased", "bridge": {}},
        ],
    ),
)


@pytest.fixture(scope="module")
def guests(instance: Instance) -> Iterator[Instance]:
    text = manifests(*OBJECTS)
    instance.kubectl("apply", "-f", "-", stdin=text)
    instance.kubectl("wait", "pod/peer", "--for=condition=Ready", "--timeout=120s")
    for name in ("left", "right"):
        instance.wait_phase(name, "Running")
    yield instance
    instance.kubectl("delete", "--ignore-not-found", "--timeout=150s", "-f", "-", stdin=text)


def logged_in(instance: Instance, name: str) -> Iterator[Console]:
    console = instance.console(name).login()
    yield console
    # Its guest may be gone by now.
    console.child.close(force=True)


@pytest.fixture(scope="module")
def left(guests: Instance) -> Iterator[Console]:
    yield from logged_in(guests, "left")


@pytest.fixture(scope="module")
def right(guests: Instance) -> Iterator[Console]:
    yield from logged_in(guests, "right")


def interface(instance: Instance, vmi: str, name: str) -> dict[str, object]:
    found = instance.get("vmi", vmi)["status"]["interfaces"]
    return next(one for one in found if one["name"] == name)


def address(console: Console, device: str) -> str:
    """Its IPv4 address inside, or nothing."""
    return console.run(f"ip -4 addr show dev {device} | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p'")


def pings(console: Console, where: str) -> bool:
    return "1 packets received" in console.run(f"sudo ping -c 1 -W 3 {where} | tail -n 2")


def test_guests_meet_on_a_network_without_addresses(guests: Instance, left: Console, right: Console) -> None:
    assert left.run("cat /sys/class/net/eth1/address") == "02:4b:00:00:00:01"
    left.run("sudo ip address add 192.168.77.1/24 dev eth1")
    right.run("sudo ip address add 192.168.77.2/24 dev eth1")
    guests.eventually("left reaches right", lambda: pings(left, "192.168.77.2"), 60)
    assert pings(right, "192.168.77.1")
    told = interface(guests, "left", "lan")
    assert told["mac"] == "02:4b:00:00:00:01"
    assert str(told["podInterfaceName"]).startswith("pod")
    assert "multus-status" in str(told["infoSource"])
    # Nothing but that network leads there.
    ping = "ping -c 1 -W 2 192.168.77.1 >/dev/null && echo yes || true"
    peer = guests.kubectl("exec", "peer", "--", "sh", "-c", ping)
    assert peer.strip() == ""


def test_a_network_with_addresses_gives_them_to_the_guests(guests: Instance, left: Console, right: Console) -> None:
    guests.eventually("left has an address", lambda: address(left, "eth2").startswith("10.177.0."), 60)
    guests.eventually("right has another", lambda: address(right, "eth2").startswith("10.177.0."), 60)
    one, other = address(left, "eth2"), address(right, "eth2")
    assert one != other
    assert pings(left, other)
    assert interface(guests, "left", "leased")["ipAddress"] == one
    assert left.run("ip route | grep -c ^default") == "1", "the way out stays the pod network's"


def test_the_pods_address_is_the_guests_by_a_bridge(guests: Instance, left: Console) -> None:
    pod = guests.get("pod", "-l", "guest=left")["items"][0]["status"]["podIP"]
    guests.eventually("its address", lambda: address(left, "eth0") == pod, 60)
    assert interface(guests, "left", "default")["ipAddress"] == pod
    peer = guests.get("pod", "peer")["status"]["podIP"]
    assert left.run(f"wget -qO- http://{peer}:8080/") == "from-the-peer"
    left.run("mkdir -p /tmp/www; echo from-left > /tmp/www/word; sudo httpd -p 8083 -h /tmp/www")
    done = guests.kubectl("exec", "peer", "--", "curl", "-sf", "-m", "5", f"http://{pod}:8083/word")
    assert done.strip() == "from-left"


def test_a_bridged_guest_does_not_reach_the_nodes_loopback(guests: Instance, left: Console) -> None:
    """Host ports make the kernel take packets to 127.0.0.1 from the pods' bridge; only theirs may pass."""
    gateway = guests.get("pod", "peer")["status"]["podIP"].rpartition(".")[0] + ".1"
    bridge = NodeInstance.of(guests.data_dir).network.bridge
    guarded = Path(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet").read_text()
    assert guarded.strip() == "1", "nothing to guard against"
    left.run(
        "sudo ip address del 127.0.0.1/8 dev lo; sudo sysctl -qw net.ipv4.conf.eth0.route_localnet=1; "
        f"sudo ip route replace 127.0.0.0/8 via {gateway} dev eth0"
    )
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            port = server.getsockname()[1]
            reach = f"nc -w 3 127.0.0.1 {port} </dev/null >/dev/null 2>&1 && echo open || echo closed"
            assert left.run(reach) == "closed"
            with pytest.raises(TimeoutError):
                server.accept()
    finally:
        left.run("sudo ip route del 127.0.0.0/8 dev eth0; sudo ip address add 127.0.0.1/8 dev lo")


def test_queues_are_as_many_as_processors(guests: Instance, left: Console, right: Console) -> None:
    assert left.run("ls -d /sys/class/net/eth0/queues/rx-* | wc -l") == "2"
    assert left.run("ls -d /sys/class/net/eth1/queues/tx-* | wc -l") == "2"
    assert interface(guests, "left", "default")["queueCount"] == 2
    assert right.run("ls -d /sys/class/net/eth0/queues/rx-* | wc -l") == "1"


def template(instance: Instance, name: str) -> dict[str, Any]:
    found: dict[str, Any] = instance.get("vm", name)["spec"]["template"]["spec"]
    return found


def change_networks(instance: Instance, name: str, networks: list[Any], interfaces: list[Any]) -> None:
    spec = {"networks": networks, "domain": {"devices": {"interfaces": interfaces}}}
    body = json.dumps({"spec": {"template": {"spec": spec}}})
    instance.kubectl("patch", "vm", name, "--type=merge", "-p", body)


def test_an_interface_comes_loses_its_link_and_goes_while_the_guest_runs(guests: Instance, right: Console) -> None:
    boot = right.run("cat /proc/sys/kernel/random/boot_id")
    before = template(guests, "right")
    networks = [*before["networks"], {"name": "more", "multus": {"networkName": "leased"}}]
    more: dict[str, Any] = {"name": "more", "bridge": {}, "macAddress": "02:4b:00:00:00:09"}
    interfaces = before["domain"]["devices"]["interfaces"]

    def inside() -> str:
        return right.run("grep -l 02:4b:00:00:00:09 /sys/class/net/*/address | cut -d/ -f5")

    change_networks(guests, "right", networks, [*interfaces, more])
    guests.eventually("it is there", lambda: inside() != "", 60)
    device = inside()
    guests.eventually("it has an address", lambda: address(right, device).startswith("10.177.0."), 60)
    assert interface(guests, "right", "more")["linkState"] == "up"
    change_networks(guests, "right", networks, [*interfaces, {**more, "state": "down"}])
    guests.eventually("no carrier", lambda: right.run(f"cat /sys/class/net/{device}/carrier") == "0", 60)
    guests.eventually("and told", lambda: interface(guests, "right", "more")["linkState"] == "down", 30)
    change_networks(guests, "right", networks, [*interfaces, {**more, "state": "absent"}])
    guests.eventually("it is gone", lambda: inside() == "", 60)
    pod = guests.get("pod", "-l", "guest=right")["items"][0]["metadata"]
    assert [one["name"] for one in json.loads(pod["annotations"]["k8s.v1.cni.cncf.io/networks"])] == ["lan", "leased"]
    conditions = guests.get("vm", "right")["status"]["conditions"]
    assert all(one["type"] != "RestartRequired" for one in conditions)
    assert right.run("cat /proc/sys/kernel/random/boot_id") == boot
    # Another model is nothing that a running guest takes.
    change_networks(guests, "right", networks[:3], [*interfaces[:2], {**interfaces[2], "model": "e1000e"}])

    def waits() -> bool:
        found = guests.get("vm", "right")["status"]["conditions"]
        return any(one["type"] == "RestartRequired" and one["status"] == "True" for one in found)

    guests.eventually("a restart is asked for", waits, 30)
    change_networks(guests, "right", before["networks"], interfaces)


def test_names_of_the_cluster_are_searched_in_by_the_guest(guests: Instance, right: Console) -> None:
    lines = right.run("cat /etc/resolv.conf").splitlines()
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in lines


def test_a_definition_that_is_not_there_is_named_in_the_pods_event(guests: Instance) -> None:
    networks = {"lan": {"multus": {"networkName": "nowhere"}}}
    lost = manifests(guest("lost", networks, [{"name": "lan", "bridge": {}}]))
    guests.kubectl("apply", "-f", "-", stdin=lost)
    try:

        def told() -> bool:
            events = guests.get("events", "--field-selector=reason=FailedCreatePodSandBox")["items"]
            return any("NetworkAttachmentDefinition default/nowhere does not exist" in one["message"] for one in events)

        guests.eventually("the event", told, 60)
        assert guests.get("vmi", "lost")["status"]["phase"] in ("Pending", "Scheduling")
    finally:
        guests.kubectl("delete", "--timeout=60s", "-f", "-", stdin=lost)


def test_bridges_go_with_the_instance(guests: Instance) -> None:
    """What was noted down for the end of the instance; that it goes is looked at by the test of `kobune down`."""
    noted = (guests.data_dir / "kubelet/networks/bridges").read_text().split()
    own = [f"{BRIDGE_PREFIX}{name}" for name in ("lan", "leased")]
    assert set(own) <= set(noted)
    assert all(Path("/sys/class/net", name, "bridge").is_dir() for name in own)


def test_nothing_is_left_of_a_guests_networks(guests: Instance, left: Console) -> None:
    uid = guests.get("pod", "-l", "guest=left")["items"][0]["metadata"]["uid"]
    lease = guests.data_dir / "cni/networks/leased" / str(interface(guests, "left", "leased")["ipAddress"])
    record = guests.data_dir / "kubelet/networks" / f"{uid}.json"
    ports = Path(f"/sys/class/net/{BRIDGE_PREFIX}lan/brif")
    before = len(list(ports.iterdir()))
    assert lease.exists()
    assert record.exists()
    guests.kubectl("delete", "vm", "left", "--timeout=60s")
    guests.eventually("its lease is free", lambda: not lease.exists(), 60)
    guests.eventually("its record is gone", lambda: not record.exists(), 60)
    assert len(list(ports.iterdir())) == before - 1
