"""Pod: spec and status. Source: core/v1."""

from typing import Any

from msgspec import field

from kobune.api.core.container import Container, PodSecurityContext, ResourceRequirements
from kobune.api.core.reference import LocalObjectReference
from kobune.api.core.scheduling import Affinity, PodSchedulingGate, Toleration, TopologySpreadConstraint
from kobune.api.core.volume import Volume
from kobune.api.meta import Object, ObjectMeta, QuantityValue, Time

__all__ = [
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "EphemeralContainer",
    "HostAlias",
    "HostIP",
    "Pod",
    "PodCondition",
    "PodDNSConfig",
    "PodDNSConfigOption",
    "PodIP",
    "PodOS",
    "PodReadinessGate",
    "PodResourceClaim",
    "PodSpec",
    "PodStatus",
    "VolumeMountStatus",
]


class HostAlias(Object, frozen=True, kw_only=True):
    """One line of /etc/hosts."""

    ip: str
    hostnames: list[str] = []


class PodDNSConfigOption(Object, frozen=True, kw_only=True):
    """An option of resolv.conf."""

    name: str = ""
    """The option's name."""
    value: str | None = None
    """The option's value."""


class PodDNSConfig(Object, frozen=True, kw_only=True):
    """Added to what the DNS policy gives."""

    nameservers: list[str] = []
    """Addresses of name servers."""
    searches: list[str] = []
    """Domains that are appended to short names."""
    options: list[PodDNSConfigOption] = []
    """Options of the resolver."""


class PodReadinessGate(Object, frozen=True, kw_only=True):
    """A condition that must be True before the pod is ready."""

    condition_type: str


class PodOS(Object, frozen=True, kw_only=True):
    """linux or windows."""

    name: str


class PodResourceClaim(Object, frozen=True, kw_only=True):
    """A claim of dynamic resource allocation."""

    name: str
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class EphemeralContainer(Container, frozen=True, kw_only=True):
    """A container added to a running pod for debugging."""

    target_container_name: str = ""


class PodSpec(Object, frozen=True, kw_only=True):
    """What shall run. `restart_policy` is Always, OnFailure or Never; `dns_policy` ClusterFirst and others."""

    containers: list[Container] = []
    init_containers: list[Container] = []
    ephemeral_containers: list[EphemeralContainer] = []
    volumes: list[Volume] = []
    restart_policy: str = ""
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    dns_policy: str = ""
    dns_config: PodDNSConfig | None = None
    node_selector: dict[str, str] = {}
    node_name: str = ""
    service_account_name: str = ""
    automount_service_account_token: bool | None = None
    host_network: bool = False
    host_pid: bool = field(name="hostPID", default=False)
    host_ipc: bool = field(name="hostIPC", default=False)
    host_users: bool | None = None
    share_process_namespace: bool | None = None
    security_context: PodSecurityContext | None = None
    image_pull_secrets: list[LocalObjectReference] = []
    hostname: str = ""
    hostname_override: str | None = None
    subdomain: str = ""
    set_hostname_as_fqdn: bool | None = field(name="setHostnameAsFQDN", default=None)
    affinity: Affinity | None = None
    scheduler_name: str = ""
    tolerations: list[Toleration] = []
    topology_spread_constraints: list[TopologySpreadConstraint] = []
    scheduling_gates: list[PodSchedulingGate] = []
    host_aliases: list[HostAlias] = []
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None
    readiness_gates: list[PodReadinessGate] = []
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    overhead: dict[str, QuantityValue] = {}
    os: PodOS | None = None
    resources: ResourceRequirements | None = None
    resource_claims: list[PodResourceClaim] = []


class PodCondition(Object, frozen=True, kw_only=True):
    """PodScheduled, PodReadyToStartContainers, Initialized, ContainersReady, Ready and others."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    observed_generation: int = 0


class PodIP(Object, frozen=True, kw_only=True):
    """An address of the pod."""

    ip: str


class HostIP(Object, frozen=True, kw_only=True):
    """An address of the pod's node."""

    ip: str


class ContainerStateWaiting(Object, frozen=True, kw_only=True):
    """Not started yet, or between two starts."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(Object, frozen=True, kw_only=True):
    """Running since then."""

    started_at: Time | None = None


class ContainerStateTerminated(Object, frozen=True, kw_only=True):
    """Ended; `container_id` is `containerd://ID`."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    container_id: str = field(name="containerID", default="")


class ContainerState(Object, frozen=True, kw_only=True):
    """At most one is set; none means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class VolumeMountStatus(Object, frozen=True, kw_only=True):
    """A mount as it came out."""

    name: str
    mount_path: str
    read_only: bool = False
    recursive_read_only: str | None = None


class ContainerStatus(Object, frozen=True, kw_only=True):
    """How one container is doing."""

    name: str
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = field(name="imageID", default="")
    container_id: str = field(name="containerID", default="")
    started: bool | None = None
    resources: ResourceRequirements | None = None
    allocated_resources: dict[str, QuantityValue] = {}
    volume_mounts: list[VolumeMountStatus] = []
    user: dict[str, Any] | None = None


class PodStatus(Object, frozen=True, kw_only=True):
    """`phase` is Pending, Running, Succeeded, Failed or Unknown."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[PodCondition] = []
    host_ip: str = field(name="hostIP", default="")
    host_ips: list[HostIP] = field(name="hostIPs", default_factory=list)
    pod_ip: str = field(name="podIP", default="")
    pod_ips: list[PodIP] = field(name="podIPs", default_factory=list)
    start_time: Time | None = None
    qos_class: str = ""
    nominated_node_name: str = ""
    init_container_statuses: list[ContainerStatus] = []
    container_statuses: list[ContainerStatus] = []
    ephemeral_container_statuses: list[ContainerStatus] = []
    observed_generation: int = 0


class Pod(Object, frozen=True, kw_only=True):
    """A group of containers that share a network and volumes on one node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
