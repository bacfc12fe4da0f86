"""What all pods of this node share: the drivers, the API and the node's own facts. Made once by `run`."""

from collections.abc import Callable
from dataclasses import dataclass

from kobune.base.clock import Clock
from kobune.embedded.kubelet.devices import DevicePlugins
from kobune.embedded.kubelet.images import Images
from kobune.embedded.kubelet.names import KubeletPaths
from kobune.embedded.kubelet.networks.attach import PodAttachments
from kobune.embedded.kubelet.networks.cluster import ClusterNetwork
from kobune.embedded.kubelet.objects import NodeFacts, PodObjects
from kobune.embedded.kubelet.render import DnsConfig
from kobune.embedded.kubelet.volumes.provision import PodVolumes
from kobune.host.cgroup import Cgroups
from kobune.host.cri.types import CriRuntime
from kobune.kube.client.protocol import Client
from kobune.kube.runtime import EventRecorder

__all__ = ["NodeContext"]


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Shared by all pod workers."""

    client: Client
    events: EventRecorder
    clock: Clock
    cri: CriRuntime
    images: Images
    volumes: PodVolumes
    networks: PodAttachments
    cluster_network: ClusterNetwork
    objects: PodObjects
    devices: DevicePlugins
    cgroups: Cgroups
    paths: KubeletPaths
    facts: NodeFacts
    cluster_dns: DnsConfig
    host_dns: Callable[[], DnsConfig]
    cgroup_root: str
