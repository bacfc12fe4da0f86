"""Pods that hold plugged volumes, and the machine's volumes that reach its instance."""

from typing import Any

import msgspec
import pytest

from kobune.api.core import PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.kube.client.merge import merge_patch
from kobune.kube.client.objects import to_builtins
from kobune.kube.runtime import Create, Delete, PatchObject
from kobune.virt.controllers.virtualmachine.hotplug import plug_volumes, without_plugged
from kobune.virt.controllers.virtualmachineinstance.hotplug import plug
from support.plugged import plugged_disk, plugged_volume
from support.vms import instance_dict, launcher, machine_dict, spec

ROOT_DISK = spec()["domain"]["devices"]["disks"]
ROOT_VOLUME = spec()["volumes"]
LAUNCHER = launcher(phase="Running", node="n1")


def with_volume(base: dict[str, Any], *volumes: dict[str, Any]) -> dict[str, Any]:
    domain = {**base["domain"], "devices": {**base["domain"]["devices"], "disks": list(ROOT_DISK)}}
    domain["devices"]["disks"] += [plugged_disk(volume["name"]) for volume in volumes]
    return {**base, "domain": domain, "volumes": [*ROOT_VOLUME, *volumes]}


def instance(*volumes: dict[str, Any], entry: dict[str, Any] | None = None, **metadata: Any) -> VirtualMachineInstance:
    status = {"volumeStatus": [entry]} if entry is not None else {}
    document = instance_dict(phase="Running", status=status, **metadata)
    document["spec"] = with_volume(document["spec"], *volumes)
    document["status"]["phase"] = "Running"
    return msgspec.convert(document, VirtualMachineInstance)


def claim(phase: str = "Bound", mode: str = "Filesystem") -> PersistentVolumeClaim:
    return msgspec.convert(
        {"metadata": {"name": "c"}, "spec": {"volumeMode": mode}, "status": {"phase": phase}}, PersistentVolumeClaim
    )


def held(phase: str = "Running", **metadata: Any) -> Pod:
    labels = {"kubevirt.io": "hotplug-disk", "kobune.io/hotplug-volume": "data"}
    ready = {"containerStatuses": [{"name": "hotplug-disk", "ready": phase == "Running"}]}
    return msgspec.convert(
        {
            "metadata": {"name": "hp-1", "namespace": "ns", "uid": "u", "labels": labels, **metadata},
            "status": {"phase": phase, **ready},
        },
        Pod,
    )


def entry(phase: str, **fields: Any) -> dict[str, Any]:
    return {"name": "data", "target": "", "phase": phase, "hotplugVolume": {"attachPodName": "hp-1"}, **fields}


def step(vmi: VirtualMachineInstance, *pods: Pod, **claims: PersistentVolumeClaim) -> tuple[dict[str, Any], list[Any]]:
    """The volume's entry and the actions."""
    status = to_builtins(vmi.status)
    actions, _ = plug(status, vmi, LAUNCHER, pods, claims)
    return next((e for e in status.get("volumeStatus", ()) if e["name"] == "data"), {}), actions


