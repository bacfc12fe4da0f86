"""When a dump of a guest's memory is made, and what is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import convert

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.objects import key_of
from kobune.virt.handler.hotplug.dump import Dump, next_dump
from kobune.virt.handler.hotplug.plan import Attachment, Bring, PlugView, plan_volumes
from kobune.virt.handler.hotplug.status import plugged_entry
from kobune.virt.handler.instance.actions import DumpMemory
from kobune.virt.handler.instance.decide import decide
from kobune.virt.handler.instance.observed import LauncherPod, LauncherView, Observed
from kobune.virt.launcherproto.messages import DomainState, DomainStatus

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILE = "vm-dumps-20260102-030405.memory.dump"
GIVEN = PlugView(folders=frozenset({"dumps"}))
DUMP = Dump(FILE, NOW)
DONE = replace(DUMP, ended=NOW + timedelta(seconds=3))


def vmi(phase: str = "", *, wanted: bool = True) -> VirtualMachineInstance:
    volumes = [{"name": "dumps", "memoryDump": {"claimName": "dumps", "hotpluggable": True}}] if wanted else []
    entry: dict[str, Any] = {"name": "dumps", "target": "", "hotplugVolume": {}, "phase": phase}
    document = {
        "metadata": {"namespace": "ns", "name": "vm", "uid": "uid-1"},
        "spec": {"domain": {"devices": {}, "memory": {"guest": "64Mi"}}, "volumes": volumes},
        "status": {"phase": "Running", "volumeStatus": [entry] if phase else []},
    }
    return convert(document, VirtualMachineInstance)


@pytest.mark.parametrize(
    ("instance", "view", "dumps", "expected"),
    [
        (vmi("MountedToPod"), GIVEN, {}, ("dumps", FILE)),
        # virt-handler was started anew while a dump was made: another one takes its place.
        (vmi("MemoryDumpInProgress"), GIVEN, {}, ("dumps", FILE)),
        (vmi("AttachedToNode"), PlugView(), {}, None),
        (vmi("MountedToPod"), GIVEN, {"dumps": DUMP}, None),
        (vmi("MountedToPod"), GIVEN, {"dumps": DONE}, None),
        (vmi("MemoryDumpCompleted"), GIVEN, {}, None),
        (vmi("MemoryDumpFailed"), GIVEN, {}, None),
        (vmi("MountedToPod", wanted=False), GIVEN, {}, None),
    ],
)
def test_a_dump_is_made_once_its_volume_is_there_and_only_once(
    instance: VirtualMachineInstance, view: PlugView, dumps: dict[str, Dump], expected: tuple[str, str] | None
) -> None:
    assert next_dump(instance, view, dumps, NOW) == expected
    launcher = LauncherView(
        state=DomainState(sequence=1, status=DomainStatus.RUNNING),
        connected=True,
        network_ready=True,
        capacities={},
        dumps=dumps,
    )
    decision = decide(Observed(NOW, "n", instance, LauncherPod("p", "pod"), launcher, view))
    made = [action for action in decision.actions if isinstance(action, DumpMemory)]
    assert made == ([DumpMemory(key_of(instance), *expected)] if expected is not None else [])


def test_the_volume_of_a_dump_comes_and_goes_without_a_disk() -> None:
    held = PlugView({"dumps": Attachment("hp", "hp-uid", usable=True, block=False)})
    assert plan_volumes(vmi("AttachedToNode"), held, [], {}).bring == (Bring("dumps", "hp-uid", False),)
    assert not plan_volumes(vmi("MountedToPod"), GIVEN, [], {}).has_work
    assert plan_volumes(vmi("MemoryDumpCompleted", wanted=False), GIVEN, [], {}).take == ("dumps",)


def told(phase: str, dump: Dump | None, *, wanted: bool = True, view: PlugView = GIVEN) -> dict[str, Any]:
    entry = {"name": "dumps", "target": "", "phase": phase, "memoryDumpVolume": {"claimName": "dumps"}}
    return plugged_entry(entry, view, None, wanted=wanted, trouble="", dump=dump)


def test_the_entry_tells_how_far_the_dump_is() -> None:
    begun = {"claimName": "dumps", "startTimestamp": "2026-01-02T03:04:05Z", "targetFileName": FILE}
    entry = told("MountedToPod", DUMP)
    assert (entry["phase"], entry["memoryDumpVolume"]) == ("MemoryDumpInProgress", begun)
    ended = {**begun, "endTimestamp": "2026-01-02T03:04:08Z"}
    entry = told("MemoryDumpInProgress", DONE)
    assert (entry["phase"], entry["memoryDumpVolume"]) == ("MemoryDumpCompleted", ended)
    entry = told("MemoryDumpInProgress", replace(DONE, trouble="no space left"))
    assert (entry["phase"], entry["message"]) == ("MemoryDumpFailed", "no space left")
    assert told("MemoryDumpCompleted", None)["phase"] == "MemoryDumpCompleted"
    assert told("MemoryDumpCompleted", None, wanted=False, view=PlugView())["phase"] == "UnMountedFromPod"
