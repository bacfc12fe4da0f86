"""What can be said of an interface, from inside: models, places, MTU, DHCP options, the pod's first network."""

from collections.abc import Iterator

import pytest

from support.instance import Console, Instance
from support.network_guests import definition, guest, manifests

OPTIONS = {
    "bootFileName": "boot/image.efi",
    "tftpServerName": "tftp.example",
    "ntpServers": ["192.0.2.1", "192.0.2.2"],
    "privateOptions": [{"option": 240, "value": "said in private"}],
}
OBJECTS = (
    definition("narrow", mtu=1300),
    definition("first", ipam={"type": "host-local", "subnet": "10.178.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}),
    guest(
        "cards",
        {
            "default": {"pod": {"vmNetworkCIDR": "172.30.5.0/24"}},
            **{name: {"multus": {"networkName": "narrow"}} for name in ("old", "placed", "plain")},
        },
        [
            {"name": "default", "masquerade": {}, "model": "e1000e", "dhcpOptions": OPTIONS},
            {"name": "old", "bridge": {}, "model": "rtl8139", "macAddress": "02:4b:00:00:01:01"},
            {
                "name": "placed",
                "bridge": {},
                "macAddress": "02:4b:00:00:01:02",
                "pciAddress": "0000:09:00.0",
                "acpiIndex": 77,
                "state": "down",
            },
            {"name": "plain", "bridge": {}, "model": "ne2k_pci"},
        ],
        memory="192Mi",
        image="kobune/demo:generic",
    ),
    guest("main", {"main": {"multus": {"networkName": "first", "default": True}}}, [{"name": "main", "bridge": {}}]),
)


@pytest.fixture(scope="module")
def guests(instance: Instance) -> Iterator[Instance]:
    text = manifests(*OBJECTS)
    instance.kubectl("apply", "-f", "-", stdin=text)
    for name in ("cards", "main"):
        instance.wait_phase(name, "Running")
    yield instance
    instance.kubectl("delete", "--ignore-not-found", "--timeout=150s", "-f", "-", stdin=text)


@pytest.fixture(scope="module")
def cards(guests: Instance) -> Iterator[Console]:
    console = guests.console("cards").login()
    yield console
    console.close()


def device(console: Console, mac: str) -> str:
    """The name of an interface inside."""
    return console.run(f"grep -l {mac} /sys/class/net/*/address | cut -d/ -f5")


def test_a_card_is_of_the_model_that_was_asked_for(cards: Console) -> None:
    drivers = cards.run("for d in /sys/class/net/eth*/device/driver; do basename $(readlink $d); done").split()
    assert sorted(drivers) == ["8139cp", "e1000e", "virtio_net"]
    # There is no driver of this one in the guest, but the card.
    assert "0x10ec 0x8029" in cards.run("cd /sys/bus/pci/devices; for d in *; do echo $(cat $d/vendor $d/device); done")


def test_a_card_is_where_it_was_put(cards: Console) -> None:
    name = device(cards, "02:4b:00:00:01:02")
    # The ninth root port, the first of the second group of eight; guests number the buses behind them by themselves.
    assert "/0000:00:03.0/0000:" in cards.run(f"readlink -f /sys/class/net/{name}/device")
    assert cards.run(f"cat $(readlink -f /sys/class/net/{name}/device/..)/acpi_index") == "77"


def test_a_link_that_is_down_from_the_start_has_no_carrier(guests: Instance, cards: Console) -> None:
    name = device(cards, "02:4b:00:00:01:02")
    assert cards.run(f"cat /sys/class/net/{name}/carrier") == "0"
    states = {one["name"]: one["linkState"] for one in guests.get("vmi", "cards")["status"]["interfaces"]}
    assert (states["placed"], states["old"]) == ("down", "up")


def test_the_networks_mtu_reaches_the_guest(cards: Console) -> None:
    assert cards.run(f"cat /sys/class/net/{device(cards, '02:4b:00:00:01:02')}/mtu") == "1300"


def test_dhcp_tells_what_the_options_say(guests: Instance, cards: Console) -> None:
    driver = "$(basename $(readlink $d/device/driver))"
    eth = cards.run(f"for d in /sys/class/net/eth*; do [ {driver} = e1000e ] && basename $d; done")
    guests.eventually("its address", lambda: "172.30.5.2/24" in cards.run(f"ip -4 addr show dev {eth}"), 60)
    cards.run("printf '#!/bin/sh\\nenv\\n' > /tmp/show; chmod +x /tmp/show")
    told = cards.run(
        f"sudo udhcpc -n -q -f -i {eth} -s /tmp/show -O bootfile -O tftp -O ntpsrv -O 240 -t 5 -T 2 2>/dev/null", 60
    )
    values = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    assert (values["bootfile"], values["tftp"]) == ("boot/image.efi", "tftp.example")
    assert values["ntpsrv"] == "192.0.2.1 192.0.2.2"
    assert bytes.fromhex(values["opt240"]).decode() == "said in private"


def test_a_default_network_takes_the_place_of_the_pods(guests: Instance) -> None:
    pod = guests.get("pod", "-l", "guest=main")["items"][0]
    assert pod["status"]["podIP"].startswith("10.178.0.")
    console = guests.console("main").login()
    try:
        inside = "ip -4 addr show dev eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/\\1/p'"
        guests.eventually("the pod's address", lambda: console.run(inside) == pod["status"]["podIP"], 60)
        assert console.run("ip route | grep ^default | cut -d' ' -f3") == "10.178.0.1"
    finally:
        console.close()
    (told,) = guests.get("vmi", "main")["status"]["interfaces"]
    assert (told["ipAddress"], told["podInterfaceName"]) == (pod["status"]["podIP"], "eth0")
