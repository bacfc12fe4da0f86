"""The decision about one instance on its node, as a table of situations."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import convert

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.merge import merge_patch
from kobune.kube.client.objects import key_of, to_builtins
from kobune.kube.runtime import PatchObject
from kobune.virt.domain.networks import pod_interface
from kobune.virt.domain.readiness import Readiness
from kobune.virt.handler.instance.actions import Follow, Forget, Kill, NoteShutdownTold, PrepareNetwork, Shutdown, Start
from kobune.virt.handler.instance.decide import decide
from kobune.virt.handler.instance.observe import NETWORK_STATUS, launcher_pod
from kobune.virt.handler.instance.observed import AttachedNetwork, LauncherPod, LauncherView, Observed, Setback
from kobune.virt.launcherproto.messages import (
    DomainState,
    DomainStatus,
    ExitInfo,
    FsFreezeStatus,
    GuestOs,
    InterfaceState,
    PauseReason,
)
from support.decisions import steps

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
POD = LauncherPod("pod-1", "virt-launcher-demo-x", ("10.42.0.7", "fd42::7"), image="launcher:1")


def vmi(phase: str = "Scheduled", *, deleted_s_ago: float | None = None, **spec: Any) -> VirtualMachineInstance:
    metadata: dict[str, Any] = {"namespace": "default", "name": "demo", "uid": "uid-1", "resourceVersion": "7"}
    if deleted_s_ago is not None:
        moment = NOW - timedelta(seconds=deleted_s_ago)
        metadata["deletionTimestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"phase": phase, "nodeName": "n1", "conditions": [{"type": "Ready", "status": "False", "reason": "Gone"}]}
    domain = {
        "devices": {"interfaces": [{"name": "default", "masquerade": {}}]},
        "memory": {"guest": "256Mi"},
    }
    full = {"domain": domain, "networks": [{"name": "default", "pod": {}}], **spec}
    return convert({"metadata": metadata, "spec": full, "status": status}, type=VirtualMachineInstance)


def state(status: DomainStatus, **fields: Any) -> DomainState:
    return DomainState(sequence=1, status=status, **fields)


def view(status: DomainStatus | None = None, **fields: Any) -> LauncherView:
    told = fields.pop("state", None) or (state(status) if status is not None else None)
    return LauncherView(state=told, connected=fields.pop("connected", True), **fields)


def seen(**fields: Any) -> Observed:
    start: dict[str, Any] = {"now": NOW, "node": "n1", "vmi": vmi(), "pod": POD, "launcher": view(DomainStatus.NONE)}
    return Observed(**(start | fields))


def status_after(observed: Observed) -> dict[str, Any]:
    """The status once the decision's patch is applied; fails when it is not conditional."""
    patches = [action for action in steps(decide(observed)) if isinstance(action, PatchObject)]
    assert len(patches) == 1
    assert patches[0].patch.body["metadata"] == {"resourceVersion": "7"}
    assert patches[0].subresource == ""
    merged: dict[str, Any] = merge_patch(to_builtins(observed.vmi.status), patches[0].patch.body["status"])
    return merged


def converged(observed: Observed) -> Observed:
    """The same world after the decision's status was written."""
    after = convert(status_after(observed), type=type(observed.vmi.status))
    changed = convert(to_builtins(observed.vmi) | {"status": to_builtins(after)}, type=VirtualMachineInstance)
    return replace(observed, vmi=changed)


KEY = key_of(vmi())


def test_an_instance_that_was_handed_over_is_followed() -> None:
    assert decide(seen(launcher=None)).actions == (Follow(KEY, "pod-1", "uid-1"),)


def test_an_instance_that_was_not_handed_over_is_left_alone() -> None:
    assert decide(seen(vmi=vmi("Scheduling"), launcher=None)).actions == ()


def test_a_launcher_that_does_not_answer_is_waited_for_without_an_end() -> None:
    for launcher in (view(None, connected=False), view(DomainStatus.RUNNING, connected=False)):
        assert decide(seen(vmi=vmi("Running"), launcher=launcher)).actions == ()


