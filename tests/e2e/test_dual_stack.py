"""Pods and guests with IPv4 and IPv6 side by side, in an instance of its own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kobune.embedded.kubelet.instance import NodeInstance
from support.instance import Instance, free_port

SUBNETS = "10.149.0.0/24,fd42:6b6f:6275::/64"
PREFIX = "fd42:6b6f:6275::"
STATIC = "version: 2\nethernets:\n  eth0:\n    dhcp4: true\n    addresses: [fd77:1::2/112]\n    gateway6: fd77:1::1\n"


def machine(name: str, interface: dict[str, object], network: dict[str, object], network_data: str = "") -> str:
    init = {"userData": f"#cloud-config\nhostname: {name}\n"} | ({"networkData": network_data} if network_data else {})
    spec = {
        "terminationGracePeriodSeconds": 5,
        "domain": {
            "devices": {
                "disks": [{"name": disk, "disk": {"bus": "virtio"}} for disk in ("root", "init")],
                "interfaces": [{"name": "default"} | interface],
            },
            "memory": {"guest": "128Mi"},
        },
        "networks": [{"name": "default", "pod": network}],
        "volumes": [
            {"name": "root", "containerDisk": {"image": "kobune/demo"}},
            {"name": "init", "cloudInitNoCloud": init},
        ],
    }
    kind = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance"}
    return yaml.safe_dump(kind | {"metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def dual(instance: Instance) -> Iterator[Instance]:
    """Beside the other one: two instances share a machine."""
    own = Instance(
        data_dir=instance.data_dir.with_name(instance.data_dir.name + "-dual"),
        image_cache=instance.image_cache,
        listen_port=free_port(),
        pod_subnet=SUBNETS,
    )
    if own.data_dir.exists():
        own.down("--purge", "--grace-period=0")
    own.up()
    try:
        yield own
    finally:
        own.down("--purge", "--grace-period=1")


def addresses(instance: Instance, name: str) -> tuple[str, str]:
    """The two of the guest's pod."""
    pod = instance.get("pod", "-l", f"vm.kubevirt.io/name={name}")["items"][0]
    four, six = (item["ip"] for item in pod["status"]["podIPs"])
    assert four == pod["status"]["podIP"]
    return four, six


def test_guests_have_both_families_and_reach_each_other(dual: Instance) -> None:
    assert dual.get("node")["items"][0]["spec"]["podCIDRs"] == SUBNETS.split(",")
    asks = machine("asks", {"masquerade": {}}, {})
    told = machine("told", {"masquerade": {}}, {"vmIPv6NetworkCIDR": "fd77:1::/112"}, STATIC)
    dual.kubectl("apply", "-f", "-", stdin=asks + "---\n" + told)
    for name in ("asks", "told"):
        dual.wait_phase(name, "Running")
    pods = {name: addresses(dual, name) for name in ("asks", "told")}
    for four, six in pods.values():
        assert four.startswith("10.149.0.")
        assert six.startswith(PREFIX)
    status = dual.get("vmi", "asks")["status"]["interfaces"][0]
    assert set(status["ipAddresses"]) >= set(pods["asks"])

    console = dual.console("asks").login()
    try:
        # Router advertisement and DHCPv6, as any guest does.
        found = console.run(
            "for n in $(seq 60); do ip -6 address show dev eth0 | grep -q fd10: && break; sleep 1; done"
        )
        found = console.run("ip -6 -o address show dev eth0 scope global")
        assert "fd10:0:2::2/128" in found, found
        assert "default via fe80:" in console.run("ip -6 route show default")
        assert "64 bytes" in console.run(f"sudo ping -6 -c 5 -W 2 {PREFIX}1"), (
            "the node, once the address is no longer tentative"
        )
        # The other guest, through its pod's address: its pod's rules send every port on.
        assert "SSH-2.0" in console.run(f"nc -w 10 {pods['told'][1]} 22 </dev/null | head -c 7")
    finally:
        console.close()
    console = dual.console("told").login()
    try:
        assert "fd77:1::2/112" in console.run("ip -6 -o address show dev eth0 scope global")
        assert "SSH-2.0" in console.run(f"nc -w 10 {pods['asks'][1]} 22 </dev/null | head -c 7")
        assert "SSH-2.0" in console.run(f"nc -w 10 {pods['asks'][0]} 22 </dev/null | head -c 7"), "IPv4 as well"
    finally:
        console.close()
    dual.kubectl("delete", "vmi", "asks", "told", "--timeout=120s")


def test_a_bridged_guest_gets_its_pods_ipv4_address(dual: Instance) -> None:
    """DHCP gives it; of IPv6 nothing is served on a bridge, as in KubeVirt."""
    dual.kubectl("apply", "-f", "-", stdin=machine("bridged", {"bridge": {}}, {}))
    dual.wait_phase("bridged", "Running")
    four, _ = addresses(dual, "bridged")
    console = dual.console("bridged").login()
    try:
        assert f"{four}/24" in console.run("ip -4 -o address show dev eth0")
    finally:
        console.close()
    dual.kubectl("delete", "vmi", "bridged", "--timeout=120s")


def test_nothing_is_left_of_its_rules(dual: Instance) -> None:
    """Its pods' rules for IPv6 go with them."""
    names = NodeInstance.of(dual.data_dir)
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert names.service_table in rules
    dual.down("--grace-period=1")
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert names.network.name not in rules
    assert not (Path("/sys/class/net") / names.network.bridge).exists()
