"""Network namespaces for tests: a pod with a root directory of its own, a guest behind its bridge, and the world.

Everything is made by unnamed namespaces of child processes and ends with them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Space", "dhcpv6", "inside", "pod_root", "space", "veth"]

HOLD = """
import ctypes, os, signal, sys
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
    raise OSError(ctypes.get_errno(), "unshare")
if sys.argv[1]:
    os.chroot(sys.argv[1])
    os.chdir("/")
print("ready", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Space:
    """A process in a network namespace of its own."""

    pid: int


@contextlib.contextmanager
def space(root: Path | None = None, *, loopback: bool = True) -> Iterator[Space]:
    """A new network namespace, held by a process whose root directory is `root`; its loopback is up by default."""
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(root or "")], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        if loopback:
            inside(Space(child.pid), "ip", "link", "set", "lo", "up")
        yield Space(child.pid)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()


def inside(where: Space, *args: str, check: bool = True, timeout_s: float = 15) -> subprocess.CompletedProcess[str]:
    """Run a program in the namespace, with this machine's files."""
    return subprocess.run(
        ["nsenter", f"--net=/proc/{where.pid}/ns/net", "--", *args],
        check=check, capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip


def veth(one: Space, one_name: str, other: Space, other_name: str) -> None:
    """A cable between two namespaces."""
    inside(
        one, "ip", "link", "add", one_name, "type", "veth", "peer", "name", other_name, "netns", str(other.pid)
    )  # fmt: skip
    inside(one, "ip", "link", "set", one_name, "up")
    inside(other, "ip", "link", "set", other_name, "up")


def pod_root(folder: Path, resolv_conf: str) -> Path:
    """A root directory as a launcher's container has: a resolv.conf and an unusable /dev/net/tun."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "resolv.conf").write_text(resolv_conf)
    (folder / "dev" / "net").mkdir(parents=True)
    node = folder / "dev" / "net" / "tun"
    os.mknod(node, 0o020600, os.makedev(10, 200))
    node.chmod(0o600)
    return folder


DHCPV6 = """
import json, socket, struct, sys, time
interface = socket.if_nametoindex(sys.argv[1])
endpoint = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
endpoint.bind(("::", 546))
endpoint.settimeout(1)
def option(number, data):
    return struct.pack("!HH", number, len(data)) + data
def options(data):
    found = {}
    while len(data) >= 4:
        number, length = struct.unpack("!HH", data[:4])
        found[number] = data[4:4 + length]
        data = data[4 + length:]
    return found
# An identifier that says nothing of the MAC address, as of systemd-networkd.
client = option(1, struct.pack("!HI", 2, 43793) + b"12345678")
rest = client + option(8, b"\\0\\0") + option(6, struct.pack("!HH", 23, 24))
association = struct.pack("!III", 1, 0, 0)
def ask(kind, expected, more):
    number = struct.pack("!I", kind << 24 | 0x4b6f62)
    for _ in range(10):
        try:
            endpoint.sendto(number + more, ("ff02::1:2", 547, 0, interface))
            answer = endpoint.recv(2000)
        except TimeoutError:
            continue
        except OSError:  # its own address of the link is not usable yet
            time.sleep(0.5)
            continue
        if answer[0] == expected and answer[1:4] == number[1:]:
            return options(answer[4:])
    sys.exit("no answer")
offer = ask(1, 2, rest + option(3, association))
reply = ask(3, 7, rest + option(2, offer[2]) + option(3, association + offer[3][12:]))
address = options(reply[3][12:])[5][:16]
servers = reply.get(23, b"")
print(json.dumps({
    "address": socket.inet_ntop(socket.AF_INET6, address),
    "dns": [socket.inet_ntop(socket.AF_INET6, servers[at:at + 16]) for at in range(0, len(servers), 16)],
}))
"""


def dhcpv6(where: Space, interface: str) -> dict[str, Any]:
    """What a DHCPv6 client in the namespace is told: `address` and `dns`."""
    done = inside(where, sys.executable, "-c", DHCPV6, interface, timeout_s=30, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told