def test_a_launcher_that_never_answered_is_told_about_and_waited_for() -> None:
    raw = to_builtins(vmi())
    raw["status"]["phaseTransitionTimestamps"] = [
        {"phase": "Scheduled", "phaseTransitionTimestamp": "2026-01-01T11:59:40Z"}
    ]
    silent = seen(vmi=convert(raw, type=VirtualMachineInstance), launcher=view(None, connected=False))
    assert decide(silent).actions == ()
    assert decide(silent).requeue_after == timedelta(seconds=10)
    late = replace(silent, now=NOW + timedelta(seconds=10))
    assert "kubectl logs virt-launcher-demo-x" in decide(late).events[0].message
    conditions = {found["type"]: found for found in status_after(late)["conditions"]}
    assert conditions["Synchronized"]["status"] == "False"
    told = converged(late)
    assert (decide(told).actions, decide(told).events) == ((), ())
    answered = replace(told, launcher=view(DomainStatus.RUNNING, network_ready=True))
    assert "Synchronized" not in {found["type"] for found in status_after(answered)["conditions"]}


def test_a_launcher_without_a_domain_is_told_to_start_it_once() -> None:
    observed = seen()
    assert decide(observed).actions == (Start(KEY, observed.vmi, "launcher:1"),)
    assert decide(seen(launcher=view(DomainStatus.NONE, busy=True))).actions == ()
    assert decide(seen(launcher=view(DomainStatus.STARTING, busy=True))).actions == ()


def test_a_failed_start_is_told_and_tried_again_when_its_time_has_come() -> None:
    early = seen(launcher=view(DomainStatus.NONE, setback=Setback("no tap", False, NOW + timedelta(seconds=2))))
    decision = decide(early)
    assert [event.reason for event in decision.events] == ["SyncFailed"]
    assert decision.requeue_after == timedelta(seconds=2)
    conditions = {found["type"]: found for found in status_after(early)["conditions"]}
    assert conditions["Synchronized"]["status"] == "False"
    assert conditions["Synchronized"]["message"] == "no tap"
    again = decide(converged(early))
    assert (again.actions, again.events) == ((), ()), "told once"
    due = converged(early)
    set_back = replace(due, now=NOW - timedelta(hours=2))
    assert decide(set_back).actions == (Start(KEY, due.vmi, "launcher:1"),), "a clock set back holds up nothing"
    assert decide(replace(due, now=NOW + timedelta(seconds=2))).actions == (Start(KEY, due.vmi, "launcher:1"),)


def test_a_start_that_can_never_work_ends_the_launcher_and_fails_the_instance() -> None:
    hopeless = seen(launcher=view(DomainStatus.NONE, setback=Setback("no such binding", True, NOW)))
    decision = decide(hopeless)
    assert decision.actions[0] == Shutdown(KEY, 0)
    assert status_after(hopeless)["phase"] == "Failed"
    assert status_after(hopeless)["reason"] == "no such binding"
    assert [event.message for event in decision.events] == ["no such binding"]


def test_a_running_domain_makes_the_instance_running() -> None:
    interface = InterfaceState(name="default", mac="02:aa", queues=1, from_domain=True)
    running = state(
        DomainStatus.RUNNING, interfaces=[interface], machine="pc-q35-7.2", memory_bytes=256 << 20, cores=2, sockets=1,
        threads=1,
    )  # fmt: skip
    observed = seen(launcher=view(state=running, network_ready=True))
    status = status_after(observed)
    assert status["phase"] == "Running"
    assert status["phaseTransitionTimestamps"] == [
        {"phase": "Running", "phaseTransitionTimestamp": "2026-01-01T12:00:00Z"}
    ]
    assert status["interfaces"] == [
        {
            "name": "default",
            "mac": "02:aa",
            "infoSource": "domain",
            "ipAddress": "10.42.0.7",
            "ipAddresses": ["10.42.0.7", "fd42::7"],
            "linkState": "up",
            "podInterfaceName": "eth0",
            "queueCount": 1,
        }
    ]
    assert status["machine"] == {"type": "pc-q35-7.2"}
    assert status["memory"] == {"guestAtBoot": "256Mi", "guestCurrent": "256Mi", "guestRequested": "256Mi"}
    assert status["currentCPUTopology"] == {"cores": 2, "sockets": 1, "threads": 1}
    assert status["guestOSInfo"] == {}
    assert [found["type"] for found in status["conditions"]] == ["Ready", "LiveMigratable"], "others' stay"


