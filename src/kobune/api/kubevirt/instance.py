"""VirtualMachineInstance: a running (or starting) guest. Source: kubevirt.io/v1."""

from kobune.api.core import (
    Affinity,
    ExecAction,
    HTTPGetAction,
    PodDNSConfig,
    TCPSocketAction,
    Toleration,
    TopologySpreadConstraint,
)
from kobune.api.kubevirt.credentials import AccessCredential
from kobune.api.kubevirt.domain import DomainSpec
from kobune.api.kubevirt.network import Network
from kobune.api.kubevirt.status import VirtualMachineInstanceStatus
from kobune.api.kubevirt.volumes import UtilityVolume, Volume
from kobune.api.meta import Int32, Int64, Object, ObjectMeta

__all__ = [
    "GuestAgentPing",
    "Probe",
    "VirtualMachineInstance",
    "VirtualMachineInstanceResourceClaim",
    "VirtualMachineInstanceSpec",
    "VirtualMachineInstanceTemplateSpec",
]


class GuestAgentPing(Object, frozen=True, kw_only=True):
    """The guest agent answers."""


class Probe(Object, frozen=True, kw_only=True):
    """A probe of the guest; exactly one handler, times in seconds."""

    exec: ExecAction | None = None
    failure_threshold: Int32 | None = None
    """Failures in a row until the probe counts as failed; 3 if left out."""
    guest_agent_ping: GuestAgentPing | None = None
    http_get: HTTPGetAction | None = None
    initial_delay_seconds: Int32 | None = None
    """Time after the start before the first probe."""
    period_seconds: Int32 | None = None
    """Time between probes; 10 if left out."""
    success_threshold: Int32 | None = None
    """Successes in a row after a failure until the probe counts as passed; 1 if left out."""
    tcp_socket: TCPSocketAction | None = None
    timeout_seconds: Int32 | None = None
    """How long one probe may take; 1 if left out."""


class VirtualMachineInstanceResourceClaim(Object, frozen=True, kw_only=True):
    """A resource claim that devices of the VMI refer to."""

    name: str
    """By this name devices refer to it."""
    resource_claim_name: str | None = None
    """A ResourceClaim in the VM's namespace."""
    resource_claim_template_name: str | None = None
    """A template of which a claim is made for this instance."""


class VirtualMachineInstanceSpec(Object, frozen=True, kw_only=True):
    """What should run. `evictionStrategy` is LiveMigrate, LiveMigrateIfPossible, None or External."""

    domain: DomainSpec
    access_credentials: list[AccessCredential] = []
    """SSH keys and passwords that are brought into the guest."""
    affinity: Affinity | None = None
    architecture: str | None = None
    """amd64, arm64 or s390x; the cluster's if left out."""
    dns_config: PodDNSConfig | None = None
    dns_policy: str | None = None
    """Which name servers the guest gets, as for pods."""
    eviction_strategy: str | None = None
    """What happens when the node is drained."""
    hostname: str | None = None
    """The guest's host name; the machine's name if left out."""
    liveness_probe: Probe | None = None
    networks: list[Network] = []
    """Networks, for the interfaces of their names."""
    node_selector: dict[str, str] = {}
    """Labels that the node must have."""
    priority_class_name: str | None = None
    """The priority of the pod."""
    readiness_probe: Probe | None = None
    resource_claims: list[VirtualMachineInstanceResourceClaim] = []
    """Claims that devices refer to."""
    scheduler_name: str | None = None
    """The scheduler that places the pod."""
    service_account_name: str | None = None
    """The service account of the pod."""
    start_strategy: str | None = None
    """Paused starts the guest stopped before its first instruction."""
    subdomain: str | None = None
    """A headless Service that gives the guest a name in the cluster's DNS."""
    termination_grace_period_seconds: Int64 | None = None
    """How long the guest may take to shut down before it is powered off; 30 if left out."""
    tolerations: list[Toleration] = []
    """Taints that the pod tolerates."""
    topology_spread_constraints: list[TopologySpreadConstraint] = []
    """How instances spread over the cluster."""
    utility_volumes: list[UtilityVolume] = []
    """Claims for the launcher alone."""
    volumes: list[Volume] = []
    """Volumes, for the disks and file systems of their names."""


class VirtualMachineInstanceTemplateSpec(Object, frozen=True, kw_only=True):
    """A VMI to be made: metadata and spec."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceSpec | None = None


class VirtualMachineInstance(Object, frozen=True, kw_only=True):
    """One life of a guest, from start to power-off."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceSpec
    status: VirtualMachineInstanceStatus = VirtualMachineInstanceStatus()
