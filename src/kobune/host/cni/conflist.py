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
    """One node's pod network: pods hang on `bridge`, which has the subnet's first address and is their gateway."""

    name: str = "kobune"
    bridge: str = "kobune0"
    subnet: str = "10.42.0.0/24"
    state_dir: Path = Path("/var/lib/kobune/cni/networks")
    mtu: int = 0

    @property
    def gateway(self) -> str:
        """The node's address in the pod network."""
        return str(next(ipaddress.ip_network(self.subnet).hosts()))

    @property
    def gateway_address(self) -> str:
        """The same with the prefix length, as an interface has it."""
        return f"{self.gateway}/{ipaddress.ip_network(self.subnet).prefixlen}"


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
            "ranges": [[{"subnet": network.subnet, "gateway": network.gateway}]],
            "routes": [{"dst": "0.0.0.0/0"}],
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
