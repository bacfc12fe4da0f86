"""Services as one nftables table. Pure: from Services and EndpointSlices to rules.

A packet to a Service's address and port meets one lookup in a verdict map, then the Service's own chain picks a
backend. Services without a backend refuse connections instead of letting them time out. IPv4.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from kobune.api.core import EndpointSlice, Service, ServicePort
from kobune.host.nftables import Chain, Table

__all__ = ["Guard", "Seen", "service_table"]

_SERVICE_LABEL = "kubernetes.io/service-name"
API_SERVICE = ("default", "kubernetes")


@dataclass(frozen=True, slots=True)
class Seen:
    """All Services and slices of the cluster; the table's name tells instances apart."""

    services: Sequence[Service]
    slices: Sequence[EndpointSlice]
    table: str = "kobune-services"
    api_backend: tuple[str, int] | None = None
    """Where pods reach the API when its own endpoints are not for them."""
    guard: "Guard | None" = None


@dataclass(frozen=True, slots=True)
class Guard:
    """What pods must not reach of the node: its loopback addresses, whatever they claim to be, and `ports`."""

    bridge: str
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Front:
    """One port of one Service and its backends."""

    chain: str
    protocol: str
    addresses: tuple[str, ...]
    port: int
    node_port: int
    sticky: bool
    backends: tuple[tuple[str, int], ...]


def service_table(seen: Seen) -> Table:
    """The complete table; the same world gives the same table, whatever the order of its objects."""
    fronts = sorted(_fronts(seen), key=lambda front: front.chain)
    served = [front for front in fronts if front.backends]
    empty = [front for front in fronts if not front.backends]
    jumps = [
        f"{address} . {front.protocol} . {front.port} : goto {front.chain}"
        for front in served
        for address in front.addresses
    ]
    node_jumps = [f"{front.protocol} . {front.node_port} : goto {front.chain}" for front in served if front.node_port]
    refused = [f"{address} . {front.protocol} . {front.port}" for front in empty for address in front.addresses]
    dispatch: list[str] = []
    if jumps:
        dispatch.append(f"ip daddr . meta l4proto . th dport vmap {{ {', '.join(jumps)} }}")
    if node_jumps:
        dispatch.append(f"fib daddr type local meta l4proto . th dport vmap {{ {', '.join(node_jumps)} }}")
    # A pod that reaches itself through a Service must see the node as its peer, or it would answer itself directly.
    own = sorted({address for front in served for address, _ in front.backends})
    hairpin = [f"ip saddr . ip daddr {{ {', '.join(f'{ip} . {ip}' for ip in own)} }} masquerade"] if own else []
    reject = [f"ip daddr . meta l4proto . th dport {{ {', '.join(refused)} }} reject"] if refused else []
    chains = [
        *(Chain(front.chain, "", (_balance(front),)) for front in served),
        Chain("services", "", tuple(dispatch)),
        Chain("prerouting", "type nat hook prerouting priority dstnat; policy accept;", ("jump services",)),
        Chain("output", "type nat hook output priority -100; policy accept;", ("jump services",)),
        Chain("postrouting", "type nat hook postrouting priority srcnat; policy accept;", tuple(hairpin)),
        Chain("forward", "type filter hook forward priority filter; policy accept;", tuple(reject)),
        Chain("local", "type filter hook output priority filter; policy accept;", tuple(reject)),
    ]
    if seen.guard is not None:
        chains.append(_guard(seen.guard))
    return Table("ip", seen.table, tuple(chains))


def _guard(guard: Guard) -> Chain:
    """The plugins for host ports make the kernel take packets to 127.0.0.1 from the bridge: only theirs may pass."""
    rules = [f'iifname "{guard.bridge}" ip daddr 127.0.0.0/8 ct status & dnat == 0 drop']
    if guard.ports:
        ports = ", ".join(str(port) for port in sorted(guard.ports))
        rules.append(f'iifname "{guard.bridge}" tcp dport {{ {ports} }} reject')
    return Chain("guard", "type filter hook input priority filter; policy accept;", tuple(rules))


def _balance(front: _Front) -> str:
    targets = [f"{address} . {port}" for address, port in front.backends]
    if len(targets) == 1:
        address, port = front.backends[0]
        return f"meta l4proto {front.protocol} dnat to {address}:{port}"
    choice = f"jhash ip saddr mod {len(targets)}" if front.sticky else f"numgen random mod {len(targets)}"
    table = ", ".join(f"{index} : {target}" for index, target in enumerate(targets))
    return f"meta l4proto {front.protocol} dnat ip addr . port to {choice} map {{ {table} }}"


def _fronts(seen: Seen) -> list[_Front]:
    slices: dict[tuple[str, str], list[EndpointSlice]] = {}
    for item in seen.slices:
        name = item.metadata.labels.get(_SERVICE_LABEL)
        if name and item.address_type == "IPv4":
            slices.setdefault((item.metadata.namespace, name), []).append(item)
    fronts: list[_Front] = []
    for service in seen.services:
        spec = service.spec
        addresses = tuple(ip for ip in (spec.cluster_ip, *spec.external_ips) if _is_ipv4(ip))
        if spec.type == "ExternalName" or not addresses:
            continue
        meta = service.metadata
        found = slices.get((meta.namespace, meta.name), [])
        for port in spec.ports:
            backends = _backends(service, port, found)
            if not backends and seen.api_backend is not None and (meta.namespace, meta.name) == API_SERVICE:
                backends = (seen.api_backend,)
            fronts.append(
                _Front(
                    chain=f"svc-{meta.uid[:23]}-{port.protocol.lower()}-{port.port}",
                    protocol=port.protocol.lower(),
                    addresses=addresses,
                    port=port.port,
                    node_port=port.node_port,
                    sticky=spec.session_affinity == "ClientIP",
                    backends=backends,
                )
            )
    return fronts


def _backends(service: Service, port: ServicePort, slices: Sequence[EndpointSlice]) -> tuple[tuple[str, int], ...]:
    """Ready endpoints; when there is none, those that still serve while they end."""
    ready: set[tuple[str, int]] = set()
    serving: set[tuple[str, int]] = set()
    for item in slices:
        number = next(
            (
                own.port
                for own in item.ports or ()
                if (own.name or "") == port.name and (own.protocol or "TCP") == port.protocol
            ),
            None,
        )
        if number is None:
            continue
        for endpoint in item.endpoints or ():
            targets = {(ip, number) for ip in endpoint.addresses if _is_routable(ip)}
            if endpoint.conditions.ready is not False or service.spec.publish_not_ready_addresses:
                ready |= targets
            elif endpoint.conditions.serving:
                serving |= targets
    return tuple(sorted(ready or serving))


def _is_ipv4(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False


def _is_routable(text: str) -> bool:
    """Loopback addresses mean another machine in every network namespace."""
    return _is_ipv4(text) and not ipaddress.ip_address(text).is_loopback
