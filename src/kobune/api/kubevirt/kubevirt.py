"""KubeVirt: the installation itself. Source: kubevirt.io/v1."""

from msgspec import field

from kobune.api.core import Affinity, LocalObjectReference, Toleration
from kobune.api.kubevirt.configuration import KubeVirtConfiguration
from kobune.api.meta import Int32, Int64, Object, ObjectMeta, Time, UInt32

__all__ = [
    "CertConfig",
    "ComponentConfig",
    "CustomizeComponents",
    "CustomizeComponentsPatch",
    "Flags",
    "GenerationStatus",
    "KubeVirt",
    "KubeVirtCertificateRotateStrategy",
    "KubeVirtCondition",
    "KubeVirtSelfSignConfiguration",
    "KubeVirtSpec",
    "KubeVirtStatus",
    "KubeVirtWorkloadUpdateStrategy",
    "NodePlacement",
]


class CertConfig(Object, frozen=True, kw_only=True):
    """Life and renewal of a certificate."""

    duration: str | None = None
    renew_before: str | None = None


class KubeVirtSelfSignConfiguration(Object, frozen=True, kw_only=True):
    """Life and renewal of the self-signed certificates."""

    ca: CertConfig | None = None
    ca_overlap_interval: str | None = None
    ca_rotate_interval: str | None = None
    cert_rotate_interval: str | None = None
    server: CertConfig | None = None


class KubeVirtCertificateRotateStrategy(Object, frozen=True, kw_only=True):
    """How certificates are renewed."""

    self_signed: KubeVirtSelfSignConfiguration | None = None


class NodePlacement(Object, frozen=True, kw_only=True):
    """Where a component runs."""

    affinity: Affinity | None = None
    node_selector: dict[str, str] = {}
    tolerations: list[Toleration] = []


class ComponentConfig(Object, frozen=True, kw_only=True):
    """Where and how often components run."""

    node_placement: NodePlacement | None = None
    replicas: UInt32 | None = None


class CustomizeComponentsPatch(Object, frozen=True, kw_only=True):
    """A patch of one of the installed resources."""

    type: str
    patch: str
    resource_name: str
    resource_type: str


class Flags(Object, frozen=True, kw_only=True):
    """Extra flags per component."""

    api: dict[str, str] = {}
    controller: dict[str, str] = {}
    handler: dict[str, str] = {}


class CustomizeComponents(Object, frozen=True, kw_only=True):
    """Changes to what is installed."""

    flags: Flags | None = None
    patches: list[CustomizeComponentsPatch] = []


class KubeVirtWorkloadUpdateStrategy(Object, frozen=True, kw_only=True):
    """How running guests move to a new version."""

    batch_eviction_interval: str | None = None
    batch_eviction_size: Int32 | None = None
    workload_update_methods: list[str] = []


class GenerationStatus(Object, frozen=True, kw_only=True):
    """The generation of an installed resource when it was last written."""

    name: str
    group: str
    last_generation: Int64
    resource: str
    hash: str | None = None
    namespace: str | None = None


class KubeVirtSpec(Object, frozen=True, kw_only=True):
    """What to install and how."""

    certificate_rotate_strategy: KubeVirtCertificateRotateStrategy | None = None
    configuration: KubeVirtConfiguration | None = None
    customize_components: CustomizeComponents | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: list[LocalObjectReference] = []
    image_registry: str | None = None
    image_tag: str | None = None
    infra: ComponentConfig | None = None
    monitor_account: str | None = None
    monitor_namespace: str | None = None
    product_component: str | None = None
    product_name: str | None = None
    product_version: str | None = None
    service_monitor_namespace: str | None = None
    synchronization_port: str | None = None
    uninstall_strategy: str | None = None
    workload_update_strategy: KubeVirtWorkloadUpdateStrategy | None = None
    workloads: ComponentConfig | None = None


class KubeVirtCondition(Object, frozen=True, kw_only=True):
    """Available, Progressing, Degraded, Created or Synchronized."""

    type: str
    last_probe_time: Time | None = None
    last_transition_time: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: str


class KubeVirtStatus(Object, frozen=True, kw_only=True):
    """Versions asked for, installed and observed."""

    conditions: list[KubeVirtCondition] = []
    default_architecture: str | None = None
    generations: list[GenerationStatus] = []
    observed_deployment_config: str | None = None
    observed_deployment_id: str | None = field(name="observedDeploymentID", default=None)
    observed_generation: Int64 | None = None
    observed_kube_virt_registry: str | None = None
    observed_kube_virt_version: str | None = None
    operator_version: str | None = None
    outdated_virtual_machine_instance_workloads: Int32 | None = None
    phase: str | None = None
    synchronization_addresses: list[str] = []
    target_deployment_config: str | None = None
    target_deployment_id: str | None = field(name="targetDeploymentID", default=None)
    target_kube_virt_registry: str | None = None
    target_kube_virt_version: str | None = None


class KubeVirt(Object, frozen=True, kw_only=True):
    """One installation."""

    metadata: ObjectMeta = ObjectMeta()
    spec: KubeVirtSpec
    status: KubeVirtStatus = KubeVirtStatus()
