"""The pod network's configuration for the CNI plugins: a bridge, addresses by host-local, port mappings."""

from kobune.host.cni.conflist import BridgeNetwork, conflist, write_conflist

__all__ = ["BridgeNetwork", "conflist", "write_conflist"]
