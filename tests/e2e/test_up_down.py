"""`kobune up` twice, and `kobune down` which leaves nothing behind."""

import subprocess
from pathlib import Path

from kobune.embedded.kubelet.instance import NodeInstance
from support.instance import Instance


def command(*words: str) -> list[str]:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def left_on_this_machine(instance: Instance, names: NodeInstance) -> dict[str, list[str]]:
    """Whatever of the instance can still be seen, by kind."""
    data_dir = str(instance.data_dir)
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if data_dir in line:
                processes.append(line)
    found = {
        "processes": processes,
        # Network namespaces of pods are mounts below the data directory.
        "mounts": [line for line in Path("/proc/mounts").read_text().splitlines() if data_dir in line],
        "interfaces": [line for line in command("ip", "-o", "link") if names.network.bridge in line],
        "rules": [line for line in command("nft", "list", "ruleset") if names.network.name in line],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"**{names.cgroup_root}*")],
    }
    return {kind: lines for kind, lines in found.items() if lines}


def test_down_leaves_nothing_behind_and_up_brings_the_objects_back(instance: Instance) -> None:
    instance.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    instance.kubectl("run", "leftover", "--image=kobune/toolbox", "--", "sleep", "infinity")
    instance.kubectl("wait", "pod/leftover", "--for=condition=Ready", "--timeout=120s")
    names = NodeInstance.of(instance.data_dir)
    assert set(left_on_this_machine(instance, names)) >= {"processes", "mounts", "interfaces", "cgroups"}
    instance.down("--grace-period=1")
    assert left_on_this_machine(instance, names) == {}
    output = instance.up()
    assert "building" not in output.lower()
    assert instance.get("configmap", "kept")["data"] == {"a": "1"}
    # The pod is still wanted, so it runs again.
    instance.kubectl("wait", "pod/leftover", "--for=condition=Ready", "--timeout=120s")
    instance.kubectl("delete", "pod/leftover", "configmap/kept", "--grace-period=1")


def test_a_second_up_says_who_runs_already(instance: Instance) -> None:
    output = instance.kobune("up", f"--data-dir={instance.data_dir}", check=False)
    assert output == ""
    assert "ready" in instance.kobune("status", f"--data-dir={instance.data_dir}")
