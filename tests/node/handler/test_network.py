"""A guest's network in its pod, in real namespaces: DHCP, NAT both ways, clean-up, another handler's take-over.

The guest is a namespace whose veth takes the place of QEMU behind the tap: it is a port of the same bridge.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec import convert

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.dnsmasq import Dnsmasq
from kobune.host.netlink import IpCommand
from kobune.host.nftables import NftCommand
from kobune.host.procroot import HeldProcess
from kobune.host.run import HostRunner
from kobune.virt.handler.network.setup import NotReady, PodNetworks
from kobune.virt.handler.run import cleanup
from support.netlab import Space, dhcpv6, inside, pod_root, space, veth

pytestmark = pytest.mark.node

RESOLV_CONF = "search default.svc.cluster.local svc.cluster.local\nnameserver 10.43.0.10\nnameserver 127.0.0.53\n"
ASKED = ("mtu", "search", "hostname", "staticroutes", "ntpsrv", "tftp", "bootfile")
LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
env > "$LEASE"
ip address add "$ip/$mask" dev "$interface"
[ -z "$mtu" ] || ip link set dev "$interface" mtu "$mtu"
for gateway in $router; do ip route add default via "$gateway"; done
"""
SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("ready", flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(f"{sys.argv[3]} {peer[0]}".encode())
    connection.close()
"""
CLIENT = """
import socket, sys
print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).makefile().read())
"""


def hold(pid: int, pod_uid: str) -> HeldProcess:
    """The pods here are processes without control groups."""
    return HeldProcess(pid)


def vmi(
    interface: dict[str, object], *, pod: dict[str, object] | None = None, **devices: object
) -> VirtualMachineInstance:
    return convert(
        {
            "metadata": {"namespace": "default", "name": "demo"},
            "spec": {
                "hostname": "demo",
                "domain": {"devices": {"interfaces": [{"name": "default", **interface}], **devices}},
                "networks": [{"name": "default", "pod": pod or {}}],
            },
        },
        type=VirtualMachineInstance,
    )


class Lab:
    """World 10.99.0.1 -- 10.99.0.2 eth0 of the pod."""

    def __init__(self, folder: Path, stack: ExitStack, *, ipv6: bool = False) -> None:
        folder.chmod(0o755)
        self.folder = folder
        self.stack = stack
        self.root = pod_root(folder / "root", RESOLV_CONF)
        self.pod = stack.enter_context(space(self.root))
        self.world = stack.enter_context(space())
        self.guest = stack.enter_context(space())
        veth(self.world, "w0", self.pod, "eth0")
        inside(self.pod, "ip", "link", "set", "eth0", "mtu", "1450")
        inside(self.world, "ip", "address", "add", "10.99.0.1/24", "dev", "w0")
        inside(self.pod, "ip", "address", "add", "10.99.0.2/24", "dev", "eth0")
        inside(self.pod, "ip", "route", "add", "default", "via", "10.99.0.1")
        if ipv6:
            inside(self.world, "ip", "address", "add", "fd99::1/64", "dev", "w0", "nodad")
            inside(self.pod, "ip", "address", "add", "fd99::2/64", "dev", "eth0", "nodad")
        self.ended: list[str] = []

    def networks(self, **attachments: str) -> PodNetworks:
        runner = HostRunner()
        dnsmasq = Dnsmasq(runner, self.folder / "dhcp", self.ended.append)
        return PodNetworks(
            runner, IpCommand(runner), NftCommand(runner), dnsmasq, self.folder / "state", hold, lambda: attachments
        )

    def plug_guest(self, mac: str) -> None:
        veth(self.pod, "plug", self.guest, "eth0")
        inside(self.pod, "ip", "link", "set", "plug", "master", "k6t-eth0")
        inside(self.guest, "ip", "link", "set", "eth0", "address", mac)

    def dhcp(self) -> dict[str, str]:
        """What the guest's DHCP client was told."""
        script, lease = self.folder / "lease.sh", self.folder / "lease"
        script.write_text(LEASE_SCRIPT)
        script.chmod(0o755)
        client = ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", str(script)]
        options = [
            word
            for name in ("mtu", "search", "hostname", "staticroutes", "ntpsrv", "tftp", "bootfile")
            for word in ("-O", name)
        ]
        inside(self.guest, "env", f"LEASE={lease}", *client, *options)
        return dict(line.split("=", 1) for line in lease.read_text().splitlines() if "=" in line)

    def serve(self, where: Space, address: str, port: int, word: str) -> None:
        server = subprocess.Popen(
            ["nsenter", f"--net=/proc/{where.pid}/ns/net", sys.executable, "-c", SERVER, address, str(port), word],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

        def stop() -> None:
            server.kill()
            server.communicate()

        self.stack.callback(stop)
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"

    def ask(self, where: Space, address: str, port: int) -> str:
        done = inside(where, sys.executable, "-c", CLIENT, address, str(port), check=False)
        return done.stdout.strip()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def lab(tmp_path: Path, stack: ExitStack) -> Lab:
    return Lab(tmp_path, stack)


async def test_masquerade_gives_a_lease_and_translates_both_ways(lab: Lab) -> None:
    networks = lab.networks()
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        assert [(fact.name, fact.tap, fact.bridge, fact.mtu, fact.queues) for fact in facts] == [
            ("default", "tap0", "k6t-eth0", 1450, 1)
        ]
        lab.plug_guest(facts[0].mac)
        lease = lab.dhcp()
        assert lease["ip"] == "10.0.2.2"
        assert lease["router"] == "10.0.2.1"
        assert lease["dns"] == "10.43.0.10"
        assert lease["mtu"] == "1450"
        assert lease["hostname"] == "demo"
        assert lease["search"] == "default.svc.cluster.local svc.cluster.local"

        lab.serve(lab.world, "0.0.0.0", 8000, "world")
        lab.serve(lab.guest, "0.0.0.0", 22, "guest")
        assert lab.ask(lab.guest, "10.99.0.1", 8000) == "world 10.99.0.2", "out as the pod"
        assert lab.ask(lab.world, "10.99.0.2", 22) == "guest 10.99.0.1", "in, with the client's address"
        assert lab.ask(lab.pod, "127.0.0.1", 22) == "guest 10.0.2.1", "port-forward ends at the pod's loopback"
    finally:
        await networks.release("pod-1")
    assert await networks.known() == frozenset()


async def test_dhcp_options_reach_the_guest_as_they_were_written(lab: Lab) -> None:
    networks = lab.networks()
    options = {"bootFileName": "pxe,linux.0", "tftpServerName": "10.9.9.9", "ntpServers": ["10.0.0.1", "10.0.0.2"]}
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}, "dhcpOptions": options}))
        lab.plug_guest(facts[0].mac)
        lease = lab.dhcp()
        assert lease["bootfile"] == "pxe,linux.0"
        assert lease["tftp"] == "10.9.9.9"
        assert lease["ntpsrv"] == "10.0.0.1 10.0.0.2"
    finally:
        await networks.release("pod-1")


