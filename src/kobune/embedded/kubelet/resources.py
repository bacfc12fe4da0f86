"""Requests and limits as the kernel's cgroups understand them. Pure; the runtime translates for cgroup v1 and v2."""

from kobune.api.core import Container, Pod
from kobune.base.quantity import to_bytes, to_milli
from kobune.embedded.kubelet.qos import BEST_EFFORT, GUARANTEED, qos_class
from kobune.host.cri import cri_pb2 as pb

__all__ = ["linux_resources", "oom_score_adj"]

CPU_PERIOD_US = 100_000
MIN_QUOTA_US = 1000
MIN_SHARES = 2
MAX_SHARES = 262_144
SHARES_PER_CPU = 1024
_HUGEPAGES = "hugepages-"


def linux_resources(pod: Pod, container: Container, node_memory_bytes: int) -> pb.LinuxContainerResources:
    """CPU shares come from the request (else the limit), quota and memory from the limits."""
    requests, limits = container.resources.requests, container.resources.limits
    cpu_request = requests.get("cpu", limits.get("cpu", 0))
    resources = pb.LinuxContainerResources(
        cpu_shares=_shares(to_milli(cpu_request)),
        memory_limit_in_bytes=to_bytes(limits.get("memory", 0)),
        oom_score_adj=oom_score_adj(pod, container, node_memory_bytes),
    )
    cpu_limit = to_milli(limits.get("cpu", 0))
    if cpu_limit:
        resources.cpu_period = CPU_PERIOD_US
        resources.cpu_quota = max(cpu_limit * CPU_PERIOD_US // 1000, MIN_QUOTA_US)
    for name, amount in limits.items():
        if name.startswith(_HUGEPAGES):
            size = name.removeprefix(_HUGEPAGES).replace("Mi", "MB").replace("Gi", "GB").replace("Ki", "KB")
            resources.hugepage_limits.append(pb.HugepageLimit(page_size=size, limit=to_bytes(amount)))
    return resources


def _shares(milli: int) -> int:
    return min(max(milli * SHARES_PER_CPU // 1000, MIN_SHARES), MAX_SHARES)


def oom_score_adj(pod: Pod, container: Container, node_memory_bytes: int) -> int:
    """Who dies first when memory ends: BestEffort, then those that asked for little, Guaranteed last."""
    quality = qos_class(pod)
    if quality == GUARANTEED:
        return -997
    if quality == BEST_EFFORT or node_memory_bytes <= 0:
        return 1000
    request = to_bytes(container.resources.requests.get("memory", container.resources.limits.get("memory", 0)))
    return min(max(1000 - 1000 * request // node_memory_bytes, 3), 999)