def test_a_wanted_volume_gets_a_pod_on_the_launchers_node() -> None:
    found, (create,) = step(instance(plugged_volume()), c=claim())
    assert (found["phase"], found["hotplugVolume"]) == ("Bound", {})
    assert isinstance(create, Create)
    pod = create.obj
    assert pod["metadata"]["name"].startswith("hp-volume-")
    assert pod["metadata"]["ownerReferences"][0]["uid"] == LAUNCHER.metadata.uid
    (container,) = pod["spec"]["containers"]
    assert container["volumeMounts"] == [{"name": "data", "mountPath": "/hotplug/data"}]
    assert container["image"] == LAUNCHER.spec.containers[0].image
    security = container["securityContext"]
    assert (security["runAsNonRoot"], security["allowPrivilegeEscalation"]) == (True, False)
    assert security["capabilities"] == {"drop": ["ALL"]}
    terms = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"][0]["matchFields"][0]["values"] == ["n1"]
    assert pod["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
    # The same volume of the same launcher has the same pod.
    _, (again,) = step(instance(plugged_volume()), c=claim())
    assert again == create


def test_a_block_claim_becomes_a_device_of_the_pod() -> None:
    _, (create,) = step(instance(plugged_volume()), c=claim(mode="Block"))
    assert create.obj["spec"]["containers"][0]["volumeDevices"] == [{"name": "data", "devicePath": "/dev/hotplug/data"}]


@pytest.mark.parametrize(
    ("claims", "phase", "reason", "creates"),
    [
        ({}, "Pending", "FailedPvcNotFound", 0),
        ({"c": claim("Pending")}, "Pending", "PVCNotReady", 1),
        ({"c": claim("Bound")}, "Bound", "PVCNotReady", 1),
    ],
)
def test_the_claim_is_told_until_a_pod_holds_the_volume(
    claims: dict[str, PersistentVolumeClaim], phase: str, reason: str, creates: int
) -> None:
    found, actions = step(instance(plugged_volume()), **claims)
    assert (found["phase"], found["reason"], len(actions)) == (phase, reason, creates)


def test_a_running_pod_means_attached_to_the_node() -> None:
    found, actions = step(instance(plugged_volume()), held(), c=claim())
    assert (found["phase"], actions) == ("AttachedToNode", [])
    assert found["hotplugVolume"] == {"attachPodName": "hp-1", "attachPodUID": "u"}


def test_a_pod_that_cannot_run_says_why() -> None:
    lost = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: too many pods"}
    pod = held("Pending")
    pod = msgspec.structs.replace(
        pod, status=msgspec.convert({"phase": "Pending", "conditions": [lost]}, type(pod.status))
    )
    found, actions = step(instance(plugged_volume()), pod, c=claim())
    assert (found["phase"], actions) == ("Bound", [])
    assert found["message"] == "attachment pod hp-1 has no node: 0/1 nodes: too many pods"
    waiting = {"name": "hotplug-disk", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}
    pod = msgspec.structs.replace(
        pod, status=msgspec.convert({"phase": "Pending", "containerStatuses": [waiting]}, type(pod.status))
    )
    found, _ = step(instance(plugged_volume()), pod, c=claim())
    assert found["message"] == "attachment pod hp-1 waits: ErrImagePull: no such host"


@pytest.mark.parametrize("phase", ["MountedToPod", "Ready"])
def test_what_virt_handler_has_is_its_own(phase: str) -> None:
    found, actions = step(instance(plugged_volume(), entry=entry(phase)), held(), c=claim())
    assert (found["phase"], actions) == (phase, [])
    found, actions = step(instance(entry=entry(phase)), held(), c=claim())
    assert (found["phase"], actions) == (phase, [])


@pytest.mark.parametrize("phase", ["UnMountedFromPod", "AttachedToNode", "Bound", "Detaching"])
def test_the_pod_goes_once_virt_handler_has_nothing_of_the_volume(phase: str) -> None:
    found, (delete,) = step(instance(entry=entry(phase)), held(), c=claim())
    assert isinstance(delete, Delete)
    assert found["phase"] == "Detaching"
    leaving = held(deletionTimestamp="2026-01-01T00:00:00Z")
    found, actions = step(instance(entry=entry("Detaching")), leaving, c=claim())
    assert (found["phase"], actions) == ("Detaching", [])
    found, actions = step(instance(entry=entry("Detaching")), c=claim())
    assert (found, actions) == ({}, [])


def test_a_volume_that_comes_back_while_its_pod_leaves_waits_for_a_new_one() -> None:
    leaving = held(deletionTimestamp="2026-01-01T00:00:00Z")
    found, actions = step(instance(plugged_volume(), entry=entry("Detaching")), leaving, c=claim())
    assert (found["phase"], actions) == ("Bound", [])


def test_a_pod_that_has_ended_or_that_nobody_knows_is_replaced() -> None:
    _, (delete,) = step(instance(plugged_volume()), held("Failed"), c=claim())
    assert isinstance(delete, Delete)
    _, (delete,) = step(instance(), held(), c=claim())
    assert isinstance(delete, Delete)


def test_entries_of_other_volumes_stay() -> None:
    other = {"name": "root", "target": "vda"}
    vmi = instance(entry=other)
    status = to_builtins(vmi.status)
    plug(status, vmi, LAUNCHER, (), {})
    assert status["volumeStatus"] == [other]


# The machine's volumes


def machine(*volumes: dict[str, Any]) -> VirtualMachine:
    document = machine_dict()
    document["spec"]["template"]["spec"] = with_volume(spec(), *volumes)
    return msgspec.convert(document, VirtualMachine)


def plugged(vm: VirtualMachine, vmi: VirtualMachineInstance) -> list[str] | None:
    """The instance's volumes after the change; None without one."""
    actions = plug_volumes(vm, vmi)
    if not actions:
        return None
    (patch,) = actions
    assert isinstance(patch, PatchObject)
    assert patch.patch.body["metadata"]["resourceVersion"] == vmi.metadata.resource_version
    changed = merge_patch(to_builtins(vmi), patch.patch.body)["spec"]
    names = [volume["name"] for volume in changed["volumes"]]
    assert [disk["name"] for disk in changed["domain"]["devices"]["disks"]] == names
    return names


def test_a_volume_of_the_template_is_plugged_into_the_running_instance() -> None:
    assert plugged(machine(plugged_volume()), instance()) == ["root", "data"]
    assert plugged(machine(plugged_volume()), instance(plugged_volume())) is None


def test_a_volume_that_left_the_template_leaves_the_instance() -> None:
    assert plugged(machine(), instance(plugged_volume())) == ["root"]


def test_a_volume_of_the_instance_alone_stays() -> None:
    alone = instance(plugged_volume(), annotations={"kobune.io/ephemeral-volumes": "data"})
    assert plugged(machine(), alone) is None


def test_a_changed_volume_leaves_and_comes_back_when_nothing_is_left_of_it() -> None:
    other = machine(plugged_volume(claim="other"))
    assert plugged(other, instance(plugged_volume(), entry=entry("Ready"))) == ["root"]
    assert plugged(other, instance(entry=entry("Detaching"))) is None
    assert plugged(other, instance()) == ["root", "data"]


def test_only_running_instances_are_changed() -> None:
    scheduled = instance_dict(phase="Scheduled")
    assert plugged(machine(plugged_volume()), msgspec.convert(scheduled, VirtualMachineInstance)) is None


def test_plugged_volumes_need_no_restart_and_others_do() -> None:
    base = spec()
    assert without_plugged(with_volume(base, plugged_volume())) == without_plugged(base)
    fixed = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
    assert without_plugged(with_volume(base, fixed)) != without_plugged(base)