async def test_only_the_listed_ports_reach_the_guest(lab: Lab) -> None:
    networks = lab.networks()
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}, "ports": [{"port": 22}]}))
        lab.plug_guest(facts[0].mac)
        lab.dhcp()
        lab.serve(lab.guest, "0.0.0.0", 22, "guest")
        lab.serve(lab.guest, "0.0.0.0", 23, "guest")
        assert lab.ask(lab.world, "10.99.0.2", 22) == "guest 10.99.0.1"
        assert lab.ask(lab.world, "10.99.0.2", 23) == ""
    finally:
        await networks.release("pod-1")


async def test_a_spoofed_source_is_not_forwarded(lab: Lab) -> None:
    networks = lab.networks()
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        lab.plug_guest(facts[0].mac)
        lab.dhcp()
        lab.serve(lab.world, "0.0.0.0", 8000, "world")
        inside(lab.guest, "ip", "address", "add", "10.0.2.9/24", "dev", "eth0")
        inside(lab.guest, "ip", "route", "replace", "default", "via", "10.0.2.1", "src", "10.0.2.9")
        assert lab.ask(lab.guest, "10.99.0.1", 8000) == ""
    finally:
        await networks.release("pod-1")


async def test_ipv6_is_there_when_the_pod_has_it(tmp_path: Path, stack: ExitStack) -> None:
    lab = Lab(tmp_path, stack, ipv6=True)
    networks = lab.networks()
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        lab.plug_guest(facts[0].mac)
        inside(lab.guest, "ip", "address", "add", "fd10:0:2::2/120", "dev", "eth0", "nodad")
        inside(lab.guest, "ip", "route", "add", "default", "via", "fd10:0:2::1")
        lab.serve(lab.world, "::", 8000, "world")
        lab.serve(lab.guest, "::", 22, "guest")
        assert lab.ask(lab.guest, "fd99::1", 8000) == "world fd99::2"
        assert lab.ask(lab.world, "fd99::2", 22) == "guest fd99::1"
    finally:
        await networks.release("pod-1")


