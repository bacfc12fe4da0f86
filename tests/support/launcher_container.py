"""A launcher container without a container runtime: own mount, pid and network namespaces around a root file system.

PID 1 is the launcher image's own monitor, run as uid 107 without capabilities, as in the pod.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import ConnectionLost

_INNER = """
set -e
root=$1; state=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o size=64m tmpfs "$root/dev"
for device in null zero urandom random; do
  touch "$root/dev/$device"; mount --bind /dev/$device "$root/dev/$device"
done
mkdir -p "$root/dev/net" "$root/dev/shm"; chmod 1777 "$root/dev/shm"
mknod -m 0666 "$root/dev/net/tun" c 10 200
mount -t tmpfs -o size=64m tmpfs "$root/run"
bind() { mkdir -p "$root$2"; mount --bind "$state/$1" "$root$2"; }
bind sockets /run/kubevirt/sockets
bind container-disks /run/kubevirt/container-disks
bind private /run/kubevirt-private
bind ephemeral-disks /run/kubevirt-ephemeral-disks
bind libvirt-runtime /run/libvirt
ip link set lo up
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 PYTHONOPTIMIZE=2 \\
  setpriv --reuid 107 --regid 107 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
"""


class LauncherContainer:
    """One started container; `stop` leaves nothing behind. `state` has one folder per volume of the pod."""

    def __init__(self, root: Path, state: Path, *, namespace: str = "default", name: str = "vm") -> None:
        self.root = root
        self.state = state
        self.namespace = namespace
        self.name = name
        self.uid = str(uuid4())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.state / "sockets" / "launcher.sock"

    @property
    def serial(self) -> Path:
        return self.state / "private" / "virt-serial0"

    @property
    def log(self) -> Path:
        return self.state / "log"

    def start(self, *, grace_period_s: float = 30) -> None:
        for volume in ("sockets", "private", "ephemeral-disks", "libvirt-runtime", "container-disks"):
            folder = self.state / volume
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, 107, 107)
        monitor = ["/usr/bin/virt-launcher-monitor", "--uid", self.uid, "--namespace", self.namespace]
        monitor += ["--name", self.name, "--grace-period-s", str(grace_period_s)]
        isolate = ["unshare", "--mount", "--pid", "--net", "--fork", "sh", "-c", _INNER, "sh"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*isolate, str(self.root), str(self.state), *monitor],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def add_container_disk(self, volume: str, image: Path) -> None:
        folder = self.state / "container-disks" / volume / "disk"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder / image.name)
        (folder / image.name).chmod(0o444)

    async def connect(self, timeout_s: float = 15, **callbacks: Any) -> LauncherClient:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return await LauncherClient.connect(self.socket, **callbacks)
                except ConnectionLost:
                    assert self.returncode is None, self.log.read_text()
                    await asyncio.sleep(0.02)

    @property
    def returncode(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    async def wait(self, timeout_s: float) -> int:
        """The container's exit status."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, timeout_s)

    def processes(self) -> dict[str, list[int]]:
        """Process ids (of the host) by program name, of everything in the container but PID 1's parents."""
        assert self._process is not None
        found: dict[str, list[int]] = {}
        children = _children()
        pending = [self._process.pid]
        while pending:
            pid = pending.pop()
            pending += children.get(pid, [])
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                found.setdefault(name, []).append(pid)
            except OSError:
                continue
        return found

    def monitor_pid(self) -> int:
        """PID 1 of the container, as the host counts."""
        assert self._process is not None
        (pid,) = _children().get(self._process.pid, [])
        return pid

    def terminate(self) -> None:
        """What the kubelet does first."""
        os.kill(self.monitor_pid(), signal.SIGTERM)

    def stop(self) -> None:
        """Kill PID 1, and with it the whole pid namespace; its mounts vanish with it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            # Not `unshare --kill-child`: the child's change of user makes the kernel forget that wish.
            for pid in _children().get(self._process.pid, []):
                os.kill(pid, signal.SIGKILL)
            self._process.wait(10)


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    return children
