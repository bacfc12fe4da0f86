"""What to do about a node: fail the instances that nobody looks after, and have its CPU asked about.

Source: KubeVirt's rules for a virt-handler whose heartbeat has stopped.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from kobune.api.core import Node, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import parse_time
from kobune.base.quantity import parse_quantity
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.merge import merge_diff
from kobune.kube.client.objects import controller_of
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, Event, EventType, PatchObject
from kobune.virt.controllers.conditions import enter_phase
from kobune.virt.controllers.node.facts_pod import CPU_FACTS, KVM, facts_key, facts_pod
from kobune.virt.controllers.words import FINAL_PHASES

__all__ = ["ADDRESS_ANNOTATION", "HEARTBEAT_LIMIT", "NODE_UNRESPONSIVE", "Observed", "decide"]

HEARTBEAT: Final = "kubevirt.io/heartbeat"
SCHEDULABLE: Final = "kubevirt.io/schedulable"
ADDRESS_ANNOTATION: Final = "kobune.io/virt-handler-address"
"""Only a virt-handler of ours asks a pod about the CPU."""
HEARTBEAT_LIMIT: Final = timedelta(minutes=5)
AGAIN: Final = timedelta(minutes=1)
NODE_UNRESPONSIVE: Final = "NodeUnresponsive"


@dataclass(frozen=True, slots=True)
class Observed:
    """A node, present or gone, and what is on it."""

    name: str
    node: Node | None
    instances: tuple[VirtualMachineInstance, ...]
    """Those whose status names the node."""
    launchers: tuple[Pod, ...]
    facts_pod: Pod | None
    namespace: str
    """Where the pod that asks about the CPU lives."""
    launcher_image: str
    image_pull_policy: str
    now: datetime


def decide(seen: Observed) -> Decision[Action]:
    """The next step for a node."""
    node = seen.node
    silent_after = _silent_after(node)
    if node is not None and (silent_after is None or silent_after > seen.now):
        actions, again = _facts(seen, node)
        waits = [wait for wait in (again, silent_after - seen.now if silent_after is not None else None) if wait]
        return Decision(tuple(actions), requeue_after=min(waits, default=None))
    actions = []
    events: list[Event] = []
    if node is not None and node.metadata.labels.get(SCHEDULABLE) == "true":
        body = {"metadata": {"resourceVersion": node.metadata.resource_version, "labels": {SCHEDULABLE: "false"}}}
        actions.append(PatchObject(NODES, Key("", seen.name), Patch.merge(body)))
        message = "virt-handler is not responsive, marking node as unresponsive"
        events.append(Event(EventType.NORMAL, NODE_UNRESPONSIVE, message))
    alive = {owner.uid for pod in seen.launchers if _is_alive(pod) and (owner := controller_of(pod)) is not None}
    for vmi in seen.instances:
        if vmi.status.phase not in FINAL_PHASES and vmi.metadata.uid not in alive:
            actions.append(_fail(vmi, seen.now))
    return Decision(tuple(actions), events=tuple(events), requeue_after=AGAIN if node is not None else None)


def _silent_after(node: Node | None) -> datetime | None:
    """When the node counts as abandoned; None for a node that never had a virt-handler."""
    told = node.metadata.annotations.get(HEARTBEAT) if node is not None else None
    if not told:
        return None
    try:
        return parse_time(told) + HEARTBEAT_LIMIT
    except ValueError:
        return None


def _is_alive(pod: Pod) -> bool:
    """A pod whose containers have all ended is none that somebody has to look after."""
    statuses = pod.status.container_statuses
    ended = bool(statuses) and all(status.state.terminated is not None for status in statuses)
    return not ended and pod.status.phase not in ("Succeeded", "Failed")


def _fail(vmi: VirtualMachineInstance, now: datetime) -> PatchObject:
    before: dict[str, Any] = msgspec.to_builtins(vmi.status)
    status = dict(before)
    enter_phase(status, "Failed", now)
    status["reason"] = NODE_UNRESPONSIVE
    body = {"metadata": {"resourceVersion": vmi.metadata.resource_version}, "status": merge_diff(before, status)}
    key = Key(vmi.metadata.namespace, vmi.metadata.name)
    return PatchObject(VIRTUAL_MACHINE_INSTANCES, key, Patch.merge(body))


def _facts(seen: Observed, node: Node) -> tuple[list[Action], timedelta | None]:
    """Have the CPU asked about once per image; remove the pod when it has answered."""
    pod = seen.facts_pod
    if ADDRESS_ANNOTATION not in node.metadata.annotations:
        return [], None
    kvm = parse_quantity(node.status.allocatable.get(KVM, 0)) > 0
    answered = node.metadata.annotations.get(CPU_FACTS) == facts_key(seen.launcher_image, kvm=kvm)
    if pod is None:
        if answered or not _is_ready(node):
            return [], None
        made = facts_pod(node, seen.namespace, seen.launcher_image, seen.image_pull_policy, kvm=kvm)
        return [Create(PODS, seen.namespace, made, node.metadata.uid)], None
    ended = pod.status.phase in ("Succeeded", "Failed")
    if (answered or ended) and pod.metadata.deletion_timestamp is None:
        delete = Delete(PODS, Key(pod.metadata.namespace, pod.metadata.name), pod.metadata.uid)
        if answered or _has_rested(pod, seen.now):
            return [delete], None
        return [], AGAIN
    return [], None


def _has_rested(pod: Pod, now: datetime) -> bool:
    """A pod that failed stays for a while: its log says why, and the next one would fail as well."""
    made = pod.metadata.creation_timestamp
    return made is None or parse_time(made) + HEARTBEAT_LIMIT < now


def _is_ready(node: Node) -> bool:
    return any(item.type == "Ready" and item.status == "True" for item in node.status.conditions)
