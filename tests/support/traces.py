"""What an instance has on this machine and in its API: for tests that ask whether something was left behind."""

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.cgroup import Cgroups
from support.instance import Instance

__all__ = ["SETTLE_S", "entries", "more_than", "network", "output", "settled", "traces"]

# Records of what happened end by their age.
RECORDS = ("events", "events.events.k8s.io")
SETTLE_S = 90


def processes(instance: Instance) -> Counter[str]:
    """Names of the instance's processes: those with its directory in their command line, and their descendants."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    own: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        pid = int(entry.name)
        names[pid], parents[pid] = name, int(rest.split()[1])
        if os.fsencode(instance.data_dir) in line and pid != os.getpid():
            own.add(pid)

    def belongs(pid: int) -> bool:
        return pid in own or (pid in parents and parents[pid] != 0 and belongs(parents[pid]))

    return Counter(names[pid] for pid in parents if belongs(pid))


def network(instance: Instance) -> dict[str, Any]:
    """The name and the subnet of the instance's bridge."""
    (path,) = (instance.data_dir / "cni/net.d").glob("*.conflist")
    plugin = json.loads(path.read_text())["plugins"][0]
    subnet = str(plugin["ipam"]["ranges"][0][0]["subnet"])
    return {"bridge": str(plugin["bridge"]), "prefix": subnet.rpartition(".")[0] + "."}


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def links(bridge: str) -> int:
    return sum(bridge in (one["ifname"], one.get("master")) for one in json.loads(output("ip", "-json", "link")))


def entries(folder: Path) -> int:
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def containerd(instance: Instance, *command: str) -> list[str]:
    """Lines that containerd's own client prints."""
    socket = str(instance.data_dir / "run/containerd.sock")
    return output("ctr", "--address", socket, "--namespace", "k8s.io", *command).splitlines()


def objects(instance: Instance) -> Counter[str]:
    """How many objects there are of each kind."""
    kinds = instance.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    stored = [kind for kind in kinds if kind not in RECORDS]
    names = instance.kubectl("get", ",".join(stored), "-A", "-o", "name", "--ignore-not-found").split()
    return Counter(name.partition("/")[0] for name in names)


def traces(instance: Instance) -> dict[str, Any]:
    """Everything that a machine which does not run could have left behind."""
    net = network(instance)
    data = instance.data_dir
    own = str(data)
    root = NodeInstance.of(data).cgroup_root
    return {
        "objects": objects(instance),
        "processes": processes(instance),
        "mounts": sum(own in line for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "interfaces": links(net["bridge"]),
        "nft tables": [line for line in output("nft", "list", "tables").splitlines() if net["bridge"] in line],
        "nft rules": sum(net["prefix"] in line for line in output("nft", "list", "ruleset").splitlines()),
        "pod directories": entries(data / "kubelet/pods"),
        "pod logs": entries(data / "logs/pods"),
        "addresses": entries(data / "cni/networks" / net["bridge"]),
        "namespaces": entries(data / "run/containerd/io.containerd.grpc.v1.cri/netns"),
        "sandboxes": entries(data / "run/containerd/io.containerd.grpc.v1.cri/sandboxes"),
        "tasks": entries(data / "run/containerd/io.containerd.runtime.v2.task/k8s.io"),
        "containers": len(containerd(instance, "containers", "list", "--quiet")),
        "snapshots": len(containerd(instance, "snapshots", "list")),
        "leases": len(containerd(instance, "leases", "list", "--quiet")),
        "pods' processes": len(Cgroups().processes(root)),
        "pods' cgroups": sum(1 for top in Cgroups().directories(root) for _ in top.rglob("pod*/")),
        "networks' state": sum(entries(data / "components/virt-handler/state" / name) for name in ("pods", "dhcp")),
        "loop devices": sum(own in line for line in output("losetup", "--list", "--noheadings").splitlines()),
    }


def more_than(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What there is more of now; what earlier tests had left may have gone meanwhile."""
    more: dict[str, Any] = {}
    for what, found in now.items():
        known = before[what]
        extra: Any = max(0, found - known) if isinstance(found, int) else Counter(found) - Counter(known)
        if extra:
            more[what] = extra
    return more


def settled(instance: Instance) -> dict[str, Any]:
    """The traces, once they have not changed for a while: containerd and the kubelet tidy up a little later."""
    deadline = time.monotonic() + SETTLE_S
    last, unchanged = traces(instance), 0
    while unchanged < 4:
        assert time.monotonic() < deadline, "the node does not come to rest"
        time.sleep(1)
        now = traces(instance)
        unchanged = unchanged + 1 if now == last else 0
        last = now
    return last
