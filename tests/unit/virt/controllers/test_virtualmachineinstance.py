"""Decisions about instances: pod, handover, end."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec import structs

from kobune.api.core import PersistentVolumeClaim
from kobune.api.kubevirt import KubeVirtConfiguration, VolumeStatus
from kobune.api.meta import ObjectMeta
from kobune.kube.runtime import Create, Decision, Delete, PatchObject
from kobune.virt.controllers.virtualmachineinstance.decide import Observed, decide
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import UNPAUSED_GATE, PodSettings
from kobune.virt.controllers.words import NODE_NAME_LABEL, VM_FINALIZER
from support.vms import NOW, VMI_UID, condition, instance, launcher

DELETED = "2026-01-01T00:00:00Z"
JUST_DELETED = "2026-01-02T03:04:03Z"
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
OPEN_GATE = {"type": UNPAUSED_GATE, "status": "True"}


def seen(vmi: Any, *pods: Any) -> Observed:
    return Observed(vmi, pods, NOW, PodSettings("launcher:1"))


def status_of(decision: Decision[Any]) -> dict[str, Any]:
    assert decision.status is not None
    return decision.status.status


def test_a_pending_instance_without_a_pod_gets_one() -> None:
    decision = decide(seen(instance()))
    (create,) = decision.actions
    assert isinstance(create, Create)
    assert create.owner_uid == VMI_UID
    assert [event.reason for event in decision.events] == ["SuccessfulCreate"]


def test_with_a_pod_it_is_scheduling_and_knows_its_size() -> None:
    status = status_of(decide(seen(instance(), launcher())))
    assert status["phase"] == "Scheduling"
    assert status["memory"]["guestAtBoot"] == "64Mi"
    assert status["memory"]["memoryOverhead"] == "189Mi"
    assert condition(status, "Ready")["reason"] == "GuestNotRunning"


def test_a_running_launcher_is_handed_over_in_one_patch() -> None:
    pod = launcher(phase="Running", node="node-1", state=RUNNING)
    gate, handover = decide(seen(instance(phase="Scheduling"), pod)).actions
    assert isinstance(gate, PatchObject)
    assert gate.subresource == "status"
    assert isinstance(handover, PatchObject)
    body = handover.patch.body
    assert body["metadata"]["labels"] == {NODE_NAME_LABEL: "node-1"}
    assert body["metadata"]["resourceVersion"] == "9"
    assert body["status"]["phase"] == "Scheduled"
    assert body["status"]["nodeName"] == "node-1"


def test_a_launcher_that_is_pulled_or_placed_badly_is_told() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    pulled = status_of(decide(seen(instance(phase="Scheduling"), launcher(state=waiting))))
    assert condition(pulled, "Synchronized")["reason"] == "ErrImagePull"
    unplaced = launcher(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}])
    placed = status_of(decide(seen(instance(phase="Scheduling"), unplaced)))
    assert condition(placed, "PodScheduled")["reason"] == "Unschedulable"
    # Both go once the reason is gone.
    fine = decide(seen(instance(phase="Scheduling", status=pulled | {"phase": "Scheduling"}), launcher()))
    assert condition(status_of(fine), "Synchronized") == {}


def test_a_guest_is_ready_when_it_runs_and_its_pod_is_ready() -> None:
    ready_pod = launcher(
        phase="Running", node="n", state=RUNNING, conditions=[{"type": "Ready", "status": "True"}, OPEN_GATE]
    )
    labels = {NODE_NAME_LABEL: "n"}
    running = decide(seen(instance(phase="Running", labels=labels), ready_pod))
    assert running.actions == ()
    assert condition(status_of(running), "Ready")["status"] == "True"
    scheduled = decide(seen(instance(phase="Scheduled", labels=labels), ready_pod))
    assert condition(status_of(scheduled), "Ready")["status"] == "False"


def test_a_paused_guest_closes_the_readiness_gate() -> None:
    pod = launcher(phase="Running", node="n", state=RUNNING, conditions=[OPEN_GATE])
    paused = instance(
        phase="Running", labels={NODE_NAME_LABEL: "n"}, status={"conditions": [{"type": "Paused", "status": "True"}]}
    )
    (gate,) = decide(seen(paused, pod)).actions
    assert isinstance(gate, PatchObject)
    assert gate.patch.body["status"]["conditions"][0]["status"] == "False"


def test_a_pod_that_fails_before_the_handover_fails_the_instance() -> None:
    decision = decide(seen(instance(phase="Scheduling"), launcher(phase="Failed")))
    assert status_of(decision)["phase"] == "Failed"


def test_virt_handler_has_time_to_tell_how_a_guest_ended() -> None:
    just_now = {"terminated": {"exitCode": 0, "finishedAt": "2026-01-02T03:04:00Z"}}
    waiting = decide(seen(instance(phase="Running"), launcher(phase="Succeeded", state=just_now)))
    assert status_of(waiting)["phase"] == "Running"
    assert waiting.requeue_after is not None
    long_ago = {"terminated": {"exitCode": 0, "finishedAt": "2026-01-02T03:03:00Z"}}
    over = decide(seen(instance(phase="Running"), launcher(phase="Succeeded", state=long_ago)))
    assert status_of(over)["phase"] == "Succeeded"


def test_a_pod_that_vanished_fails_the_instance() -> None:
    decision = decide(seen(instance(phase="Running")))
    assert status_of(decision)["phase"] == "Failed"
    assert [event.reason for event in decision.events] == ["PodDisappeared"]


def test_deleting_removes_the_pod_first_and_the_finalizer_last() -> None:
    doomed = instance(phase="Running", deletionTimestamp=DELETED)
    (delete,) = decide(seen(doomed, launcher(phase="Running"))).actions
    assert isinstance(delete, Delete)
    assert decide(seen(doomed, launcher(phase="Running", deletionTimestamp=DELETED))).actions == ()
    (patch,) = decide(seen(doomed)).actions
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["finalizers"] == [VM_FINALIZER]
    assert patch.patch.body["status"]["phase"] == "Succeeded"


def test_a_guest_that_powers_off_soon_takes_its_pod_with_it() -> None:
    going = instance(phase="Running", deletionTimestamp=JUST_DELETED)
    waiting = decide(seen(going, launcher(phase="Running")))
    assert (waiting.actions, waiting.events) == ((), ())
    assert waiting.requeue_after == timedelta(seconds=3)
    # What is left of a pod that is over is an object: nobody has to be told of its deletion.
    (delete,) = decide(seen(going, launcher(phase="Succeeded"))).actions
    assert isinstance(delete, Delete)
    assert decide(seen(going, launcher(phase="Succeeded"))).events == ()
    # A guest that takes its time, or a virt-handler that is not there, is helped by the pod's own end.
    late = decide(seen(instance(phase="Running", deletionTimestamp=DELETED), launcher(phase="Running")))
    assert [type(action) for action in late.actions] == [Delete]
    assert [event.reason for event in late.events] == ["SuccessfulDelete"]


def test_a_pod_that_was_not_handed_over_is_deleted_at_once() -> None:
    going = instance(phase="Scheduling", deletionTimestamp=JUST_DELETED)
    assert [type(action) for action in decide(seen(going, launcher())).actions] == [Delete]


def test_the_readiness_gate_is_opened_before_the_pod_runs() -> None:
    (gate,) = decide(seen(instance(phase="Scheduling"), launcher(node="n"))).actions
    assert isinstance(gate, PatchObject)
    assert gate.patch.body["status"]["conditions"][0]["status"] == "True"
    assert decide(seen(instance(phase="Scheduling"), launcher())).actions == (), "not before it has a node"


def test_an_orphan_has_nobody_else_to_release_it() -> None:
    orphan = instance(phase="Scheduling", deletionTimestamp=DELETED, ownerReferences=[])
    (patch,) = decide(seen(orphan)).actions
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["finalizers"] is None
    assert patch.patch.body["status"]["phase"] == "Failed"


def test_after_the_end_a_pod_that_still_runs_is_removed() -> None:
    decision = decide(seen(instance(phase="Failed"), launcher(phase="Running", state=RUNNING)))
    assert [type(action) for action in decision.actions] == [Delete]
    assert decide(seen(instance(phase="Failed"), launcher(phase="Failed"))).actions == ()


def test_a_converged_instance_gives_no_actions_and_no_status_change() -> None:
    pod = launcher(
        phase="Running", node="n", state=RUNNING, conditions=[{"type": "Ready", "status": "True"}, OPEN_GATE]
    )
    vmi = instance(phase="Running", labels={NODE_NAME_LABEL: "n"})
    settled = status_of(decide(seen(vmi, pod)))
    again = decide(seen(instance(phase="Running", labels={NODE_NAME_LABEL: "n"}, status=settled), pod))
    assert again.actions == ()
    assert again.status is not None
    assert again.status.status == settled == again.status.observed


def test_missing_claims_are_named_before_a_pod_is_made() -> None:
    waiting = Observed(instance(), (), NOW, PodSettings("launcher:1"), ("data",))
    decision = decide(waiting)
    assert decision.actions == ()
    told = condition(status_of(decision), "Synchronized")
    assert (told["reason"], "ns/data" in told["message"]) == ("FailedPvcNotFound", True)
    assert [event.reason for event in decision.events] == ["FailedPvcNotFound"]
    # Said once, and taken back when the claim is there.
    again = Observed(instance(status=status_of(decision)), (), NOW, PodSettings("launcher:1"), ("data",))
    assert decide(again).events == ()
    there = decide(seen(instance(status=status_of(decision)), launcher()))
    assert condition(status_of(there), "Synchronized") == {}


def test_the_launcher_is_told_how_large_claims_are() -> None:
    claim = msgspec.convert(
        {
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "2Gi"}},
        },
        PersistentVolumeClaim,
    )
    vmi = instance(spec_changes={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]})
    there = structs.replace(claim, metadata=ObjectMeta(name="c"))
    world = Observed(vmi, (launcher(),), NOW, PodSettings("launcher:1"), claims={"c": there})
    (entry,) = status_of(decide(world))["volumeStatus"]
    info = entry["persistentVolumeClaimInfo"]
    assert (entry["name"], entry["target"]) == ("data", "")
    assert (info["claimName"], info["volumeMode"]) == ("c", "Filesystem")
    assert (info["requests"], info["capacity"]) == ({"storage": "1Gi"}, {"storage": "2Gi"})
    # Also while it runs: a claim that grows is told to virt-handler, and costs no write otherwise.
    entries = [{"name": "data", "target": "vda", "persistentVolumeClaimInfo": {**info, "capacity": {"storage": "1Gi"}}}]
    running = instance(
        phase="Running", spec_changes={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]}
    )
    running = structs.replace(
        running, status=structs.replace(running.status, volume_status=msgspec.convert(entries, list[VolumeStatus]))
    )
    pods = (launcher(phase="Running", node="n", state=RUNNING),)
    (entry,) = status_of(decide(Observed(running, pods, NOW, PodSettings("launcher:1"), claims={"c": there})))[
        "volumeStatus"
    ]
    assert (entry["target"], entry["persistentVolumeClaimInfo"]["capacity"]) == ("vda", {"storage": "2Gi"})


def test_a_forced_end_shortens_the_pod_s_grace_even_while_it_terminates() -> None:
    hurried = instance(phase="Running", deletionTimestamp=DELETED, spec_changes={"terminationGracePeriodSeconds": 0})
    pod = launcher(phase="Running")
    long = structs.replace(pod, spec=structs.replace(pod.spec, termination_grace_period_seconds=60))
    (delete,) = decide(seen(hurried, long)).actions
    assert isinstance(delete, Delete)
    assert delete.grace_period_s == 1
    terminating = structs.replace(
        long,
        metadata=structs.replace(long.metadata, deletion_timestamp=DELETED, deletion_grace_period_seconds=60),
    )
    assert len(decide(seen(hurried, terminating)).actions) == 1
    patient = instance(phase="Running", deletionTimestamp=DELETED)
    (plain,) = decide(seen(patient, long)).actions
    assert isinstance(plain, Delete)
    assert plain.grace_period_s is None


PERMITTED = {
    "pciHostDevices": [{"pciVendorSelector": "10DE:1EB8", "resourceName": "nvidia.com/T4"}],
    "usb": [{"resourceName": "example.com/token"}],
}


@pytest.mark.parametrize(
    ("devices", "permitted", "message"),
    [
        ({"gpus": [{"name": "g", "deviceName": "nvidia.com/T4"}]}, PERMITTED, ""),
        ({"hostDevices": [{"name": "t", "deviceName": "example.com/token"}]}, PERMITTED, ""),
        ({"gpus": [{"name": "g", "deviceName": "nvidia.com/A10"}]}, None, ""),
        (
            {"gpus": [{"name": "g", "deviceName": "nvidia.com/A10"}]},
            PERMITTED,
            "GPU nvidia.com/A10 is not permitted in permittedHostDevices configuration",
        ),
        (
            {"hostDevices": [{"name": "d", "deviceName": "example.com/d"}]},
            {},
            "HostDevice example.com/d is not permitted in permittedHostDevices configuration",
        ),
    ],
)
def test_devices_that_the_installation_does_not_permit_get_no_pod(
    devices: dict[str, Any], permitted: dict[str, Any] | None, message: str
) -> None:
    wanted = {"domain": {"memory": {"guest": "64Mi"}, "devices": devices}}
    vmi = instance(spec_changes=wanted)
    found = {} if permitted is None else {"permittedHostDevices": permitted}
    settings = PodSettings("launcher:1", configuration=msgspec.convert(found, KubeVirtConfiguration))
    decision = decide(Observed(vmi, (), NOW, settings))
    assert bool(decision.actions) is not bool(message)
    if not message:
        return
    told = condition(status_of(decision), "Synchronized")
    assert (told["status"], told["reason"]) == ("False", "FailedCreate")
    assert told["message"] == f"failed to render launch manifest: {message}"
    assert [event.message for event in decision.events] == [told["message"]]
    again = decide(Observed(instance(spec_changes=wanted, status=status_of(decision)), (), NOW, settings))
    assert again.events == ()


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ({"domainAttachmentType": "managedTap"}, ""),
        ({"domainAttachmentType": "tap", "networkAttachmentDefinition": "cni"}, ""),
        (None, "couldn't find configuration for network binding: own"),
        ({"sidecarImage": "registry.example/own:1"}, "network binding own needs a sidecar, which is not supported yet"),
        ({}, "network binding own has no domainAttachmentType that is supported: tap or managedTap"),
    ],
)
def test_a_network_binding_must_be_one_that_the_installation_has(plugin: dict[str, str] | None, message: str) -> None:
    devices = {"interfaces": [{"name": "default", "binding": {"name": "own"}}]}
    vmi = instance(spec_changes={"domain": {"memory": {"guest": "64Mi"}, "devices": devices}})
    network = {"binding": {} if plugin is None else {"own": plugin}}
    settings = PodSettings("launcher:1", configuration=msgspec.convert({"network": network}, KubeVirtConfiguration))
    decision = decide(Observed(vmi, (), NOW, settings))
    assert bool(decision.actions) is not bool(message)
    if message:
        told = condition(status_of(decision), "Synchronized")
        assert told["message"] == f"failed to render launch manifest: {message}"


def test_a_network_that_is_not_there_is_named_and_asked_for_again() -> None:
    seen = Observed(instance(), (), NOW, PodSettings("launcher:1"), missing_networks=("ns/fast",))
    decision = decide(seen)
    assert decision.actions == ()
    assert decision.requeue_after == timedelta(seconds=10)
    told = condition(status_of(decision), "Synchronized")
    assert told["message"] == (
        "failed to render launch manifest: failed to locate network attachment definition ns/fast"
    )
