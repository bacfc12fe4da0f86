"""Plugged volumes on their node: what is brought, taken and told, step by step."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import convert

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.errors import RetryableError
from kobune.host.containerfs.files import FakeContainerFiles
from kobune.host.procroot import ForeignProcess, HeldProcess
from kobune.kube.client.merge import merge_patch
from kobune.kube.client.objects import to_builtins
from kobune.kube.runtime import PatchObject
from kobune.virt.handler.hotplug.deliver import Delivery, attachments_of
from kobune.virt.handler.hotplug.plan import Attachment, Bring, PlugView, VolumePlan, plan_volumes
from kobune.virt.handler.instance.actions import DeliverVolumes, Start, SynchronizeVolumes
from kobune.virt.handler.instance.decide import decide
from kobune.virt.handler.instance.observed import LauncherPod, LauncherView, Observed, Setback
from kobune.virt.launcherproto.messages import DiskState, DomainState, DomainStatus
from support.decisions import steps
from support.plugged import plugged_disk, plugged_volume

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
POD = LauncherPod("pod-1", "virt-launcher-demo-x", ("10.42.0.7",), image="launcher:1")
HELD = Attachment("hp-1", "uid-hp", usable=True, block=False)
FOLDER = PlugView({"data": HELD}, frozenset({"data"}))
ROOT = DiskState(name="root", target="vda")
DATA = DiskState(name="data", target="sda")


def vmi(*, wanted: bool = True, phase: str = "Running", volume_phase: str = "", **entry: Any) -> VirtualMachineInstance:
    disks, volumes = [{"name": "root", "disk": {}}], [{"name": "root", "containerDisk": {"image": "demo"}}]
    if wanted:
        disks, volumes = [*disks, plugged_disk()], [*volumes, plugged_volume()]
    known = {"name": "data", "target": "", "phase": volume_phase, "hotplugVolume": {"attachPodName": "hp-1"}}
    known |= {"persistentVolumeClaimInfo": {"capacity": {"storage": "1Gi"}}, **entry}
    moment = [{"phase": "Scheduled", "phaseTransitionTimestamp": "2026-01-01T11:59:55Z"}]
    status = {"phase": phase, "nodeName": "n1", "phaseTransitionTimestamps": moment}
    if volume_phase or wanted:
        status["volumeStatus"] = [known]
    spec = {"domain": {"devices": {"disks": disks}}, "volumes": volumes}
    metadata = {"namespace": "default", "name": "demo", "uid": "uid-1", "resourceVersion": "7"}
    return convert({"metadata": metadata, "spec": spec, "status": status}, type=VirtualMachineInstance)


def seen(
    instance: VirtualMachineInstance,
    volumes: PlugView | None,
    *disks: DiskState,
    status: DomainStatus = DomainStatus.RUNNING,
    **launcher: Any,
) -> Observed:
    state = DomainState(sequence=1, status=status, disks=list(disks), kvm=True)
    view = LauncherView(state=state, connected=True, network_ready=True, **({"capacities": {"data": "1Gi"}} | launcher))
    return Observed(NOW, "n1", instance, POD, view, volumes)


def told(observed: Observed) -> dict[str, Any]:
    """The volume's entry once the decision's patch is applied."""
    document = to_builtins(observed.vmi)
    for action in steps(decide(observed)):
        if isinstance(action, PatchObject):
            document = merge_patch(document, action.patch.body)
    return next((e for e in document["status"].get("volumeStatus", ()) if e["name"] == "data"), {})


def work(observed: Observed) -> list[VolumePlan]:
    return [action.plan for action in decide(observed).actions if isinstance(action, SynchronizeVolumes)]


def test_a_volume_is_brought_once_its_pod_runs() -> None:
    waiting = PlugView({"data": replace(HELD, usable=False)})
    assert work(seen(vmi(volume_phase="Bound"), waiting, ROOT)) == []
    assert work(seen(vmi(volume_phase="AttachedToNode"), PlugView({"data": HELD}), ROOT)) == [
        VolumePlan(bring=(Bring("data", "uid-hp", block=False),))
    ]


def test_what_is_in_the_container_is_plugged_in_by_the_launcher() -> None:
    observed = seen(vmi(volume_phase="AttachedToNode"), FOLDER, ROOT)
    assert work(observed) == [VolumePlan(follow=True)]
    assert told(observed)["phase"] == "MountedToPod"


def test_a_plugged_volume_is_ready_with_its_target_and_costs_nothing_more() -> None:
    observed = seen(vmi(volume_phase="MountedToPod"), FOLDER, ROOT, DATA)
    assert work(observed) == []
    entry = told(observed)
    assert (entry["phase"], entry["target"], entry["reason"]) == ("Ready", "sda", "VolumeReady")
    assert [event.reason for event in decide(observed).events] == ["VolumeReady"]


def test_a_disk_that_nobody_wants_is_unplugged_before_anything_is_taken() -> None:
    observed = seen(vmi(wanted=False, volume_phase="Ready"), FOLDER, ROOT, DATA)
    assert work(observed) == [VolumePlan(follow=True)]
    assert told(observed)["phase"] == "Ready"


def test_while_the_guest_holds_a_disk_its_reason_is_told_and_nothing_is_taken() -> None:
    held = DiskState(name="data", target="sda", trouble="the guest was asked")
    setback = Setback("volume data: the guest was asked", False, NOW + timedelta(seconds=5))
    observed = seen(vmi(wanted=False, volume_phase="Ready"), FOLDER, ROOT, held, setback=setback)
    assert work(observed) == []
    assert decide(observed).requeue_after == timedelta(seconds=5)
    assert told(observed)["message"] == "the guest was asked"


def test_an_unplugged_volume_is_taken_and_then_told() -> None:
    observed = seen(vmi(wanted=False, volume_phase="Ready"), FOLDER, ROOT)
    assert work(observed) == [VolumePlan(take=("data",))]
    assert told(observed)["phase"] == "Ready"
    observed = seen(vmi(wanted=False, volume_phase="Ready"), PlugView({"data": HELD}), ROOT)
    assert work(observed) == []
    assert told(observed)["phase"] == "UnMountedFromPod"


def test_nothing_is_said_or_done_while_nobody_can_look_into_the_container() -> None:
    observed = seen(vmi(wanted=False, volume_phase="Ready"), None, ROOT)
    assert work(observed) == []
    assert told(observed)["phase"] == "Ready"


def test_a_pod_that_is_being_deleted_gives_nothing() -> None:
    leaving = PlugView({"data": replace(HELD, usable=False)})
    assert plan_volumes(vmi(), leaving, [ROOT], {}).bring == ()


def test_a_claim_that_has_grown_is_told_to_the_launcher_once() -> None:
    grown = vmi(volume_phase="Ready", persistentVolumeClaimInfo={"capacity": {"storage": "2Gi"}})
    assert work(seen(grown, FOLDER, ROOT, DATA, capacities={"data": "1Gi"})) == [VolumePlan(follow=True)]
    assert work(seen(grown, FOLDER, ROOT, DATA, capacities={"data": "2Gi"})) == []


@pytest.mark.parametrize(("volume_phase", "waits"), [("Bound", True), ("AttachedToNode", True), ("Pending", False)])
def test_a_guest_starts_with_its_volumes_if_they_come_soon(volume_phase: str, waits: bool) -> None:
    scheduled = vmi(phase="Scheduled", volume_phase=volume_phase)
    decision = decide(seen(scheduled, PlugView({"data": replace(HELD, usable=False)}), status=DomainStatus.NONE))
    assert any(isinstance(action, Start) for action in decision.actions) is not waits
    decision = decide(seen(scheduled, PlugView({"data": HELD}), status=DomainStatus.NONE))
    assert any(isinstance(action, DeliverVolumes) for action in decision.actions) is waits


def test_a_guest_starts_without_a_volume_that_does_not_come() -> None:
    scheduled = vmi(phase="Scheduled", volume_phase="Bound")
    late = replace(seen(scheduled, PlugView(), status=DomainStatus.NONE), now=NOW + timedelta(seconds=60))
    (start,) = decide(late).actions
    assert isinstance(start, Start)
    assert start.plugged == ()


def test_a_guest_starts_with_what_was_brought() -> None:
    (start,) = decide(seen(vmi(phase="Scheduled", volume_phase="Bound"), FOLDER, status=DomainStatus.NONE)).actions
    assert isinstance(start, Start)
    assert start.plugged == ("data",)


def attachment(name: str = "hp-1", *, block: bool = False, claim: str = "c", **metadata: Any) -> Pod:
    container: dict[str, Any] = {"name": "hotplug-disk"}
    if block:
        container["volumeDevices"] = [{"name": "data", "devicePath": "/dev/hotplug/data"}]
    labels = {"kubevirt.io": "hotplug-disk", "kobune.io/hotplug-volume": "data"}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return convert(
        {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "labels": labels, **metadata},
            "spec": {"containers": [container], "volumes": volumes},
            "status": {"phase": "Running"},
        },
        Pod,
    )


def test_of_two_pods_for_a_volume_the_one_that_stays_counts() -> None:
    leaving = attachment("hp-old", deletionTimestamp="2026-01-01T00:00:00Z")
    found = attachments_of(vmi(), [attachment("hp-new", block=True), leaving])
    assert found == {"data": Attachment("hp-new", "uid-hp-new", usable=True, block=True)}


@pytest.mark.parametrize(
    "stranger",
    [attachment(namespace="elsewhere"), attachment(claim="another")],
    ids=["of another namespace", "with another claim"],
)
def test_a_pod_that_anybody_could_have_made_gives_nothing(stranger: Pod) -> None:
    assert attachments_of(vmi(), [stranger]) == {}


async def test_delivery_brings_folders_and_devices_and_takes_them_back() -> None:
    files = FakeContainerFiles()
    files.pods = {"uid-a": {"/hotplug/a": None}, "uid-b": {"/dev/hotplug/b": (7, 3)}}
    delivery = Delivery(files, lambda pid, pod: HeldProcess(os.getpid()))
    await delivery.carry_out(
        1, "pod-1", VolumePlan(bring=(Bring("a", "uid-a", block=False), Bring("b", "uid-b", block=True)))
    )
    assert delivery.view(1, "pod-1", {}) == PlugView({}, frozenset({"a"}), {"b": (7, 3)})
    for _ in range(2):
        await delivery.carry_out(1, "pod-1", VolumePlan(take=("a", "b")))
    assert delivery.view(1, "pod-1", {}) == PlugView()


async def test_one_volume_that_is_late_holds_up_no_other() -> None:
    files = FakeContainerFiles()
    files.pods = {"uid-b": {"/hotplug/b": None}}
    delivery = Delivery(files, lambda pid, pod: HeldProcess(os.getpid()))
    plan = VolumePlan(bring=(Bring("a", "uid-a", block=False), Bring("b", "uid-b", block=False)))
    with pytest.raises(RetryableError, match="volume a: nothing is mounted"):
        await delivery.carry_out(1, "pod-1", plan)
    assert delivery.view(1, "pod-1", {}).given == {"b"}


async def test_nothing_is_given_to_a_process_of_another_pod() -> None:
    files = FakeContainerFiles()
    files.pods = {"uid-a": {"/hotplug/a": None}}
    delivery = Delivery(files, HeldProcess.of_group)
    with pytest.raises(ForeignProcess):
        await delivery.carry_out(os.getpid(), "no-such-pod", VolumePlan(bring=(Bring("a", "uid-a", block=False),)))
    assert files.calls == []


def test_a_volume_is_not_brought_before_its_size_is_known() -> None:
    """A disk that is made in it would be as large as the node has room."""
    nameless = vmi(volume_phase="AttachedToNode", persistentVolumeClaimInfo={"capacity": {}})
    assert work(seen(nameless, PlugView({"data": HELD}), ROOT, capacities={})) == []


def test_a_guest_does_not_start_before_its_claims_sizes_are_known() -> None:
    fixed = to_builtins(vmi(phase="Scheduled", wanted=False, volume_phase="x", persistentVolumeClaimInfo={}))
    fixed["spec"]["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "c"}})
    fixed["spec"]["domain"]["devices"]["disks"].append(plugged_disk())
    unsized = convert(fixed, VirtualMachineInstance)
    early = seen(unsized, PlugView(), status=DomainStatus.NONE)
    assert decide(early).actions == ()
    late = replace(early, now=NOW + timedelta(seconds=60))
    assert isinstance(decide(late).actions[0], Start)
    fixed["status"]["volumeStatus"][0]["persistentVolumeClaimInfo"] = {"capacity": {"storage": "1Gi"}}
    sized = seen(convert(fixed, VirtualMachineInstance), PlugView(), status=DomainStatus.NONE)
    assert isinstance(decide(sized).actions[0], Start)
