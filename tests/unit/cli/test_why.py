"""`kobune why`: a table of what is seen and what is said about it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from kobune.api.core import CoreEvent, PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.clock import format_time
from kobune.cli.why.explain import explain
from kobune.cli.why.notes import plugging_notes
from kobune.cli.why.seen import Seen
from kobune.cli.why.show import age, show
from support.vms import NOW, instance, machine

AGO = format_time(NOW - timedelta(seconds=30))
LONG_AGO = format_time(NOW - timedelta(hours=1))


def pod(
    *,
    conditions: list[dict[str, Any]] | None = None,
    waiting: dict[str, str] | None = None,
    selector: dict[str, str] | None = None,
) -> Pod:
    statuses = [{"name": "volumeroot", "image": "registry.example/demo:1", "state": {"waiting": waiting}}]
    document = {
        "metadata": {"name": "virt-launcher-vm-x", "namespace": "ns", "uid": "p", "creationTimestamp": AGO},
        "spec": {"containers": [], "nodeSelector": selector or {}},
        "status": {
            "phase": "Pending",
            "conditions": conditions or [],
            "containerStatuses": statuses if waiting else [],
        },
    }
    return msgspec.convert(document, Pod)


def claim(phase: str, storage_class: str = "") -> PersistentVolumeClaim:
    document = {
        "metadata": {"name": "data", "namespace": "ns", "creationTimestamp": AGO},
        "spec": {"storageClassName": storage_class},
        "status": {"phase": phase},
    }
    return msgspec.convert(document, PersistentVolumeClaim)


def event(kind: str, name: str, reason: str, message: str, *, warning: bool = False, moment: str = AGO) -> CoreEvent:
    document = {
        "metadata": {"name": f"{name}.{reason}", "namespace": "ns"},
        "involvedObject": {"kind": kind, "name": name},
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": moment,
        "count": 1,
    }
    return msgspec.convert(document, CoreEvent)


def phase(name: str, *conditions: dict[str, Any], since: str = AGO, **more: Any) -> dict[str, Any]:
    times = [{"phase": name, "phaseTransitionTimestamp": since}]
    return {"phase": name, "conditions": list(conditions), "phaseTransitionTimestamps": times, **more}


def cond(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": AGO}


def seen(**parts: Any) -> Seen:
    return Seen(name="vm", namespace="ns", now=NOW, **parts)


READY, AGENT = cond("Ready", "True"), cond("AgentConnected", "True")
RUNNING = phase(
    "Running", READY, AGENT, nodeName="node1", interfaces=[{"name": "default", "ipAddress": "10.0.0.5"}]
)  # fmt: skip
NO_MATCH = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
UNSCHEDULABLE = "0/1 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {a: }."
TCG = event("VirtualMachineInstance", "vm", "SoftwareEmulation", "KVM does not work on node node1", warning=True)
STOPPED = event("VirtualMachineInstance", "vm", "Stopped", "The VirtualMachineInstance crashed: panic.", warning=True)
PULL = {"reason": "ImagePullBackOff", "message": "no such host"}
FAILURE = {"consecutiveFailCount": 3, "retryAfterTimestamp": format_time(NOW + timedelta(seconds=40))}


@dataclass(frozen=True)
class Case:
    """A row: `words` are in the summary, `waits` in what is waited for, `advice` and `notes` in those."""

    seen: Seen
    state: str
    words: str
    waits: str = ""
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


CASES = {
    "it runs; nothing is wrong": Case(
        seen(vm=machine(), vmi=instance(status=RUNNING)),
        "Running", "on node node1, at 10.0.0.5", "", ("kobune console vm",),
    ),
    "it runs without KVM": Case(
        seen(vm=machine(), vmi=instance(status=RUNNING), events=(TCG,)),
        "Running", "on node node1", "", ("kobune console vm",), ("software emulation (TCG)",),
    ),
    "its guest agent does not answer": Case(
        seen(vm=machine(), vmi=instance(status=phase("Running", READY, since=LONG_AGO))),
        "Running", "without an address", "", ("kobune console vm",), ("qemu-guest-agent",),
    ),
    "it still boots": Case(
        seen(vm=machine(), vmi=instance(status=phase("Running", READY))),
        "Running", "without an address", "", ("kobune console vm",),
    ),
    "it ends without KVM": Case(
        seen(vm=machine(), vmi=instance(status=RUNNING, deletionTimestamp=AGO), events=(TCG,)),
        "Stopping", "asked to shut down", "the guest to shut down",
    ),
    "it runs, but its probe fails": Case(
        seen(vmi=instance(status=phase("Running", AGENT, cond("Ready", "False", "NotReady", "probe failed")))),
        "Running", "not ready: probe failed", "its pod to be ready",
    ),
    "it waits for a restart": Case(
        seen(
            vm=machine(status={"conditions": [cond("RestartRequired", "True", message="cpu changed")]}),
            vmi=instance(status=RUNNING),
        ),
        "Running", "on node node1", "", (), ("cpu changed): kobune restart vm",),
    ),
    "somebody paused it": Case(
        seen(
            vm=machine(),
            vmi=instance(status=phase("Running", READY, AGENT, cond("Paused", "True", "ByUser", "VMI was paused"))),
        ),
        "Paused", "VMI was paused", "somebody to let it run again", ("kobune unpause vm vm",),
    ),
    "its disk is full": Case(
        seen(vmi=instance(status=phase("Running", READY, AGENT, cond("Paused", "True", "PausedIOError", "no space")))),
        "Paused", "a disk failed: no space", "the disk to work again", ("Make room", "kobune unpause vm vm"),
    ),
    "no node takes it": Case(
        seen(
            vm=machine(),
            vmi=instance(status=phase("Scheduling")),
            pods=(pod(conditions=[cond("PodScheduled", "False", "Unschedulable", UNSCHEDULABLE)]),),
        ),
        "ErrorUnschedulable", "Insufficient memory", "a node that fits", ("less memory", "toleration"),
    ),
    "no node has its CPU model": Case(
        seen(
            vm=machine(),
            vmi=instance(status=phase("Scheduling")),
            pods=(
                pod(
                    conditions=[cond("PodScheduled", "False", "Unschedulable", NO_MATCH)],
                    selector={"cpu-model.node.kubevirt.io/Nehalem": "true", "kubevirt.io/schedulable": "true"},
                ),
            ),
        ),
        "ErrorUnschedulable", "didn't match", "a node that fits", ("No node offers the CPU model Nehalem",),
    ),
    "no node has its label": Case(
        seen(
            vm=machine(),
            vmi=instance(status=phase("Scheduling")),
            pods=(
                pod(conditions=[cond("PodScheduled", "False", "Unschedulable", NO_MATCH)], selector={"zone": "moon"}),
            ),
        ),
        "ErrorUnschedulable", "didn't match", "a node that fits", ("Label a node with zone=moon",),
    ),
    "its secret does not exist": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(pod(),),
            events=(event("Pod", "virt-launcher-vm-x", "FailedMount", 'secret "s" not found', warning=True),),
        ),
        "Starting", 'secret "s" not found', "the node's next attempt", ("Create the Secret s in namespace ns",),
    ),
    "a quota is used up": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Pending")),
            events=(event("VirtualMachineInstance", "vm", "ReconcileFailed", "exceeded quota: tiny", warning=True),),
        ),
        "Starting", "cannot be created: exceeded quota: tiny", "virt-controller", ("raise the quota", "describe quota"),
    ),
    "a quota wants limits": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Pending")),
            events=(event("VirtualMachineInstance", "vm", "ReconcileFailed", "must specify limits.memory"),),
        ),
        "Starting", "must specify limits", "virt-controller", ("LimitRange",),
    ),
    "the class of its claim does not exist": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")), claims=(claim("Pending", "fast"),),
            missing_classes=("fast",),
        ),
        "WaitingForVolumeBinding", "there is no storage class fast", "a volume for data", ("storage class fast",),
    ),
    "somebody else's image cannot be pulled": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")),
            pods=(pod(waiting={"reason": "ErrImagePull", "message": 'cannot pull image "launcher:1"'}),),
        ),
        "ErrImagePull", "The image launcher:1 cannot be had", "the image", ("no image of the machine's own",),
    ),
    "its image cannot be pulled": Case(
        seen(vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(pod(waiting=PULL),)),
        "ImagePullBackOff", "registry.example/demo:1 cannot be had: no such host", "the image",
        ("does not reach the registry",),
    ),
    "its image wants a login": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")),
            pods=(pod(waiting={"reason": "ErrImagePull", "message": "pull access denied, may require authorization"}),),
        ),
        "ErrImagePull", "cannot be had: pull access denied", "the image", ("imagePullSecret", "Check the name"),
    ),
    "its image has another name": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")),
            pods=(pod(waiting={"reason": "ErrImagePull", "message": "manifest unknown"}),),
        ),
        "ErrImagePull", "cannot be had: manifest unknown", "the image", ("Check the name", "imagePullSecret"),
    ),
    "its container disk cannot be pulled as a volume": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(pod(),),
            events=(event("Pod", "virt-launcher-vm-x", "FailedMount", 'volume "root": no such host', warning=True),),
        ),
        "ErrImagePull", "registry.example/demo:1 cannot be had", "the image", ("does not reach the registry",),
    ),
    "its network cannot be made": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(pod(),),
            events=(event("Pod", "virt-launcher-vm-x", "FailedCreatePodSandBox", "no address left", warning=True),),
        ),
        "Starting", "cannot prepare the launcher pod: no address left", "the node's next attempt", ("describe pod",),
    ),
    "a claim is missing": Case(
        seen(vm=machine(), vmi=instance(status=phase("Pending")), missing_claims=("data",)),
        "ErrorPvcNotFound", "data does not exist in namespace ns", "PersistentVolumeClaim data", ("Create it",),
    ),
    "a claim is not bound": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(pod(),), claims=(claim("Pending"),),
            events=(event("PersistentVolumeClaim", "data", "ProvisioningFailed", 'class "x" not found'),),
        ),
        "WaitingForVolumeBinding", 'data is Pending: class "x" not found', "a volume for data", ("storage class",),
    ),
    "a claim waits for the pod, as it should": Case(
        seen(
            vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(pod(),), claims=(claim("Pending"),),
            events=(event("PersistentVolumeClaim", "data", "WaitForFirstConsumer", "waiting"),),
        ),
        "Starting", "virt-launcher-vm-x is Pending", "the pod's containers to start",
    ),
    "a claim lost its volume": Case(
        seen(vmi=instance(status=phase("Scheduling")), claims=(claim("Lost"),)),
        "WaitingForVolumeBinding", "data is Lost", "a volume for data", ("The volume is gone",),
    ),
    "a DataVolume fills": Case(
        seen(
            vm=machine(), missing_claims=("data",),
            data_volumes=({"metadata": {"name": "data"}, "status": {"phase": "ImportInProgress", "progress": "42%"}},),
        ),
        "Provisioning", "data is ImportInProgress (42%)", "DataVolume data to be filled",
    ),
    "its DataVolume does not exist": Case(
        seen(
            vm=machine(), missing_claims=("absent",),
            vmi=instance(
                status=phase("Pending"), spec_changes={"volumes": [{"name": "x", "dataVolume": {"name": "absent"}}]}
            ),
        ),
        "ErrorPvcNotFound", "neither a DataVolume absent nor a claim", "DataVolume absent", ("kubectl get datavolume",),
    ),
    "DataVolumes are not imported here": Case(
        seen(
            vm=machine(), missing_claims=("data",),
            data_volumes=({"metadata": {"name": "data"}, "status": {"phase": "Pending"}},),
            events=(event("DataVolume", "data", "NotSupported", "DataVolume is not supported yet", warning=True),),
        ),
        "Provisioning", "data is not filled", "a claim data", ("Make the claim data yourself",),
    ),
    "nobody imports DataVolumes": Case(
        seen(vm=machine(), data_volumes=({"metadata": {"name": "data"}},)),
        "Provisioning", "data is Pending", "DataVolume data", ("describe datavolume", "installed?"),
    ),
    "starting it fails": Case(
        seen(
            vm=machine(), pods=(pod(),),
            vmi=instance(
                status=phase(
                    "Scheduled", cond("Synchronized", "False", "Failed", "tap0: no such device"), nodeName="node1"
                )
            ),
        ),
        "Starting", "tap0: no such device", "the next attempt", ("kobune restart vm", "kubectl logs -n ns"),
    ),
    "something is missing that may not be read": Case(
        seen(
            vm=machine(), unreadable=("pods", "persistentvolumeclaims"),
            vmi=instance(status=phase("Pending", cond("Synchronized", "False", "FailedPvcNotFound", "no claim data"))),
        ),
        "Starting", "cannot start yet: no claim data", "what the message names", ("by itself",),
    ),
    "its guest is being started": Case(
        seen(vm=machine(), vmi=instance(status=phase("Scheduled", nodeName="node1")), pods=(pod(),)),
        "Starting", "on node node1", "virt-handler to start the guest",
    ),
    "virt-handler is slow": Case(
        seen(vm=machine(), vmi=instance(status=phase("Scheduled", since=LONG_AGO)), pods=(pod(),)),
        "Starting", "being defined", "virt-handler", ("kobune status", "kubectl logs"),
    ),
    "its pod may not be read": Case(
        seen(vm=machine(), vmi=instance(status=phase("Pending", since=LONG_AGO)), unreadable=("pods",)),
        "Starting", "you may not read", "its launcher pod", ("--clusterrole=view",),
    ),
    "it has no pod yet": Case(
        seen(vm=machine(), vmi=instance(status=phase("Pending"))),
        "Starting", "no launcher pod yet", "virt-controller to create the pod",
    ),
    "virt-controller does not make its pod": Case(
        seen(vm=machine(), vmi=instance(status=phase("Pending", since=LONG_AGO))),
        "Starting", "no launcher pod yet", "virt-controller", ("kobune status",),
    ),
    "it shuts down": Case(
        seen(vm=machine(), vmi=instance(status=RUNNING, deletionTimestamp=AGO)),
        "Stopping", "asked to shut down", "the guest to shut down", ("--force --grace-period 0",),
    ),
    "it does not shut down": Case(
        seen(vm=machine(), vmi=instance(status=RUNNING, deletionTimestamp=LONG_AGO)),
        "Stopping", "asked to shut down", "the guest to shut down", ("--force", "virt-handler should"),
    ),
    "it is switched off": Case(
        seen(vm=machine(strategy="Halted", creationTimestamp=AGO)),
        "Stopped", "switched off", "", ("kobune start vm",),
    ),
    "it starts on request only": Case(
        seen(vm=machine(strategy="Manual")), "Stopped", "only on request", "", ("kobune start vm",),
    ),
    "it ran once": Case(
        seen(vm=machine(strategy="Once"), vmi=instance(status=phase("Succeeded"))),
        "Stopped", "Once does not start it again", "", ("kubectl patch vm -n ns vm",),
    ),
    "it shut itself down": Case(
        seen(vm=machine(strategy="RerunOnFailure"), vmi=instance(status=phase("Succeeded"))),
        "Stopped", "shut itself down", "", ("kobune start vm",),
    ),
    "it crashes again and again": Case(
        seen(vm=machine(status={"startFailure": FAILURE}), vmi=instance(status=phase("Failed")), events=(STOPPED,)),
        "CrashLoopBackOff", "3 times in a row soon after its start; last: The VirtualMachineInstance crashed: panic.",
        "in 40 s", ("kobune console vm", "kobune stop vm"),
    ),
    "it fails before it boots": Case(
        seen(
            vm=machine(status={"startFailure": FAILURE}), vmi=instance(status=phase("Failed")),
            events=(event("VirtualMachineInstance", "vm", "SyncFailed", "the image has no folder /disk"),),
        ),
        "CrashLoopBackOff", "last: the image has no folder /disk.", "in 40 s", ("kubectl edit vm -n ns vm",),
    ),
    "its instancetype does not exist": Case(
        seen(
            vm=machine(
                status={
                    "conditions": [
                        cond("Failure", "True", "", "VirtualMachineClusterInstancetype u1 does not exist; create it")
                    ]
                }
            )
        ),
        "Stopped", "u1 does not exist", "what the message names",
        ("kubectl get virtualmachineclusterinstancetype", "kubectl edit vm -n ns vm"),
    ),
    "its instance is about to come": Case(
        seen(vm=machine(creationTimestamp=AGO)), "Starting", "not there yet", "virt-controller to create the instance",
    ),
    "its instance does not come": Case(
        seen(vm=machine(creationTimestamp=LONG_AGO)),
        "Starting", "not there yet", "virt-controller", ("kobune status",),
    ),
    "it is being deleted": Case(
        seen(vm=machine(deletionTimestamp=AGO)),
        "Terminating", "deleted", "kubevirt.io/virtualMachineControllerFinalize",
    ),
    "somebody holds it": Case(
        seen(vm=machine(deletionTimestamp=AGO, finalizers=["example.com/hold"])),
        "Terminating", "deleted", "example.com/hold", ("Who set example.com/hold has to take it away",),
    ),
    "an instance without a machine is over": Case(
        seen(vmi=instance(status=phase("Failed")), events=(STOPPED,)),
        "Failed", "The guest failed: The VirtualMachineInstance crashed: panic.", "", ("kubectl delete vmi -n ns vm",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_explanation(name: str) -> None:
    case = CASES[name]
    said = explain(case.seen)
    assert said.state == case.state
    assert case.words in said.summary
    assert case.waits in said.waits_for
    assert bool(case.waits) == bool(said.waits_for)
    for part in case.advice:
        assert any(part in line for line in said.advice), said.advice
    assert len(said.notes) == len(case.notes), said.notes
    for part in case.notes:
        assert any(part in line for line in said.notes), said.notes


def test_since_is_when_the_state_began() -> None:
    for name in ("it runs; nothing is wrong", "somebody paused it", "no node takes it", "it is switched off"):
        since = explain(CASES[name].seen).since
        assert since == NOW - timedelta(seconds=30), name


def test_one_screen(golden: Callable[[str, str], None]) -> None:
    many = tuple(
        event("VirtualMachineInstance", "vm", f"Number{number}", "told", moment=format_time(NOW - timedelta(minutes=9)))
        for number in range(9)
    )
    case = CASES["a claim is not bound"].seen
    whole = Seen("vm", "ns", NOW, case.vm, case.vmi, case.pods, case.claims, ("logs",), (), (*many, *case.events, TCG))
    golden("why.txt", show(whole, explain(whole)) + "\n")


def test_the_first_line_has_the_word_of_kubectl() -> None:
    waiting = CASES["a claim is not bound"].seen
    vm = machine(status={"printableStatus": "ErrorUnschedulable"})
    whole = Seen("vm", "ns", NOW, vm, waiting.vmi, waiting.pods, waiting.claims)
    assert show(whole, explain(whole)).splitlines()[0] == "VM ns/vm: ErrorUnschedulable"


def test_long_messages_are_cut() -> None:
    told = event("VirtualMachineInstance", "vm", "Told", "word " * 100)
    whole = Seen("vm", "ns", NOW, None, instance(status=RUNNING), events=(told,))
    last = show(whole, explain(whole)).splitlines()[-1]
    assert last.endswith("...")
    assert len(last) < 260


def test_too_large_machines_say_what_they_ask_for() -> None:
    document = msgspec.to_builtins(CASES["no node takes it"].seen.pods[0])
    resources = {"requests": {"memory": "900Gi", "cpu": "100m"}}
    document["spec"]["containers"] = [{"name": "compute", "image": "i", "resources": resources}]
    whole = seen(vm=machine(), vmi=instance(status=phase("Scheduling")), pods=(msgspec.convert(document, Pod),))
    assert any("asks for memory 900Gi, cpu 100m" in line for line in explain(whole).advice)


def test_ages() -> None:
    spans = {-5: "0s", 119: "119s", 120: "2m", 7200: "2h", 3 * 86400: "3d"}
    for seconds, text in spans.items():
        assert age(timedelta(seconds=seconds)) == text


def test_volumes_that_come_and_go_are_notes_about_a_running_guest() -> None:
    entries = [
        {"name": "late", "phase": "Pending", "message": "PVC late not found", "target": "", "hotplugVolume": {}},
        {"name": "gone", "phase": "Ready", "message": "the guest was asked", "target": "sda", "hotplugVolume": {}},
        {"name": "here", "phase": "Ready", "target": "sdb", "hotplugVolume": {}},
        {"name": "root", "target": "vda"},
    ]
    volumes = [{"name": n, "persistentVolumeClaim": {"claimName": n, "hotpluggable": True}} for n in ("late", "here")]
    status = {"phase": "Running", "volumeStatus": entries}
    spec = {"domain": {"devices": {}}, "volumes": volumes}
    assert plugging_notes(msgspec.convert({"spec": spec, "status": status}, VirtualMachineInstance)) == [
        "Volume late is being plugged in (Pending): PVC late not found",
        "Volume gone is being unplugged (Ready): the guest was asked",
    ]