def test_a_guest_without_kvm_is_warned_about_once() -> None:
    slow = seen(launcher=view(DomainStatus.RUNNING, network_ready=True))
    assert [event.reason for event in decide(slow).events] == ["Started", "SoftwareEmulation"]
    assert decide(converged(slow)).events == ()
    fast = seen(launcher=view(state=state(DomainStatus.RUNNING, kvm=True), network_ready=True))
    assert [event.reason for event in decide(fast).events] == ["Started"]


def test_a_converged_world_gives_no_actions() -> None:
    rich = state(
        DomainStatus.PAUSED, pause_reason=PauseReason.USER, agent_connected=True, machine="pc-q35-7.2",
        guest_os=GuestOs(id="debian"), fs_freeze=FsFreezeStatus.THAWED, memory_bytes=1 << 28,
        interfaces=[InterfaceState(name="default", mac="02:aa", from_domain=True, from_agent=True, guest_name="eth0")],
    )  # fmt: skip
    for told in (rich, state(DomainStatus.RUNNING), state(DomainStatus.SHUTTING_DOWN)):
        decision = decide(converged(seen(launcher=view(state=told, network_ready=True))))
        assert steps(decision) == ()
        assert decision.events == ()


def test_what_the_agent_tells_is_shown_and_taken_back_with_it() -> None:
    eth0 = InterfaceState(
        name="default", mac="02:aa", from_domain=True, from_agent=True, guest_name="eth0", ip_addresses=["10.0.2.2"]
    )
    extra = InterfaceState(mac="02:bb", from_agent=True, guest_name="docker0", ip_addresses=["172.17.0.1"])
    told = state(
        DomainStatus.RUNNING, agent_connected=True, guest_os=GuestOs(id="debian", name="Debian"),
        fs_freeze=FsFreezeStatus.FROZEN, interfaces=[eth0, extra],
    )  # fmt: skip
    observed = seen(launcher=view(state=told, network_ready=True))
    status = status_after(observed)
    assert status["guestOSInfo"] == {"id": "debian", "name": "Debian"}
    assert status["fsFreezeStatus"] == "frozen"
    assert status["interfaces"][0]["infoSource"] == "domain, guest-agent"
    assert status["interfaces"][0]["ipAddress"] == "10.42.0.7", "behind NAT the pod's address counts"
    assert status["interfaces"][1] == {
        "infoSource": "guest-agent",
        "interfaceName": "docker0",
        "mac": "02:bb",
        "ipAddress": "172.17.0.1",
        "ipAddresses": ["172.17.0.1"],
    }
    assert "AgentConnected" in {found["type"] for found in status["conditions"]}
    gone = replace(converged(observed), launcher=view(DomainStatus.RUNNING, network_ready=True))
    after = status_after(gone)
    assert "AgentConnected" not in {found["type"] for found in after["conditions"]}
    assert "fsFreezeStatus" not in after


@pytest.mark.parametrize(
    ("synced", "message", "expected"),
    [(None, "", None), (True, "", ("True", None)), (False, "no such user", ("False", "no such user"))],
)
def test_credentials_that_the_agent_sets_have_a_condition(
    synced: bool | None, message: str, expected: tuple[str, str | None] | None
) -> None:
    told = state(DomainStatus.RUNNING, credentials_synced=synced, credentials_message=message)
    conditions = {
        found["type"]: (found["status"], found.get("message"))
        for found in status_after(seen(launcher=view(state=told, network_ready=True)))["conditions"]
    }
    assert conditions.get("AccessCredentialsSynchronized") == expected


def test_a_bridged_guest_shows_the_address_that_it_has_from_the_pod() -> None:
    bridged = vmi()
    raw = to_builtins(bridged)
    raw["spec"]["domain"]["devices"]["interfaces"] = [{"name": "default", "bridge": {}}]
    told = state(
        DomainStatus.RUNNING, interfaces=[InterfaceState(name="default", from_agent=True, ip_addresses=["10.42.0.7"])]
    )
    observed = seen(vmi=convert(raw, type=VirtualMachineInstance), launcher=view(state=told, network_ready=True))
    assert status_after(observed)["interfaces"][0]["ipAddresses"] == ["10.42.0.7"]


