"""Names, paths and messages of a pod's steps. Pure."""

from kobune.api.core import Container, EphemeralContainer, Pod
from kobune.embedded.kubelet.environment import ConfigError
from kobune.embedded.kubelet.model import PodObserved
from kobune.embedded.kubelet.render import hostname
from kobune.host.cri.types import ImageInfo
from kobune.kube.client.errors import ApiError

__all__ = [
    "field_path",
    "hosts_text",
    "pulled_message",
    "start_reason",
    "target_id",
]

CLUSTER_DOMAIN = "cluster.local"


def target_id(seen: PodObserved, container: Container) -> str:
    """The container whose processes a debugging container shall see."""
    name = container.target_container_name if isinstance(container, EphemeralContainer) else ""
    target = seen.latest(name) if name else None
    return target.id if target is not None else ""


def field_path(pod: Pod, container: str) -> str:
    group = "containers"
    if any(own.name == container for own in pod.spec.init_containers):
        group = "initContainers"
    elif any(own.name == container for own in pod.spec.ephemeral_containers):
        group = "ephemeralContainers"
    return f"spec.{group}{{{container}}}"


def pulled_message(container: Container, image: ImageInfo, took_s: float) -> str:
    took = f"{took_s * 1000:.0f}ms" if took_s < 1 else f"{took_s:.3f}s"
    return (
        f'Successfully pulled image "{container.image}" in {took} ({took} including waiting). '
        f"Image size: {image.size_bytes} bytes."
    )


def start_reason(error: Exception, created: str | None) -> str:
    if created is not None:
        return "RunContainerError"
    if isinstance(error, ConfigError | ApiError):
        return "CreateContainerConfigError"
    return "CreateContainerError"


def hosts_text(pod: Pod, ips: tuple[str, ...]) -> str:
    """The content of a pod's /etc/hosts."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    name = hostname(pod)
    for ip in ips:
        full = [f"{name}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{CLUSTER_DOMAIN}"]
        lines.append("\t".join([ip, *(full if pod.spec.subdomain else []), name]))
    lines += ["\t".join([alias.ip, *alias.hostnames]) for alias in pod.spec.host_aliases]
    return "# Kubernetes-managed hosts file.\n" + "\n".join(lines) + "\n"
