"""The series of instancetypes that come with an installation.

Owns: their names, sizes and traits. Sources: the series and names that KubeVirt installations offer (u1, o1, cx1, m1,
n1, rt1), so that manifests which name them run here too.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from kobune.operator.names import COMMON, VENDOR

__all__ = ["instancetypes"]

Manifest = dict[str, Any]

_GENERAL: Final = {
    "nano": (1, "512Mi"),
    "micro": (1, "1Gi"),
    "small": (1, "2Gi"),
    "medium": (1, "4Gi"),
    "large": (2, "8Gi"),
    "xlarge": (4, "16Gi"),
    "2xlarge": (8, "32Gi"),
    "4xlarge": (16, "64Gi"),
    "8xlarge": (32, "128Gi"),
}
"""vCPUs and memory by size; one vCPU to 4 GiB from medium on."""


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    kind: str
    title: str
    description: str
    sizes: dict[str, tuple[int, str]]
    cpu: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)


_EXCLUSIVE: Final[dict[str, Any]] = {"dedicatedCPUPlacement": True, "isolateEmulatorThread": True}
_NUMA: Final[dict[str, Any]] = {"guestMappingPassthrough": {}}
_QUIET_CPUS: Final = {
    "annotations": {
        "cpu-load-balancing.crio.io": "disable",
        "cpu-quota.crio.io": "disable",
        "irq-load-balancing.crio.io": "disable",
    }
}

_SERIES: Final = (
    _Series(
        "u1",
        "general.purpose",
        "General purpose",
        "For most workloads: vCPUs share the node's processors, 4 GiB of memory for each from medium on.",
        {**_GENERAL, "2xmedium": (2, "4Gi")},
    ),
    _Series(
        "o1",
        "overcommitted",
        "Overcommitted",
        "As u1, and the pod asks for half of the guest's memory: more guests fit on a node.",
        _GENERAL,
        memory={"overcommitPercent": 50},
    ),
    _Series(
        "cx1",
        "compute.exclusive",
        "Compute exclusive",
        "Processors of the node for this guest alone, with their NUMA layout and huge pages.",
        {
            "medium": (1, "2Gi"),
            "large": (2, "4Gi"),
            "xlarge": (4, "8Gi"),
            "2xlarge": (8, "16Gi"),
            "4xlarge": (16, "32Gi"),
            "8xlarge": (32, "64Gi"),
        },
        cpu={**_EXCLUSIVE, "numa": _NUMA},
        memory={"hugepages": {"pageSize": "2Mi"}},
        spec={"ioThreadsPolicy": "auto", **_QUIET_CPUS},
    ),
    _Series(
        "m1",
        "memory.intensive",
        "Memory intensive",
        "8 GiB of memory for each vCPU, from huge pages.",
        {
            "large": (2, "16Gi"),
            "xlarge": (4, "32Gi"),
            "2xlarge": (8, "64Gi"),
            "4xlarge": (16, "128Gi"),
            "8xlarge": (32, "256Gi"),
        },
        memory={"hugepages": {"pageSize": "2Mi"}},
    ),
    _Series(
        "n1",
        "network",
        "Network",
        "For packet processing: processors of the node for this guest alone, and huge pages of 1 GiB.",
        {
            "medium": (4, "4Gi"),
            "large": (4, "8Gi"),
            "xlarge": (8, "16Gi"),
            "2xlarge": (16, "32Gi"),
            "4xlarge": (32, "64Gi"),
            "8xlarge": (64, "128Gi"),
        },
        cpu=_EXCLUSIVE,
        memory={"hugepages": {"pageSize": "1Gi"}},
        spec=_QUIET_CPUS,
    ),
    _Series(
        "rt1",
        "realtime",
        "Realtime",
        "vCPUs with real-time priority on processors of their own, and huge pages of 1 GiB.",
        {size: amounts for size, amounts in _GENERAL.items() if size != "nano"},
        cpu={**_EXCLUSIVE, "numa": _NUMA, "realtime": {}},
        memory={"hugepages": {"pageSize": "1Gi"}},
        spec=_QUIET_CPUS,
    ),
)


def instancetypes() -> list[Manifest]:
    """One VirtualMachineClusterInstancetype per series and size."""
    return [_manifest(series, size, *amounts) for series in _SERIES for size, amounts in series.sizes.items()]


def _manifest(series: _Series, size: str, vcpus: int, memory: str) -> Manifest:
    return {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": "VirtualMachineClusterInstancetype",
        "metadata": {
            "name": f"{series.name}.{size}",
            "labels": {**COMMON, **_labels(series, size, vcpus, memory)},
            "annotations": {
                "instancetype.kubevirt.io/displayName": series.title,
                "instancetype.kubevirt.io/description": series.description,
            },
        },
        "spec": {
            "cpu": {"guest": vcpus, **series.cpu},
            "memory": {"guest": memory, **series.memory},
            **series.spec,
        },
    }


def _labels(series: _Series, size: str, vcpus: int, memory: str) -> dict[str, str]:
    """What users select by."""
    words = {
        "vendor": VENDOR,
        "version": "1",
        "class": series.kind,
        "size": size,
        "cpu": str(vcpus),
        "memory": memory,
    }
    words |= {name: "true" for name in ("dedicatedCPUPlacement", "isolateEmulatorThread") if series.cpu.get(name)}
    words |= {name: "true" for name in ("numa", "realtime") if name in series.cpu}
    if pages := series.memory.get("hugepages"):
        words["hugepages"] = pages["pageSize"]
    return {f"instancetype.kubevirt.io/{name}": value for name, value in words.items()}
