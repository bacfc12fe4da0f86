"""Names that one instance's node uses on the machine, so that several instances and their clean-up stay apart. Pure."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kobune.host.cni import BridgeNetwork

__all__ = ["NodeInstance"]

DEFAULT_DATA_DIR = Path("/var/lib/kobune")
DEFAULT_SUBNET = "10.42.0.0/24"


@dataclass(frozen=True, slots=True)
class NodeInstance:
    """`cgroup_root` holds all pods; the network is a bridge. The default data directory has the short names."""

    cgroup_root: str
    network: BridgeNetwork
    cni_conf_dir: Path

    @property
    def service_table(self) -> str:
        """The nftables table that answers for Services."""
        return f"{self.network.name}-services"

    @classmethod
    def of(cls, data_dir: Path, subnets: str = DEFAULT_SUBNET) -> "NodeInstance":
        """The names of the instance in that directory. `subnets`: of IPv4, or of IPv4 and of IPv6 after a comma."""
        data_dir = data_dir.absolute()
        mark = ""
        if data_dir != DEFAULT_DATA_DIR:
            mark = "-" + hashlib.sha256(str(data_dir).encode()).hexdigest()[:6]
        subnet, _, subnet6 = subnets.partition(",")
        network = BridgeNetwork(
            name=f"kobune{mark}",
            # At most 15 characters: the kernel's limit for interface names.
            bridge=f"kobune{mark}" if mark else "kobune0",
            subnet=subnet,
            subnet6=subnet6,
            state_dir=data_dir / "cni" / "networks",
        )
        return cls(f"/kobune{mark}", network, data_dir / "cni" / "net.d")