@pytest.mark.parametrize("network", ["", "fd77:1::/112"])
async def test_a_guest_finds_its_ipv6_address_and_router_by_itself(
    tmp_path: Path, stack: ExitStack, network: str
) -> None:
    """By router advertisement and DHCPv6, as any guest does; the addresses are those of `vmIPv6NetworkCIDR`."""
    lab = Lab(tmp_path, stack, ipv6=True)
    (lab.root / "etc/resolv.conf").write_text("nameserver fd99::1\nnameserver 10.99.0.1\n")
    networks = lab.networks()
    wanted = vmi({"masquerade": {}}, pod={"vmIPv6NetworkCIDR": network} if network else {})
    prefix, length = (network or "fd10:0:2::/120").split("::/")
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, wanted)
        lab.plug_guest(facts[0].mac)
        told = await asyncio.to_thread(dhcpv6, lab.guest, "eth0")
        assert told == {"address": f"{prefix}::2", "dns": ["fd99::1"]}
        inside(lab.guest, "ip", "address", "add", f"{told['address']}/{length}", "dev", "eth0", "nodad")
        async with asyncio.timeout(20):
            while "default via fe80:" not in inside(lab.guest, "ip", "-6", "route", "show").stdout:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        lab.serve(lab.world, "::", 8000, "world")
        lab.serve(lab.guest, "::", 22, "guest")
        assert lab.ask(lab.guest, "fd99::1", 8000) == "world fd99::2"
        assert lab.ask(lab.world, "fd99::2", 22) == "guest fd99::1"
    finally:
        await networks.release("pod-1")


async def test_bridge_binding_moves_the_pod_s_address_into_the_guest(lab: Lab) -> None:
    networks = lab.networks()
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"bridge": {}}))
        again = await networks.ensure("pod-1", lab.pod.pid, vmi({"bridge": {}}))
        assert again == facts, "the pod's interface has changed, what the guest gets has not"
        lab.plug_guest(facts[0].mac)
        lease = lab.dhcp()
        assert lease["ip"] == "10.99.0.2"
        assert lease["router"] == "10.99.0.1"
        lab.serve(lab.world, "0.0.0.0", 8000, "world")
        assert lab.ask(lab.guest, "10.99.0.1", 8000) == "world 10.99.0.2"
    finally:
        await networks.release("pod-1")


async def test_a_managed_tap_joins_the_guest_to_the_network_and_serves_it_nothing(lab: Lab) -> None:
    networks = lab.networks(flat="managedTap")
    bound = vmi({"binding": {"name": "flat"}, "macAddress": "02:00:00:00:00:0b"})
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, bound)
        assert await networks.ensure("pod-1", lab.pod.pid, bound) == facts
        assert (facts[0].tap, facts[0].mac) == ("tap0", "02:00:00:00:00:0b")
        lab.plug_guest(facts[0].mac)
        # The guest has addresses from the network alone: here by hand, the one that the pod has given up.
        inside(lab.guest, "ip", "address", "add", "10.99.0.2/24", "dev", "eth0")
        lab.serve(lab.world, "0.0.0.0", 8000, "world")
        assert lab.ask(lab.guest, "10.99.0.1", 8000) == "world 10.99.0.2"
        assert not list((lab.folder / "dhcp").glob("*")), "no DHCP server"
    finally:
        await networks.release("pod-1")


async def test_a_tap_that_a_plugin_makes_is_waited_for_and_left_as_it_is(lab: Lab) -> None:
    networks = lab.networks(own="tap")
    bound = vmi({"binding": {"name": "own"}})
    try:
        with pytest.raises(NotReady, match="no tap tap0 yet"):
            await networks.ensure("pod-1", lab.pod.pid, bound)
        inside(lab.pod, "ip", "tuntap", "add", "tap0", "mode", "tap", "user", "107", "group", "107")
        before = inside(lab.pod, "ip", "-o", "link").stdout
        facts = await networks.ensure("pod-1", lab.pod.pid, bound)
        assert (facts[0].tap, facts[0].bridge) == ("tap0", "")
        assert inside(lab.pod, "ip", "-o", "link").stdout == before
        assert "10.99.0.2/24" in inside(lab.pod, "ip", "-o", "address").stdout
    finally:
        await networks.release("pod-1")


