"""A guest run by a bare qemu command: no libvirt, no Kubernetes. For tests of the demo guest and as a yardstick."""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["BareGuest", "free_port", "read_image_file", "unpack_image_file"]


def free_port() -> int:
    """A loopback TCP port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_image_file(archive: Path, name: str) -> tuple[tarfile.TarInfo, bytes]:
    """A file of an image in an OCI archive: its header and its content. Raises KeyError when no layer has it."""
    with tarfile.open(archive) as outer:

        def blob(digest: str) -> Any:
            return outer.extractfile("blobs/" + digest.replace(":", "/"))

        index = json.load(outer.extractfile("index.json") or os.devnull)  # type: ignore[arg-type]
        manifest = json.load(blob(index["manifests"][0]["digest"]))
        for layer in reversed(manifest["layers"]):
            with tarfile.open(fileobj=blob(layer["digest"])) as inner:
                for member in inner:
                    if member.name.removeprefix("./") == name:
                        content = inner.extractfile(member)
                        assert content is not None
                        return member, content.read()
    raise KeyError(name)


def unpack_image_file(archive: Path, name: str, target: Path) -> Path:
    """Copy a file out of an image; returns the target."""
    target.write_bytes(read_image_file(archive, name)[1])
    return target


class BareGuest:
    """One guest on an overlay of `disk`, with its serial console, guest agent, monitor and ssh port.

    A context manager: leaving it kills the guest and removes its files.
    """

    def __init__(
        self,
        disk: Path,
        work: Path,
        *,
        memory_mib: int = 128,
        bus: str = "virtio",
        machine: str = "q35",
        size: str = "",
        extra: Sequence[str] = (),
    ) -> None:
        self.work = work
        self.ssh_port = free_port()
        self.output = b""
        self._seen = 0
        work.mkdir(parents=True, exist_ok=True)
        overlay = work / "disk.qcow2"
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(disk.resolve()), str(overlay)]
        subprocess.run([*create, *([size] if size else [])], check=True, timeout=30)
        drive = {
            "virtio": ["-device", "virtio-blk-pci,drive=root,disable-legacy=on,serial=root"],
            "scsi": [
                "-device",
                "virtio-scsi-pci,id=scsi,disable-legacy=on",
                "-device",
                "scsi-hd,drive=root,bus=scsi.0",
            ],
            "ide": ["-device", "ide-hd,drive=root"],
            # A q35 machine's own controller is AHCI.
            "sata": ["-device", "ide-hd,drive=root,bus=ide.0"],
            "usb": ["-device", "qemu-xhci", "-device", "usb-storage,drive=root"],
            "nvme": ["-device", "nvme,drive=root,serial=root"],
        }[bus]
        args = ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg,tb-size=64", "-cpu", "max"]
        args += [
            "-m",
            f"{memory_mib},slots=2,maxmem=2G",
            "-smp",
            "1,sockets=2,maxcpus=2",
            "-nodefaults",
            "-display",
            "none",
        ]
        args += ["-drive", f"file={overlay},if=none,id=root,format=qcow2,discard=unmap", *drive]
        args += ["-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22"]
        args += ["-device", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile="]
        args += ["-device", "virtio-serial-pci,disable-legacy=on", "-chardev", self._socket("agent")]
        args += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        args += ["-device", "virtio-rng-pci,disable-legacy=on", "-device", "virtio-balloon-pci,disable-legacy=on"]
        args += ["-chardev", self._socket("monitor"), "-mon", "chardev=monitor,mode=control"]
        args += ["-serial", "stdio", *extra]
        self.began_s = time.monotonic()
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)

    def _socket(self, name: str) -> str:
        return f"socket,id={name},path={self.work / name},server=on,wait=off"

    def __enter__(self) -> "BareGuest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        shutil.rmtree(self.work)

    def expect(self, pattern: str, *, timeout_s: float = 60) -> str:
        """Read the console until the pattern comes; returns what was read.

        Raises AssertionError with the console's end.
        """
        assert self.process.stdout is not None
        end_s = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern.encode(), self.output[self._seen :])
            if found is not None:
                text = self.output[self._seen : self._seen + found.end()]
                self._seen += found.end()
                return text.decode(errors="replace")
            left_s = end_s - time.monotonic()
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, left_s))
            data = self.process.stdout.read() if readable else b""
            if not data:
                tail = self.output[-2000:].decode(errors="replace")
                raise AssertionError(f"no {pattern!r} within {timeout_s:g} s; the console said:\n{tail}")
            self.output += data

    def send(self, line: str) -> None:
        """Type a line on the console."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def login(self, user: str = "kobune", password: str = "kobune", *, timeout_s: float = 60) -> None:
        """Log in on the console."""
        self.expect("login: ", timeout_s=timeout_s)
        self.send(user)
        self.expect("assword: ")
        self.send(password)
        self.expect(r"\$ ")

    def run(self, command: str, *, timeout_s: float = 60) -> str:
        """Run a command in the console's shell and return what it printed."""
        # Split quotes: the echo of the command must not look like its end.
        self.send(f"{command}; echo 'en''d='$?")
        text = self.expect(r"end=\d+\r?\n", timeout_s=timeout_s)
        self.expect(r"\$ ")
        lines = text.replace("\r", "").split("\n")
        return "\n".join(lines[1:-2] if "'en''d='" in lines[0] else lines[:-2])

    def agent(self, command: str, **arguments: object) -> Any:
        """Ask the guest agent; retries until it answers, for 30 s."""
        end_s = time.monotonic() + 30
        while True:
            try:
                return self._talk("agent", command, arguments, greeting=False)
            except TimeoutError:
                if time.monotonic() > end_s:
                    raise

    def monitor(self, command: str, **arguments: object) -> Any:
        """Send one QMP command."""
        return self._talk("monitor", command, arguments, greeting=True)

    def _talk(self, name: str, command: str, arguments: dict[str, object], *, greeting: bool) -> Any:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(self.work / name))
            stream = line.makefile("rwb")
            if greeting:
                stream.readline()
                stream.write(b'{"execute": "qmp_capabilities"}\n')
            request = {"execute": command, "arguments": {key.replace("_", "-"): v for key, v in arguments.items()}}
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            answers = 2 if greeting else 1
            while True:
                answer = json.loads(stream.readline())
                if "event" in answer:
                    continue
                assert "error" not in answer, answer
                answers -= 1
                if answers == 0:
                    return answer["return"]

    def ssh(self, key: Path, command: str, *, user: str = "kobune", timeout_s: float = 30) -> str:
        """Run a command by ssh with a private key."""
        options = ["-i", str(key), "-p", str(self.ssh_port), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"]
        options += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", f"ConnectTimeout={timeout_s:g}"]
        done = subprocess.run(
            ["ssh", *options, f"{user}@127.0.0.1", command], check=True, capture_output=True, timeout=timeout_s
        )
        return done.stdout.decode()

    def wait_off(self, *, timeout_s: float = 30) -> int:
        """Wait until the guest has switched off; QEMU's exit status."""
        return self.process.wait(timeout=timeout_s)
