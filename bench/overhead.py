"""Is what a launcher pod reserves beside its guest's memory enough? Guests of several shapes under load.

    uv run python bench/overhead.py --kubeconfig /var/lib/kobune/kubeconfig [--seconds 40] [--only SHAPE] [--json FILE]

Needs a running instance on this machine and root. In each guest, its memory, its disks and all its processors are kept
busy while the proportional set size of the pod's processes is read each half second. Printed is one line a shape: the
reservation (the pod's memory request less the guest's memory), the 95th percentile of what was used beside the guest's
memory, and the difference. The exit status is 1 when a reservation is less than that, or when a pod whose limit is its
request was told to end by the kernel.
"""

import argparse
import asyncio
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kobune.base.quantity import to_bytes
from kobune.kube.client.config import load_config
from kobune.kube.client.errors import NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from memory import pod_memory

NAME = "overhead"
MIB = 1 << 20
BOOT_LIMIT_S = 240.0
SAMPLE_S = 0.5

LOAD = """\
#cloud-config
runcmd:
  - |
    busy() { while :; do for f in /bin/*; do md5sum $f >/dev/null; gzip -c $f >/dev/null; done; done; }
    for n in $(seq $(nproc)); do busy & done
    free_mib=$(awk '/MemAvailable/ {print int($2 / 1024)}' /proc/meminfo)
    mkdir -p /tmp/filled; mount -t tmpfs -o size=100% tmpfs /tmp/filled
    while :; do dd if=/dev/urandom of=/tmp/filled/a bs=1M count=$((free_mib / 2)) 2>/dev/null; done &
    while :; do
      for d in /dev/vda /dev/vdc /dev/vdd; do [ -b $d ] && dd if=$d of=/dev/null bs=64k count=800 2>/dev/null; done
      dd if=/dev/urandom of=/var/written bs=64k count=160 conv=fsync 2>/dev/null
      for d in /dev/vdc /dev/vdd; do [ -b $d ] && dd if=/dev/urandom of=$d bs=64k count=160 conv=fsync 2>/dev/null; done
    done &
    echo under load > /dev/ttyS0
"""


@dataclass(frozen=True)
class Shape:
    """One guest."""

    name: str
    memory_mib: int
    domain: dict[str, Any] = field(default_factory=dict)
    extra_disks: int = 0
    resources: dict[str, Any] = field(default_factory=dict)


EFI = {"firmware": {"bootloader": {"efi": {"secureBoot": False}}}}
TPM = {"devices": {"tpm": {}}}
SHAPES = (
    Shape("1 vCPU, 128 MiB", 128),
    Shape("1 vCPU, 256 MiB, no screen", 256, {"devices": {"autoattachGraphicsDevice": False}}),
    Shape("1 vCPU, 256 MiB, limits as requests", 256, resources={"limits": {"memory": "256Mi", "cpu": "1"}}),
    Shape("2 vCPUs, 512 MiB, 3 disks", 512, {"cpu": {"cores": 2}}, extra_disks=2),
    Shape("1 vCPU, 512 MiB, EFI and TPM", 512, {**EFI, **TPM}),
    Shape("4 vCPUs, 2 GiB", 2048, {"cpu": {"cores": 4}}),
)


def manifest(shape: Shape) -> dict[str, Any]:
    """The instance; its load starts when it has booted."""
    devices: dict[str, Any] = {
        "disks": [{"name": "root", "disk": {"bus": "virtio"}}, {"name": "seed", "disk": {"bus": "virtio"}}],
        "interfaces": [{"name": "default", "masquerade": {}}],
        **shape.domain.get("devices", {}),
    }
    volumes: list[dict[str, Any]] = [
        {"name": "root", "containerDisk": {"image": "kobune/demo"}},
        {"name": "seed", "cloudInitNoCloud": {"userData": LOAD}},
    ]
    for number in range(shape.extra_disks):
        devices["disks"].append({"name": f"more{number}", "disk": {"bus": "virtio"}})
        volumes.append({"name": f"more{number}", "emptyDisk": {"capacity": "1Gi"}})
    domain: dict[str, Any] = {**shape.domain, "memory": {"guest": f"{shape.memory_mib}Mi"}, "devices": devices}
    if shape.resources:
        domain["resources"] = shape.resources
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "domain": domain,
            "networks": [{"name": "default", "pod": {}}],
            "volumes": volumes,
        },
    }


