"""A pod as the runtime wants it: sandbox and container configurations. Pure.

Source: CRI v1; what kubelets put into it for the fields of core/v1 PodSpec.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kobune.api.core import Container, Pod, SeccompProfile, SecurityContext, VolumeMount
from kobune.embedded.kubelet.environment import ConfigError, Dependencies, container_environment, expand
from kobune.embedded.kubelet.names import (
    BACKOFF_ANNOTATION,
    GRACE_ANNOTATION,
    MESSAGE_FILE_ANNOTATION,
    MESSAGE_PATH_ANNOTATION,
    MESSAGE_POLICY_ANNOTATION,
    KubeletPaths,
    container_labels,
    sandbox_labels,
)
from kobune.embedded.kubelet.resources import linux_resources
from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import ImageInfo

__all__ = [
    "ContainerInput",
    "DeviceAllocation",
    "DnsConfig",
    "MountedVolume",
    "cgroup_parent",
    "container_config",
    "hostname",
    "sandbox_config",
]

MASKED_PATHS = (
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
HOSTNAME_LIMIT = 63


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """resolv.conf of a pod."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """Where a volume is on the node; a block volume is a device."""

    host_path: str
    read_only: bool = False
    block: bool = False


@dataclass(frozen=True, slots=True)
class DeviceAllocation:
    """What device plugins give to one container."""

    envs: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[tuple[str, str, bool]] = ()
    """(path in the container, path on the node, read-only)"""
    devices: Sequence[tuple[str, str, str]] = ()
    """(path in the container, path on the node, permissions)"""


@dataclass(frozen=True, slots=True)
class ContainerInput:
    """All that rendering one container needs besides the pod."""

    container: Container
    attempt: int
    backoff_s: int
    image: ImageInfo
    volumes: Mapping[str, MountedVolume]
    dependencies: Dependencies
    paths: KubeletPaths
    message_file: str
    node_memory_bytes: int
    allocation: DeviceAllocation = DeviceAllocation()
    target_id: str = ""
    """The container whose process namespace is shared."""


def hostname(pod: Pod) -> str:
    """The pod's host name: its own field, else the pod's name, at most 63 characters and no trailing dash or dot."""
    return (pod.spec.hostname or pod.metadata.name)[:HOSTNAME_LIMIT].rstrip("-.")


def cgroup_parent(cgroup_root: str, uid: str) -> str:
    """The cgroup that holds the pod."""
    return f"{cgroup_root}/pod{uid}"


def sandbox_config(
    pod: Pod, attempt: int, paths: KubeletPaths, dns: DnsConfig, cgroup_root: str
) -> pb.PodSandboxConfig:
    """The pod's sandbox."""
    spec, context = pod.spec, pod.spec.security_context
    meta = pod.metadata
    namespaces = pb.NamespaceOption(
        network=pb.NODE if spec.host_network else pb.POD,
        pid=_pid_mode(pod),
        ipc=pb.NODE if spec.host_ipc else pb.POD,
    )
    security = pb.LinuxSandboxSecurityContext(
        namespace_options=namespaces,
        privileged=any(_privileged(container) for container in [*spec.init_containers, *spec.containers]),
        seccomp=pb.SecurityProfile(profile_type=pb.SecurityProfile.RuntimeDefault),
    )
    if context is not None:
        if context.run_as_user is not None:
            security.run_as_user.value = context.run_as_user
            if context.run_as_group is not None:
                security.run_as_group.value = context.run_as_group
        security.supplemental_groups.extend(_supplemental_groups(pod))
    annotations = dict(meta.annotations)
    grace_s = 30 if spec.termination_grace_period_seconds is None else spec.termination_grace_period_seconds
    annotations[GRACE_ANNOTATION] = str(grace_s)
    config = pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(name=meta.name, uid=meta.uid, namespace=meta.namespace, attempt=attempt),
        # The node's network comes with the node's host name, which cannot be set from here.
        hostname="" if spec.host_network else hostname(pod),
        log_directory=str(paths.logs(meta.namespace, meta.name, meta.uid)),
        dns_config=pb.DNSConfig(servers=dns.servers, searches=dns.searches, options=dns.options),
        labels=sandbox_labels(pod),
        annotations=annotations,
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=cgroup_parent(cgroup_root, meta.uid),
            security_context=security,
            sysctls={sysctl.name: sysctl.value for sysctl in context.sysctls} if context else {},
        ),
    )
    if not spec.host_network:
        for container in [*spec.init_containers, *spec.containers]:
            for port in container.ports:
                if port.host_port:
                    config.port_mappings.append(
                        pb.PortMapping(
                            protocol=port.protocol,
                            container_port=port.container_port,
                            host_port=port.host_port,
                            host_ip=port.host_ip,
                        )
                    )
    return config


