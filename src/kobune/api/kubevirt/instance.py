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
    guest_agent_ping: GuestAgentPing | None = None
    http_get: HTTPGetAction | None = None
    initial_delay_seconds: Int32 | None = None
    period_seconds: Int32 | None = None
    success_threshold: Int32 | None = None
    tcp_socket: TCPSocketAction | None = None
    timeout_seconds: Int32 | None = None


class VirtualMachineInstanceResourceClaim(Object, frozen=True, kw_only=True):
    """A resource claim that devices of the VMI refer to."""

    name: str
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class VirtualMachineInstanceSpec(Object, frozen=True, kw_only=True):
    """What should run. `evictionStrategy` is LiveMigrate, LiveMigrateIfPossible, None or External."""

    domain: DomainSpec
    access_credentials: list[AccessCredential] = []
    affinity: Affinity | None = None
    architecture: str | None = None
    dns_config: PodDNSConfig | None = None
    dns_policy: str | None = None
    eviction_strategy: str | None = None
    hostname: str | None = None
    liveness_probe: Probe | None = None
    networks: list[Network] = []
    node_selector: dict[str, str] = {}
    priority_class_name: str | None = None
    readiness_probe: Probe | None = None
    resource_claims: list[VirtualMachineInstanceResourceClaim] = []
    scheduler_name: str | None = None
    service_account_name: str | None = None
    start_strategy: str | None = None
    subdomain: str | None = None
    termination_grace_period_seconds: Int64 | None = None
    tolerations: list[Toleration] = []
    topology_spread_constraints: list[TopologySpreadConstraint] = []
    utility_volumes: list[UtilityVolume] = []
    volumes: list[Volume] = []


class VirtualMachineInstanceTemplateSpec(Object, frozen=True, kw_only=True):
    """A VMI to be made: metadata and spec."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceSpec | None = None


class VirtualMachineInstance(Object, frozen=True, kw_only=True):
    """One life of a guest, from start to power-off."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VirtualMachineInstanceSpec
    status: VirtualMachineInstanceStatus = VirtualMachineInstanceStatus()
