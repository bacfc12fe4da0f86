"""virt-controller and virt-handler with a plugged volume, in any order of events, with stale caches and lost processes.

The world: one running instance, its launcher pod, the claim's pod, what the launcher's container was given, and the
guest's disk. Whoever decides sees an instance that may be old; a write on an old one is refused, as the API does.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kobune.api.core import PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.objects import to_builtins
from kobune.kube.runtime import Create, Delete
from kobune.virt.controllers.virtualmachineinstance.hotplug import plug
from kobune.virt.controllers.virtualmachineinstance.podview import claim_facts
from kobune.virt.handler.hotplug.deliver import attachments_of
from kobune.virt.handler.hotplug.plan import PlugView, capacities
from kobune.virt.handler.instance.actions import SynchronizeVolumes
from kobune.virt.handler.instance.decide import decide
from kobune.virt.handler.instance.observed import LauncherPod, LauncherView, Observed
from kobune.virt.launcherproto.messages import DiskState, DomainState, DomainStatus
from support.plugged import plugged_disk, plugged_volume
from support.vms import launcher

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LAUNCHER = launcher(phase="Running", node="n1")
CLAIM = msgspec.convert(
    {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
    },
    PersistentVolumeClaim,
)
ROOT = DiskState(name="root", target="vda")


@dataclass
class World:
    """`version` is the instance's; `pod` is "", Pending, Running or Leaving."""

    wanted: bool = False
    version: int = 1
    entries: list[dict[str, Any]] = field(default_factory=list)
    pod: str = ""
    pods_made: int = 0
    given: bool = False
    asked_to_leave: bool = False
    attached: bool = False

    def instance(self) -> dict[str, Any]:
        disks = [{"name": "root", "disk": {}}] + ([plugged_disk()] if self.wanted else [])
        volumes = [{"name": "root", "containerDisk": {"image": "i"}}] + ([plugged_volume()] if self.wanted else [])
        return {
            "metadata": {"name": "vm", "namespace": "ns", "uid": "u", "resourceVersion": str(self.version)},
            "spec": {"domain": {"devices": {"disks": disks}}, "volumes": volumes},
            "status": {"phase": "Running", "nodeName": "n1", "volumeStatus": self.entries},
        }


