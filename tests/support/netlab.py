"""Network namespaces for tests: a pod with a root directory of its own, a guest behind its bridge, and the world.

Everything is made by unnamed namespaces of child processes and ends with them.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Space", "inside", "pod_root", "space", "veth"]

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
