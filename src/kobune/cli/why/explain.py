"""From what is seen of a machine to what a person has to know. Pure: `explain(seen)`, the first rule that fits counts.

Source of states and reasons: KubeVirt's printable status and conditions.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kobune.api.core import CoreEvent
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import parse_time
from kobune.cli.why.notes import notes
from kobune.cli.why.pod import launcher_trouble
from kobune.cli.why.seen import FINAL_PHASES, PATIENCE, Explanation, Seen, is_alive, phase_since
from kobune.cli.why.storage import storage_trouble

__all__ = ["explain"]

_SIZES: Final = re.compile(r"\bVirtualMachine(?:Cluster)?(?:Instancetype|Preference)\b")
EVENTS_OF_ONE_TRY: Final = 6
"""The last try of a machine that fails again and again is among that many events."""
_REFUSED: Final = ("ReconcileFailed", "FailedCreate")

Rule = Callable[[Seen], Explanation | None]


def explain(seen: Seen) -> Explanation:
    """What state the machine is in and why."""
    rules = _RULES_OF_INSTANCE if is_alive(seen.vmi) else _RULES_WITHOUT_INSTANCE
    for rule in rules:
        found = rule(seen)
        if found is not None:
            return replace(found, notes=(*found.notes, *notes(seen)))
    raise AssertionError("the last rule fits always")


def _vmi(seen: Seen) -> VirtualMachineInstance:
    assert seen.vmi is not None
    return seen.vmi


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _is_late(seen: Seen, since: datetime | None) -> bool:
    return since is not None and seen.now - since > PATIENCE


# While there is an instance


def _stopping(seen: Seen) -> Explanation | None:
    vmi = _vmi(seen)
    asked = _time(vmi.metadata.deletion_timestamp)
    if asked is None:
        return None
    grace_s = vmi.spec.termination_grace_period_seconds
    grace_s = 30 if grace_s is None else grace_s
    late = seen.now > asked + timedelta(seconds=grace_s) + PATIENCE
    advice: tuple[str, ...] = (f"End it without waiting: kobune stop {seen.name} --force --grace-period 0",)
    if late:
        advice = (*advice, "virt-handler should have ended it by now; `kobune status` shows whether it is well")
    return Explanation(
        "Stopping",
        f"The guest was asked to shut down; it has {grace_s} s before it is switched off.",
        asked,
        "the guest to shut down",
        advice,
    )


def _paused(seen: Seen) -> Explanation | None:
    found = next((item for item in _vmi(seen).status.conditions if item.type == "Paused"), None)
    if found is None or found.status != "True":
        return None
    since = _time(found.last_transition_time)
    if found.reason == "PausedIOError":
        return Explanation(
            "Paused",
            f"QEMU stopped the guest because a disk failed: {found.message or 'I/O error'}",
            since,
            "the disk to work again",
            ("Make room on the volume's storage, or expand the claim", f"Then: kobune unpause vm {seen.name}"),
        )
    return Explanation(
        "Paused",
        f"The guest's vCPUs are stopped: {found.message or 'somebody paused it'}.",
        since,
        "somebody to let it run again",
        (f"kobune unpause vm {seen.name}",),
    )


def _running(seen: Seen) -> Explanation | None:
    vmi = _vmi(seen)
    if vmi.status.phase != "Running":
        return None
    addresses = [item.ip_address for item in vmi.status.interfaces if item.ip_address]
    where = f"on node {vmi.status.node_name or '?'}" + (f", at {addresses[0]}" if addresses else ", without an address")
    since = phase_since(vmi)
    ready = next((item for item in vmi.status.conditions if item.type == "Ready"), None)
    if ready is not None and ready.status == "False":
        return Explanation(
            "Running",
            f"The guest runs {where}, but is not ready: {ready.message or ready.reason}.",
            _time(ready.last_transition_time) or since,
            "its readiness probe to succeed" if vmi.spec.readiness_probe is not None else "its pod to be ready",
            (f"Look into the guest: kobune console {seen.name}",),
        )
    return Explanation(
        "Running",
        f"The guest runs {where}.",
        since,
        advice=(f"Look into it: kobune console {seen.name}, or kobune ssh USER@vmi/{seen.name}",),
    )


def _unsynchronized(seen: Seen) -> Explanation | None:
    """virt-handler tried and tells what went wrong."""
    vmi = _vmi(seen)
    found = next((item for item in vmi.status.conditions if item.type == "Synchronized"), None)
    if found is None or found.status != "False":
        return None
    if not vmi.status.node_name:
        return Explanation(
            "Starting",
            f"It cannot start yet: {found.message or found.reason}",
            _time(found.last_transition_time) or phase_since(vmi),
            "what the message names",
            ("It goes on by itself once that is there",),
        )
    return Explanation(
        "Starting",
        f"Starting the guest fails and is tried again: {found.message or found.reason}",
        _time(found.last_transition_time) or phase_since(vmi),
        "the next attempt of virt-handler",
        (
            "Change what the message names in the VM, then: kobune restart " + seen.name,
            *_log_advice(seen),
        ),
    )


def _log_advice(seen: Seen) -> tuple[str, ...]:
    return tuple(
        f"Read the launcher's log: kubectl logs -n {seen.namespace} {pod.metadata.name} -c compute"
        for pod in seen.pods[:1]
    )


def _starting(seen: Seen) -> Explanation | None:
    vmi = _vmi(seen)
    since = phase_since(vmi)
    late = _is_late(seen, since)
    if "pods" in seen.unreadable:
        return Explanation(
            "Starting",
            "Its launcher pod is being started; how far it is, you may not read.",
            since,
            "its launcher pod, and the guest in it",
            (
                f"An administrator can let you: kubectl create rolebinding NAME -n {seen.namespace} "
                "--clusterrole=view --user=USER",
            )
            if late
            else (),
        )
    if not seen.pods:
        refused = next((item for item in reversed(seen.events) if item.reason in _REFUSED and _is_of_vmi(item)), None)
        if refused is not None:
            return Explanation(
                "Starting",
                f"The launcher pod cannot be created: {refused.message}",
                since,
                "the next attempt of virt-controller",
                _remedies(seen, refused.message),
            )
        advice = ("virt-controller should have made one by now: `kobune status` shows whether it is well",)
        return Explanation(
            "Starting",
            "The instance has no launcher pod yet.",
            since,
            "virt-controller to create the pod",
            advice if late else (),
        )
    if vmi.status.phase == "Scheduled":
        return Explanation(
            "Starting",
            f"The launcher pod runs on node {vmi.status.node_name or '?'}; the guest is being defined and started.",
            since,
            "virt-handler to start the guest",
            ("It should take seconds; `kobune status` shows whether virt-handler is well", *_log_advice(seen))
            if late
            else (),
        )
    return Explanation(
        "Starting",
        f"The launcher pod {seen.pods[0].metadata.name} is {seen.pods[0].status.phase or 'Pending'}.",
        since,
        "the pod's containers to start",
        (f"kubectl describe pod -n {seen.namespace} {seen.pods[0].metadata.name}",) if late else (),
    )


def _is_of_vmi(event: CoreEvent) -> bool:
    return event.involved_object.kind == "VirtualMachineInstance"


def _remedies(seen: Seen, message: str) -> tuple[str, ...]:
    """The ways out of what admission says about a pod."""
    if "must specify limits" in message:
        return (
            "A quota of the namespace wants limits: give the machine resources.limits in its domain, or make a "
            f"LimitRange with defaults in {seen.namespace}",
            f"kubectl describe quota -n {seen.namespace}",
        )
    if "quota" in message:
        return (
            "Make the machine smaller, stop another one, or raise the quota",
            f"kubectl describe quota -n {seen.namespace}",
        )
    if "PodSecurity" in message:
        level = "privileged"
        return (f"kubectl label namespace {seen.namespace} pod-security.kubernetes.io/enforce={level} --overwrite",)
    return ("Change what the message names; it is tried again by itself",)


# Without an instance, or with one that is over


def _terminating(seen: Seen) -> Explanation | None:
    if seen.vm is None or seen.vm.metadata.deletion_timestamp is None:
        return None
    left = ", ".join(seen.vm.metadata.finalizers) or "none"
    foreign = [name for name in seen.vm.metadata.finalizers if "kubevirt.io/" not in name and "/" in name]
    advice: tuple[str, ...] = ()
    if foreign:
        rest = [name for name in seen.vm.metadata.finalizers if name not in foreign]
        patch = json.dumps({"metadata": {"finalizers": rest or None}})
        advice = (
            f"Who set {', '.join(foreign)} has to take it away; if nobody does: "
            f"kubectl patch vm -n {seen.namespace} {seen.name} --type merge -p '{patch}'",
        )
    elif _is_late(seen, _time(seen.vm.metadata.deletion_timestamp)):
        advice = ("virt-controller should have done it by now: `kobune status` shows whether it is well",)
    return Explanation(
        "Terminating",
        "The machine was deleted and is being cleaned up.",
        _time(seen.vm.metadata.deletion_timestamp),
        f"its finalizers to be worked off: {left}",
        advice,
    )


def _standing_alone(seen: Seen) -> Explanation | None:
    """An instance that is over and belongs to no machine."""
    if seen.vm is not None:
        return None
    vmi = _vmi(seen)
    failed = vmi.status.phase == "Failed"
    return Explanation(
        vmi.status.phase or "Pending",
        ("The guest failed" if failed else "The guest shut down")
        + (f": {reason}." if (reason := _reason_of_end(seen)) else "."),
        phase_since(vmi),
        advice=(f"An instance does not start twice: kubectl delete vmi -n {seen.namespace} {seen.name}, then make it "
                "again; a VirtualMachine would start it anew by itself",),
    )  # fmt: skip


def _reason_of_end(seen: Seen) -> str:
    ends = [item for item in seen.events if item.reason in ("Stopped", "SyncFailed", "PodDisappeared")]
    if ends:
        return ends[-1].message.rstrip(".")
    return (seen.vmi.status.reason or "") if seen.vmi is not None else ""


def _failed_to_create(seen: Seen) -> Explanation | None:
    assert seen.vm is not None
    found = next((item for item in seen.vm.status.conditions if item.type == "Failure"), None)
    if found is None or found.status != "True" or seen.vm.spec.strategy == "Halted":
        return None
    return Explanation(
        "Stopped",
        f"Its instance cannot be made: {found.message or found.reason}",
        _time(found.last_transition_time),
        "what the message names",
        (
            *(f"See what there is: kubectl get {kind.lower()}" for kind in _SIZES.findall(found.message or "")[:1]),
            f"Change the machine: kubectl edit vm -n {seen.namespace} {seen.name}; it is tried again by itself",
        ),
    )


def _crash_loop(seen: Seen) -> Explanation | None:
    assert seen.vm is not None
    failure = seen.vm.status.start_failure
    if failure is None or seen.vm.spec.strategy not in ("Always", "RerunOnFailure", "Once"):
        return None
    count = failure.consecutive_fail_count or 1
    retry = _time(failure.retry_after_timestamp)
    wait_s = max(0, round((retry - seen.now).total_seconds())) if retry is not None else 0
    reason = _reason_of_end(seen)
    never_ran = any(item.reason == "SyncFailed" for item in seen.events[-EVENTS_OF_ONE_TRY:])
    times = "once" if count == 1 else f"{count} times in a row"
    return Explanation(
        "CrashLoopBackOff",
        f"The guest ended {times} soon after its start" + (f"; last: {reason}." if reason else "."),
        phase_since(seen.vmi) if seen.vmi is not None else None,
        f"the next attempt, in {wait_s} s" if wait_s else "the next attempt, now",
        (
            f"It fails before it boots: change what the message names, kubectl edit vm -n {seen.namespace} {seen.name}"
            if never_ran
            else f"Watch it fail: kobune console {seen.name} --timeout 10",
            f"Stop trying: kobune stop {seen.name}",
            *_log_advice(seen),
        ),
    )


def _halted(seen: Seen) -> Explanation | None:
    assert seen.vm is not None
    strategy = seen.vm.spec.strategy
    over = seen.vmi is not None and seen.vmi.status.phase in FINAL_PHASES
    requested = any(item.action == "Start" for item in seen.vm.status.state_change_requests)
    ready = next((item for item in seen.vm.status.conditions if item.type == "Ready"), None)
    since = _time(ready.last_transition_time) if ready is not None else _time(seen.vm.metadata.creation_timestamp)
    start = (f"kobune start {seen.name}",)
    if strategy == "Halted":
        return Explanation("Stopped", "The machine is switched off (runStrategy Halted).", since, advice=start)
    if strategy == "Manual" and not requested:
        return Explanation("Stopped", "The machine starts only on request (runStrategy Manual).", since, advice=start)
    if over and strategy == "Once":
        return Explanation(
            "Stopped",
            "The guest has run and ended; runStrategy Once does not start it again.",
            since,
            advice=(
                f"To run it again: kubectl patch vm -n {seen.namespace} {seen.name} --type merge "
                '-p \'{"spec":{"runStrategy":"Always"}}\'',
            ),
        )
    if over and strategy == "RerunOnFailure" and seen.vmi is not None and seen.vmi.status.phase == "Succeeded":
        summary = "The guest shut itself down; runStrategy RerunOnFailure starts it again only after a failure."
        return Explanation("Stopped", summary, since, advice=start)
    return None


def _about_to_start(seen: Seen) -> Explanation | None:
    assert seen.vm is not None
    since = _time(seen.vm.metadata.creation_timestamp)
    advice = ("virt-controller should have made it by now: `kobune status` shows whether it is well",)
    return Explanation(
        "Starting",
        "The machine is to run; its instance is not there yet.",
        since,
        "virt-controller to create the instance",
        advice if _is_late(seen, since) else (),
    )


_RULES_OF_INSTANCE: Final[tuple[Rule, ...]] = (
    _stopping,
    _paused,
    _running,
    storage_trouble,
    launcher_trouble,
    _unsynchronized,
    _starting,
)
_RULES_WITHOUT_INSTANCE: Final[tuple[Rule, ...]] = (
    _terminating,
    _standing_alone,
    _failed_to_create,
    _crash_loop,
    _halted,
    storage_trouble,
    _about_to_start,
)
