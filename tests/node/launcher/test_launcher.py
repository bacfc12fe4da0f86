"""The real launcher: monitor, libvirtd, launcher process and QEMU as uid 107, driven through the protocol.

Looks inside the guest by its serial console; kills what may die and shows that the guest did not notice.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kobune.host.run import run
from kobune.virt.domain.facts import Facts, InterfaceFacts
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import ConnectionLost, TerminalFailure
from kobune.virt.launcherproto.messages import DomainStatus, ErrorCode
from support.launcher_container import LauncherContainer
from support.launcher_contract import Launcher, LauncherContract, States
from support.vmis import vmi_document

pytestmark = pytest.mark.node

S = DomainStatus
OpenConsole: TypeAlias = "Callable[[], Awaitable[Console]]"


@pytest.fixture
async def open_console(container: LauncherContainer) -> AsyncIterator[OpenConsole]:
    opened: list[Console] = []

    async def open_() -> Console:
        opened.append(await Console.open(container))
        return opened[-1]

    yield open_
    for console in opened:
        await console.close()


def vmi(container: LauncherContainer, **spec: object) -> bytes:
    document = vmi_document(container.uid)
    document["spec"].update(spec)
    return json.dumps(document).encode()


class Console:
    """The guest's serial console, as a person at the keyboard uses it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.seen = ""

    @classmethod
    async def open(cls, container: LauncherContainer) -> "Console":
        link = container.state / "s"
        if not link.is_symlink():
            link.symlink_to(container.serial)
        return cls(*await asyncio.open_unix_connection(str(link)))

    async def expect(self, pattern: str, timeout_s: float = 60) -> "re.Match[str]":
        async with asyncio.timeout(timeout_s):
            while (found := re.search(pattern, self.seen)) is None:
                data = await self._reader.read(4096)
                assert data, f"the console ended after {self.seen[-500:]!r}"
                self.seen += data.decode(errors="replace")
        self.seen = self.seen[found.end() :]
        return found

    def type(self, text: str) -> None:
        self._writer.write(text.encode())

    async def log_in(self) -> None:
        self.type("\n")
        await self.expect(r"login: ")
        self.type("kobune\n")
        await self.expect(r"[Pp]assword: ")
        self.type("kobune\n")
        await self.expect(r"[$#] ")

    async def run(self, command: str) -> str:
        """The output of a command in the guest."""
        # The sums keep the echoed command line from matching.
        self.type(f"echo BEGIN$((40+2)); {command}; echo END$((40+2))\n")
        return (await self.expect(r"(?s)BEGIN42\r*\n(.*?)END42")).group(1).strip()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def assert_unprivileged(pid: int, name: str) -> None:
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^Uid:\t107\t107\t107\t107$", status, re.M), name
    assert re.search(r"^CapEff:\t0000000000000000$", status, re.M), name


async def uptime_s(console: Console) -> float:
    return float((await console.run("cat /proc/uptime")).split()[0])


def with_network(container: LauncherContainer) -> bytes:
    document = vmi_document(container.uid)
    document["spec"]["domain"]["devices"]["interfaces"] = [{"name": "default", "masquerade": {}}]
    document["spec"]["networks"] = [{"name": "default", "pod": {}}]
    return json.dumps(document).encode()


async def connected(container: LauncherContainer, **callbacks: Any) -> LauncherClient:
    client = await container.connect(**callbacks)
    await client.subscribe()
    return client


class TestContract(LauncherContract):
    @pytest.fixture
    async def launcher(self, container: LauncherContainer) -> Launcher:
        async def restart() -> None:
            (pid,) = container.processes()["python3"]
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.1)

        return Launcher(container.connect, vmi(container), container.uid, restart)


async def test_a_guest_boots_and_a_person_logs_in_and_shuts_it_down(
    container: LauncherContainer, open_console: OpenConsole
) -> None:
    states = States()
    client = await connected(container, on_state=states)
    state = await client.sync_virtual_machine(vmi(container), Facts())
    assert state.status is S.RUNNING
    console = await open_console()
    await console.log_in()
    assert await console.run("hostname") == "sekai", "cloud-init's word did not reach the guest"
    for name, pids in container.processes().items():
        if name not in ("unshare", "sh"):
            for pid in pids:
                assert_unprivileged(pid, name)
    await states.wait_until(lambda state: state.agent_connected)
    info = await client.guest_info()
    assert info.hostname == "sekai"
    assert info.os.kernel_release == await console.run("uname -r")
    assert any(f.mountpoint == "/" for f in (await client.filesystems()).filesystems)
    picture = (await client.screenshot()).png
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width >= 640
    assert height >= 400
    await client.guest_ping()
    result = await client.guest_exec(["/bin/sh", "-c", "hostname; exit 3"])
    assert (result.exit_status, result.stdout.strip()) == (3, "sekai")
    await client.shutdown(30)
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert (ended.exit.crashed, ended.exit.killed, ended.exit.by_guest) == (False, False, False)
    assert await container.wait(10) == 0


