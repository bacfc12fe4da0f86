"""Starting and stopping a machine again and again leaves nothing behind: not on the node, not in the API.

`KOBUNE_ROUNDS` is the number of rounds; the long run has 200.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.instance import ROOT, Instance
from support.traces import SETTLE_S, entries, more_than, settled, traces

ROUNDS = int(os.environ.get("KOBUNE_ROUNDS", "10"))


def component_weights(instance: Instance) -> dict[str, dict[str, int]]:
    """Memory (proportional, MiB), open files and threads of each component and of containerd."""
    pids = json.loads((instance.data_dir / "run/components.json").read_text())
    pids["containerd"] = int((instance.data_dir / "run/containerd.pid").read_text())
    found = {}
    for name, pid in pids.items():
        proc = Path(f"/proc/{pid}")
        pss = next(line for line in (proc / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        found[name] = {
            "memory": int(pss.split()[1]) // 1024,
            "files": entries(proc / "fd"),
            "threads": entries(proc / "task"),
        }
    return found


def assert_no_growth(before: dict[str, dict[str, int]], after: dict[str, dict[str, int]]) -> None:
    """What a component keeps open does not grow with the rounds; its memory does so far less than in proportion."""
    grown = {name: {what: after[name][what] - before[name][what] for what in before[name]} for name in before}
    print(f"growth over {ROUNDS} rounds: {grown}; now {after}")
    for name, what in grown.items():
        # Connections that wait for reuse come and go.
        assert what["files"] <= 24, f"{name} keeps files open: {grown}"
        assert what["threads"] <= 12, f"{name} keeps threads: {grown}"
        assert what["memory"] <= 64, f"{name} grows: {grown}"


def stopped(instance: Instance) -> bool:
    status = instance.get("vm", "cycled")["status"]["printableStatus"]
    return bool(status == "Stopped" and instance.get("pod", "-l", "guest=cycled")["items"] == [])


def told_to_start(instance: Instance) -> bool:
    """Start it, unless a request whose answer was lost on a busy machine has."""
    if instance.kubectl("get", "vmi", "cycled", "--ignore-not-found") == "":
        instance.kobune("start", "cycled")
    return True


def one_round(instance: Instance) -> None:
    instance.eventually("it is told to start", lambda: told_to_start(instance))
    instance.wait_phase("cycled", "Running")
    # The guest need not hear of it: what is looked at is what the node and the API keep.
    instance.kobune("stop", "cycled", "--grace-period=1", "--force")
    instance.eventually("it is stopped and its pod is gone", lambda: stopped(instance))


def is_as_before(instance: Instance, before: dict[str, Any]) -> None:
    """There is nothing more than before, now or soon."""
    try:
        instance.eventually("nothing is left", lambda: not more_than(before, traces(instance)), SETTLE_S)
    except AssertionError:
        assert more_than(before, traces(instance)) == {}


def define(instance: Instance, binding: str) -> None:
    """The machine, stopped, with its interface bound like that."""
    machine = yaml.safe_load((ROOT / "examples/demo-vm.yaml").read_text())
    machine["metadata"] = {"name": "cycled"}
    machine["spec"]["runStrategy"] = "Manual"
    machine["spec"]["template"]["metadata"]["labels"] = {"guest": "cycled"}
    devices = machine["spec"]["template"]["spec"]["domain"]["devices"]
    devices["interfaces"] = [{"name": one["name"], binding: {}} for one in devices["interfaces"]]
    instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(machine))


@pytest.mark.timeout(600 + 30 * ROUNDS)
def test_rounds_of_start_and_stop_leave_nothing_behind(instance: Instance) -> None:
    define(instance, "masquerade")
    # The first round makes what is kept for good, as the record of the last start.
    one_round(instance)
    before = settled(instance)
    weights = component_weights(instance)
    for _ in range(ROUNDS):
        one_round(instance)
    is_as_before(instance, before)
    assert_no_growth(weights, component_weights(instance))
    instance.kubectl("delete", "vm", "cycled", "--timeout=60s")


def test_a_guest_that_was_given_the_address_of_its_pod_leaves_nothing_behind(instance: Instance) -> None:
    define(instance, "bridge")
    one_round(instance)
    before = settled(instance)
    for _ in range(2):
        one_round(instance)
    is_as_before(instance, before)
    instance.kubectl("delete", "vm", "cycled", "--timeout=60s")
