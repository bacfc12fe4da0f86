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
    """How long it is valid, such as 168h."""
    renew_before: str | None = None
    """How long before its end it is renewed."""


class KubeVirtSelfSignConfiguration(Object, frozen=True, kw_only=True):
    """Life and renewal of the self-signed certificates."""

    ca: CertConfig | None = None
    ca_overlap_interval: str | None = None
    """No longer used."""
    ca_rotate_interval: str | None = None
    """No longer used."""
    cert_rotate_interval: str | None = None
    """No longer used."""
    server: CertConfig | None = None


class KubeVirtCertificateRotateStrategy(Object, frozen=True, kw_only=True):
    """How certificates are renewed."""

    self_signed: KubeVirtSelfSignConfiguration | None = None


class NodePlacement(Object, frozen=True, kw_only=True):
    """Where a component runs."""

    affinity: Affinity | None = None
    node_selector: dict[str, str] = {}
    """Labels that the node must have."""
    tolerations: list[Toleration] = []
    """Taints that the pods tolerate."""


class ComponentConfig(Object, frozen=True, kw_only=True):
    """Where and how often components run."""

    node_placement: NodePlacement | None = None
    replicas: UInt32 | None = None
    """How many pods."""


class CustomizeComponentsPatch(Object, frozen=True, kw_only=True):
    """A patch of one of the installed resources."""

    type: str
    """json, merge or strategic."""
    patch: str
    """The patch."""
    resource_name: str
    """The resource's name."""
    resource_type: str
    """The resource's kind."""


class Flags(Object, frozen=True, kw_only=True):
    """Extra flags per component."""

    api: dict[str, str] = {}
    """Flags of virt-api."""
    controller: dict[str, str] = {}
    """Flags of virt-controller."""
    handler: dict[str, str] = {}
    """Flags of virt-handler."""


class CustomizeComponents(Object, frozen=True, kw_only=True):
    """Changes to what is installed."""

    flags: Flags | None = None
    patches: list[CustomizeComponentsPatch] = []
    """Patches of what is installed."""


class KubeVirtWorkloadUpdateStrategy(Object, frozen=True, kw_only=True):
    """How running guests move to a new version."""

    batch_eviction_interval: str | None = None
    """Time between two batches; 1m if left out."""
    batch_eviction_size: Int32 | None = None
    """How many guests at once; 10 if left out."""
    workload_update_methods: list[str] = []
    """LiveMigrate, Evict, or both in this order."""


class GenerationStatus(Object, frozen=True, kw_only=True):
    """The generation of an installed resource when it was last written."""

    name: str
    """The resource's name."""
    group: str
    """Its group."""
    last_generation: Int64
    """Its generation."""
    resource: str
    """Its resource."""
    hash: str | None = None
    """A hash of what was written."""
    namespace: str | None = None
    """Its namespace."""


class KubeVirtSpec(Object, frozen=True, kw_only=True):
    """What to install and how."""

    certificate_rotate_strategy: KubeVirtCertificateRotateStrategy | None = None
    configuration: KubeVirtConfiguration | None = None
    customize_components: CustomizeComponents | None = None
    image_pull_policy: str | None = None
    """Always, IfNotPresent or Never."""
    image_pull_secrets: list[LocalObjectReference] = []
    """Secrets with registry credentials."""
    image_registry: str | None = None
    """The registry of the images."""
    image_tag: str | None = None
    """The tag of the images."""
    infra: ComponentConfig | None = None
    monitor_account: str | None = None
    """The service account that reads metrics."""
    monitor_namespace: str | None = None
    """Its namespace."""
    product_component: str | None = None
    """Value of the label app.kubernetes.io/component."""
    product_name: str | None = None
    """Value of the label app.kubernetes.io/part-of."""
    product_version: str | None = None
    """Value of the label app.kubernetes.io/version."""
    service_monitor_namespace: str | None = None
    """Where the ServiceMonitor is put."""
    synchronization_port: str | None = None
    """The port for migrations between clusters."""
    uninstall_strategy: str | None = None
    """BlockUninstallIfWorkloadsExist or RemoveWorkloads."""
    workload_update_strategy: KubeVirtWorkloadUpdateStrategy | None = None
    workloads: ComponentConfig | None = None


class KubeVirtCondition(Object, frozen=True, kw_only=True):
    """Available, Progressing, Degraded, Created or Synchronized."""

    type: str
    """Which condition it is."""
    last_probe_time: Time | None = None
    """When it was last looked at."""
    last_transition_time: Time | None = None
    """When the status last changed."""
    message: str | None = None
    """What it means, for people."""
    reason: str | None = None
    """One word for programs."""
    status: str
    """True, False or Unknown."""


class KubeVirtStatus(Object, frozen=True, kw_only=True):
    """Versions asked for, installed and observed."""

    conditions: list[KubeVirtCondition] = []
    """What is true of the installation, one by one."""
    default_architecture: str | None = None
    """The architecture of machines that name none."""
    generations: list[GenerationStatus] = []
    """Generations of what was installed."""
    observed_deployment_config: str | None = None
    """Settings in use."""
    observed_deployment_id: str | None = field(name="observedDeploymentID", default=None)
    """Hash of the settings in use."""
    observed_generation: Int64 | None = None
    """The generation that was last handled."""
    observed_kube_virt_registry: str | None = None
    """The registry in use."""
    observed_kube_virt_version: str | None = None
    """The version in use."""
    operator_version: str | None = None
    """The operator's version."""
    outdated_virtual_machine_instance_workloads: Int32 | None = None
    """Guests that still run in an older launcher."""
    phase: str | None = None
    """Deploying, Deployed, Deleting or Deleted."""
    synchronization_addresses: list[str] = []
    """Where other clusters reach this one."""
    target_deployment_config: str | None = None
    """Settings asked for."""
    target_deployment_id: str | None = field(name="targetDeploymentID", default=None)
    """Hash of the settings asked for."""
    target_kube_virt_registry: str | None = None
    """The registry asked for."""
    target_kube_virt_version: str | None = None
    """The version asked for."""


class KubeVirt(Object, frozen=True, kw_only=True):
    """One installation."""

    metadata: ObjectMeta = ObjectMeta()
    spec: KubeVirtSpec
    status: KubeVirtStatus = KubeVirtStatus()
