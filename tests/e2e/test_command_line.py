"""virtctl's flags of verbs that reach a guest, looked at from inside; the rights that a refused user is told of."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance, free_port

NAME = "line"
QUIET = ("-t", "-o LogLevel=ERROR")
FORGETFUL = (*QUIET, "-t", "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    return path


@pytest.fixture(scope="module")
def machine(instance: Instance, key: Path) -> Iterator[Instance]:
    """An instance with a guest that `create vm` has described and that lets the key in."""
    public = Path(f"{key}.pub").read_text().strip()
    manifest = instance.kobune(
        *("create", "vm", "--name", NAME, "--memory=128Mi", "--volume-containerdisk=src:kobune/demo"),
        *("--user=kobune", "--ssh-key", public),
    )
    instance.kubectl("create", "-f", "-", stdin=manifest)
    instance.wait_phase(NAME, "Running")
    instance.eventually("ssh answers", lambda: login(instance, key, f"kobune@vm/{NAME}", "hostname")[1] == NAME)
    yield instance
    instance.kubectl("delete", "vm", NAME, "--timeout=120s")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kobune.main.entry", *arguments]


def login(instance: Instance, key: Path, target: str, line: str, *options: str) -> tuple[int, str]:
    """What `line` ends with in the guest, and what it says."""
    done = subprocess.run(
        command("ssh", target, "-i", str(key), "-c", line, *(options or FORGETFUL)),
        env=instance.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.strip() or done.stderr.strip()


def listen(instance: Instance, key: Path, port: int) -> None:
    """Another SSH server in the guest."""
    line = f"sudo /usr/sbin/dropbear -p {port} -r /etc/dropbear/dropbear_ed25519_host_key"
    assert login(instance, key, f"kobune@vm/{NAME}", line) == (0, "")


def told_by(instance: Instance, *arguments: str) -> str:
    """Everything that a command says, its errors included."""
    line, environment = command(*arguments), instance.environment
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_every_form_of_a_target_is_the_same_guest(machine: Instance, key: Path) -> None:
    for target in (f"kobune@vm/{NAME}", f"kobune@vmi/{NAME}/default", f"kobune@virtualmachine/{NAME}.default"):
        assert login(machine, key, target, "hostname") == (0, NAME), target
    assert login(machine, key, f"vmi/{NAME}", "id -un", "--username=kobune", *FORGETFUL) == (0, "kobune")
    assert login(machine, key, f"kobune@vm/{NAME}", "exit 7")[0] == 7
    status, told = login(machine, key, f"kobune@vm/{NAME}", "hostname", "-n", "kube-system", *FORGETFUL)
    assert status == 255
    assert "not found" in told


def test_another_port_and_the_host_keys_of_guests(machine: Instance, key: Path, tmp_path: Path) -> None:
    listen(machine, key, 2222)
    known = tmp_path / "hosts"
    first = (
        *QUIET,
        "-t",
        "-o StrictHostKeyChecking=accept-new -o HashKnownHosts=no",
        "--known-hosts",
        str(known),
        "--port=2222",
    )
    assert login(machine, key, f"kobune@vm/{NAME}", "hostname", *first) == (0, NAME)
    assert f"vm.{NAME}.default" in known.read_text()
    again = (*QUIET, "-t", "-o StrictHostKeyChecking=yes", "--known-hosts", str(known), "-p", "2222")
    assert login(machine, key, f"kobune@vm/{NAME}/default", "hostname", *again) == (0, NAME)
    status, told = login(machine, key, f"kobune@vm/{NAME}", "hostname", "-p", "2223", *FORGETFUL)
    assert status == 255
    assert "port 2223 does not answer: Connection refused" in told


def test_directories_and_times_are_copied_both_ways(machine: Instance, key: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    note = tree / "deep" / "note"
    note.write_text("carried\n")
    note.chmod(0o600)
    os.utime(note, (1_000_000_000, 1_000_000_000))
    options = ("-i", str(key), *FORGETFUL)
    machine.kobune("scp", "--recursive", "--preserve", *options, str(tree), f"kobune@vm/{NAME}:/tmp/")
    inside = login(machine, key, f"kobune@vm/{NAME}", "cat /tmp/tree/deep/note; stat -c '%Y %a' /tmp/tree/deep/note")
    assert inside == (0, "carried\n1000000000 600")
    back = tmp_path / "back"
    machine.kobune("scp", "-r", "--preserve", "-l", "kobune", *options, f"vmi/{NAME}/default:/tmp/tree", str(back))
    found = (back / "deep" / "note").stat()
    assert (found.st_mtime, stat.S_IMODE(found.st_mode)) == (1_000_000_000, 0o600)


def test_several_ports_on_an_address_until_it_is_interrupted(machine: Instance, key: Path) -> None:
    listen(machine, key, 2224)
    ports = free_port(), free_port()
    words = (f"{ports[0]}:22", f"tcp/{ports[1]}:2224")
    # Who runs tests in the background has them ignore the interrupt, and what they start with them.
    interruptible = ("env", "--default-signal=INT")
    line = [*interruptible, *command("port-forward", f"vm/{NAME}", *words, "--address=127.0.0.2")]
    process = subprocess.Popen(line, env=machine.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for port, inner in zip(ports, (22, 2224), strict=True):
            assert process.stdout.readline() == f"forwarding tcp 127.0.0.2:{port} to {inner}\n"
        for port in ports:
            with socket.create_connection(("127.0.0.2", port), timeout=60) as connection:
                assert connection.recv(64).startswith(b"SSH-2.0-dropbear")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]), timeout=5)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0
    assert "Stopped forwarding" in errors
    assert "Traceback" not in errors


def test_what_a_refused_user_is_told_to_ask_for_is_enough(machine: Instance) -> None:
    act = ("--as=mary", "pause", f"vm/{NAME}", "--dry-run=true")
    told = told_by(machine, *act)
    grant = re.search(r"kubectl (create rolebinding) NAME (.*)", told)
    assert grant is not None, told
    machine.kubectl(*grant[1].split(), "mary", *grant[2].split())
    try:
        machine.eventually("mary may", lambda: "was scheduled to pause" in told_by(machine, *act))
        assert "is forbidden" in told_by(machine, "--as=mary", "-n=kube-system", "start", "any")
    finally:
        machine.kubectl("delete", "rolebinding", "mary")


def test_a_start_right_after_a_stop_waits_for_the_guest_to_end(machine: Instance, key: Path) -> None:
    target = f"kobune@vm/{NAME}"
    before = login(machine, key, target, "cat /proc/sys/kernel/random/boot_id")[1]
    machine.kobune("stop", NAME)
    assert "Waiting for the guest of line to shut down" in told_by(machine, "start", NAME)
    machine.wait_phase(NAME, "Running")
    machine.eventually("ssh answers", lambda: login(machine, key, target, "hostname")[1] == NAME)
    assert login(machine, key, target, "cat /proc/sys/kernel/random/boot_id")[1] != before
