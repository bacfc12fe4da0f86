"""Start, stop and restart as plans; who may speak for whom; what a request must look like."""

import json
from typing import Any

import pytest
from msgspec import structs

from kobune.api.core import ConfigMap
from kobune.api.kubevirt import RestartOptions, StartOptions, StopOptions
from kobune.api.meta import ObjectMeta
from kobune.virt.admission.frontproxy import FrontProxy
from kobune.virt.admission.subresources.failure import Failure
from kobune.virt.admission.subresources.power import (
    PowerPlan,
    decode_options,
    plan_restart,
    plan_start,
    plan_stop,
)
from kobune.virt.admission.subresources.volumes import check_add_volume, check_remove_volume
from support.vms import VMI_UID, instance, machine

RUNNING = instance(phase="Running")
ENDED = instance(phase="Succeeded")
STOP = {"action": "Stop", "uid": VMI_UID}


@pytest.mark.parametrize(
    ("strategy", "vmi", "expected"),
    [
        ("Halted", None, PowerPlan(spec={"runStrategy": "Always"})),
        ("Halted", ENDED, PowerPlan(spec={"runStrategy": "Always"})),
        ("Manual", None, PowerPlan(status={"stateChangeRequests": [{"action": "Start"}]})),
        ("RerunOnFailure", None, PowerPlan(status={"stateChangeRequests": [{"action": "Start"}]})),
        ("RerunOnFailure", ENDED, PowerPlan(status={"stateChangeRequests": [STOP, {"action": "Start"}]})),
        ("RerunOnFailure", instance(phase="Failed"), 409),
        ("Manual", ENDED, PowerPlan(status={"stateChangeRequests": [STOP, {"action": "Start"}]})),
        ("Always", None, 409),
        ("Once", ENDED, 409),
        ("Halted", RUNNING, 409),
    ],
)
def test_start(strategy: str, vmi: Any, expected: PowerPlan | int) -> None:
    _check(lambda: plan_start(machine(strategy=strategy), vmi, StartOptions()), expected)


def test_a_paused_start_leaves_word_before_the_strategy_changes() -> None:
    plan = plan_start(machine(strategy="Halted"), None, StartOptions(paused=True))
    assert plan.status == {"stateChangeRequests": [{"action": "Start", "data": {"paused": "true"}}]}
    assert plan.spec == {"runStrategy": "Always"}


def test_machines_that_say_running_keep_saying_it() -> None:
    vm = machine(strategy=None)
    running = structs.replace(vm, spec=structs.replace(vm.spec, running=True))
    assert plan_stop(running, RUNNING, StopOptions()).spec == {"running": False}


@pytest.mark.parametrize(
    ("strategy", "vmi", "expected"),
    [
        ("Always", RUNNING, PowerPlan(spec={"runStrategy": "Halted"})),
        ("Once", ENDED, PowerPlan(spec={"runStrategy": "Halted"})),
        ("Manual", RUNNING, PowerPlan(status={"stateChangeRequests": [STOP]})),
        ("Manual", None, 409),
        ("Manual", ENDED, 409),
        ("RerunOnFailure", RUNNING, PowerPlan(status={"stateChangeRequests": [STOP]})),
        ("RerunOnFailure", ENDED, 409),
        ("Halted", None, 409),
        ("Halted", RUNNING, 409),
    ],
)
def test_stop(strategy: str, vmi: Any, expected: PowerPlan | int) -> None:
    _check(lambda: plan_stop(machine(strategy=strategy), vmi, StopOptions()), expected)


@pytest.mark.parametrize(
    ("strategy", "vmi", "expected"),
    [
        ("Always", RUNNING, PowerPlan(status={"stateChangeRequests": [STOP, {"action": "Start"}]})),
        ("Manual", RUNNING, PowerPlan(status={"stateChangeRequests": [STOP, {"action": "Start"}]})),
        ("Always", ENDED, 409),
        ("Once", RUNNING, 409),
        ("Halted", RUNNING, 409),
    ],
)
def test_restart(strategy: str, vmi: Any, expected: PowerPlan | int) -> None:
    _check(lambda: plan_restart(machine(strategy=strategy), vmi, RestartOptions()), expected)


