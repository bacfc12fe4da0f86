"""What a launcher's processes cost beside the guest's memory, and that what was left out for it is missed politely."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from kobune.host.run import run
from kobune.virt.domain.facts import Facts
from kobune.virt.launcherproto.client import LauncherClient
from support.launcher_container import LauncherContainer
from support.vmis import vmi_document

pytestmark = pytest.mark.node

GUEST_KIB = 128 * 1024
LIMIT_BYTES = 110_000_000
URI = "qemu+unix:///session?socket=/var/run/libvirt/libvirt/libvirt-sock"


async def boot(container: LauncherContainer) -> LauncherClient:
    """A guest of 128 MiB up to its login prompt."""
    document = vmi_document(container.uid)
    document["spec"]["domain"]["memory"] = {"guest": f"{GUEST_KIB}Ki"}
    client = await container.connect()
    await client.subscribe()
    await client.sync_virtual_machine(json.dumps(document).encode(), Facts())
    log = container.state / "private/virt-serial0-log"
    async with asyncio.timeout(120):
        while True:
            if b"login: " in log.read_bytes():
                return client
            await asyncio.sleep(0.2)


def pids(container: LauncherContainer) -> dict[str, int]:
    """The launcher's processes by name, without what the test put around them."""
    found = container.processes()
    return {name: numbers[0] for name, numbers in found.items() if name not in ("unshare", "sh", "dash")}


def proportional_kib(pid: int) -> int:
    """Proportional set size without the guest's memory, which is the one mapping of exactly its size."""
    total = 0
    for block in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text()):
        if not re.search(rf"^Size:\s+{GUEST_KIB} kB", block, re.M):
            total += int(re.findall(r"^Pss:\s+(\d+)", block, re.M)[0])
    return total


def libraries(pid: int) -> set[str]:
    return set(re.findall(r"/(lib[\w+-]+)[\w.+-]*\.so", Path(f"/proc/{pid}/maps").read_text()))


async def virsh(pid: int, *args: str, uri: str = URI) -> tuple[int, str]:
    """Exit status and output of virsh in the container that the process is in."""
    inside = ["nsenter", f"--target={pid}", "--all", "--root", "--wd=/", "--setuid=107", "--setgid=107"]
    done = await run([*inside, "virsh", "-c", uri, *args], timeout_s=30, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


async def test_a_small_guest_costs_at_most_110_mb_beside_its_memory(container: LauncherContainer) -> None:
    await boot(container)
    parts = {name: proportional_kib(pid) for name, pid in pids(container).items()}
    assert {"libvirtd", "python3", "qemu-system-x86"} <= set(parts)
    assert sum(parts.values()) * 1024 <= LIMIT_BYTES, parts
    for name, pid in pids(container).items():
        loaded = libraries(pid)
        assert not loaded & {"libcrypto", "libicudata", "libldap-2", "libnghttp2", "libnl-route-3"}, name
        assert ("libjemalloc" in loaded) == (name in ("libvirtd", "qemu-system-x86")), name


async def test_what_was_left_out_is_an_error_message_and_nothing_ends(container: LauncherContainer) -> None:
    client = await boot(container)
    pid, before = client.peer_pid, pids(container)
    for scheme in ("qemu+libssh2", "qemu+libssh"):
        status, said = await virsh(pid, "list", uri=f"{scheme}://127.0.0.1/session?known_hosts=/dev/null")
        assert (status, "nitialize libssh" in said) == (1, True), said
    for command, answer in (("x/2i 0x1000", "0x"), ("migrate -d rdma:127.0.0.1:4444", "rdma")):
        said = (await virsh(pid, "qemu-monitor-command", "--hmp", "default_vm", command))[1]
        print(command, said)
        assert answer in said.lower()
    text = '<?xml version="1.0" encoding="shift_jis"?><domain type="qemu"><name>x</name></domain>'
    (container.state / "private/foreign.xml").write_text(text)
    status, said = await virsh(pid, "define", "/var/run/kubevirt-private/foreign.xml")
    assert (status, "Unsupported encoding shift_jis" in said) == (1, True), said
    assert pids(container) == before
    assert "running" in (await virsh(pid, "domstate", "default_vm"))[1]
