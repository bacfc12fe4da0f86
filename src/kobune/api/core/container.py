"""Containers of a pod: what they run, need, are allowed and are asked. Source: core/v1."""

from typing import Any

from msgspec import field

from kobune.api.core.reference import KeySelector, ObjectFieldSelector, ResourceFieldSelector
from kobune.api.meta import IntOrString, Object, QuantityValue

__all__ = [
    "AppArmorProfile",
    "Capabilities",
    "Container",
    "ContainerPort",
    "ContainerResizePolicy",
    "EnvFromSource",
    "EnvVar",
    "EnvVarSource",
    "ExecAction",
    "GRPCAction",
    "HTTPGetAction",
    "HTTPHeader",
    "Lifecycle",
    "LifecycleHandler",
    "OptionalLocalObjectReference",
    "PodSecurityContext",
    "Probe",
    "ResourceClaim",
    "ResourceRequirements",
    "SELinuxOptions",
    "SeccompProfile",
    "SecurityContext",
    "SleepAction",
    "Sysctl",
    "TCPSocketAction",
    "VolumeDevice",
    "VolumeMount",
]


class ContainerPort(Object, frozen=True, kw_only=True):
    """`host_port` 0 means none; `protocol` is TCP, UDP or SCTP."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0
    host_ip: str = field(name="hostIP", default="")


class EnvVarSource(Object, frozen=True, kw_only=True):
    """Exactly one is set."""

    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(Object, frozen=True, kw_only=True):
    """`value` may hold `$(NAME)` of earlier variables."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class OptionalLocalObjectReference(Object, frozen=True, kw_only=True):
    """A ConfigMap or Secret that may be allowed to be absent."""

    name: str = ""
    optional: bool | None = None


class EnvFromSource(Object, frozen=True, kw_only=True):
    """Every key of a ConfigMap or Secret as a variable."""

    prefix: str = ""
    config_map_ref: OptionalLocalObjectReference | None = None
    secret_ref: OptionalLocalObjectReference | None = None


class ResourceClaim(Object, frozen=True, kw_only=True):
    """A claim of dynamic resource allocation that the container uses."""

    name: str
    """The claim's name in the pod."""
    request: str = ""
    """The request in that claim."""


class ResourceRequirements(Object, frozen=True, kw_only=True):
    """Quantities by resource name."""

    limits: dict[str, QuantityValue] = {}
    """The most that may be used, by resource."""
    requests: dict[str, QuantityValue] = {}
    """What is promised, by resource."""
    claims: list[ResourceClaim] = []
    """Resource claims in use."""


class ContainerResizePolicy(Object, frozen=True, kw_only=True):
    """What changing a resource in place does to the container."""

    resource_name: str
    restart_policy: str


class VolumeMount(Object, frozen=True, kw_only=True):
    """`mount_propagation` is None, HostToContainer or Bidirectional."""

    name: str
    mount_path: str
    read_only: bool = False
    sub_path: str = ""
    sub_path_expr: str = ""
    mount_propagation: str | None = None
    recursive_read_only: str | None = None


class VolumeDevice(Object, frozen=True, kw_only=True):
    """A block volume as a device node."""

    name: str
    device_path: str


class ExecAction(Object, frozen=True, kw_only=True):
    """A command without a shell; exit status 0 is success."""

    command: list[str] = []
    """The program and its arguments."""


class HTTPHeader(Object, frozen=True, kw_only=True):
    """One header of a probe."""

    name: str
    """The header's name."""
    value: str = ""
    """Its value."""


class HTTPGetAction(Object, frozen=True, kw_only=True):
    """A status from 200 to 399 is success; an empty host is the pod's IP."""

    port: IntOrString
    """The port, by number or name."""
    path: str = ""
    """The path; / if left out."""
    host: str = ""
    """The host."""
    scheme: str = ""
    """HTTP or HTTPS; HTTP if left out."""
    http_headers: list[HTTPHeader] = []
    """Headers to send."""


class TCPSocketAction(Object, frozen=True, kw_only=True):
    """An accepted connection is success."""

    port: IntOrString
    """The port, by number or name."""
    host: str = ""
    """The host."""


class GRPCAction(Object, frozen=True, kw_only=True):
    """The gRPC health protocol."""

    port: int
    service: str | None = None


class SleepAction(Object, frozen=True, kw_only=True):
    """Wait."""

    seconds: int


class Probe(Object, frozen=True, kw_only=True):
    """Zero in a time or threshold means Kubernetes' default for it."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Object, frozen=True, kw_only=True):
    """Exactly one is set."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Object, frozen=True, kw_only=True):
    """What to run after the start and before the stop."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = None


class Capabilities(Object, frozen=True, kw_only=True):
    """Names without `CAP_`; `ALL` is allowed."""

    add: list[str] = []
    drop: list[str] = []


class SELinuxOptions(Object, frozen=True, kw_only=True):
    """The label of the process."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SeccompProfile(Object, frozen=True, kw_only=True):
    """`type` is RuntimeDefault, Unconfined or Localhost."""

    type: str
    localhost_profile: str | None = None


class AppArmorProfile(Object, frozen=True, kw_only=True):
    """`type` is RuntimeDefault, Unconfined or Localhost."""

    type: str
    localhost_profile: str | None = None


class SecurityContext(Object, frozen=True, kw_only=True):
    """Of one container; what is set here wins over the pod's."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    privileged: bool | None = None
    allow_privilege_escalation: bool | None = None
    read_only_root_filesystem: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: SeccompProfile | None = None
    se_linux_options: SELinuxOptions | None = None
    app_armor_profile: AppArmorProfile | None = None
    proc_mount: str | None = None


class Sysctl(Object, frozen=True, kw_only=True):
    """A kernel parameter of the pod's namespaces."""

    name: str
    value: str


class PodSecurityContext(Object, frozen=True, kw_only=True):
    """Of all containers; `fs_group` owns the pod's writable volumes."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    fs_group: int | None = None
    fs_group_change_policy: str | None = None
    supplemental_groups: list[int] = []
    supplemental_groups_policy: str | None = None
    seccomp_profile: SeccompProfile | None = None
    se_linux_options: SELinuxOptions | None = None
    se_linux_change_policy: str | None = None
    app_armor_profile: AppArmorProfile | None = None
    sysctls: list[Sysctl] = []


class Container(Object, frozen=True, kw_only=True):
    """One container; `restart_policy` Always makes an init container a sidecar."""

    name: str
    image: str = ""
    image_pull_policy: str = ""
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    ports: list[ContainerPort] = []
    env: list[EnvVar] = []
    env_from: list[EnvFromSource] = []
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: list[ContainerResizePolicy] = []
    restart_policy: str | None = None
    restart_policy_rules: list[dict[str, Any]] = []
    volume_mounts: list[VolumeMount] = []
    volume_devices: list[VolumeDevice] = []
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
