"""The plan of a guest's network, and what is missing to it."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, to_builtins

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.dnsmasq import DhcpConfig, Lease, render
from kobune.host.netlink import Address, AddTap, DeleteLink, Link, Route
from kobune.host.netlink.fake import FakeNetlink
from kobune.host.netns import HOST
from kobune.host.nftables import render as render_table
from kobune.virt.handler.network.converge import link_changes, missing_sysctls, surplus
from kobune.virt.handler.network.model import NetworkPlan, PodInterface, UnsupportedInterface
from kobune.virt.handler.network.plan import guest_mac, plan

ETH0 = (Address("inet", "10.42.0.7", 24), Address("inet6", "fe80::1", 64, "link"))
ETH = PodInterface("0a:00:00:00:00:07", 1450, ETH0, (Route("default", "10.42.0.1", "eth0"),))
POD = {"eth0": ETH}
RESOLV = "nameserver 10.43.0.10\nnameserver ::1\nsearch a.b c.d\noptions ndots:5\n"


def vmi(interface: dict[str, Any] | None = None, *, pod: dict[str, Any] | None = None, **domain: Any) -> Any:
    interfaces = [] if interface is None else [{"name": "default", **interface}]
    devices = {"interfaces": interfaces, **domain.pop("devices", {})}
    spec = {"domain": {"devices": devices, **domain}, "networks": [{"name": "default", "pod": pod or {}}]}
    return convert({"metadata": {"namespace": "ns", "name": "vm"}, "spec": spec}, type=VirtualMachineInstance)


def test_masquerade_puts_the_guest_behind_a_bridge_with_an_address_of_its_own() -> None:
    made = plan(vmi({"masquerade": {}}), POD, RESOLV)
    bridge, tap = made.links
    assert (bridge.name, bridge.mtu, [a.cidr for a in bridge.addresses]) == ("k6t-eth0", 1450, ["10.0.2.1/24"])
    assert (tap.name, tap.master, tap.mtu) == ("tap0", "k6t-eth0", 1450)
    assert dict(made.sysctls)["net.ipv4.ip_forward"] == "1"
    assert "net.ipv6.conf.all.forwarding" not in dict(made.sysctls)
    assert made.dhcp is not None
    assert made.dhcp.dns_servers == ("10.43.0.10",), "a loopback server is nothing for a guest"
    assert made.dhcp.search_domains == ("a.b", "c.d")
    assert made.dhcp.leases[0].address == "10.0.2.2"


def test_another_network_may_be_asked_for() -> None:
    made = plan(vmi({"masquerade": {}}, pod={"vmNetworkCIDR": "172.30.0.0/16"}), POD, "")
    assert made.dhcp is not None
    assert (made.dhcp.leases[0].address, made.dhcp.leases[0].netmask) == ("172.30.0.2", "255.255.0.0")


def test_ports_narrow_what_comes_in() -> None:
    ports = [{"port": 22}, {"port": 53, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}]
    made = plan(vmi({"masquerade": {}, "ports": ports}), POD, "")
    assert made.table is not None
    rules = {chain.name: chain.rules for chain in made.table.chains}
    assert rules["prerouting"] == (
        'iifname "eth0" meta nfproto ipv4 tcp dport { 22, 80 } dnat ip to 10.0.2.2',
        'iifname "eth0" meta nfproto ipv4 udp dport { 53 } dnat ip to 10.0.2.2',
    )


def test_ipv6_follows_the_pod() -> None:
    dual = replace(ETH, addresses=(*ETH0, Address("inet6", "fd42::7", 64)))
    made = plan(vmi({"masquerade": {}}), {"eth0": dual}, "")
    assert [a.cidr for a in made.links[0].addresses] == ["10.0.2.1/24", "fd10:0:2::1/120"]
    assert made.dhcp is not None
    assert made.dhcp.leases[0].address6 == "fd10:0:2::2"
    assert made.table is not None
    assert "dnat ip6 to fd10:0:2::2" in render_table(made.table)


def test_bridge_binding_hands_the_pod_s_address_and_mac_to_the_guest() -> None:
    made = plan(vmi({"bridge": {}}), POD, "")
    assert made.guests[0].mac == ETH.mac
    assert made.table is None
    eth0 = next(link for link in made.links if link.name == "eth0")
    assert eth0.mac != ETH.mac
    assert eth0.addresses == ()
    assert made.dhcp is not None
    assert (made.dhcp.leases[0].address, made.dhcp.leases[0].gateway) == ("10.42.0.7", "10.42.0.1")


def test_dhcp_options_of_the_interface_are_offered() -> None:
    options = {
        "bootFileName": "pxelinux.0",
        "tftpServerName": "10.9.9.9",
        "ntpServers": ["10.0.0.1", "10.0.0.2"],
        "privateOptions": [{"option": 240, "value": "a,b#c"}],
    }
    made = plan(vmi({"masquerade": {}, "dhcpOptions": options}), POD, "")
    assert made.dhcp is not None
    lines = render(made.dhcp).splitlines()
    assert "dhcp-option=tag:nic0,option:ntp-server,10.0.0.1,10.0.0.2" in lines
    for option in ('66,"10.9.9.9"', '67,"pxelinux.0"', '240,"a,b#c"'):
        assert f"dhcp-option-force=tag:nic0,{option}" in lines


def test_queues_follow_the_vcpus_when_asked_for() -> None:
    many = vmi({"masquerade": {}}, devices={"networkInterfaceMultiqueue": True}, cpu={"cores": 2, "sockets": 2})
    made = plan(many, POD, "")
    assert made.guests[0].queues == 4
    assert AddTap("tap0", 107, 107, True) in link_changes(made, ())
    assert plan(vmi({"masquerade": {}}, cpu={"cores": 2}), POD, "").guests[0].queues == 1


def test_no_interface_needs_nothing() -> None:
    assert plan(vmi(), POD, RESOLV) == NetworkPlan()


@pytest.mark.parametrize(
    "interface",
    [
        {"masquerade": {}, "dhcpOptions": {"bootFileName": "x\ndhcp-script=/bin/sh"}},
        {"masquerade": {}, "dhcpOptions": {"privateOptions": [{"option": 240, "value": 'a"'}]}},
        {"masquerade": {}, "dhcpOptions": {"ntpServers": ["pool.example"]}},
        {"passtBinding": {}},
        {"name": "other", "masquerade": {}},
        {"masquerade": {}, "macAddress": "02:00\nlink delete eth0"},
    ],
)
def test_what_cannot_be_made_is_refused(interface: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedInterface):
        plan(vmi(interface), POD, "")


def test_a_mac_address_is_stable_local_and_unicast_unless_it_was_asked_for() -> None:
    one, other = vmi({"masquerade": {}}), vmi({"masquerade": {}, "macAddress": "DE-AD-00-00-BE-EF"})
    interface = one.spec.domain.devices.interfaces[0]
    mac = guest_mac(one, interface)
    assert mac == guest_mac(vmi({"masquerade": {}}), interface)
    assert int(mac[:2], 16) & 3 == 2
    assert guest_mac(other, other.spec.domain.devices.interfaces[0]) == "de:ad:00:00:be:ef"


BINDINGS: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{"masquerade": {}}, {"bridge": {}}])


@given(binding=BINDINGS, cut=st.integers(0, 8))
async def test_any_interrupted_set_up_converges(binding: dict[str, Any], cut: int) -> None:
    """Killed after any number of changes, the next pass does the rest, and one after that nothing."""
    wanted = plan(vmi(binding), POD, "")
    kernel = FakeNetlink()
    kernel.add(HOST, Link("eth0", ETH.mac, ETH.mtu, True, "veth", addresses=ETH0))
    await kernel.change(HOST, tuple(itertools.islice(link_changes(wanted, await kernel.links(HOST)), cut)))
    await kernel.change(HOST, link_changes(wanted, await kernel.links(HOST)))
    assert link_changes(wanted, await kernel.links(HOST)) == ()


def test_only_settings_that_differ_are_written() -> None:
    wanted = plan(vmi({"masquerade": {}}), POD, "")
    names = [name for name, _ in wanted.sysctls]
    assert missing_sysctls(wanted, dict.fromkeys(names, "1")) == ()
    assert missing_sysctls(wanted, {names[0]: "1"}) == tuple(wanted.sysctls[1:])


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_of_a_user_becomes_a_line_of_the_dhcp_configuration(hostname: str, domain: str) -> None:
    lease = Lease("k6t-eth0", "02:00:00:00:00:01", "10.0.2.2", 24, "255.255.255.0", "10.0.2.1", 1500)
    usual = render(DhcpConfig((lease,), "a", (), ("b",)))
    lines = render(DhcpConfig((lease,), hostname, (), (domain,))).splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert names <= {line.partition("=")[0] for line in usual.splitlines()}
    assert len(lines) <= len(usual.splitlines())


def test_a_lease_refuses_what_is_no_mac_address() -> None:
    with pytest.raises(ValueError, match="no MAC address"):
        Lease("k6t-eth0", "02:00\ndhcp-script=x", "10.0.2.2", 24, "255.255.255.0", None, 1500)


LAN = {"name": "lan", "multus": {"networkName": "lan"}}
POD_LAN, BRIDGE_LAN, TAP_LAN = "pod094a367b026", "k6t-094a367b026", "tap094a367b026"


def on_lan(**interface: Any) -> VirtualMachineInstance:
    """A guest on the pod network by masquerade and on `lan` by bridge."""
    spec = {
        "domain": {"devices": {"interfaces": [{"name": "default", "masquerade": {}}, {"name": "lan", **interface}]}},
        "networks": [{"name": "default", "pod": {}}, LAN],
    }
    return convert({"metadata": {"namespace": "ns", "name": "vm"}, "spec": spec}, type=VirtualMachineInstance)


def lan(*addresses: Address) -> PodInterface:
    return PodInterface("02:aa:00:00:00:01", 1400, addresses, (), POD_LAN)


def test_a_secondary_network_without_addresses_is_bridged_and_needs_no_server() -> None:
    made = plan(on_lan(bridge={}), {**POD, POD_LAN: lan()}, "")
    guest = made.guests[1]
    assert (guest.bridge, guest.tap, guest.mac, guest.mtu) == (BRIDGE_LAN, TAP_LAN, "02:aa:00:00:00:01", 1400)
    port = next(link for link in made.links if link.name == POD_LAN)
    assert (port.master, port.mac != guest.mac) == (BRIDGE_LAN, True)
    assert made.dhcp is not None
    assert [lease.bridge for lease in made.dhcp.leases] == ["k6t-eth0"]


def test_a_secondary_networks_address_is_leased_without_a_way_out() -> None:
    made = plan(on_lan(bridge={}), {**POD, POD_LAN: lan(Address("inet", "10.9.0.2", 24))}, "")
    assert made.dhcp is not None
    lease = made.dhcp.leases[1]
    assert (lease.bridge, lease.address, lease.gateway) == (BRIDGE_LAN, "10.9.0.2", None)
    servers = {a.cidr for link in made.links if link.kind == "bridge" for a in link.addresses}
    assert servers == {"10.0.2.1/24", "169.254.75.11/32"}, "its server does not answer from where another one does"


def test_an_interface_that_the_pod_does_not_have_is_left_out() -> None:
    assert [guest.name for guest in plan(on_lan(bridge={}), POD, "").guests] == ["default"]


def test_masquerade_is_for_the_pod_network() -> None:
    with pytest.raises(UnsupportedInterface, match="a secondary network"):
        plan(on_lan(masquerade={}), {**POD, POD_LAN: lan()}, "")


def test_what_is_not_a_network_any_more_is_taken_away() -> None:
    made = plan(on_lan(bridge={}), {**POD, POD_LAN: lan()}, "")
    networks = on_lan(bridge={}).spec.networks
    assert surplus(networks, made.links) == ()
    gone = surplus(networks[:1], (*made.links, Link("tap-else", "", 1500, True, "tun")))
    assert gone == (DeleteLink(BRIDGE_LAN), DeleteLink(TAP_LAN))


def test_a_subdomain_is_searched_in_first() -> None:
    document = to_builtins(vmi({"masquerade": {}}))
    document["spec"]["subdomain"] = "group"
    made = plan(convert(document, type=VirtualMachineInstance), POD, "search ns.svc.cluster.local cluster.local\n")
    assert made.dhcp is not None
    assert made.dhcp.search_domains == ("group.ns.svc.cluster.local", "ns.svc.cluster.local", "cluster.local")


def test_a_managed_tap_is_bridged_and_left_to_the_network_s_own_addresses() -> None:
    bound = vmi({"binding": {"name": "l2bridge"}})
    made = plan(bound, POD, "", {"l2bridge": "managedTap"})
    assert [(link.name, link.master) for link in made.links] == [
        ("k6t-eth0", ""),
        ("eth0", "k6t-eth0"),
        ("tap0", "k6t-eth0"),
    ]
    assert all(link.addresses == () for link in made.links)
    assert (made.table, made.dhcp, made.sysctls) == (None, None, ())
    assert made.guests[0].mac == ETH.mac


def test_a_tap_of_a_plugin_is_taken_as_it_is() -> None:
    made = plan(vmi({"binding": {"name": "own"}, "macAddress": "02:00:00:00:00:09"}), POD, "", {"own": "tap"})
    assert (made.links, made.table, made.dhcp) == ((), None, None)
    assert (made.guests[0].tap, made.guests[0].mac) == ("tap0", "02:00:00:00:00:09")


@pytest.mark.parametrize("attachments", [{}, {"own": ""}, {"own": "sidecar"}])
def test_a_plugin_without_a_tap_is_not_attached(attachments: dict[str, str]) -> None:
    with pytest.raises(UnsupportedInterface, match="own"):
        plan(vmi({"binding": {"name": "own"}}), POD, "", attachments)


def test_nothing_is_made_for_a_device_of_the_node() -> None:
    assert plan(vmi({"sriov": {}}), {}, "") == NetworkPlan()
