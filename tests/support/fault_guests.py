"""Five small guests that are kept running in five different ways, and what a test that kills things asks of them."""

import json
import os
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.cgroup import Cgroups
from support.instance import Instance

__all__ = [
    "BARE",
    "FIVE",
    "STRATEGIES",
    "DirectApi",
    "Process",
    "bare",
    "command_line",
    "kill_all",
    "manifests",
    "pod_processes",
]

STRATEGIES = {"always": "Always", "rerun": "RerunOnFailure", "manual": "Manual", "once": "Once"}
"""Machines by name."""
BARE = "bare"
"""An instance without a machine."""
FIVE = (*STRATEGIES, BARE)
MEMORY = "96Mi"
REQUEST_TIMEOUT_S = 20


def manifests() -> str:
    """All five; the manual one waits to be started."""
    documents: list[dict[str, Any]] = [
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": name},
            "spec": {"runStrategy": strategy, "template": {"metadata": {"labels": {"guest": name}}, "spec": _spec()}},
        }
        for name, strategy in STRATEGIES.items()
    ]
    return yaml.safe_dump_all([*documents, bare()])


def bare() -> dict[str, Any]:
    """The instance without a machine."""
    metadata = {"name": BARE, "labels": {"guest": BARE}}
    return {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": metadata, "spec": _spec()}


def _spec() -> dict[str, Any]:
    devices = {
        "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
        "interfaces": [{"name": "default", "masquerade": {}}],
    }
    return {
        "terminationGracePeriodSeconds": 15,
        "domain": {"devices": devices, "memory": {"guest": MEMORY}},
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "root", "containerDisk": {"image": "kobune/demo"}}],
    }


@dataclass(frozen=True, order=True)
class Process:
    """One process: a number alone may be used again."""

    pid: int
    started_at: int


def command_line(pid: int) -> str:
    """Of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def pod_processes(instance: Instance, word: str, pod_uid: str = "") -> dict[str, Process]:
    """The (oldest) process with that word in its command line in each pod, or in one; by the pod's uid."""
    root = NodeInstance.of(instance.data_dir).cgroup_root
    found: dict[str, Process] = {}
    for pid, process in _started(Cgroups().processes(root)):
        try:
            cgroup = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue
        uid = cgroup.partition("/pod")[2].partition("/")[0].partition("\n")[0]
        if word in command_line(pid) and pod_uid in ("", uid) and (uid not in found or process < found[uid]):
            found[uid] = process
    return found


def _started(pids: set[int]) -> Iterator[tuple[int, Process]]:
    for pid in sorted(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        yield pid, Process(pid, int(fields[19]))


class DirectApi:
    """The instance's API without a client program, which costs a second of processor time per call."""

    def __init__(self, instance: Instance) -> None:
        self.server = f"https://127.0.0.1:{instance.listen_port}"
        pki = instance.data_dir / "pki"
        self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.token = (pki / "admin.token").read_text().strip()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer as JSON, or {} when it is none. Raises OSError for every failure."""
        request = urllib.request.Request(
            f"{self.server}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S, context=self.context) as answer:
            text = answer.read()
        return json.loads(text) if text.startswith((b"{", b"[")) else {}

    def instances(self) -> dict[str, dict[str, Any]]:
        """Those of the five that are there, by name."""
        found = self.ask("GET", "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances")["items"]
        return {one["metadata"]["name"]: one for one in found if one["metadata"]["name"] in FIVE}

    def machines(self) -> dict[str, dict[str, Any]]:
        """The four machines as far as they are there, by name."""
        found = self.ask("GET", "/apis/kubevirt.io/v1/namespaces/default/virtualmachines")["items"]
        return {one["metadata"]["name"]: one for one in found if one["metadata"]["name"] in STRATEGIES}

    def pods(self) -> list[dict[str, Any]]:
        """The launcher pods of the five."""
        path = "/api/v1/namespaces/default/pods?labelSelector=kubevirt.io%3Dvirt-launcher"
        items: list[dict[str, Any]] = self.ask("GET", path)["items"]
        return [one for one in items if one["metadata"]["labels"].get("guest") in FIVE]

    def instance_verb(self, name: str, verb: str) -> None:
        """PUT a subresource of an instance."""
        base = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances"
        self.ask("PUT", f"{base}/{name}/{verb}", {})

    def machine_verb(self, name: str, verb: str) -> None:
        """PUT a subresource of a machine."""
        base = "/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines"
        self.ask("PUT", f"{base}/{name}/{verb}", {})


def kill_all(processes: dict[str, Process], number: int) -> None:
    """Send a signal to each."""
    for process in processes.values():
        os.kill(process.pid, number)
