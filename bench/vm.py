"""What a virtual machine costs in time, memory and API writes; measured beside a bare qemu of the same guest.

    uv run python bench/vm.py --kubeconfig /var/lib/kobune/kubeconfig [--rounds 5] [--json FILE]

Needs a running instance on this machine and root (it reads the memory of the pods' processes). Prints one line a
figure: median, and all rounds. Ratios are of figures of the same run. API writes are counted in the audit log of an
instance started with `kobune up --audit-log DATA/logs/audit.log`, which `--list-writes` also prints; without one, by
the revision of the store, which does not know of writes that changed nothing or failed.
"""

import argparse
import asyncio
import json
import re
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bare_qemu import seconds_to_login
from kobune.kube.client.config import load_config
from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from writes import AuditReader, Write

NAME = "bench"
GUEST_MIB = 128
LIMIT_S = 180.0


def manifest() -> dict[str, Any]:
    """The guest that both sides boot: 1 CPU, 128 MiB, the demo's disk, one interface."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {
            "runStrategy": "Manual",
            "template": {
                "spec": {
                    "terminationGracePeriodSeconds": 30,
                    "domain": {
                        "memory": {"guest": f"{GUEST_MIB}Mi"},
                        "devices": {
                            "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                            "interfaces": [{"name": "default", "masquerade": {}}],
                        },
                    },
                    "networks": [{"name": "default", "pod": {}}],
                    "volumes": [{"name": "root", "containerDisk": {"image": "kobune/demo"}}],
                }
            },
        },
    }


async def revision(client: HttpClient) -> int:
    """The store's revision: it grows by one with every write that changes something."""
    return int((await client.list(VIRTUAL_MACHINES, "default", limit=1)).resource_version)


async def wait_running(client: HttpClient, began_s: float) -> float:
    """Seconds from `began_s` until the instance's status says Running."""
    listed = await client.list(VIRTUAL_MACHINE_INSTANCES, "default")
    if any(vmi.metadata.name == NAME and vmi.status and vmi.status.phase == "Running" for vmi in listed.items):
        return time.monotonic() - began_s
    events = client.watch(
        VIRTUAL_MACHINE_INSTANCES, "default", resource_version=listed.resource_version, timeout_s=LIMIT_S
    )
    async for event in events:
        vmi = event.object
        if vmi is not None and vmi.metadata.name == NAME and vmi.status and vmi.status.phase == "Running":
            return time.monotonic() - began_s
    raise TimeoutError(f"the instance did not run within {LIMIT_S:.0f} s")


async def wait_login(client: HttpClient, began_s: float) -> float:
    """Seconds from `began_s` until the guest's console shows its login prompt."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/{NAME}/console"
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                socket = await client.connect_websocket(path, protocols=("plain.kubevirt.io",))
                break
            except ApiError:
                await asyncio.sleep(0.05)
        seen = b""
        try:
            async for message in socket:
                seen += message.data
                if b"login: " in seen:
                    return time.monotonic() - began_s
        finally:
            await socket.close()
    raise TimeoutError("the console closed before the login prompt")


async def wait_gone(client: HttpClient) -> None:
    """Until the instance is no more."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                await client.get(VIRTUAL_MACHINE_INSTANCES, NAME, "default")
            except NotFound:
                return
            await asyncio.sleep(0.1)


async def wait_stopped(client: HttpClient) -> None:
    """Until the machine's status says Stopped."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            vm = await client.get(VIRTUAL_MACHINES, NAME, "default")
            if vm.status and vm.status.printable_status == "Stopped":
                return
            await asyncio.sleep(0.1)


def pss_kib(pid: int) -> int:
    """Proportional set size of a process; 0 when it has ended."""
    try:
        return int(re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[0])
    except (OSError, IndexError):
        return 0


def processes() -> dict[int, str]:
    """All processes with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return found


def pod_memory_mib(uid: str) -> dict[str, float]:
    """Proportional set size of a pod's processes by kind, in MiB; QEMU's includes the guest's RAM that it touched."""
    sizes: dict[str, float] = {}
    for pid, line in processes().items():
        try:
            cgroup = Path(f"/proc/{pid}/cgroup").read_text().replace("_", "-")
        except OSError:
            continue
        if uid in cgroup:
            kinds = ("qemu-system", "libvirtd", "kobune.virt.launcher", "swtpm", "pause")
            kind = next((kind for kind in kinds if kind in line), "other")
            sizes[kind] = sizes.get(kind, 0.0) + pss_kib(pid) / 1024
    return sizes


def guest_ram_mib(uid: str) -> float:
    """How much of the guest's RAM is resident in QEMU: the mapping whose size is exactly the guest's memory."""
    for pid, line in processes().items():
        try:
            inside = uid in Path(f"/proc/{pid}/cgroup").read_text().replace("_", "-")
            maps = Path(f"/proc/{pid}/smaps").read_text() if inside and "qemu-system" in line else ""
        except OSError:
            continue
        for block in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", maps):
            if re.search(rf"^Size:\s+{GUEST_MIB * 1024} kB", block, re.M):
                return int(re.findall(r"^Pss:\s+(\d+)", block, re.M)[0]) / 1024
    return 0.0


