"""Services and names as rules and records."""

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from kobune.api.core import EndpointSlice, Service
from kobune.api.meta import ObjectMeta
from kobune.embedded.network.externals import Externals
from kobune.embedded.network.names import external_names, hosts_file, srv_lines
from kobune.embedded.network.services import Guard, Seen, service_table
from kobune.host.nftables import Table


def service(name: str, *ports: dict[str, Any], **spec: Any) -> Service:
    spec = {"clusterIP": "10.96.0.7", "ports": list(ports) or [{"name": "web", "port": 80}]} | spec
    return msgspec.convert({"metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"}, "spec": spec}, Service)


def endpoints(name: str, *addresses: str, port: str = "web", number: int = 8080, **conditions: bool) -> EndpointSlice:
    document = {
        "metadata": {"name": f"{name}-0", "namespace": "ns", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": port, "port": number, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": conditions} for address in addresses],
    }
    return msgspec.convert(document, EndpointSlice)


def chains(services: list[Service], slices: list[EndpointSlice]) -> dict[str, tuple[str, ...]]:
    return {chain.name: chain.rules for chain in service_table(Seen(services, slices)).chains}


CHAIN = "svc-uid-web-tcp-80"


def test_one_backend_is_a_plain_rewrite() -> None:
    found = chains([service("web")], [endpoints("web", "10.42.0.5")])
    assert found[CHAIN] == ("meta l4proto tcp dnat to 10.42.0.5:8080",)
    assert found["services"] == (f"ip daddr . meta l4proto . th dport vmap {{ 10.96.0.7 . tcp . 80 : goto {CHAIN} }}",)
    assert found["postrouting"] == ("ip saddr . ip daddr { 10.42.0.5 . 10.42.0.5 } masquerade",)
    assert found["forward"] == ()


@pytest.mark.parametrize(
    ("affinity", "choice"), [("None", "numgen random mod 2"), ("ClientIP", "jhash ip saddr mod 2")]
)
def test_several_backends_are_chosen_from(affinity: str, choice: str) -> None:
    found = chains([service("web", sessionAffinity=affinity)], [endpoints("web", "10.42.0.6", "10.42.0.5")])
    assert found[CHAIN] == (
        f"meta l4proto tcp dnat ip addr . port to {choice} map {{ 0 : 10.42.0.5 . 8080, 1 : 10.42.0.6 . 8080 }}",
    )


def test_no_backend_refuses() -> None:
    for slices in ([], [endpoints("web", "10.42.0.5", ready=False)], [endpoints("web", "127.0.0.1")]):
        found = chains([service("web")], slices)
        assert CHAIN not in found
        assert found["forward"] == ("ip daddr . meta l4proto . th dport { 10.96.0.7 . tcp . 80 } reject",)
        assert found["local"] == found["forward"]


def test_what_still_serves_is_used_when_nothing_is_ready() -> None:
    ending = endpoints("web", "10.42.0.5", ready=False, serving=True)
    assert chains([service("web")], [ending])[CHAIN] == ("meta l4proto tcp dnat to 10.42.0.5:8080",)


def test_node_ports_and_external_addresses() -> None:
    port = {"name": "web", "port": 80, "nodePort": 30080}
    found = chains([service("web", port, externalIPs=["192.0.2.9"])], [endpoints("web", "10.42.0.5")])
    assert found["services"] == (
        f"ip daddr . meta l4proto . th dport vmap "
        f"{{ 10.96.0.7 . tcp . 80 : goto {CHAIN}, 192.0.2.9 . tcp . 80 : goto {CHAIN} }}",
        f"fib daddr type local meta l4proto . th dport vmap {{ tcp . 30080 : goto {CHAIN} }}",
    )


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "None"}, {"clusterIP": ""}, {"clusterIP": "fd00::1"}, {"type": "ExternalName"}]
)
def test_services_without_an_address_need_no_rule(spec: dict[str, Any]) -> None:
    assert chains([service("web", **spec)], [endpoints("web", "10.42.0.5")])["services"] == ()


def test_the_order_of_objects_does_not_matter() -> None:
    services = [service("a"), service("b", clusterIP="10.96.0.8"), service("c", clusterIP="10.96.0.9")]
    slices = [endpoints("a", "10.42.0.5", "10.42.0.6"), endpoints("b", "10.42.0.7")]
    tables: set[Table] = {
        service_table(Seen(list(some), list(others)))
        for some in itertools.permutations(services)
        for others in itertools.permutations(slices)
    }
    assert len(tables) == 1