async def test_a_pod_network_that_reflects_broadcasts_does_not_confuse_the_bridge(lab: Lab) -> None:
    """The bridge plugin's hairpin mode sends a guest's own broadcasts back to it."""
    inside(lab.world, "ip", "link", "add", "cni0", "type", "bridge")
    inside(lab.world, "ip", "address", "flush", "dev", "w0")
    inside(lab.world, "ip", "link", "set", "w0", "master", "cni0")
    inside(lab.world, "ip", "link", "set", "dev", "w0", "type", "bridge_slave", "hairpin", "on")
    inside(lab.world, "ip", "address", "add", "10.99.0.1/24", "dev", "cni0")
    inside(lab.world, "ip", "link", "set", "cni0", "up")
    networks = lab.networks()
    try:
        facts = await networks.ensure("pod-1", lab.pod.pid, vmi({"bridge": {}}))
        # The kernel takes up to a second to notice that eth0 is up again; before that nothing is reflected.
        async with asyncio.timeout(5):
            while "state forwarding" not in inside(lab.pod, "bridge", "link", "show", "dev", "eth0").stdout:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        lab.plug_guest(facts[0].mac)
        assert lab.dhcp()["ip"] == "10.99.0.2"
        lab.serve(lab.guest, "0.0.0.0", 22, "guest")
        assert lab.ask(lab.world, "10.99.0.2", 22) == "guest 10.99.0.1"
    finally:
        await networks.release("pod-1")


async def test_the_tap_is_the_unprivileged_user_s_and_the_device_is_opened_to_it(lab: Lab) -> None:
    networks = lab.networks()
    try:
        await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        shown = inside(lab.pod, "ip", "-details", "link", "show", "dev", "tap0").stdout
        assert "user 107" in shown or "user libvirt-qemu" in shown or "user qemu" in shown
        node = lab.root / "dev" / "net" / "tun"
        assert (node.stat().st_mode & 0o777, node.stat().st_gid) == (0o660, 107)
        assert os.stat("/dev/net/tun").st_gid != 107, "the host's own device stays as it is"
    finally:
        await networks.release("pod-1")


async def test_a_symbolic_link_in_the_container_is_refused(lab: Lab) -> None:
    node = lab.root / "dev" / "net" / "tun"
    node.unlink()
    node.symlink_to("/dev/net/tun")
    networks = lab.networks()
    try:
        with pytest.raises(Exception, match="symbolic link"):
            await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
    finally:
        await networks.release("pod-1")


async def test_a_pod_without_the_device_is_told_what_is_missing(lab: Lab) -> None:
    (lab.root / "dev" / "net" / "tun").unlink()
    networks = lab.networks()
    try:
        with pytest.raises(NotReady, match=r"devices\.kubevirt\.io/tun"):
            await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
    finally:
        await networks.release("pod-1")


async def test_another_handler_finds_the_network_and_keeps_it(lab: Lab) -> None:
    first, second = lab.networks(), lab.networks()
    try:
        facts = await first.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        servers = dnsmasqs(lab)
        assert await second.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}})) == facts
        assert dnsmasqs(lab) == servers, "the DHCP server was adopted, not replaced"
        assert await second.known() == {"pod-1"}
    finally:
        await second.release("pod-1")
    assert dnsmasqs(lab) == []


async def test_a_dhcp_server_that_dies_is_reported_and_comes_back(lab: Lab) -> None:
    networks = lab.networks()
    try:
        await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        [old] = dnsmasqs(lab)
        os.kill(old, signal.SIGKILL)
        async with asyncio.timeout(5):
            while not lab.ended:  # noqa: ASYNC110 - the callback is the event
                await asyncio.sleep(0.01)
        assert lab.ended == ["pod-1"]
        await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        [new] = dnsmasqs(lab)
        assert new != old
    finally:
        await networks.release("pod-1")


async def test_taking_the_node_down_leaves_nothing(lab: Lab) -> None:
    state = lab.folder / "components" / "state"
    runner = HostRunner()
    dnsmasq = Dnsmasq(runner, state / "dhcp")
    networks = PodNetworks(runner, IpCommand(runner), NftCommand(runner), dnsmasq, state, hold)
    try:
        await networks.ensure("pod-1", lab.pod.pid, vmi({"masquerade": {}}))
        assert len(dnsmasqs(lab)) == 1
    finally:
        await cleanup(state)
    assert dnsmasqs(lab) == []
    assert list((state / "pods").iterdir()) == []
    assert list((state / "dhcp").iterdir()) == []
    await cleanup(state)


def dnsmasqs(lab: Lab) -> list[int]:
    mark = f"--conf-file={lab.folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
