"""What an eviction of a launcher means for its guest. Pure. Source: KubeVirt's eviction strategies."""

from dataclasses import dataclass
from typing import Any, Final

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.admission.review import Verdict

__all__ = ["Evacuation", "instance_of", "judge_eviction"]

_TRY_AGAIN: Final = 429


@dataclass(frozen=True, slots=True)
class Evacuation:
    """The answer; `mark` says that the instance has to learn that its node is to be left."""

    verdict: Verdict
    mark: bool = False


def instance_of(pod: dict[str, Any] | None) -> str:
    """The name of the instance whose launcher the pod is; empty for any other pod."""
    metadata = (pod or {}).get("metadata") or {}
    if (metadata.get("labels") or {}).get("kubevirt.io") != "virt-launcher":
        return ""
    return (metadata.get("annotations") or {}).get("kubevirt.io/domain") or ""


def judge_eviction(name: str, pod: dict[str, Any], vmi: VirtualMachineInstance | None) -> Evacuation:
    """Whether the launcher of the instance `name` may be evicted: not while its guest wants to be moved instead."""
    if vmi is None:
        return _refuse(f'kubevirt failed getting the vmi: virtualmachineinstance "{name}" not found')
    migratable = any(item.type == "LiveMigratable" and item.status == "True" for item in vmi.status.conditions)
    strategy = vmi.spec.eviction_strategy
    if strategy == "LiveMigrate" and not migratable:
        return _refuse(f"VMI {name} is configured with an eviction strategy but is not live-migratable")
    moves = strategy == "External" or (strategy in ("LiveMigrate", "LiveMigrateIfPossible") and migratable)
    node = vmi.status.node_name
    if not moves or node != (pod.get("spec") or {}).get("nodeName"):
        return Evacuation(Verdict())
    # Whoever drains nodes waits for the guest to leave, and knows it by these words.
    answer = _refuse(f'Eviction triggered evacuation of VMI "{vmi.metadata.namespace}/{name}"')
    return Evacuation(answer.verdict, mark=bool(node) and not vmi.status.evacuation_node_name)


def _refuse(message: str) -> Evacuation:
    return Evacuation(Verdict(message=message, code=_TRY_AGAIN))
