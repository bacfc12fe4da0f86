"""CNI: the pod network's configuration for the runtime, and further networks of a pod run by ourselves."""

from kobune.host.cni.conflist import BridgeNetwork, conflist, write_conflist
from kobune.host.cni.masquerade import left_rules, remove_left_rules, rule_owners
from kobune.host.cni.plugins import (
    CNI_BIN_DIR,
    Attachment,
    CniFailed,
    CniPlugins,
    CniResult,
    InvalidNetwork,
    NetworkList,
    Plugins,
    parse_network,
)

__all__ = [
    "CNI_BIN_DIR",
    "Attachment",
    "BridgeNetwork",
    "CniFailed",
    "CniPlugins",
    "CniResult",
    "InvalidNetwork",
    "NetworkList",
    "Plugins",
    "conflist",
    "left_rules",
    "parse_network",
    "remove_left_rules",
    "rule_owners",
    "write_conflist",
]