def test_a_second_request_waits_for_the_first() -> None:
    busy = machine(strategy="Manual", status={"stateChangeRequests": [{"action": "Start"}]})
    _check(lambda: plan_start(busy, None, StartOptions()), 409)


@pytest.mark.parametrize(("present", "wanted", "may"), [(30, 5, True), (30, 30, False), (None, 5, True), (0, 0, False)])
def test_a_guest_that_ends_can_be_asked_to_hurry(present: int | None, wanted: int, may: bool) -> None:
    changes = {"terminationGracePeriodSeconds": present} if present is not None else {}
    ending = instance(phase="Running", spec_changes=changes)
    plan = PowerPlan(wanted, status={"stateChangeRequests": [STOP]})
    _check(
        lambda: plan_stop(machine(strategy="Halted"), ending, StopOptions(grace_period=wanted)), plan if may else 409
    )


def test_forced_ends_shorten_the_time_to_shut_down() -> None:
    assert plan_stop(machine(), RUNNING, StopOptions(grace_period=0)).grace_period_s == 0
    assert plan_restart(machine(), RUNNING, RestartOptions(grace_period_seconds=0)).grace_period_s == 0
    _check(lambda: plan_restart(machine(), RUNNING, RestartOptions(grace_period_seconds=5)), 400)
    _check(lambda: plan_stop(machine(), RUNNING, StopOptions(grace_period=-1)), 400)


def _check(make: Any, expected: PowerPlan | int) -> None:
    if isinstance(expected, PowerPlan):
        assert make() == expected
        return
    with pytest.raises(Failure) as caught:
        make()
    assert caught.value.code == expected


@pytest.mark.parametrize("body", [b"this is no VM", b"[]", b'{"paused": 3}'])
def test_options_must_be_options(body: bytes) -> None:
    with pytest.raises(Failure) as caught:
        decode_options(body, StartOptions)
    assert caught.value.code == 400
    assert json.loads(caught.value.body())["kind"] == "Status"


def test_volumes_are_named_and_complete() -> None:
    for body in ({}, {"name": "v"}, {"name": "v", "disk": {"name": "v"}}):
        with pytest.raises(Failure):
            check_add_volume(json.dumps(body).encode())
    whole = {"name": "v", "disk": {"name": "v"}, "volumeSource": {"persistentVolumeClaim": {"claimName": "c"}}}
    assert check_add_volume(json.dumps(whole).encode()) == whole
    with pytest.raises(Failure):
        check_remove_volume(b"{}")
    assert check_remove_volume(b'{"name": "v"}') == "v"


FRONT_PROXY = {
    "requestheader-client-ca-file": "PEM",
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
}


def test_only_the_front_proxy_may_name_users() -> None:
    proxy = FrontProxy.of(ConfigMap(metadata=ObjectMeta(name="x"), data=FRONT_PROXY))
    assert proxy is not None
    assert proxy.trusts("front-proxy-client")
    assert not proxy.trusts("somebody")
    assert not proxy.trusts(None)
    user = proxy.user(
        [
            ("X-Remote-User", "alice"),
            ("x-remote-group", "a"),
            ("X-Remote-Group", "b"),
            ("X-Remote-Extra-Scopes%2Fx", "s"),
        ]
    )
    assert user is not None
    assert (user.name, user.groups, dict(user.extra)) == ("alice", ("a", "b"), {"scopes/x": ("s",)})
    assert proxy.user([("X-Remote-Group", "a")]) is None
    assert FrontProxy.of(ConfigMap(metadata=ObjectMeta(name="x"), data={})) is None