def cpu_s(pids: Iterable[int]) -> float:
    """User and system seconds that the processes have used so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / 100


def platform(data_dir: Path) -> dict[str, list[int]]:
    """The processes of the instance in that directory by component, its containerd included."""
    found: dict[str, list[int]] = {}
    for pid, line in processes().items():
        if f"--data-dir={data_dir} " in f"{line} " and (match := re.search(r"component (\S+)", line)):
            found.setdefault(match.group(1), []).append(pid)
        elif str(data_dir) in line and re.search(r"kobune(\.main\.entry)? up", line):
            found.setdefault("supervisor", []).append(pid)
        elif line.startswith(("containerd ", "/usr/bin/containerd ")) and str(data_dir) in line:
            found.setdefault("containerd", []).append(pid)
    return found


async def main() -> None:
    """Run all rounds and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, default=Path("/var/lib/kobune/kubeconfig"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds that the idle platform is watched")
    parser.add_argument("--audit-log", type=Path, help="default: logs/audit.log beside the kubeconfig, if it is there")
    parser.add_argument("--list-writes", action="store_true", help="print every write of the last round")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    client = HttpClient(load_config(options.kubeconfig), user_agent="user")
    audit_log = options.audit_log or options.kubeconfig.parent / "logs" / "audit.log"
    audit = AuditReader(audit_log) if audit_log.exists() else None
    writes: list[Write] = []
    rounds: dict[str, list[float]] = {}

    def note(what: str, value: float) -> None:
        rounds.setdefault(what, []).append(round(value, 3))

    seconds_to_login(memory_mib=GUEST_MIB)  # builds the guest if need be, and warms the caches of both sides
    ours = platform(options.kubeconfig.parent)
    before_cpu, before_writes = cpu_s(pid for pids in ours.values() for pid in pids), await revision(client)
    await asyncio.sleep(options.idle)
    note("idle CPU (% of one core)", 100 * (cpu_s(p for ps in ours.values() for p in ps) - before_cpu) / options.idle)
    idle_writes_per_s = (await revision(client) - before_writes) / options.idle
    note("idle writes per minute", idle_writes_per_s * 60)
    for component, pids in sorted(ours.items()):
        note(f"idle memory {component} (MiB PSS)", sum(pss_kib(pid) for pid in pids) / 1024)
    note("idle memory in all (MiB PSS)", sum(pss_kib(p) for ps in ours.values() for p in ps) / 1024)

    try:
        await client.delete(VIRTUAL_MACHINES, NAME, "default")
        await wait_gone(client)
    except NotFound:
        pass
    for _ in range(options.rounds):
        note("bare qemu: exec to login (s)", seconds_to_login(memory_mib=GUEST_MIB))
        at, revisions = time.monotonic(), await revision(client)
        if audit is not None:
            audit.read()
        await client.create(VIRTUAL_MACHINES, manifest())
        await client.raw("PUT", _start_path(), body=b"{}")
        began_s = time.monotonic()
        running, login = await asyncio.gather(wait_running(client, began_s), wait_login(client, began_s))
        note("create to domain running (s)", running)
        note("create to login (s)", login)
        await asyncio.sleep(3)
        pod = json.loads(
            await client.raw(
                "GET", "/api/v1/namespaces/default/pods", query={"labelSelector": f"vm.kubevirt.io/name={NAME}"}
            )
        )
        uid = pod["items"][0]["metadata"]["uid"]
        memory = pod_memory_mib(uid)
        for kind, size in memory.items():
            note(f"memory {kind} (MiB PSS)", size)
        note("memory besides the guest's RAM (MiB PSS)", sum(memory.values()) - guest_ram_mib(uid))
        await client.raw("PUT", _start_path("stop"), body=b"{}")
        await wait_gone(client)
        await wait_stopped(client)
        await asyncio.sleep(1)  # events and the last statuses are written in the background
        stored = await revision(client) - revisions - idle_writes_per_s * (time.monotonic() - at)
        if audit is not None:
            writes = audit.read()
            note("API writes, create to Stopped", len(writes))
        note("revisions, create to Stopped", stored)
        await client.delete(VIRTUAL_MACHINES, NAME, "default")
        await asyncio.sleep(2)
    await client.close()
    if options.list_writes:
        print(*(write.line(writes[0].at) for write in writes), sep="\n")
    medians = {what: statistics.median(values) for what, values in rounds.items()}
    for what, values in rounds.items():
        print(f"{what:<48} {medians[what]:>8.2f}   {values if len(values) > 1 else ''}")
    ratio = medians["create to login (s)"] / medians["bare qemu: exec to login (s)"]
    print(f"{'create to login / bare qemu':<48} {ratio:>8.2f}")
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "medians": medians, "ratio": ratio}, indent=1))


def _start_path(verb: str = "start") -> str:
    return f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/{NAME}/{verb}"


if __name__ == "__main__":
    asyncio.run(main())