async def test_the_guest_survives_the_launcher_and_libvirt(
    container: LauncherContainer, open_console: OpenConsole
) -> None:
    client = await connected(container)
    before = await client.sync_virtual_machine(vmi(container), Facts())
    console = await open_console()
    await console.log_in()
    processes = container.processes()
    qemu = [pids for name, pids in processes.items() if name.startswith("qemu-system")]
    for victims in (["libvirtd"], ["python3"], ["libvirtd", "python3"]):
        uptime = await uptime_s(console)
        for victim in victims:
            (pid,) = container.processes()[victim]
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        states = States()
        async with asyncio.timeout(20):
            while True:
                try:
                    client = await connected(container, on_state=states)
                    await states.wait_for(S.RUNNING, 10)
                    # Managed again: a command that needs libvirt and QEMU works.
                    assert (await client.pause()).status is S.PAUSED
                    assert (await client.unpause()).status is S.RUNNING
                    break
                except Exception as error:
                    if not getattr(error, "retryable", isinstance(error, ConnectionLost)) and "libvirt" not in str(
                        error
                    ):
                        raise
                    await asyncio.sleep(0.1)
        assert await uptime_s(console) > uptime
        after = await client.get_state()
        assert (after.uuid, after.started_at) == (before.uuid, before.started_at)
        assert [p for n, p in container.processes().items() if n.startswith("qemu-system")] == qemu
    states = States()
    client = await connected(container, on_state=states)
    await client.shutdown(30)
    await states.wait_for(S.ENDED)
    assert await container.wait(10) == 0


async def test_sigterm_of_the_container_shuts_the_guest_down(
    container: LauncherContainer, open_console: OpenConsole
) -> None:
    client = await connected(container)
    await client.sync_virtual_machine(vmi(container), Facts())
    console = await open_console()
    await console.expect("login: ")
    container.terminate()
    assert await container.wait(30) == 0
    assert "killed=False" in container.log.read_text()


async def test_a_guest_that_ignores_the_power_button_is_destroyed_after_its_grace_period(
    container: LauncherContainer,
) -> None:
    client = await connected(container)
    await client.sync_virtual_machine(vmi(container, startStrategy="Paused"), Facts())
    began = time.monotonic()
    # The guest is still in its firmware: nobody listens to the button.
    await client.shutdown(1)
    assert await container.wait(15) == 0
    assert 0.9 < time.monotonic() - began < 8


async def test_a_sigterm_before_anything_was_asked_for_ends_at_once(container: LauncherContainer) -> None:
    client = await connected(container)
    container.terminate()
    assert await container.wait(5) == 0
    await client.close()


async def test_qemus_death_is_a_crash(container: LauncherContainer) -> None:
    states = States()
    client = await connected(container, on_state=states)
    await client.sync_virtual_machine(vmi(container), Facts())
    ((pid,),) = [pids for name, pids in container.processes().items() if name.startswith("qemu-system")]
    os.kill(pid, signal.SIGKILL)
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert ended.exit.crashed
    assert await container.wait(10) == 1


async def test_the_guest_powers_itself_off(container: LauncherContainer, open_console: OpenConsole) -> None:
    states = States()
    client = await connected(container, on_state=states)
    await client.sync_virtual_machine(vmi(container), Facts())
    console = await open_console()
    await console.log_in()
    console.type("sudo poweroff || poweroff\n")
    ended = await states.wait_for(S.ENDED, 60)
    assert ended.exit is not None
    assert (ended.exit.by_guest, ended.exit.crashed) == (True, False)
    assert await container.wait(10) == 0


async def test_a_guest_can_be_reset_and_asked_to_reboot(
    container: LauncherContainer, open_console: OpenConsole
) -> None:
    client = await connected(container)
    await client.sync_virtual_machine(vmi(container), Facts())
    console = await open_console()
    await console.expect("login: ")
    for number, reboot in enumerate((client.reset, client.soft_reboot), 1):
        await reboot()
        await console.expect("login: ")
        assert (await client.get_state()).resets >= number
    await client.kill()


