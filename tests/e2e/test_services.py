"""Services and names as guests use them, from inside: many ports, UDP, themselves, each other; and what they must not
reach."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from support.instance import Console, Instance
from support.network_guests import guest, manifests, server_pod

WEB, ECHO, TUNNELLED = 8081, 5353, 5354
INTERFACES = [{"name": "default", "masquerade": {}}]
SERVE = (
    f"mkdir -p /tmp/www; hostname > /tmp/www/name; sudo httpd -p {WEB} -h /tmp/www; "
    # Each of them serves the first peer that comes, and nobody else.
    f"for port in {ECHO} {TUNNELLED}; do nc.traditional -u -l -p $port -e /bin/cat >/dev/null 2>&1 & done"
)


def service(name: str, selector: dict[str, str], ports: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": ports, **spec},
    }


TCP = {"name": "web", "port": 80, "targetPort": WEB}
UDP = {"name": "echo", "port": 53, "targetPort": ECHO, "protocol": "UDP"}
SSH = {"name": "ssh", "port": 22}
OBJECTS = (
    server_pod("peer", "from-the-peer"),
    service("peer", {"app": "peer"}, [{"port": 80, "targetPort": 8080}]),
    service("front", {"guest": "alpha"}, [TCP, UDP, SSH]),
    service("both", {"group": "both"}, [TCP], sessionAffinity="None"),
    service("sticky", {"group": "both"}, [TCP], sessionAffinity="ClientIP"),
    service("outside", {"guest": "alpha"}, [TCP], type="NodePort", externalTrafficPolicy="Local"),
    service("group", {"guest": "alpha"}, [TCP], clusterIP="None"),
    service("alias", {}, [], type="ExternalName", externalName="peer.default.svc.cluster.local"),
    service("beyond", {}, [], type="ExternalName", externalName="localhost"),
    *(
        guest(
            name,
            {"default": {"pod": {}}},
            INTERFACES,
            hostname=name,
            subdomain="group",
            dnsConfig={"searches": ["own.example"]},
        )
        for name in ("alpha", "beta")
    ),
)


@pytest.fixture(scope="module")
def guests(instance: Instance) -> Iterator[Instance]:
    documents = [dict(one) for one in OBJECTS]
    for document in documents:
        if document["kind"] == "VirtualMachine":
            document["spec"]["template"]["metadata"]["labels"]["group"] = "both"
    text = manifests(*documents)
    instance.kubectl("apply", "-f", "-", stdin=text)
    instance.kubectl("wait", "pod/peer", "--for=condition=Ready", "--timeout=120s")
    for name in ("alpha", "beta"):
        instance.wait_phase(name, "Running")
        instance.kubectl("wait", f"vmi/{name}", "--for=condition=Ready", "--timeout=120s")
    yield instance
    instance.kubectl("delete", "--ignore-not-found", "--timeout=150s", "-f", "-", stdin=text)


def logged_in(instance: Instance, name: str) -> Iterator[Console]:
    console = instance.console(name).login()
    console.run(SERVE)
    yield console
    console.close()


@pytest.fixture(scope="module")
def alpha(guests: Instance) -> Iterator[Console]:
    yield from logged_in(guests, "alpha")


@pytest.fixture(scope="module")
def beta(guests: Instance) -> Iterator[Console]:
    yield from logged_in(guests, "beta")


def got(console: Console, host: str, port: int = 80, path: str = "name") -> str:
    """What a web server says; not by busybox, whose static resolver crashes."""
    request = f"printf 'GET /{path} HTTP/1.0\\r\\n\\r\\n'"
    return console.run(f"{request} | nc.traditional -w 5 {host} {port} 2>/dev/null | tail -n 1")


def test_several_ports_of_a_service_lead_to_a_guest(guests: Instance, alpha: Console, beta: Console) -> None:
    guests.eventually("by its name", lambda: got(beta, "front") == "alpha", 60)
    assert got(beta, "front.default.svc.cluster.local") == "alpha"
    address = guests.get("service", "front")["spec"]["clusterIP"]
    assert got(beta, address) == "alpha"
    # The guest's ssh server speaks first.
    assert "SSH-2.0" in beta.run("(sleep 1; true) | nc.traditional -w 5 front 22 | head -n 1")
    assert "heard" in beta.run("(echo heard; sleep 1) | nc.traditional -u -w 3 front 53", timeout_s=30)


def test_a_guest_reaches_itself_by_its_service(guests: Instance, alpha: Console) -> None:
    guests.eventually("itself", lambda: got(alpha, "front") == "alpha", 60)


def test_a_guest_reaches_a_pod_and_a_pod_the_guest(guests: Instance, alpha: Console) -> None:
    assert got(alpha, "peer", path="") == "from-the-peer"
    done = guests.kubectl("exec", "peer", "--", "curl", "-sf", "-m", "5", "http://front/name")
    assert done.strip() == "alpha"


def test_affinity_keeps_a_client_with_one_guest(guests: Instance, alpha: Console, beta: Console) -> None:
    def answers(name: str) -> set[str]:
        script = f"for i in $(seq 24); do curl -sf -m 5 http://{name}/name; done"
        return set(guests.kubectl("exec", "peer", "--", "sh", "-c", script).split())

    guests.eventually("both answer", lambda: answers("both") == {"alpha", "beta"}, 60)
    assert len(answers("sticky")) == 1


def test_a_node_port_leads_to_a_guest(guests: Instance, alpha: Console) -> None:
    port = guests.get("service", "outside")["spec"]["ports"][0]["nodePort"]
    node = guests.get("nodes")["items"][0]["status"]["addresses"][0]["address"]

    def answers() -> bool:
        done = subprocess.run(
            ["curl", "-sf", "-m", "5", f"http://{node}:{port}/name"], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() == "alpha"

    guests.eventually("the node's port", answers, 60)


def test_a_guest_is_known_by_its_host_name_and_subdomain(guests: Instance, alpha: Console, beta: Console) -> None:
    pod = guests.get("pod", "-l", "guest=alpha")["items"][0]["status"]["podIP"]
    assert pod in beta.run("nslookup alpha.group.default.svc.cluster.local | tail -n +3")
    for name in ("alpha", "alpha.group"):
        assert got(beta, name, WEB) == "alpha", name
    # Its own domain is searched in first, and what the pod's dnsConfig says comes with the lease.
    search = beta.run("sed -n 's/^search //p' /etc/resolv.conf").split()
    assert search[0] == "group.default.svc.cluster.local"
    assert "own.example" in search
    assert alpha.run("hostname") == "alpha"


def test_names_of_others_lead_where_they_say(guests: Instance, alpha: Console) -> None:
    peer = guests.get("service", "peer")["spec"]["clusterIP"]
    assert peer in alpha.run("nslookup alias.default.svc.cluster.local | tail -n +3")

    def beyond() -> bool:
        return "127.0.0.1" in alpha.run("nslookup beyond.default.svc.cluster.local | tail -n +3")

    guests.eventually("a name from beyond the cluster", beyond, 60)


def test_a_udp_port_is_forwarded_to_this_machine(guests: Instance, alpha: Console) -> None:
    command = [sys.executable, "-m", "kobune.main.entry", "port-forward", "vm/alpha", f"udp/0:{TUNNELLED}"]
    with subprocess.Popen(command, env=guests.environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("forwarding udp 127.0.0.1:")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(3)
                client.connect(("127.0.0.1", int(line.split(":")[1].split()[0])))

                def echoed() -> bool:
                    client.send(b"through the tunnel")
                    try:
                        return client.recv(100) == b"through the tunnel"
                    except TimeoutError:
                        return False

                guests.eventually("the echo", echoed, 60)
        finally:
            process.terminate()


def test_a_guest_does_not_reach_the_nodes_own(guests: Instance, alpha: Console) -> None:
    """The kubelet, and whatever listens on the node's loopback, by every address that a guest can think of."""
    node = guests.get("nodes")["items"][0]["status"]
    kubelet = node["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    gateway = guests.get("pod", "peer")["status"]["podIP"].rpartition(".")[0] + ".1"
    # The API itself is for pods, which tells that the path to the node is there.
    reach = "nc -w 3 {host} {port} </dev/null >/dev/null 2>&1 && echo open || echo closed"
    assert alpha.run(reach.format(host=gateway, port=guests.listen_port)) == "open"
    for host in (gateway, node["addresses"][0]["address"]):
        assert alpha.run(reach.format(host=host, port=kubelet)) == "closed", host
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # The guest gives up its own loopback addresses and sends what is for 127.0.0.1 to the node.
        alpha.run(
            "sudo ip address del 127.0.0.1/8 dev lo; sudo sysctl -qw net.ipv4.conf.eth0.route_localnet=1; "
            "sudo ip route add 127.0.0.0/8 via 10.0.2.1 dev eth0; sudo ip route del table local 127.0.0.0/8 dev lo"
        )
        try:
            server.settimeout(5)
            assert alpha.run(reach.format(host="127.0.0.1", port=port)) == "closed"
            with pytest.raises(TimeoutError):
                server.accept()
        finally:
            alpha.run("sudo ip route del 127.0.0.0/8 dev eth0; sudo ip address add 127.0.0.1/8 dev lo")
