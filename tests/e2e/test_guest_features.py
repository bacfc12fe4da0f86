"""What a manifest asks for, looked at from inside of the guest: sizes, disks, data, network, probes, run strategies.

A few guests serve all tests; each test brings its guest back to what the next one needs.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.feature_guests import CONFIG, MAC, SECRET, everything, twins
from support.instance import Instance

LAUNCHERS = "kubevirt.io=virt-launcher"
MIB_IN_KIB = 1024


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    made = {name: folder / name for name in ("userdata", "full", "sized")}
    for path in made.values():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
        subprocess.run(command, check=True, timeout=30)
    return made


@pytest.fixture(scope="module")
def guests(instance: Instance, keys: dict[str, Path]) -> Iterator[Instance]:
    public = {name: Path(f"{path}.pub").read_text().strip() for name, path in keys.items()}
    manifests = everything(public)
    instance.kubectl("apply", "-f", "-", stdin=manifests)
    instance.kubectl("wait", "pod/peer", "--for=condition=Ready", "--timeout=120s")
    for name in ("full", "sized", "once"):
        instance.wait_phase(name, "Running")
    yield instance
    # The set is made by its test, when fewer guests share the processors.
    manifests += f"---\n{twins()}"
    instance.kubectl("delete", "--ignore-not-found", "--timeout=150s", "-f", "-", stdin=manifests)


def look(instance: Instance, name: str, *commands: str) -> list[str]:
    """The outputs of commands in the guest, from one login on its console."""
    console = instance.console(name).login()
    try:
        return [console.run(command) for command in commands]
    finally:
        console.close()


def ready(instance: Instance, name: str) -> None:
    instance.kubectl("wait", f"vmi/{name}", "--for=condition=Ready", "--timeout=120s")


def condition(instance: Instance, kind: str, name: str, wanted: str) -> str:
    conditions = instance.get(kind, name)["status"].get("conditions", [])
    return next((str(one["status"]) for one in conditions if one["type"] == wanted), "")


def address(instance: Instance, name: str) -> str:
    return str(instance.get("vmi", name)["status"]["interfaces"][0]["ipAddress"])


def from_pod(instance: Instance, *command: str) -> bool:
    """Whether a command in the client pod succeeds."""
    done = instance.kubectl(
        "exec", "peer", "--", "sh", "-c", '"$@" >/dev/null 2>&1 && echo yes || true', "sh", *command
    )
    return done.strip() == "yes"


def by_ssh(instance: Instance, name: str, key: Path, command: str) -> str:
    """A command in the guest by `kobune ssh` with a private key and nothing else."""
    return openssh(instance, key, "ssh", f"kobune@vmi/{name}", "-c", command)


def openssh(instance: Instance, key: Path, *arguments: str) -> str:
    """`kobune ssh` or `kobune scp` with a private key and nothing else; what it prints."""
    line = [sys.executable, "-m", "kobune.main.entry", *arguments, "-i", str(key), "--known-hosts", "/dev/null"]
    for option in ("IdentitiesOnly=yes", "PasswordAuthentication=no", "StrictHostKeyChecking=no", "BatchMode=yes"):
        line += ["-t", f"-o {option}"]
    done = subprocess.run(line, env=instance.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def said(check: Callable[[], str], wanted: str) -> Callable[[], bool]:
    return lambda: check() == wanted


def test_cpus_memory_disks_and_data_are_what_the_manifest_says(guests: Instance) -> None:
    names = ["spare", "config", "hidden", "account", "claim"]
    by_id = "/dev/disk/by-id/virtio-"
    commands = [
        "nproc",
        "awk '/MemTotal/ {print $2}' /proc/meminfo",
        "hostname",
        "cat /etc/told-by-cloud-init",
        "cat /run/ran",
        "cat /sys/class/net/eth0/address",
        f"sudo blockdev --getsize64 {by_id}spare",
        f"sudo blockdev --getsize64 {by_id}claim",
        f"for n in {' '.join(names)}; do basename $(readlink {by_id}$n); done",
        "sudo mkdir -p /mnt/config /mnt/hidden /mnt/account; "
        f"for n in config hidden account; do sudo mount -o ro {by_id}$n /mnt/$n; done",
        "sudo cat /mnt/config/told",
        "sudo cat /mnt/hidden/hidden",
        "sudo cat /mnt/account/namespace",
        "sudo head -c 3 /mnt/account/token",
        f"printf kept | sudo dd conv=fsync of={by_id}claim 2>/dev/null",
    ]
    told = look(guests, "full", *commands)
    assert told[0] == "2"
    # The kernel keeps some of the memory to itself.
    assert 140 * MIB_IN_KIB < int(told[1]) <= 192 * MIB_IN_KIB
    assert told[2:6] == ["from-secret", "value on the disk", "run by cloud-init", MAC]
    assert told[6:8] == [str(48 << 20), str(32 << 20)]
    assert told[8].split() == ["vdb", "vdc", "vdd", "vde", "vdf"], "in the order of the manifest"
    assert told[10:14] == [CONFIG, SECRET, "default", "eyJ"]
    assert guests.get("vmi", "full")["status"]["interfaces"][0]["mac"] == MAC


def test_an_instancetype_and_a_preference_decide_sizes_and_buses(guests: Instance) -> None:
    cpus, memory, model, serial, root, hostname, labels = look(
        guests,
        "sized",
        "nproc",
        "awk '/MemTotal/ {print $2}' /proc/meminfo",
        "cat /sys/block/sda/device/vendor",
        "sudo tail -c +5 /sys/block/sda/device/vpd_pg80; echo",
        "awk '$2 == \"/\" {print $1}' /proc/mounts | tail -n 1",
        "hostname",
        "sudo mkdir -p /mnt/self; sudo mount -o ro /dev/sr0 /mnt/self && cat /mnt/self/labels",
    )
    assert 'guest="sized"' in labels
    assert (cpus, model, serial, hostname) == ("2", "QEMU", "onscsi", "inline")
    assert 110 * MIB_IN_KIB < int(memory) <= 160 * MIB_IN_KIB
    assert "sda" in root


def test_probes_decide_whether_a_guest_is_ready(guests: Instance) -> None:
    for name in ("full", "sized"):
        ready(guests, name)
    # Without its agent the one is not, without its network the other.
    look(guests, "full", "sudo killall -STOP qemu-ga")
    guests.eventually("no agent, not ready", said(lambda: condition(guests, "vmi", "full", "Ready"), "False"), 60)
    look(guests, "full", "sudo killall -CONT qemu-ga")
    ready(guests, "full")
    look(guests, "sized", "sudo ip link set eth0 down")
    guests.eventually("no port, not ready", said(lambda: condition(guests, "vmi", "sized", "Ready"), "False"), 60)
    look(guests, "sized", "sudo ip link set eth0 up; sudo ip route add default via 10.0.2.1")
    ready(guests, "sized")


def test_ssh_keys_come_from_user_data_and_access_credentials(guests: Instance, keys: dict[str, Path]) -> None:
    for name, key in (("full", "userdata"), ("full", "full"), ("sized", "sized")):

        def logs_in(name: str = name, key: str = key) -> bool:
            return by_ssh(guests, name, keys[key], "id -un") == "kobune"

        guests.eventually(f"ssh to {name} with the key of {key}", logs_in, 60)


def test_files_are_copied_both_ways(guests: Instance, keys: dict[str, Path], tmp_path: Path) -> None:
    key = keys["userdata"]
    guests.eventually("the key is known", said(lambda: by_ssh(guests, "full", key, "id -un"), "kobune"), 120)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/note").write_text("copied\n")
    there = "kobune@vmi/full:copied"
    openssh(guests, key, "scp", "-r", str(tmp_path / "tree"), there)
    assert look(guests, "full", "cat copied/note") == ["copied"]
    openssh(guests, key, "scp", f"{there}/note", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "copied\n"


def test_a_service_name_leads_to_the_guest_and_the_guest_reaches_a_pod(guests: Instance) -> None:
    ready(guests, "full")
    command = ("exec", "peer", "--", "env", "DROPBEAR_PASSWORD=kobune", "dbclient", "-y", "-y", "-p", "2222")

    def hostname(service: str) -> str:
        return guests.kubectl(*command, f"kobune@{service}", "hostname").strip()

    for service in ("full", "full.default.svc.cluster.local"):
        guests.eventually(f"{service} answers", said(lambda name=service: hostname(name), "from-secret"), 60)  # type: ignore[misc]
    pod = guests.get("pod", "peer")["status"]["podIP"]
    assert look(guests, "full", f"wget -qO- http://{pod}:8080/") == ["from-the-pod"]


def test_only_listed_ports_lead_to_a_masqueraded_guest(guests: Instance) -> None:
    # Servers on a port of the list and on another one.
    look(guests, "full", *(f"sudo httpd -p {port} -h /etc" for port in (8081, 8082)))
    where = address(guests, "full")
    assert from_pod(guests, "curl", "-sf", "-m", "5", f"http://{where}:8081/hostname")
    assert not from_pod(guests, "curl", "-sf", "-m", "3", f"http://{where}:8082/hostname")


def test_pause_stops_a_guest_and_unpause_continues_it(guests: Instance) -> None:
    where = address(guests, "sized")
    ping = ("ping", "-c", "1", "-W", "2", where)
    guests.eventually("the guest answers", lambda: from_pod(guests, *ping), 30)
    question = "cat /proc/sys/kernel/random/boot_id; cut -d. -f1 /proc/uptime"
    boot, before = look(guests, "sized", question)[0].split()
    start = time.monotonic()
    guests.kobune("pause", "vmi", "sized")
    guests.eventually("it is paused", said(lambda: condition(guests, "vmi", "sized", "Paused"), "True"), 30)
    paused_at = time.monotonic()
    assert not from_pod(guests, *ping)
    time.sleep(6)
    paused_s = time.monotonic() - paused_at
    guests.kobune("unpause", "vmi", "sized")
    guests.eventually("it is not paused", said(lambda: condition(guests, "vmi", "sized", "Paused"), ""), 30)
    assert from_pod(guests, *ping)
    boot_after, after = look(guests, "sized", question)[0].split()
    assert boot_after == boot
    assert int(after) - int(before) <= time.monotonic() - start - paused_s + 2


def test_a_soft_reboot_is_a_new_boot_in_the_same_pod(guests: Instance) -> None:
    def pod() -> str:
        return str(guests.get("pod", "-l", f"{LAUNCHERS},guest=sized")["items"][0]["metadata"]["uid"])

    boot, before = look(guests, "sized", "cat /proc/sys/kernel/random/boot_id")[0], pod()
    guests.kobune("soft-reboot", "sized")
    guests.eventually(
        "another boot", lambda: look(guests, "sized", "cat /proc/sys/kernel/random/boot_id")[0] != boot, 60
    )
    assert pod() == before


def test_the_agent_tells_system_users_and_file_systems(guests: Instance) -> None:
    def answer(verb: str) -> Any:
        return json.loads(guests.kobune(verb, "full"))

    guests.eventually("the agent is known", said(lambda: condition(guests, "vmi", "full", "AgentConnected"), "True"))
    told = answer("guestosinfo")
    assert told["hostname"] == "from-secret"
    assert told["os"]["kernelRelease"] == look(guests, "full", "uname -r")[0]
    assert answer("userlist")["kind"] == "VirtualMachineInstanceGuestOSUserList"
    roots = [one for one in answer("fslist")["items"] if one["mountPoint"] == "/"]
    assert roots[0]["totalBytes"] > 0


def test_a_claim_keeps_what_was_written_over_a_restart_and_a_change_waits_for_it(guests: Instance) -> None:
    patch = {"spec": {"template": {"spec": {"domain": {"memory": {"guest": "176Mi"}}}}}}
    guests.kubectl("patch", "vm", "full", "--type=merge", "-p", json.dumps(patch))
    guests.eventually(
        "a restart is required", said(lambda: condition(guests, "vm", "full", "RestartRequired"), "True"), 30
    )
    before = guests.get("vmi", "full")["metadata"]["uid"]
    guests.kobune("restart", "full")
    guests.eventually("a new instance", lambda: guests.get("vmi", "full")["metadata"]["uid"] != before)
    guests.wait_phase("full", "Running")
    kept, memory = look(
        guests,
        "full",
        "sudo head -c 4 /dev/disk/by-id/virtio-claim",
        "awk '/MemTotal/ {print $2}' /proc/meminfo",
    )
    assert kept == "kept"
    assert int(memory) <= 176 * MIB_IN_KIB
    guests.eventually(
        "no restart is required", said(lambda: condition(guests, "vm", "full", "RestartRequired"), ""), 30
    )


def test_a_power_off_inside_ends_machines_that_run_once_or_until_success(guests: Instance) -> None:
    for name in ("once", "sized"):
        uid = guests.get("vmi", name)["metadata"]["uid"]
        console = guests.console(name).login()
        console.child.sendline("sudo poweroff")
        guests.wait_phase(name, "Succeeded")
        console.child.close(force=True)
        guests.eventually(
            f"{name} is stopped",
            said(lambda name=name: guests.get("vm", name)["status"]["printableStatus"], "Stopped"),  # type: ignore[misc]
        )
        time.sleep(3)
        assert guests.get("vmi", name)["metadata"]["uid"] == uid
        assert guests.get("vmi", name)["status"]["phase"] == "Succeeded"


def test_a_replica_set_keeps_its_number_of_guests(guests: Instance) -> None:
    def running() -> list[str]:
        found = guests.get("vmi", "-l", "set=twins")["items"]
        return [one["metadata"]["name"] for one in found if one["status"].get("phase") == "Running"]

    guests.kubectl("apply", "-f", "-", stdin=twins())
    guests.eventually("two run", lambda: len(running()) == 2)
    boots = {look(guests, name, "cat /proc/sys/kernel/random/boot_id")[0] for name in running()}
    assert len(boots) == 2
    lost = running()[0]
    guests.kubectl("delete", "vmi", lost, "--timeout=60s")
    guests.eventually("another one runs", lambda: len(running()) == 2 and lost not in running())
    guests.kubectl("scale", "vmirs", "twins", "--replicas=1")
    guests.eventually("one is left", lambda: len(guests.get("vmi", "-l", "set=twins")["items"]) == 1)
    assert guests.get("vmirs", "twins")["status"]["replicas"] == 1
