"""Names of a guest's networks in its pod, and which of them can come and go while the guest runs. Pure.

The names are KubeVirt's: other programs (and a launcher pod that an earlier version made) know them.
"""

import hashlib
from typing import Final

from kobune.api.kubevirt import Interface, Network, VirtualMachineInstanceSpec

__all__ = ["PRIMARY", "bridge_name", "is_secondary", "pairs", "pluggable", "pod_interface", "sriov_pairs", "tap_name"]

PRIMARY: Final = "eth0"
_PREFIX: Final = "pod"
_HASH_LENGTH: Final = 11


def is_secondary(network: Network) -> bool:
    """Whether it is beside the pod's first network."""
    return network.multus is not None and not network.multus.default


def pod_interface(network: Network) -> str:
    """The interface of the pod that the network is attached by."""
    if not is_secondary(network):
        return PRIMARY
    return f"{_PREFIX}{hashlib.sha256(network.name.encode()).hexdigest()[:_HASH_LENGTH]}"


def bridge_name(network: Network) -> str:
    """The bridge in the pod between that interface and the guest's."""
    return f"k6t-{pod_interface(network).removeprefix(_PREFIX)}"


def tap_name(network: Network) -> str:
    """The guest's end."""
    return f"tap{pod_interface(network).removeprefix(_PREFIX)}" if is_secondary(network) else "tap0"


def sriov_pairs(spec: VirtualMachineInstanceSpec) -> list[tuple[Interface, Network]]:
    """The interfaces among `pairs` that are devices of the node, passed through."""
    return [(interface, network) for interface, network in pairs(spec) if interface.sriov is not None]


def pairs(spec: VirtualMachineInstanceSpec) -> list[tuple[Interface, Network]]:
    """Interfaces that the guest shall have, in their order, with their networks."""
    networks = {network.name: network for network in spec.networks}
    return [
        (interface, networks[interface.name])
        for interface in spec.domain.devices.interfaces
        if interface.state != "absent" and interface.name in networks
    ]


def pluggable(interface: Interface, network: Network | None) -> bool:
    """Whether it can be plugged into and out of a running guest: a bridge to a secondary network."""
    return interface.bridge is not None and network is not None and is_secondary(network)