def container_config(pod: Pod, given: ContainerInput) -> pb.ContainerConfig:
    """One attempt of one container; raises ConfigError when it cannot be made from what is there."""
    container = given.container
    variables = container_environment(pod, container, given.dependencies)
    table = dict(variables)
    allocation = given.allocation
    envs = [("HOSTNAME", hostname(pod)), *variables, *allocation.envs.items()]
    annotations = {
        BACKOFF_ANNOTATION: str(given.backoff_s),
        MESSAGE_FILE_ANNOTATION: given.message_file,
        MESSAGE_PATH_ANNOTATION: container.termination_message_path or "/dev/termination-log",
        MESSAGE_POLICY_ANNOTATION: container.termination_message_policy or "File",
    } | dict(allocation.annotations)
    security = _security(pod, container, given.image)
    if given.target_id:
        security.namespace_options.pid = pb.TARGET
        security.namespace_options.target_id = given.target_id
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=container.name, attempt=given.attempt),
        image=pb.ImageSpec(image=given.image.id),
        command=[expand(word, table) for word in container.command],
        args=[expand(word, table) for word in container.args],
        working_dir=container.working_dir,
        envs=[pb.KeyValue(key=key, value=value) for key, value in envs],
        mounts=_mounts(pod, given, table),
        devices=[
            pb.Device(container_path=inside, host_path=outside, permissions=permissions)
            for inside, outside, permissions in [*_block_devices(given), *allocation.devices]
        ],
        labels=container_labels(pod, container.name),
        annotations=annotations,
        log_path=f"{container.name}/{given.attempt}.log",
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        linux=pb.LinuxContainerConfig(
            resources=linux_resources(pod, container, given.node_memory_bytes), security_context=security
        ),
    )


def _mounts(pod: Pod, given: ContainerInput, variables: Mapping[str, str]) -> list[pb.Mount]:
    container = given.container
    mounts: list[pb.Mount] = []
    for mount in container.volume_mounts:
        volume = given.volumes.get(mount.name)
        if volume is None:
            raise ConfigError(f'cannot find volume "{mount.name}" to mount into container "{container.name}"')
        if volume.block:
            raise ConfigError(f'volume "{mount.name}" is a block volume: use volumeDevices for it')
        mounts.append(
            pb.Mount(
                container_path=posixpath.join("/", mount.mount_path),
                host_path=_sub_path(volume.host_path, mount, variables),
                readonly=mount.read_only or volume.read_only,
                propagation=_propagation(mount),
            )
        )
    taken = {mount.container_path for mount in mounts}
    message_path = container.termination_message_path or "/dev/termination-log"
    own = [(message_path, given.message_file, False)]
    if not pod.spec.host_network:
        own.append(("/etc/hosts", str(given.paths.hosts_file(pod.metadata.uid)), False))
    for inside, outside, read_only in [*own, *given.allocation.mounts]:
        if inside not in taken:
            mounts.append(pb.Mount(container_path=inside, host_path=outside, readonly=read_only))
    return mounts


def _block_devices(given: ContainerInput) -> list[tuple[str, str, str]]:
    devices = []
    for device in given.container.volume_devices:
        volume = given.volumes.get(device.name)
        if volume is None or not volume.block:
            raise ConfigError(f'volume "{device.name}" is no block volume, as volumeDevices needs')
        devices.append((device.device_path, volume.host_path, "r" if volume.read_only else "mrw"))
    return devices