async def test_the_guest_opens_the_tap_that_was_made_for_it(
    container: LauncherContainer, open_console: OpenConsole
) -> None:
    states = States()
    client = await connected(container, on_state=states)
    inside = ["nsenter", f"--net=/proc/{client.peer_pid}/ns/net", "ip"]
    for command in (
        ["tuntap", "add", "tap0", "mode", "tap", "user", "107", "group", "107"],
        ["address", "add", "10.9.9.1/24", "dev", "tap0"],
        ["link", "set", "tap0", "up", "mtu", "1400"],
    ):
        await run([*inside, *command], timeout_s=10)
    facts = Facts(interfaces=[InterfaceFacts(name="default", tap="tap0", mac="02:00:00:aa:bb:cc", mtu=1400)])
    state = await client.sync_virtual_machine(with_network(container), facts)
    assert [(i.name, i.mac, i.link_up) for i in state.interfaces] == [("default", "02:00:00:aa:bb:cc", True)]
    console = await open_console()
    await console.log_in()
    assert (await console.run("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address")).split() == [
        "1400",
        "02:00:00:aa:bb:cc",
    ]
    await console.run("sudo ip address add 10.9.9.2/24 dev eth0; sudo ip link set eth0 up")
    assert re.search("1 (packets )?received", await console.run("sudo ping -c 1 -w 5 10.9.9.1"))
    # Its agent tells the address.
    await states.wait_until(lambda state: any("10.9.9.2" in i.ip_addresses for i in state.interfaces), 40)
    await client.kill()


async def test_a_hostile_container_disk_is_refused(container: LauncherContainer) -> None:
    disk = container.state / "container-disks/root/disk"
    for entry in disk.iterdir():
        entry.unlink()
    (disk / "evil.img").symlink_to("/etc/passwd")
    client = await connected(container)
    with pytest.raises(TerminalFailure) as failure:
        await client.sync_virtual_machine(vmi(container), Facts())
    assert failure.value.code is ErrorCode.INVALID_DISK
    assert (await client.get_state()).status is S.NONE
    assert "not a regular file" in (await client.get_state()).last_error


async def test_every_bus_and_many_devices_at_once(container: LauncherContainer, open_console: OpenConsole) -> None:
    client = await connected(container)
    document = vmi_document(
        container.uid,
        cpu={"cores": 2, "maxSockets": 2},
        devices={
            "disks": [
                {"name": "root", "disk": {"bus": "virtio"}, "cache": "none", "bootOrder": 1},
                {"name": "seed", "disk": {"bus": "virtio"}},
                {"name": "scsi", "disk": {"bus": "scsi"}, "serial": "SCSI1"},
                {"name": "dedicated", "disk": {"bus": "virtio"}, "serial": "VIRTIO1", "dedicatedIOThread": True},
                {"name": "usb", "disk": {"bus": "usb"}},
                {"name": "sata", "disk": {"bus": "sata"}},
            ],
            "inputs": [{"name": "tablet", "type": "tablet", "bus": "usb"}],
            "sound": {"name": "card"},
            "watchdog": {"name": "dog", "i6300esb": {"action": "poweroff"}},
            "rng": {},
            "blockMultiQueue": True,
        },
        ioThreadsPolicy="shared",
    )
    document["spec"]["volumes"] += [
        {"name": name, "emptyDisk": {"capacity": f"{size}Mi"}}
        for size, name in enumerate(("scsi", "dedicated", "usb", "sata"), 100)
    ]
    state = await client.sync_virtual_machine(json.dumps(document).encode(), Facts())
    assert (state.status, state.cores, state.sockets) == (S.RUNNING, 2, 1)
    console = await open_console()
    await console.log_in()
    assert await console.run("nproc") == "2"
    sizes = await console.run("cat /sys/block/*/size")
    assert {str(size * 2048) for size in (100, 101)} <= set(sizes.split())
    assert await console.run("cat /sys/block/vd*/serial") == "VIRTIO1"
    await client.kill()


async def test_uefi_with_secure_boot_and_a_tpm_starts(container: LauncherContainer) -> None:
    states = States()
    client = await connected(container, on_state=states)
    document = vmi_document(
        container.uid,
        firmware={"bootloader": {"efi": {}}},
        features={"smm": {"enabled": True}},
    )
    document["spec"]["domain"]["devices"]["tpm"] = {}
    state = await client.sync_virtual_machine(json.dumps(document).encode(), Facts())
    assert state.status is S.RUNNING
    assert "swtpm" in container.processes()
    await client.kill()
    await states.wait_for(S.ENDED)
    assert await container.wait(10) == 0
