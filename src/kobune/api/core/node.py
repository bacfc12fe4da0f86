"""Node. Source: core/v1."""

from msgspec import field

from kobune.api.core.scheduling import Taint
from kobune.api.meta import Object, ObjectMeta, QuantityValue, Time

__all__ = [
    "AttachedVolume",
    "ContainerImage",
    "DaemonEndpoint",
    "Node",
    "NodeAddress",
    "NodeCondition",
    "NodeDaemonEndpoints",
    "NodeSpec",
    "NodeStatus",
    "NodeSystemInfo",
]


class NodeSpec(Object, frozen=True, kw_only=True):
    """`unschedulable` is what cordon sets."""

    pod_cidr: str = field(name="podCIDR", default="")
    pod_cidrs: list[str] = field(name="podCIDRs", default_factory=list)
    provider_id: str = field(name="providerID", default="")
    unschedulable: bool = False
    taints: list[Taint] = []


class NodeAddress(Object, frozen=True, kw_only=True):
    """`type` is InternalIP, ExternalIP, Hostname, ..."""

    type: str
    address: str


class NodeCondition(Object, frozen=True, kw_only=True):
    """Ready, MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_heartbeat_time: Time | None = None
    last_transition_time: Time | None = None


class DaemonEndpoint(Object, frozen=True, kw_only=True):
    """The port of the kubelet (its real name is capitalised)."""

    port: int = field(name="Port")


class NodeDaemonEndpoints(Object, frozen=True, kw_only=True):
    """Where the node's daemons answer."""

    kubelet_endpoint: DaemonEndpoint | None = None


class NodeSystemInfo(Object, frozen=True, kw_only=True):
    """What the node is."""

    machine_id: str = field(name="machineID", default="")
    system_uuid: str = field(name="systemUUID", default="")
    boot_id: str = field(name="bootID", default="")
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""


class ContainerImage(Object, frozen=True, kw_only=True):
    """An image that the node has."""

    names: list[str] = []
    size_bytes: int = 0


class AttachedVolume(Object, frozen=True, kw_only=True):
    """A volume attached to the node."""

    name: str
    device_path: str = ""


class NodeStatus(Object, frozen=True, kw_only=True):
    """What the node has and how it is doing."""

    capacity: dict[str, QuantityValue] = {}
    allocatable: dict[str, QuantityValue] = {}
    conditions: list[NodeCondition] = []
    addresses: list[NodeAddress] = []
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    node_info: NodeSystemInfo = NodeSystemInfo()
    images: list[ContainerImage] = []
    volumes_in_use: list[str] = []
    volumes_attached: list[AttachedVolume] = []


class Node(Object, frozen=True, kw_only=True):
    """A machine that runs pods."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