def _sub_path(host_path: str, mount: VolumeMount, variables: Mapping[str, str]) -> str:
    relative = expand(mount.sub_path_expr, variables) if mount.sub_path_expr else mount.sub_path
    if not relative:
        return host_path
    if posixpath.isabs(relative) or ".." in relative.split("/"):
        raise ConfigError(f"subPath {relative!r} must be a relative path without '..'")
    return posixpath.join(host_path, relative)


def _propagation(mount: VolumeMount) -> pb.MountPropagation:
    return {
        "HostToContainer": pb.PROPAGATION_HOST_TO_CONTAINER,
        "Bidirectional": pb.PROPAGATION_BIDIRECTIONAL,
    }.get(mount.mount_propagation or "", pb.PROPAGATION_PRIVATE)


def _security(pod: Pod, container: Container, image: ImageInfo) -> pb.LinuxContainerSecurityContext:
    own = container.security_context or SecurityContext()
    pod_wide = pod.spec.security_context
    user = own.run_as_user if own.run_as_user is not None else (pod_wide.run_as_user if pod_wide else None)
    group = own.run_as_group if own.run_as_group is not None else (pod_wide.run_as_group if pod_wide else None)
    non_root = own.run_as_non_root if own.run_as_non_root is not None else (pod_wide and pod_wide.run_as_non_root)
    privileged = bool(own.privileged)
    security = pb.LinuxContainerSecurityContext(
        privileged=privileged,
        readonly_rootfs=bool(own.read_only_root_filesystem),
        no_new_privs=own.allow_privilege_escalation is False,
        supplemental_groups=_supplemental_groups(pod),
        namespace_options=pb.NamespaceOption(
            network=pb.NODE if pod.spec.host_network else pb.POD,
            pid=_pid_mode(pod),
            ipc=pb.NODE if pod.spec.host_ipc else pb.POD,
        ),
    )
    if own.capabilities is not None:
        security.capabilities.add_capabilities.extend(own.capabilities.add)
        security.capabilities.drop_capabilities.extend(own.capabilities.drop)
    effective_user = user
    if user is None:
        effective_user = image.uid
        if image.uid is not None:
            security.run_as_user.value = image.uid
        elif image.username:
            security.run_as_username = image.username
    else:
        security.run_as_user.value = user
    if group is not None:
        security.run_as_group.value = group
        if effective_user is None and not image.username:
            security.run_as_user.value = 0
    if non_root:
        if effective_user == 0 or (effective_user is None and not image.username):
            raise ConfigError("container has runAsNonRoot and image will run as root")
        if effective_user is None:
            raise ConfigError(
                f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
                "cannot verify user is non-root"
            )
    profile = own.seccomp_profile or (pod_wide.seccomp_profile if pod_wide else None)
    security.seccomp.CopyFrom(_seccomp(profile, privileged))
    if own.proc_mount != "Unmasked" and not privileged:
        security.masked_paths.extend(MASKED_PATHS)
        security.readonly_paths.extend(READONLY_PATHS)
    return security


def _seccomp(profile: SeccompProfile | None, privileged: bool) -> pb.SecurityProfile:
    if privileged or profile is None or profile.type == "Unconfined":
        return pb.SecurityProfile(profile_type=pb.SecurityProfile.Unconfined)
    if profile.type == "Localhost":
        return pb.SecurityProfile(
            profile_type=pb.SecurityProfile.Localhost, localhost_ref=profile.localhost_profile or ""
        )
    return pb.SecurityProfile(profile_type=pb.SecurityProfile.RuntimeDefault)


def _supplemental_groups(pod: Pod) -> list[int]:
    context = pod.spec.security_context
    if context is None:
        return []
    groups = list(context.supplemental_groups)
    if context.fs_group is not None:
        groups.append(context.fs_group)
    return groups


def _pid_mode(pod: Pod) -> pb.NamespaceMode:
    if pod.spec.host_pid:
        return pb.NODE
    return pb.POD if pod.spec.share_process_namespace else pb.CONTAINER


def _privileged(container: Container) -> bool:
    return bool(container.security_context and container.security_context.privileged)
