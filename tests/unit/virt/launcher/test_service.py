"""The launcher's service over libvirt in memory: the contract, and what happens when things die or come late."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kobune.host.libvirt.fake import FakeHypervisor
from kobune.host.libvirt.types import DomainEvent, EventKind, PausedReason, ShutoffReason, State
from kobune.host.run import Completed
from kobune.host.run.fake import Call, FakeRunner
from kobune.virt.domain.document import DiskSource, DomainSource
from kobune.virt.domain.facts import Facts
from kobune.virt.domain.render import render_domain
from kobune.virt.launcher import libvirtline
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.service import LauncherService
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import RetryableFailure, TerminalFailure
from kobune.virt.launcherproto.messages import (
    PROTOCOL_VERSION,
    DomainState,
    DomainStatus,
    ErrorCode,
    FsFreezeStatus,
    Hello,
    PauseReason,
)
from kobune.virt.launcherproto.server import LauncherServer
from support.launcher_contract import Launcher, LauncherContract, States
from support.plugged import plugged_disk, plugged_volume
from support.vmis import UID, vmi, vmi_document

S = DomainStatus
DOMAIN = "default_vm"
VMI = json.dumps(vmi_document()).encode()
IMAGE_INFO = json.dumps({"format": "qcow2", "virtual-size": 1 << 30}).encode()


def _creates_image(call: Call) -> Completed:
    Path(call.args[-1]).write_bytes(b"QFI")
    return Completed(call.args, 0)


def _creates_iso(call: Call) -> Completed:
    Path(call.args[call.args.index("-o") + 1]).write_bytes(b"CD001")
    return Completed(call.args, 0)


class Pod:
    """The launcher process in a test: places in a folder, libvirt and qemu-img in memory. It can die and come back."""

    def __init__(self, root: Path) -> None:
        self.places = Places(
            sockets=root / "sockets",
            private=root / "private",
            ephemeral_disks=root / "ephemeral",
            container_disks=root / "container-disks",
            devices=root / "dev",
            hotplug_disks=root / "hotplug-disks",
            hotplug_devices=root / "dev/hotplug",
            serial_log=root / "serial-log",
            qemu_logs=root / "qemu-logs",
        )
        for folder in (self.places.sockets, self.places.private, self.places.container_disks / "root/disk"):
            folder.mkdir(parents=True)
        (self.places.container_disks / "root/disk/demo.qcow2").write_bytes(b"QFI")
        self.hypervisor = FakeHypervisor()
        self.runner = FakeRunner()
        self.runner.on("prlimit", stdout=IMAGE_INFO)
        self.runner.on("qemu-img", answer=_creates_image)
        self.runner.on("xorrisofs", answer=_creates_iso)
        self.clients: list[LauncherClient] = []

    async def start(self) -> None:
        hello = Hello(protocol=PROTOCOL_VERSION, uid=UID, namespace="default", name="vm", version="1")
        self.service = LauncherService(hello, self.places, self.runner, self.hypervisor.connect)
        self._server = LauncherServer(self.service, hello)
        await self._server.listen(self.places.sockets / "launcher.sock")
        self.running = asyncio.create_task(self.service.run())

    async def die(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self._server.close()

    async def connect(self, **callbacks: Any) -> LauncherClient:
        client = await LauncherClient.connect(self.places.sockets / "launcher.sock", **callbacks)
        self.clients.append(client)
        return client

    async def watch(self) -> tuple[LauncherClient, States]:
        states = States()
        client = await self.connect(on_state=states)
        await client.subscribe()
        return client, states


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    pod = Pod(tmp_path)
    await pod.start()
    yield pod
    for client in pod.clients:
        await client.close()
    await pod.die()


class TestContract(LauncherContract):
    @pytest.fixture
    def launcher(self, pod: Pod) -> Launcher:
        async def restart() -> None:
            await pod.die()
            await pod.start()

        return Launcher(pod.connect, VMI, UID, restart)


async def test_the_first_synchronisation_waits_for_libvirt(pod: Pod) -> None:
    pod.hypervisor.die()
    client = await pod.connect()
    waiting = asyncio.create_task(client.sync_virtual_machine(VMI, Facts()))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    pod.hypervisor.revive()
    assert (await waiting).status is S.RUNNING


async def test_libvirts_death_changes_nothing_and_commands_work_again(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.die()
    with pytest.raises(RetryableFailure) as failure:
        await client.pause()
    assert failure.value.code is ErrorCode.LIBVIRT_UNAVAILABLE
    pod.hypervisor.revive()
    while True:
        try:
            assert (await client.pause()).status is S.PAUSED
            break
        except RetryableFailure:
            await asyncio.sleep(0.01)
    assert {state.status for state in states.all} <= {S.NONE, S.STARTING, S.RUNNING, S.PAUSED}


async def test_a_libvirt_that_stays_away_makes_the_state_unknown(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirtline, "AWAY_AFTER_S", 0.05)
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.die()
    unknown = await states.wait_for(S.UNKNOWN)
    assert "libvirt does not answer" in unknown.last_error
    pod.hypervisor.revive()
    await states.wait_for(S.RUNNING)


async def test_a_start_that_libvirt_refuses_can_be_tried_again(pod: Pod) -> None:
    client, _ = await pod.watch()
    pod.hypervisor.refuse_start = "no room for a guest"
    with pytest.raises(TerminalFailure, match="no room"):
        await client.sync_virtual_machine(VMI, Facts())
    state = await client.get_state()
    assert (state.status, state.last_error) == (S.NONE, "start: no room for a guest")
    state = await client.sync_virtual_machine(VMI, Facts())
    assert (state.status, state.last_error) == (S.RUNNING, "")


async def test_the_guest_that_powers_itself_off_ended_by_itself(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.change(DOMAIN, State.SHUTOFF, ShutoffReason.SHUTDOWN)
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert (ended.exit.by_guest, ended.exit.crashed) == (True, False)
    await pod.running
    assert (await client.sync_virtual_machine(VMI, Facts())).status is S.ENDED


async def test_a_crash_tells_what_qemu_said_last(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.places.qemu_logs.mkdir()
    (pod.places.qemu_logs / f"{DOMAIN}.log").write_text(
        "/usr/bin/qemu-system-x86_64 \\\n-name guest \\\n"
        "2026-11-24T12:00:00.000000Z qemu-system-x86_64: hardware error: the disk is on fire\n"
        "2026-11-24 12:00:00.500+0000: shutting down, reason=crashed\n"
    )
    pod.hypervisor.change(DOMAIN, State.SHUTOFF, ShutoffReason.CRASHED)
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert ended.exit.message.endswith("qemu-system-x86_64: hardware error: the disk is on fire")


async def test_qemus_death_is_told_even_when_nobody_was_there(pod: Pod) -> None:
    client = await pod.connect()
    await client.sync_virtual_machine(VMI, Facts())
    await pod.die()
    pod.hypervisor.change(DOMAIN, State.SHUTOFF, ShutoffReason.CRASHED)
    await pod.start()
    _, states = await pod.watch()
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert ended.exit.crashed


async def test_a_process_that_died_before_the_start_begins_anew(pod: Pod) -> None:
    # As if it had been killed between define and start: the domain is there, the journal says nothing.
    disks = {"root": DiskSource("/a"), "seed": DiskSource("/b")}
    connection = await pod.hypervisor.connect(lambda _: None, lambda: None)
    await connection.define(render_domain(DomainSource(vmi(), Facts(), disks)))
    await connection.close()
    client, _ = await pod.watch()
    assert (await client.get_state()).status is S.NONE
    assert (await client.sync_virtual_machine(VMI, Facts())).status is S.RUNNING


async def test_a_start_that_died_with_libvirt_is_tried_again(pod: Pod) -> None:
    client = await pod.connect()
    pod.hypervisor.die_in_start = True
    with pytest.raises(RetryableFailure):
        await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.revive()
    assert (await client.sync_virtual_machine(VMI, Facts())).status is S.RUNNING


async def test_a_start_that_died_with_libvirt_and_the_launcher_is_tried_again(pod: Pod) -> None:
    client = await pod.connect()
    pod.hypervisor.die_in_start = True
    with pytest.raises(RetryableFailure):
        await client.sync_virtual_machine(VMI, Facts())
    await pod.die()
    pod.hypervisor.revive()
    await pod.start()
    client = await pod.connect()
    assert (await client.sync_virtual_machine(VMI, Facts())).status is S.RUNNING


async def test_a_guest_whose_start_was_not_noted_ends_as_any_other(pod: Pod) -> None:
    client = await pod.connect()
    await client.sync_virtual_machine(VMI, Facts())
    await pod.die()
    pod.places.journal.unlink()  # as if it had died between QEMU's start and the note
    await pod.start()
    client, states = await pod.watch()
    running = await states.wait_for(S.RUNNING)
    assert running.started_at
    pod.hypervisor.change(DOMAIN, State.SHUTOFF, ShutoffReason.SHUTDOWN)
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert ended.exit.by_guest


async def test_a_shutdown_is_pursued_by_the_next_process(pod: Pod) -> None:
    client = await pod.connect()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.obeys_acpi = False
    await client.shutdown(0.3)
    await pod.die()
    await pod.start()
    _, states = await pod.watch()
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert (ended.exit.killed, ended.exit.crashed) == (True, False)
    assert pod.hypervisor.calls.count("destroy") == 1


async def test_a_later_shutdown_never_gives_more_time(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.obeys_acpi = False
    await client.shutdown(0.1)
    await client.shutdown(60)
    await states.wait_for(S.ENDED, 5)
    assert pod.hypervisor.calls.count("shutdown") == 1


async def test_a_guest_paused_by_its_user_is_woken_for_its_shutdown(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    await client.pause()
    await client.shutdown(30)
    ended = await states.wait_for(S.ENDED)
    assert ended.exit is not None
    assert not ended.exit.killed


async def test_an_io_error_pauses_with_its_reason(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.emit(DomainEvent(EventKind.IO_ERROR, DOMAIN, "root: enospc"))
    pod.hypervisor.change(DOMAIN, State.PAUSED, PausedReason.IO_ERROR)
    paused = await states.wait_for(S.PAUSED)
    assert (paused.pause_reason, paused.last_error) == (PauseReason.IO_ERROR, "root: enospc")


AGENT = {
    "guest-info": '{"return":{"version":"7.2.0","supported_commands":[{"name":"guest-get-osinfo","enabled":true}]}}',
    "guest-get-osinfo": '{"return":{"id":"demo","pretty-name":"Demo","kernel-release":"6.1"}}',
    "guest-get-host-name": '{"return":{"host-name":"sekai"}}',
    "guest-fsfreeze-status": '{"return":"thawed"}',
    "guest-fsfreeze-freeze": '{"return":2}',
    "guest-fsfreeze-thaw": '{"return":2}',
    "guest-network-get-interfaces": '{"return":[{"name":"lo","ip-addresses":[{"ip-address":"127.0.0.1","prefix":8}]},'
    '{"name":"eth0","hardware-address":"02:00:00:00:00:01","ip-addresses":[{"ip-address":"10.0.2.2","prefix":24}]}]}',
}


async def test_the_agent_tells_the_guests_name_system_and_addresses(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    with pytest.raises(RetryableFailure) as failure:
        await client.guest_info()
    assert failure.value.code is ErrorCode.AGENT_UNAVAILABLE
    pod.hypervisor.connect_agent(DOMAIN, AGENT)
    state = await states.wait_until(lambda state: state.hostname != "")
    assert state.hostname == "sekai"
    assert state.guest_os is not None
    assert state.guest_os.pretty_name == "Demo"
    assert [(i.guest_name, i.ip_addresses, i.from_agent) for i in state.interfaces] == [("eth0", ["10.0.2.2"], True)]
    assert state.fs_freeze is FsFreezeStatus.THAWED
    await client.freeze(0.05)
    pod.hypervisor.agent = {**AGENT, "guest-fsfreeze-status": '{"return":"frozen"}'}


async def test_an_agent_that_talks_nonsense_hurts_nobody(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.connect_agent(DOMAIN, dict.fromkeys(AGENT, '{"return": ["\\u0000", {}]}'))
    await states.wait_until(lambda state: state.agent_connected)
    with pytest.raises(TerminalFailure) as failure:
        await client.users()
    assert failure.value.code is ErrorCode.AGENT_REFUSED
    assert (await client.get_state()).status is S.RUNNING


async def test_an_agent_that_breaks_our_reading_does_not_end_the_launcher(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    pod.hypervisor.connect_agent(DOMAIN, dict.fromkeys(AGENT, '{"return": ' + "[" * 100_000))
    await states.wait_until(lambda state: state.agent_connected)
    with pytest.raises(TerminalFailure):
        await client.guest_info()
    assert not pod.running.done()
    assert (await client.pause()).status is S.PAUSED


async def test_a_reboot_is_counted(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    await client.soft_reboot()
    await states.wait_until(lambda state: state.resets == 1)
    assert "reboot by acpi" in pod.hypervisor.calls
    await client.reset()
    await states.wait_until(lambda state: state.resets == 2)


async def test_a_screenshot_is_a_png(pod: Pod) -> None:
    client = await pod.connect()
    with pytest.raises(TerminalFailure) as failure:
        await client.screenshot()
    assert failure.value.code is ErrorCode.ILLEGAL_STATE
    await client.sync_virtual_machine(VMI, Facts())
    assert (await client.screenshot()).png.startswith(b"\x89PNG")


async def test_a_vmi_of_somebody_else_is_refused(pod: Pod) -> None:
    client = await pod.connect()
    other = json.dumps(vmi_document("11111111-2222-3333-4444-555555555555")).encode()
    with pytest.raises(TerminalFailure) as failure:
        await client.sync_virtual_machine(other, Facts())
    assert (failure.value.code, failure.value.field) == (ErrorCode.INVALID_SPEC, "metadata.uid")


async def test_a_disk_that_is_not_there_names_the_volume(pod: Pod) -> None:
    (pod.places.container_disks / "root/disk/demo.qcow2").unlink()
    client = await pod.connect()
    with pytest.raises(TerminalFailure) as failure:
        await client.sync_virtual_machine(VMI, Facts())
    assert failure.value.code is ErrorCode.INVALID_DISK
    assert "spec.volumes[0].containerDisk" in str(failure.value)


async def test_a_program_runs_in_the_guest_to_its_end(pod: Pod) -> None:
    client, states = await pod.watch()
    await client.sync_virtual_machine(VMI, Facts())
    ended = '{"return":{"exited":true,"exitcode":3,"out-data":"aGVsbG8="}}'
    answers = {**AGENT, "guest-ping": '{"return":{}}', "guest-exec-status": ended, "guest-exec": '{"return":{"pid":7}}'}
    pod.hypervisor.connect_agent(DOMAIN, answers)
    await states.wait_until(lambda state: state.agent_connected)
    await client.guest_ping()
    result = await client.guest_exec(["/bin/false"])
    assert (result.exit_status, result.stdout) == (3, "hello")
    pod.hypervisor.agent = {**answers, "guest-exec-status": '{"return":{"exited":false}}'}
    with pytest.raises(RetryableFailure) as failure:
        await client.guest_exec(["/bin/sleep", "60"], timeout_s=0.1)
    assert failure.value.code is ErrorCode.TIMEOUT


async def test_credentials_are_set_by_the_agent_and_again_when_they_change(pod: Pod) -> None:
    document = vmi_document()
    document["spec"]["accessCredentials"] = [
        {"userPassword": {"source": {"secret": {"secretName": "p"}}, "propagationMethod": {"qemuGuestAgent": {}}}}
    ]
    secret = pod.places.access_credentials / "0"
    secret.mkdir(parents=True)
    (secret / "kobune").write_text("one")
    client, states = await pod.watch()
    await client.sync_virtual_machine(json.dumps(document).encode(), Facts())
    pod.hypervisor.connect_agent(DOMAIN, AGENT)
    refused = await states.wait_until(lambda state: state.credentials_synced is False)
    assert "not been found" in refused.credentials_message
    pod.hypervisor.agent = {**AGENT, "guest-set-user-password": '{"return":{}}'}
    await states.wait_until(lambda state: state.credentials_synced is True)


# --- volumes that come and go ---


def plugged(*names: str) -> bytes:
    """The VMI with claims that are plugged in; the first has 1 MiB."""
    document = vmi_document()
    document["spec"]["domain"]["devices"]["disks"] += [plugged_disk(name) for name in names]
    document["spec"]["volumes"] += [plugged_volume(name, name) for name in names]
    info = {"claimName": "a", "capacity": {"storage": "1Mi"}}
    document["status"] = {"volumeStatus": [{"name": "a", "target": "", "persistentVolumeClaimInfo": info}]}
    return json.dumps(document).encode()


def bring(pod: Pod, name: str) -> Path:
    folder = pod.places.hotplug_disks / name
    folder.mkdir(parents=True)
    return folder


def targets(state: DomainState) -> dict[str, str]:
    return {disk.name: disk.target for disk in state.disks}


BOOT = {"root": "vda", "seed": "vdb"}


async def test_a_volume_is_plugged_in_once_it_is_there_and_out_when_nobody_wants_it(pod: Pod) -> None:
    client = await pod.connect()
    await client.sync_virtual_machine(plugged("a"), Facts())
    assert targets(await client.get_state()) == BOOT
    folder = bring(pod, "a")
    for _ in range(2):
        state = await client.sync_virtual_machine(plugged("a"), Facts(plugged=["a"]))
        assert targets(state) == {**BOOT, "a": "sda"}
    assert (folder / "disk.img").stat().st_size == 1 << 20
    xml = pod.hypervisor.domains[DOMAIN].xml
    assert str(folder / "disk.img") in xml
    assert pod.hypervisor.calls.count("attach device") == 1
    await client.sync_virtual_machine(plugged(), Facts(plugged=["a"]))
    assert targets(await client.get_state()) == BOOT
    assert pod.hypervisor.calls.count("detach device") == 1


async def test_a_volume_that_is_there_at_the_start_is_part_of_the_domain(pod: Pod) -> None:
    bring(pod, "a")
    client = await pod.connect()
    state = await client.sync_virtual_machine(plugged("a", "b"), Facts(plugged=["a"]))
    assert targets(state) == {**BOOT, "a": "sda"}
    assert "attach device" not in pod.hypervisor.calls


async def test_a_target_in_use_is_not_given_again(pod: Pod) -> None:
    bring(pod, "a")
    bring(pod, "b")
    client = await pod.connect()
    await client.sync_virtual_machine(plugged("a", "b"), Facts(plugged=["a", "b"]))
    await client.sync_virtual_machine(plugged("b"), Facts(plugged=["b"]))
    state = await client.sync_virtual_machine(plugged("b", "a"), Facts(plugged=["a", "b"]))
    assert targets(state) == {**BOOT, "b": "sdb", "a": "sda"}


async def test_a_guest_that_does_not_let_go_is_asked_again_and_told_of(pod: Pod) -> None:
    bring(pod, "a")
    pod.hypervisor.releases_devices = False
    client = await pod.connect()
    await client.sync_virtual_machine(plugged("a"), Facts(plugged=["a"]))
    state = await client.sync_virtual_machine(plugged(), Facts(plugged=["a"]))
    (trouble,) = [disk.trouble for disk in state.disks if disk.trouble]
    assert "has not done so yet" in trouble
    pod.hypervisor.releases_devices = True
    state = await client.sync_virtual_machine(plugged(), Facts(plugged=["a"]))
    assert targets(await client.get_state()) == BOOT
    assert [disk.trouble for disk in (await client.get_state()).disks if disk.trouble] == []


async def test_one_disk_that_is_refused_holds_up_no_other(pod: Pod) -> None:
    (bring(pod, "a") / "disk.img").symlink_to("/etc/shadow")
    bring(pod, "b")
    client = await pod.connect()
    await client.sync_virtual_machine(plugged(), Facts())
    pod.hypervisor.refuse_attach = ""
    state = await client.sync_virtual_machine(plugged("a", "b"), Facts(plugged=["a", "b"]))
    assert targets(state) == {**BOOT, "b": "sda", "a": ""}
    (trouble,) = [disk.trouble for disk in state.disks if disk.trouble]
    assert "symbolic link" in trouble
    # Somebody puts it right.
    (pod.places.hotplug_disks / "a/disk.img").unlink()
    pod.hypervisor.refuse_attach = "no more available PCI slots"
    state = await client.sync_virtual_machine(plugged("a", "b"), Facts(plugged=["a", "b"]))
    assert [disk.trouble for disk in state.disks if disk.trouble] == ["attach device: no more available PCI slots"]
    state = await client.sync_virtual_machine(plugged("a", "b"), Facts(plugged=["a", "b"]))
    assert targets(state) == {**BOOT, "a": "sdb", "b": "sda"}


async def test_a_disk_follows_the_size_of_its_claim(pod: Pod) -> None:
    folder = bring(pod, "a")
    client = await pod.connect()
    await client.sync_virtual_machine(plugged("a"), Facts(plugged=["a"]))
    pod.hypervisor.disk_bytes["sda"] = 1 << 20
    larger = plugged("a").replace(b'"1Mi"', b'"3Mi"')
    for _ in range(2):
        await client.sync_virtual_machine(larger, Facts(plugged=["a"]))
    assert (folder / "disk.img").stat().st_size == 3 << 20
    assert pod.hypervisor.disk_bytes["sda"] == 3 << 20
    assert pod.hypervisor.calls.count("resize sda") == 1


async def test_a_dedicated_thread_is_made_for_a_plugged_disk(pod: Pod) -> None:
    bring(pod, "a")
    client = await pod.connect()
    await client.sync_virtual_machine(plugged(), Facts())
    document = json.loads(plugged("a"))
    document["spec"]["domain"]["devices"]["disks"][-1] = plugged_disk("a", "virtio", dedicatedIOThread=True)
    state = await client.sync_virtual_machine(json.dumps(document).encode(), Facts(plugged=["a"]))
    assert targets(state) == {**BOOT, "a": "vdc"}
    assert "add I/O thread 1" in pod.hypervisor.calls


async def test_a_dump_takes_the_place_of_older_ones_in_its_volume(pod: Pod) -> None:
    volume = pod.places.hotplug_disks / "dumps"
    volume.mkdir(parents=True)
    (volume / "old.memory.dump").write_bytes(b"\x7fELF")
    (volume / "kept.txt").write_text("not a dump")
    (volume / "link.memory.dump").symlink_to(volume / "kept.txt")
    client = await pod.connect()
    with pytest.raises(TerminalFailure) as failure:
        await client.dump_memory("dumps", "new.memory.dump")
    assert failure.value.code is ErrorCode.ILLEGAL_STATE
    await client.sync_virtual_machine(VMI, Facts())
    await client.dump_memory("dumps", "new.memory.dump")
    assert sorted(path.name for path in volume.iterdir()) == ["kept.txt", "link.memory.dump", "new.memory.dump"]


@pytest.mark.parametrize(
    ("volume", "file", "why"),
    [
        ("dumps", "../../etc/passwd", "no name"),
        ("..", "x.memory.dump", "no name"),
        ("nowhere", "x.memory.dump", "no file system"),
        ("dumps", "link", "there already"),
    ],
)
async def test_a_dump_goes_nowhere_but_into_its_volume(pod: Pod, volume: str, file: str, why: str) -> None:
    folder = pod.places.hotplug_disks / "dumps"
    folder.mkdir(parents=True)
    (folder / "link").symlink_to("/nowhere")
    client = await pod.connect()
    await client.sync_virtual_machine(VMI, Facts())
    with pytest.raises(TerminalFailure, match=why):
        await client.dump_memory(volume, file)