class HotplugSimulation(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.told: dict[str, str] = {}
        self.caches = {"controller": self.world.instance(), "handler": self.world.instance()}

    # --- what happens by itself ---

    @rule()
    def user_adds_or_removes(self) -> None:
        self.world.wanted = not self.world.wanted
        self.world.version += 1

    @rule(who=st.sampled_from(["controller", "handler"]))
    def cache_catches_up(self, who: str) -> None:
        self.caches[who] = self.world.instance()

    @rule()
    def kubelet_works(self) -> None:
        world = self.world
        world.pod = {"Pending": "Running", "Leaving": ""}.get(world.pod, world.pod)

    @rule()
    def guest_agrees(self) -> None:
        if self.world.asked_to_leave:
            self.world.attached = self.world.asked_to_leave = False

    @rule()
    def pod_is_evicted(self) -> None:
        # As far as anybody can tell, it is replaced by a new one of its name.
        if self.world.pod == "Running":
            self.world.pod = "Leaving"

    # --- who decides ---

    @rule()
    def controller_passes(self) -> None:
        world, cached = self.world, self.caches["controller"]
        vmi = msgspec.convert(cached, VirtualMachineInstance)
        status = to_builtins(vmi.status)
        before = to_builtins(vmi.status)
        claim_facts(status, vmi, {"c": CLAIM})
        actions, _ = plug(status, vmi, LAUNCHER, self.pods(), {"c": CLAIM})
        for action in actions:
            if isinstance(action, Create) and world.pod == "":
                world.pod = "Pending"
                world.pods_made += 1
            elif isinstance(action, Delete) and action.uid == self.pod_uid():
                world.pod = "Leaving"
        if status.get("volumeStatus", []) != before.get("volumeStatus", []):
            self.write(cached, status.get("volumeStatus", []))

    @rule()
    def handler_passes(self) -> None:
        world, cached = self.world, self.caches["handler"]
        vmi = msgspec.convert(cached, VirtualMachineInstance)
        folders = frozenset({"data"} if world.given else ())
        disks = [ROOT, *([DiskState(name="data", target="sda")] if world.attached else [])]
        state = DomainState(sequence=1, status=DomainStatus.RUNNING, disks=disks, kvm=True)
        view = LauncherView(state=state, connected=True, network_ready=True, capacities=self.told)
        pod = LauncherPod(LAUNCHER.metadata.uid, "launcher")
        seen = Observed(NOW, "n1", vmi, pod, view, PlugView(attachments_of(vmi, self.pods()), folders))
        decision = decide(seen)
        for action in decision.actions:
            if isinstance(action, SynchronizeVolumes):
                self.synchronize(vmi, action)
        if decision.status is not None:
            entries = decision.status.status.get("volumeStatus", [])
            if entries != to_builtins(vmi.status).get("volumeStatus", []):
                self.write(cached, entries)

    def synchronize(self, vmi: VirtualMachineInstance, action: SynchronizeVolumes) -> None:
        """What delivery and the launcher do with the instance that they were given."""
        world = self.world
        if action.plan.bring and world.pod == "Running":
            world.given = True
        if action.plan.take:
            assert not world.attached, "a disk must not be taken from under the guest"
            world.given = False
        if action.plan.follow or action.plan.bring:
            specified = any(disk.name == "data" for disk in vmi.spec.domain.devices.disks)
            self.told = capacities(vmi)
            if specified and world.given:
                world.attached, world.asked_to_leave = True, False
            elif world.attached and not specified:
                world.asked_to_leave = True

    # --- the API ---

    def write(self, cached: dict[str, Any], entries: list[dict[str, Any]]) -> None:
        """Refused when the writer has seen an older instance."""
        if cached["metadata"]["resourceVersion"] == str(self.world.version):
            self.world.entries = entries
            self.world.version += 1

    def pod_uid(self) -> str:
        return f"pod-{self.world.pods_made}"

    def pods(self) -> list[Pod]:
        if not self.world.pod:
            return []
        metadata: dict[str, Any] = {
            "name": "hp",
            "namespace": "ns",
            "uid": self.pod_uid(),
            "labels": {"kubevirt.io": "hotplug-disk", "kobune.io/hotplug-volume": "data"},
        }
        if self.world.pod == "Leaving":
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        spec = {
            "containers": [{"name": "hotplug-disk"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}],
        }
        status = {"phase": "Pending" if self.world.pod == "Pending" else "Running"}
        return [msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, Pod)]

    # --- what must hold ---

    @invariant()
    def a_disk_has_its_data(self) -> None:
        assert self.world.given or not self.world.attached

    def teardown(self) -> None:
        """Left alone, the world comes to rest where the user wants it, and then nobody does anything any more."""
        for _ in range(30):
            self.kubelet_works()
            self.guest_agrees()
            for who in ("controller", "handler"):
                self.cache_catches_up(who)
                (self.controller_passes if who == "controller" else self.handler_passes)()
        world = self.world
        entries = [entry for entry in world.entries if entry["name"] == "data"]
        if world.wanted:
            (entry,) = entries
            assert (entry["phase"], entry["target"]) == ("Ready", "sda")
            assert (world.pod, world.given, world.attached) == ("Running", True, True)
        else:
            assert (entries, world.pod, world.given, world.attached) == ([], "", False, False)
        rest = replace(world)
        for who in ("controller", "handler"):
            self.cache_catches_up(who)
            (self.controller_passes if who == "controller" else self.handler_passes)()
        assert world == rest


TestHotplug = HotplugSimulation.TestCase
TestHotplug.settings = settings(max_examples=60, stateful_step_count=25, deadline=timedelta(seconds=5))