def test_the_api_is_reached_through_the_bridge_when_it_listens_on_loopback() -> None:
    api = msgspec.structs.replace(
        service("kubernetes", {"name": "https", "port": 443}),
        metadata=ObjectMeta(name="kubernetes", namespace="default", uid="uid-api"),
    )
    seen = Seen([api, service("web", clusterIP="10.96.0.8")], [], api_backend=("10.42.0.1", 6443))
    found = {chain.name: chain.rules for chain in service_table(seen).chains}
    assert found["svc-uid-api-tcp-443"] == ("meta l4proto tcp dnat to 10.42.0.1:6443",)
    assert CHAIN not in found


def test_a_slice_without_anything_is_written_with_null() -> None:
    document = {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": None, "ports": None}
    empty = msgspec.convert(document, EndpointSlice)
    assert chains([service("web")], [empty])["services"] == ()


def test_a_port_finds_its_backends_by_name() -> None:
    ports = ({"name": "web", "port": 80}, {"name": "ssh", "port": 22})
    found = chains([service("web", *ports)], [endpoints("web", "10.42.0.5", port="ssh", number=2222)])
    assert found["svc-uid-web-tcp-22"] == ("meta l4proto tcp dnat to 10.42.0.5:2222",)
    assert CHAIN not in found


def test_names_of_services_and_of_pods_behind_headless_ones() -> None:
    slices = [
        endpoints("db", "10.42.0.5"),
        msgspec.convert(
            {
                "metadata": {"name": "db-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": "db"}},
                "addressType": "IPv4",
                "endpoints": [
                    {"addresses": ["10.42.0.6"], "hostname": "db-0"},
                    {"addresses": ["10.42.0.7"], "conditions": {"ready": False}},
                ],
            },
            EndpointSlice,
        ),
    ]
    services = [service("web"), service("db", clusterIP="None"), service("ext", type="ExternalName", clusterIP="")]
    assert hosts_file(services, slices, "cluster.local").splitlines() == [
        "10.42.0.5 db.ns.svc.cluster.local",
        "10.42.0.6 db-0.db.ns.svc.cluster.local",
        "10.42.0.6 db.ns.svc.cluster.local",
        "10.96.0.7 web.ns.svc.cluster.local",
    ]


def test_records_that_are_settings() -> None:
    services = [
        service("web"),
        service("x", clusterIP="", type="ExternalName", externalName="web.ns.svc.cluster.local"),
    ]
    assert srv_lines(services, "cluster.local") == [
        "cname=x.ns.svc.cluster.local,web.ns.svc.cluster.local",
        "srv-host=_web._tcp.web.ns.svc.cluster.local,web.ns.svc.cluster.local,80",
    ]


def test_a_name_outside_of_the_cluster_is_served_by_its_addresses() -> None:
    services = [
        service("out", clusterIP="", type="ExternalName", externalName="example.com."),
        service("in", clusterIP="", type="ExternalName", externalName="web.ns.svc.cluster.local"),
    ]
    assert external_names(services, "cluster.local") == {"example.com"}
    known = {"example.com": ("192.0.2.7", "2001:db8::7")}
    assert hosts_file(services, [], "cluster.local", known).splitlines() == [
        "192.0.2.7 out.ns.svc.cluster.local",
        "2001:db8::7 out.ns.svc.cluster.local",
    ]
    assert hosts_file(services, [], "cluster.local") == ""


async def test_external_names_are_looked_up_aside_and_kept() -> None:
    answers: dict[str, tuple[str, ...]] = {"a.example": ("192.0.2.1",)}
    asked: list[str] = []
    changed = asyncio.Event()

    async def resolve(name: str) -> tuple[str, ...]:
        asked.append(name)
        if name not in answers:
            raise OSError("no such name")
        return answers[name]

    externals = Externals(changed.set, resolve)
    assert externals.addresses(["a.example", "b.example"]) == {}, "nothing is waited for"
    async with asyncio.timeout(5):
        await changed.wait()
    assert externals.addresses(["a.example", "b.example"]) == {"a.example": ("192.0.2.1",)}
    assert externals.addresses([]) == {}
    assert sorted(asked) == ["a.example", "b.example"], "once each while the answer is fresh"
    await externals.close()


def test_pods_do_not_reach_the_nodes_own() -> None:
    table = service_table(Seen([], [], guard=Guard("kobune0", (10250,))))
    (guard,) = [chain for chain in table.chains if chain.name == "guard"]
    assert guard.rules == (
        'iifname "kobune0" ip daddr 127.0.0.0/8 ct status & dnat == 0 drop',
        'iifname "kobune0" tcp dport { 10250 } reject',
    )