def killed(uid: str) -> int:
    """How often the kernel ended a process of the pod for want of memory (cgroup v1 or v2)."""
    total = 0
    for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        for name in ("memory.oom_control", "memory.events"):
            for file in root.glob(f"**/*{uid}*/**/{name}") if root.is_dir() else ():
                total += sum(int(n) for n in re.findall(r"^oom_kill (\d+)", file.read_text(), re.M))
    return total


async def gone(client: HttpClient) -> None:
    """Remove the instance and wait until it and its pod are no more."""
    try:
        await client.delete(VIRTUAL_MACHINE_INSTANCES, NAME, "default")
    except NotFound:
        return
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get(VIRTUAL_MACHINE_INSTANCES, NAME, "default")
            except NotFound:
                return
            await asyncio.sleep(0.2)


async def under_load(client: HttpClient) -> None:
    """Until the guest's console says that its load runs."""
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/{NAME}/console"
    async with asyncio.timeout(BOOT_LIMIT_S):
        while True:
            vmi = await client.get(VIRTUAL_MACHINE_INSTANCES, NAME, "default")
            if vmi.status.phase == "Failed":
                raise RuntimeError(f"the guest did not start: {vmi.status.reason}")
            if vmi.status.phase == "Running":
                break
            await asyncio.sleep(0.2)
        socket = await client.connect_websocket(path, protocols=("plain.kubevirt.io",))
        seen = b""
        try:
            async for message in socket:
                seen += message.data
                if b"under load" in seen:
                    return
        finally:
            await socket.close()
    raise RuntimeError("the console closed before the load began")


async def measure(client: HttpClient, shape: Shape, seconds: float) -> dict[str, Any]:
    """Run one shape: reservation and use in MiB, and how it went."""
    await gone(client)
    await client.create(VIRTUAL_MACHINE_INSTANCES, manifest(shape))
    await under_load(client)
    query = {"labelSelector": f"vmi.kubevirt.io/id={NAME}"}
    pod = json.loads(await client.raw("GET", "/api/v1/namespaces/default/pods", query=query))["items"][0]
    uid = pod["metadata"]["uid"]
    (compute,) = (each for each in pod["spec"]["containers"] if each["name"] == "compute")
    reserved_mib = to_bytes(compute["resources"]["requests"]["memory"]) / MIB - shape.memory_mib
    used: list[float] = []
    memory = pod_memory(uid, shape.memory_mib)
    for _ in range(int(seconds / SAMPLE_S)):
        await asyncio.sleep(SAMPLE_S)
        memory = await asyncio.to_thread(pod_memory, uid, shape.memory_mib)
        used.append(memory.besides_guest_mib)
    vmi = await client.get(VIRTUAL_MACHINE_INSTANCES, NAME, "default")
    result = {
        "shape": shape.name,
        "reserved_mib": round(reserved_mib, 1),
        "p95_mib": round(sorted(used)[int(len(used) * 0.95) - 1], 1),
        "highest_mib": round(max(used), 1),
        "parts_mib": {name: round(size, 1) for name, size in memory.parts_mib.items()},
        "guest_resident_mib": round(memory.guest_ram_mib, 1),
        "killed": killed(uid),
        "runs": vmi.status.phase == "Running",
    }
    await gone(client)
    return result


async def main() -> int:
    """Run all shapes and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, default=Path("/var/lib/kobune/kubeconfig"))
    parser.add_argument("--seconds", type=float, default=40.0, help="how long each guest is watched under load")
    parser.add_argument("--only", default="", help="shapes whose name contains this")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    client = HttpClient(load_config(options.kubeconfig), user_agent="bench")
    results = []
    print(f"{'shape':<38} {'reserved':>9} {'p95':>7} {'highest':>8} {'left':>6}  (MiB)")
    try:
        for shape in SHAPES:
            if options.only not in shape.name:
                continue
            result = await measure(client, shape, options.seconds)
            results.append(result)
            left = result["reserved_mib"] - result["p95_mib"]
            trouble = "" if result["runs"] and not result["killed"] else "  ENDED BY THE KERNEL"
            print(
                f"{shape.name:<38} {result['reserved_mib']:>9.0f} {result['p95_mib']:>7.1f} "
                f"{result['highest_mib']:>8.1f} {left:>6.1f}  {result['parts_mib']}{trouble}",
                flush=True,
            )
    finally:
        await gone(client)
        await client.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    good = all(r["runs"] and not r["killed"] and r["p95_mib"] <= r["reserved_mib"] for r in results)
    print("every reservation holds" if good else "A RESERVATION IS TOO LOW")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