def test_the_pods_address_comes_first_and_those_of_the_link_last() -> None:
    raw = to_builtins(vmi())
    raw["spec"]["domain"]["devices"]["interfaces"] = [{"name": "default", "bridge": {}}]
    for told, shown in (
        (["fe80::1", "10.42.0.9"], ["10.42.0.7", "10.42.0.9", "fe80::1"]),
        (["fe80::1"], ["10.42.0.7", "fd42::7", "fe80::1"]),
    ):
        interface = InterfaceState(name="default", from_agent=True, ip_addresses=told)
        running = view(state=state(DomainStatus.RUNNING, interfaces=[interface]), network_ready=True)
        observed = seen(vmi=convert(raw, type=VirtualMachineInstance), launcher=running)
        assert status_after(observed)["interfaces"][0]["ipAddresses"] == shown


def test_volumes_show_their_targets() -> None:
    raw = to_builtins(vmi())
    raw["spec"]["domain"]["devices"]["disks"] = [
        {"name": "root", "disk": {"bus": "virtio"}},
        {"name": "cd", "cdrom": {"bus": "sata"}},
        {"name": "seed", "disk": {"bus": "virtio"}},
    ]
    raw["spec"]["volumes"] = [
        {"name": "root", "containerDisk": {"image": "demo"}},
        {"name": "seed", "cloudInitNoCloud": {}},
        {"name": "cd", "containerDisk": {"image": "cd"}},
        {"name": "token", "serviceAccount": {"serviceAccountName": "x"}},
    ]
    raw["status"]["volumeStatus"] = [{"name": "root", "target": "", "size": 7}]
    observed = seen(
        vmi=convert(raw, type=VirtualMachineInstance), launcher=view(DomainStatus.RUNNING, network_ready=True)
    )
    assert status_after(observed)["volumeStatus"] == [
        {"name": "cd", "target": "sda"},
        {"name": "root", "target": "vda", "size": 7},
        {"name": "seed", "target": "vdb"},
    ]


def test_pausing_is_a_condition_with_its_reason() -> None:
    paused = seen(
        launcher=view(state=state(DomainStatus.PAUSED, pause_reason=PauseReason.IO_ERROR), network_ready=True)
    )
    conditions = {found["type"]: found for found in status_after(paused)["conditions"]}
    assert conditions["Paused"]["reason"] == "PausedIOError"
    resumed = replace(converged(paused), launcher=view(DomainStatus.RUNNING, network_ready=True))
    assert "Paused" not in {found["type"] for found in status_after(resumed)["conditions"]}


def test_a_guest_that_a_former_handler_started_gets_its_network_looked_at() -> None:
    observed = converged(seen(launcher=view(DomainStatus.RUNNING, network_ready=True)))
    adopted = replace(observed, launcher=view(DomainStatus.RUNNING))
    assert decide(adopted).actions == (PrepareNetwork(KEY, observed.vmi),)


def test_a_network_that_cannot_be_completed_is_tried_at_its_pace_and_the_guest_runs_on() -> None:
    observed = converged(seen(launcher=view(DomainStatus.RUNNING, network_ready=True)))
    for terminal in (False, True):
        setback = Setback("no dnsmasq", terminal, NOW + timedelta(seconds=5))
        waiting = replace(observed, launcher=view(DomainStatus.RUNNING, setback=setback))
        decision = decide(waiting)
        assert decision.actions == ()
        assert decision.requeue_after == timedelta(seconds=5)
        assert [(event.reason, event.message) for event in decision.events] == [("NetworkNotReady", "no dnsmasq")]
        due = replace(waiting, now=NOW + timedelta(seconds=5))
        assert decide(due).actions == (PrepareNetwork(KEY, observed.vmi),)


def test_a_state_of_unknown_changes_nothing() -> None:
    assert decide(seen(vmi=vmi("Running"), launcher=view(DomainStatus.UNKNOWN, network_ready=True))).actions == ()


def test_a_deleted_instance_is_shut_down_with_what_is_left_of_its_grace_period() -> None:
    deleted = vmi("Running", deleted_s_ago=10, terminationGracePeriodSeconds=60)
    decision = decide(seen(vmi=deleted, launcher=view(DomainStatus.RUNNING)))
    assert decision.actions == (Shutdown(KEY, 50),)
    assert decision.requeue_after == timedelta(seconds=5), "a guest that takes its time is told about"
    assert decision.events == ()


