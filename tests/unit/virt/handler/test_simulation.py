"""A simulated node: whatever happens in whatever order, an instance's story stays a possible one.

Stale caches, conflicts, crashes of virt-handler between any two actions, a line that drops, a launcher whose last word
is missed, deletion at any moment.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import convert
from msgspec.structs import replace

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.merge import merge_patch
from kobune.kube.client.resource import Key
from kobune.kube.runtime import PatchObject
from kobune.virt.handler.instance.actions import Follow, Forget, Kill, NoteShutdownTold, PrepareNetwork, Shutdown, Start
from kobune.virt.handler.instance.decide import decide
from kobune.virt.handler.instance.observed import LauncherPod, LauncherView, Observed, Setback
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, ExitInfo
from support.decisions import steps

D = DomainStatus
KEY = Key("default", "vm")
FINAL = ("Succeeded", "Failed")


class Line:
    """What one virt-handler process knows of the launcher."""

    def __init__(self) -> None:
        self.told: DomainState | None = None
        self.connected = False
        self.network_ready = False
        self.shutdown_grace_s: float | None = None
        self.shutdown_told = False
        self.setback: Setback | None = None

    def view(self) -> LauncherView:
        return LauncherView(
            self.told,
            self.connected,
            network_ready=self.network_ready,
            shutdown_grace_s=self.shutdown_grace_s,
            shutdown_told=self.shutdown_told,
            setback=self.setback,
        )


class NodeSimulation(RuleBasedStateMachine):
    @initialize()
    def hand_over(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.version = 1
        self.stored: dict[str, Any] = {
            "metadata": {"namespace": "default", "name": "vm", "uid": "u", "resourceVersion": "1"},
            "spec": {"domain": {"devices": {}}, "terminationGracePeriodSeconds": 20},
            "status": {"phase": "Scheduled"},
        }
        self.cached = self.stored
        self.domain = DomainState(sequence=0, status=D.NONE)
        self.answers = True
        self.pod: LauncherPod | None = LauncherPod("pod-1", "virt-launcher-vm")
        self.line: Line | None = None
        self.starts = 0
        self.asked_to_end = False
        self.failing_start: bool | None = None
        self.history = ["Scheduled"]

    # The handler

    def observed(self) -> Observed:
        return Observed(
            self.now,
            "n1",
            convert(self.cached, VirtualMachineInstance),
            self.pod,
            self.line.view() if self.line is not None else None,
        )

    @rule(crash_after=st.integers(0, 3))
    def reconcile(self, crash_after: int) -> None:
        """One pass; a crash after some actions loses the rest and all that the process knew."""
        actions = steps(decide(self.observed()))
        for number, action in enumerate(actions):
            if number == crash_after:
                self.line = None
                return
            if not self.act(action):
                return

    def act(self, action: object) -> bool:
        match action:
            case Follow():
                self.line = self.line or Line()
            case Forget():
                self.line = None
            case PatchObject(patch=patch):
                if patch.body["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
                    return False
                self.write({"status": patch.body["status"]})
                # The runtime waits for its own writes.
                self.cached = self.stored
            case PrepareNetwork():
                assert self.line is not None
                self.line.network_ready = True
            case Start():
                return self.start()
            case Shutdown():
                if not self.reachable():
                    return False
                assert self.line is not None
                assert self.deleted() or self.line.setback is not None, "nobody asked for the end of this guest"
                self.line.shutdown_grace_s = action.grace_s
                self.asked_to_end = True
                if self.domain.status is D.NONE:
                    self.end(crashed=False)
                elif self.domain.status is not D.ENDED:
                    self.become(D.SHUTTING_DOWN)
            case NoteShutdownTold():
                assert self.line is not None
                assert self.deleted()
                self.line.shutdown_told = True
            case Kill():
                if not self.reachable():
                    return False
                assert self.deleted()
                self.end(crashed=False)
            case _:
                raise AssertionError(action)
        return True

    def start(self) -> bool:
        if not self.reachable():
            return False
        assert self.line is not None
        if self.failing_start is not None:
            self.line.setback = Setback("it failed", self.failing_start, self.now + timedelta(seconds=1))
            self.failing_start = None
            return True
        self.line.setback = None
        self.line.network_ready = True
        if self.domain.status is D.NONE:
            self.starts += 1
            self.become(D.RUNNING)
        return True

    # The world

    def reachable(self) -> bool:
        return self.line is not None and self.line.connected and self.answers

    def deleted(self) -> bool:
        return "deletionTimestamp" in self.stored["metadata"]

    def write(self, patch: dict[str, Any]) -> None:
        self.version += 1
        self.stored = merge_patch(self.stored, patch)
        self.stored["metadata"] = {**self.stored["metadata"], "resourceVersion": str(self.version)}
        phase = self.stored["status"]["phase"]
        if phase != self.history[-1]:
            self.history.append(phase)

    def become(self, status: DomainStatus, **fields: Any) -> None:
        self.domain = replace(self.domain, sequence=self.domain.sequence + 1, status=status, **fields)

    def end(self, *, crashed: bool) -> None:
        if self.domain.status is not D.ENDED:
            self.become(D.ENDED, exit=ExitInfo(crashed=crashed))

    @rule()
    def cache_catches_up(self) -> None:
        self.cached = self.stored

    @rule()
    def line_comes_up(self) -> None:
        if self.line is not None and self.answers:
            self.line.connected = True
            self.line.told = self.domain

    @rule()
    def line_drops(self) -> None:
        if self.line is not None:
            self.line.connected = False

    @rule()
    def handler_is_killed(self) -> None:
        self.line = None

    @precondition(lambda self: self.domain.status in (D.RUNNING, D.SHUTTING_DOWN, D.PAUSED))
    @rule(crashed=st.booleans())
    def guest_ends(self, crashed: bool) -> None:
        self.end(crashed=crashed)

    @precondition(lambda self: self.domain.status in (D.RUNNING, D.PAUSED))
    @rule()
    def guest_is_paused_or_not(self) -> None:
        self.become(D.PAUSED if self.domain.status is D.RUNNING else D.RUNNING)

    @precondition(lambda self: self.domain.status is D.ENDED and self.answers)
    @rule()
    def container_ends(self) -> None:
        self.answers = False
        assert self.domain.exit is not None
        if self.line is not None:
            self.line.connected = False
        if self.pod is not None:
            code = 1 if self.domain.exit.crashed else 0
            self.pod = LauncherPod("pod-1", "virt-launcher-vm", finished=True, exit_code=code)

    @precondition(lambda self: not self.answers)
    @rule()
    def pod_is_removed(self) -> None:
        self.pod = None

    @precondition(lambda self: not self.deleted())
    @rule()
    def user_deletes(self) -> None:
        self.write({"metadata": {"deletionTimestamp": self.now.strftime("%Y-%m-%dT%H:%M:%SZ")}})

    @rule()
    def another_controller_writes(self) -> None:
        self.write({"status": {"qosClass": f"q{self.version}"}})

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.domain.status is D.NONE)
    @rule(terminal=st.booleans())
    def next_start_fails(self, terminal: bool) -> None:
        self.failing_start = terminal

    # What must hold

    @invariant()
    def a_guest_is_started_at_most_once(self) -> None:
        assert getattr(self, "starts", 0) <= 1

    @invariant()
    def phases_only_go_forward(self) -> None:
        order = {"Scheduled": 0, "Running": 1, "Succeeded": 2, "Failed": 2}
        ranks = [order[phase] for phase in getattr(self, "history", [])]
        assert ranks == sorted(set(ranks)), self.history

    @invariant()
    def an_instance_ends_only_with_its_guest(self) -> None:
        if not hasattr(self, "stored"):
            return
        if self.stored["status"]["phase"] in FINAL:
            assert self.domain.status is D.ENDED

    def teardown(self) -> None:
        """Once nothing more happens, everything comes to rest with the truth told."""
        if not hasattr(self, "stored"):
            return
        for _ in range(12):
            self.cache_catches_up()
            self.line_comes_up()
            self.now += timedelta(seconds=30)
            for action in steps(decide(self.observed())):
                if not self.act(action):
                    break
            if self.domain.status is D.ENDED:
                self.container_ends() if self.answers else None
            elif self.domain.status is D.SHUTTING_DOWN:
                self.end(crashed=False)
        self.cache_catches_up()
        assert steps(decide(self.observed())) == ()
        phase = self.stored["status"]["phase"]
        if self.domain.status is D.ENDED:
            assert phase in FINAL
        else:
            assert phase == "Running"
            assert not self.deleted()


NodeSimulation.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNodeSimulation = NodeSimulation.TestCase
