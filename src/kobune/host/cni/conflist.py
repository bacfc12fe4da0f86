"""Renders and writes the CNI network list. Source: the CNI specification 1.0 and the plugins' own pages."""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kobune.host.files import write_file

__all__ = ["BridgeNetwork", "conflist", "write_conflist"]


@dataclass(frozen=True, slots=True)
class BridgeNetwork:
    """One node's pod network: pods hang on `bridge`, which has the first address of each subnet and is their gateway.

    `subnet` is IPv4; with `subnet6` every pod has an IPv6 address as well.
    """

    name: str = "kobune"
    bridge: str = "kobune0"
    subnet: str = "10.42.0.0/24"
    subnet6: str = ""
    state_dir: Path = Path("/var/lib/kobune/cni/networks")
    mtu: int = 0

    @property
    def subnets(self) -> tuple[str, ...]:
        """The subnets that there are, IPv4 first."""
        return (self.subnet, self.subnet6) if self.subnet6 else (self.subnet,)

    @property
    def gateway(self) -> str:
        """The node's IPv4 address in the pod network."""
        return self.gateways[0]

    @property
    def gateways(self) -> tuple[str, ...]:
        """The node's address in each subnet."""
        return tuple(str(next(ipaddress.ip_network(subnet).hosts())) for subnet in self.subnets)

    @property
    def gateway_addresses(self) -> tuple[str, ...]:
        """The same with the prefix length, as an interface has them."""
        lengths = [ipaddress.ip_network(subnet).prefixlen for subnet in self.subnets]
        return tuple(f"{address}/{length}" for address, length in zip(self.gateways, lengths, strict=True))


def conflist(network: BridgeNetwork) -> dict[str, Any]:
    """The network list as the CNI plugins want it."""
    bridge: dict[str, Any] = {
        "type": "bridge",
        "bridge": network.bridge,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(network.state_dir),
            "ranges": [
                [{"subnet": subnet, "gateway": gateway}]
                for subnet, gateway in zip(network.subnets, network.gateways, strict=True)
            ],
            "routes": [{"dst": "::/0" if ":" in subnet else "0.0.0.0/0"} for subnet in network.subnets],
        },
    }
    if network.mtu:
        bridge["mtu"] = network.mtu
    return {
        "cniVersion": "0.4.0",
        "name": network.name,
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}],
    }


def write_conflist(network: BridgeNetwork, conf_dir: Path) -> Path:
    """Write it where the runtime reads it; returns the file. The runtime never sees a half-written one."""
    conf_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
    network.state_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
    target = conf_dir / f"10-{network.name}.conflist"
    text = json.dumps(conflist(network), indent=2) + "\n"
    if target.exists() and target.read_text() == text:
        return target
    write_file(target, text.encode(), 0o644)
    return target
