"""The pod network's configuration for the CNI plugins: a bridge, addresses by host-local, port mappings."""

from kobune.host.cni.conflist import BridgeNetwork, conflist, write_conflist
from kobune.host.cni.masquerade import left_rules, remove_left_rules

__all__ = ["BridgeNetwork", "conflist", "left_rules", "remove_left_rules", "write_conflist"]