def test_people_are_told_once_of_a_guest_that_takes_its_time_to_power_off() -> None:
    def deleted(seconds_ago: float, **line: Any) -> Observed:
        gone = vmi("Running", deleted_s_ago=seconds_ago, terminationGracePeriodSeconds=60)
        return seen(vmi=gone, launcher=view(DomainStatus.SHUTTING_DOWN, shutdown_grace_s=60, **line))

    early = decide(deleted(1))
    assert (early.actions, early.events, early.requeue_after) == ((), (), timedelta(seconds=4))
    late = decide(deleted(5))
    assert late.actions == (NoteShutdownTold(KEY),)
    assert [(event.reason, event.message) for event in late.events] == [
        ("ShuttingDown", "Signaled graceful shutdown; the guest is given until 2026-01-01T12:00:55Z")
    ]
    assert decide(deleted(6, shutdown_told=True)).events == ()


def test_that_the_agent_came_waits_for_what_it_has_to_say() -> None:
    def told(phase: str, **fields: Any) -> float:
        line = view(state=state(DomainStatus.RUNNING, agent_connected=True, **fields), network_ready=True)
        status = decide(seen(vmi=vmi(phase), launcher=line)).status
        assert status is not None
        return status.may_wait_s

    assert told("Running") == 1.0
    assert told("Running", agent_version="7.2") == 0.0
    assert told("Scheduled") == 0.0, "somebody waits for Running"


