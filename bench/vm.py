"""What a virtual machine costs in time, memory and API writes; measured beside a bare qemu of the same guest.

    uv run python bench/vm.py --kubeconfig /var/lib/kobune/kubeconfig [--rounds 5] [--together 5] [--json FILE]

Needs a running instance on this machine and root (it reads the memory of the pods' processes). Prints one line a
figure: median, and all rounds. Ratios are of figures of the same run. Memory is told of one machine alone on its node,
and with `--together N` of each of N that run at once, which share the pages of the same programs.

API writes are counted in the audit log of an instance started with `kobune up --audit-log DATA/logs/audit.log`, which
`--list-writes` also prints; without one, by the revision of the store, which does not know of writes that changed
nothing or failed.
"""

import argparse
import asyncio
import json
import os
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
from memory import PodMemory, pod_memory, processes, pss_kib
from writes import AuditReader, Write

NAME = "bench"
GUEST_MIB = 128
MIB = 1 << 20
LIMIT_S = 180.0
SETTLED_S = 3.0
"""From the login prompt to the look at the memory."""


def manifest(name: str = NAME) -> dict[str, Any]:
    """The guest that both sides boot: 1 CPU, 128 MiB, the demo's disk, one interface."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": "default"},
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


async def wait_login(client: HttpClient, began_s: float, name: str = NAME) -> float:
    """Seconds from `began_s` until the guest's console shows its login prompt."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/{name}/console"
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


async def wait_gone(client: HttpClient, name: str = NAME) -> None:
    """Until the instance is no more."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                await client.get(VIRTUAL_MACHINE_INSTANCES, name, "default")
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


async def memory_of(client: HttpClient, name: str = NAME) -> PodMemory:
    """What the machine's launcher pod takes now."""
    query = {"labelSelector": f"vm.kubevirt.io/name={name}"}
    pods = json.loads(await client.raw("GET", "/api/v1/namespaces/default/pods", query=query))
    return await asyncio.to_thread(pod_memory, pods["items"][0]["metadata"]["uid"], GUEST_MIB)


async def remove(client: HttpClient, name: str = NAME) -> None:
    """Delete the machine, if there is one, and wait for its end."""
    try:
        await client.delete(VIRTUAL_MACHINES, name, "default")
    except NotFound:
        return
    await wait_gone(client, name)


async def together(client: HttpClient, count: int) -> list[PodMemory]:
    """What each of `count` machines takes when all of them run and have booted."""
    names = [f"{NAME}-{number}" for number in range(count)]
    try:
        for name in names:
            await remove(client, name)
            await client.create(VIRTUAL_MACHINES, manifest(name))
            await client.raw("PUT", _start_path(name=name), body=b"{}")
        await asyncio.gather(*(wait_login(client, time.monotonic(), name) for name in names))
        await asyncio.sleep(SETTLED_S)
        return [await memory_of(client, name) for name in names]
    finally:
        for name in names:
            await remove(client, name)


async def main() -> None:
    """Run all rounds and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, default=Path("/var/lib/kobune/kubeconfig"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds that the idle platform is watched")
    parser.add_argument("--audit-log", type=Path, help="default: logs/audit.log beside the kubeconfig, if it is there")
    parser.add_argument("--list-writes", action="store_true", help="print every write of the last round")
    parser.add_argument("--together", type=int, default=0, metavar="N", help="measure N machines at once as well")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    client = HttpClient(load_config(options.kubeconfig), user_agent="user")
    audit_log = options.audit_log or options.kubeconfig.parent / "logs" / "audit.log"
    audit = AuditReader(audit_log) if audit_log.exists() else None
    writes: list[Write] = []
    rounds: dict[str, list[float]] = {}

    def note(what: str, value: float) -> None:
        rounds.setdefault(what, []).append(round(value, 3))

    load_before = os.getloadavg()[0]
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

    await remove(client)
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
        await asyncio.sleep(SETTLED_S)
        memory = await memory_of(client)
        for kind, size in memory.parts_mib.items():
            note(f"memory {kind} (MiB PSS)", size)
        note("memory besides the guest's RAM (MiB PSS)", memory.besides_guest_mib)
        note("memory besides the guest's RAM (MB PSS)", memory.besides_guest_mib * MIB / 1e6)
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
    if options.together:
        for memory in await together(client, options.together):
            for kind, size in memory.parts_mib.items():
                note(f"each of {options.together}: memory {kind} (MiB PSS)", size)
            note(f"each of {options.together}: besides the guest's RAM (MB PSS)", memory.besides_guest_mib * MIB / 1e6)
    await client.close()
    if options.list_writes:
        print(*(write.line(writes[0].at) for write in writes), sep="\n")
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    print(f"load average at the start {load_before:.1f}, at the end {load}")
    medians = {what: statistics.median(values) for what, values in rounds.items()}
    for what, values in rounds.items():
        print(f"{what:<48} {medians[what]:>8.2f}   {values if len(values) > 1 else ''}")
    ratio = medians["create to login (s)"] / medians["bare qemu: exec to login (s)"]
    print(f"{'create to login / bare qemu':<48} {ratio:>8.2f}")
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "medians": medians, "ratio": ratio}, indent=1))


def _start_path(verb: str = "start", name: str = NAME) -> str:
    return f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachines/{name}/{verb}"


if __name__ == "__main__":
    asyncio.run(main())