def test_ready_is_told_with_running_and_left_to_virt_controller_afterwards() -> None:
    ready_pod = replace(POD, ready=Readiness("True"))
    observed = seen(pod=ready_pod, launcher=view(DomainStatus.RUNNING, network_ready=True))
    conditions = {found["type"]: found for found in status_after(observed)["conditions"]}
    assert conditions["Ready"] == {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    later = replace(converged(observed), pod=replace(POD, ready=Readiness("False", "ContainersNotReady", "not")))
    assert steps(decide(later)) == ()


def test_a_shutdown_is_asked_for_once_and_again_only_when_there_is_less_time() -> None:
    deleted = vmi("Running", deleted_s_ago=10, terminationGracePeriodSeconds=60)
    waiting = seen(vmi=deleted, launcher=view(DomainStatus.SHUTTING_DOWN, shutdown_grace_s=50, shutdown_told=True))
    assert decide(waiting).actions == ()
    assert decide(waiting).requeue_after == timedelta(seconds=65)
    shorter = vmi("Running", deleted_s_ago=10, terminationGracePeriodSeconds=5)
    assert decide(replace(waiting, vmi=shorter)).actions == (Shutdown(KEY, 0),)


def test_a_launcher_that_is_late_with_the_end_is_told_to_kill() -> None:
    deleted = vmi("Running", deleted_s_ago=80, terminationGracePeriodSeconds=60)
    late = seen(vmi=deleted, launcher=view(DomainStatus.SHUTTING_DOWN, shutdown_grace_s=60, shutdown_told=True))
    assert decide(late).actions == (Kill(KEY),)


def test_an_instance_that_is_deleted_before_its_guest_started_ends_the_launcher() -> None:
    deleted = vmi("Scheduled", deleted_s_ago=1)
    decision = decide(seen(vmi=deleted, launcher=view(DomainStatus.NONE)))
    assert decision.actions == (Shutdown(KEY, 29),)
    assert decision.events == ()


def test_a_domain_that_powered_off_succeeds_and_one_that_crashed_fails() -> None:
    off = seen(vmi=vmi("Running"), launcher=view(state=state(DomainStatus.ENDED, exit=ExitInfo(crashed=False))))
    assert status_after(off)["phase"] == "Succeeded"
    assert decide(off).actions[-1] == Forget(KEY)
    crash = ExitInfo(crashed=True, message="guest panic")
    crashed = seen(vmi=vmi("Running"), launcher=view(state=state(DomainStatus.ENDED, exit=crash)))
    status = status_after(crashed)
    assert (status["phase"], status["reason"]) == ("Failed", "guest panic")
    assert "guest panic" in decide(crashed).events[0].message


def test_an_end_that_was_asked_for_is_news_only_when_it_took_its_time() -> None:
    def told(gone_s: float | None, *, crashed: bool = False, **line: Any) -> list[str]:
        over = state(DomainStatus.ENDED, exit=ExitInfo(crashed=crashed))
        decision = decide(seen(vmi=vmi("Running", deleted_s_ago=gone_s), launcher=view(state=over, **line)))
        return [f"{event.type} {event.reason}" for event in decision.events]

    assert told(None) == ["Normal Stopped"], "the guest powered itself off"
    assert told(1) == []
    assert told(9, shutdown_told=True) == ["Normal Stopped"]
    assert told(1, crashed=True) == ["Warning Stopped"]


def test_the_end_counts_even_after_the_line_was_lost() -> None:
    ended = view(state=state(DomainStatus.ENDED, exit=ExitInfo(crashed=False)), connected=False)
    assert status_after(seen(vmi=vmi("Running"), launcher=ended))["phase"] == "Succeeded"


def test_a_missed_end_is_read_from_the_exit_status() -> None:
    for code, phase in ((0, "Succeeded"), (1, "Failed")):
        over = replace(POD, finished=True, exit_code=code, message="told by the container")
        assert status_after(seen(vmi=vmi("Running"), pod=over, launcher=None))["phase"] == phase


def test_a_pod_that_is_gone_fails_its_instance_unless_that_was_asked_for() -> None:
    assert status_after(seen(vmi=vmi("Running"), pod=None, launcher=None))["phase"] == "Failed"
    deleted = vmi("Running", deleted_s_ago=5)
    assert status_after(seen(vmi=deleted, pod=None, launcher=None))["phase"] == "Succeeded"


def test_an_instance_that_has_ended_is_forgotten() -> None:
    for phase in ("Succeeded", "Failed"):
        assert decide(seen(vmi=vmi(phase))).actions == (Forget(KEY),)
        assert decide(seen(vmi=vmi(phase), launcher=None)).actions == ()


def test_a_phase_is_stamped_once() -> None:
    observed = converged(seen(launcher=view(DomainStatus.RUNNING, network_ready=True)))
    paused = replace(observed, now=NOW + timedelta(minutes=1), launcher=view(DomainStatus.PAUSED, network_ready=True))
    assert len(status_after(paused)["phaseTransitionTimestamps"]) == 1


def test_a_guest_with_sriov_interfaces_starts_once_their_devices_are_known() -> None:
    spec: dict[str, Any] = {
        "domain": {"devices": {"interfaces": [{"name": "fast", "sriov": {}}]}, "memory": {"guest": "64Mi"}},
        "networks": [{"name": "fast", "multus": {"networkName": "fast"}}],
    }
    wanted = vmi(**spec)
    inside = pod_interface(wanted.spec.networks[0])
    unknown = seen(vmi=wanted, pod=replace(POD, attached=(AttachedNetwork(inside),)))
    assert [action for action in decide(unknown).actions if isinstance(action, Start)] == []
    conditions = {found["type"]: found for found in status_after(unknown)["conditions"]}
    assert "interface fast" in conditions["Synchronized"]["message"]
    known = seen(vmi=wanted, pod=replace(POD, attached=(AttachedNetwork(inside, pci="0000:81:01.2"),)))
    assert decide(known).actions == (Start(KEY, wanted, "launcher:1", (), (("fast", "0000:81:01.2"),)),)


@pytest.mark.parametrize(
    ("more", "pci"),
    [
        ({"device-info": {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:81:01.2"}}}, "0000:81:01.2"),
        ({"device-info": {"type": "vhost-user"}}, ""),
        ({}, ""),
    ],
)
def test_the_device_of_an_attachment_is_in_the_pod_s_network_status(more: dict[str, Any], pci: str) -> None:
    entry = {"name": "ns/fast", "interface": "pod1", "ips": ["10.0.0.1"], **more}
    document = {"metadata": {"name": "p", "annotations": {NETWORK_STATUS: json.dumps([entry])}}}
    assert launcher_pod(convert(document, type=Pod)).attached == (AttachedNetwork("pod1", ("10.0.0.1",), pci),)
