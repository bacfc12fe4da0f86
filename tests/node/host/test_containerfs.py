"""Mounts and devices given to another mount namespace and control group, on this machine."""

import asyncio
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kobune.host.containerfs.devicefilter import DeviceRule
from kobune.host.containerfs.files import HostContainerFiles, NotThere
from kobune.host.containerfs.inside import replace_filter
from kobune.host.procroot import HeldProcess, ProcessGone
from kobune.host.run import CommandFailed, HostRunner

UNIFIED = next(
    (path for path in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")) if (path / "cgroup.procs").exists()),
    None,
)


@pytest.fixture
def namespaces(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Two processes with mount namespaces of their own; the first one has a tmpfs at `data`."""
    (tmp_path / "data").mkdir()
    script = f"mount -t tmpfs tmpfs {tmp_path}/data && echo from the claim > {tmp_path}/data/disk.img && exec sleep 60"
    first = subprocess.Popen(["unshare", "--mount", "sh", "-c", script])
    second = subprocess.Popen(["unshare", "--mount", "sleep", "60"])
    deadline = time.monotonic() + 10
    while not Path(f"/proc/{first.pid}/root{tmp_path}/data/disk.img").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield first, second
    for process in (first, second):
        process.kill()
        process.wait()


def test_a_mount_of_one_container_is_shown_in_another_and_nowhere_else(
    namespaces: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    source, target = (HeldProcess(process.pid) for process in namespaces)
    files = HostContainerFiles(HostRunner())
    place = tmp_path / "plugged" / "vol"
    asyncio.run(files.mount(source, f"{tmp_path}/data", target, str(place)))
    asyncio.run(files.mount(source, f"{tmp_path}/data", target, str(place)))
    inside = Path(f"/proc/{target.pid}/root{place}/disk.img")
    assert inside.read_text() == "from the claim\n"
    inside.write_text("written")
    assert Path(f"/proc/{source.pid}/root{tmp_path}/data/disk.img").read_text() == "written"
    assert files.mounts(target, str(place.parent)) == {"vol"}
    assert list(place.iterdir()) == []
    options = next(
        line for line in Path(f"/proc/{target.pid}/mountinfo").read_text().splitlines() if str(place) in line
    )
    assert "nosuid,nodev,noexec" in options
    asyncio.run(files.unmount(target, str(place)))
    asyncio.run(files.unmount(target, str(place)))
    assert files.mounts(target, str(place.parent)) == set()
    assert not place.exists()


def test_a_link_in_place_of_the_mount_is_not_followed(
    namespaces: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    source, target = (HeldProcess(process.pid) for process in namespaces)
    link = tmp_path / "link"
    link.symlink_to("/etc")
    files = HostContainerFiles(HostRunner())
    with pytest.raises(CommandFailed):
        asyncio.run(files.mount(source, str(link), target, f"{tmp_path}/plugged/vol"))
    assert files.mounts(target, f"{tmp_path}/plugged") == set()


def test_nothing_is_done_in_the_place_of_a_process_that_has_ended(
    namespaces: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Its number may be another one's by then: what was held is not looked up by number again."""
    source, target = (HeldProcess(process.pid) for process in namespaces)
    namespaces[1].kill()
    namespaces[1].wait()
    files = HostContainerFiles(HostRunner())
    with pytest.raises(CommandFailed, match=r"No such (process|file)"):
        asyncio.run(files.mount(source, f"{tmp_path}/data", target, f"{tmp_path}/plugged/vol"))
    with pytest.raises(ProcessGone):
        files.mounts(target, f"{tmp_path}/plugged")
    with pytest.raises(ProcessGone):
        files.block_devices(target, "/dev/hotplug")


def test_processes_of_an_unknown_pod_are_not_found() -> None:
    with pytest.raises(NotThere, match="nothing is mounted"):
        HostContainerFiles(HostRunner()).process_with_mount("5a0c7e84-0000-4000-8000-000000000000", "/nowhere")


@pytest.fixture
def device_group() -> Iterator[tuple[str, Path]]:
    """A control group of version 1 that may open nothing but what is allowed later."""
    root = Path("/sys/fs/cgroup/devices")
    if not root.is_dir():
        pytest.fail("this test needs control groups of version 1; those of version 2 have one of their own")
    group = root / f"kobune-test-{os.getpid()}"
    group.mkdir()
    (group / "devices.deny").write_text("a")
    (group / "devices.allow").write_text("c 1:3 rwm")
    yield "devices", group
    group.rmdir()


def test_a_device_is_made_and_allowed_and_taken_back(device_group: tuple[str, Path], tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"block data".ljust(1 << 20, b"\0"))
    loop = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    numbers = os.major(os.stat(loop).st_rdev), os.minor(os.stat(loop).st_rdev)
    group = device_group[1]
    process = subprocess.Popen(["unshare", "--mount", "sleep", "60"])
    held = HeldProcess(process.pid)
    node = f"{tmp_path}/dev/hotplug/vol"
    files = HostContainerFiles(HostRunner())

    def opens() -> bool:
        """Whether a process in the control group can open the node in the container's root."""
        script = f"echo $$ > {group}/cgroup.procs && exec head -c 10 /proc/{process.pid}/root{node}"
        return subprocess.run(["sh", "-c", script], capture_output=True, check=False).stdout == b"block data"

    try:
        (group / "cgroup.procs").write_text(str(process.pid))
        # The node alone is not enough: the control group must allow it.
        os.makedirs(os.path.dirname(node))
        os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(*numbers))
        assert not opens()
        for _ in range(2):
            asyncio.run(files.make_device(held, node, numbers, 107))
        assert opens()
        status = os.stat(f"/proc/{process.pid}/root{node}")
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (107, 107, 0o660)
        assert files.block_devices(held, os.path.dirname(node)) == {"vol": numbers}
        for _ in range(2):
            asyncio.run(files.remove_device(held, node, numbers))
        assert files.block_devices(held, os.path.dirname(node)) == {}
        os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(*numbers))
        assert not opens()
    finally:
        process.kill()
        process.wait()
        subprocess.run(["losetup", "--detach", loop], check=True)


def test_rules_of_version_2_are_replaced_as_a_whole(tmp_path: Path) -> None:
    assert UNIFIED is not None, "no control groups of version 2 are mounted"
    group = UNIFIED / f"kobune-test-{os.getpid()}"
    group.mkdir()

    def opens(path: str) -> bool:
        script = f"echo $$ > {group}/cgroup.procs && exec head -c 1 {path}"
        return subprocess.run(["sh", "-c", script], capture_output=True, check=False).returncode == 0

    null, zero = DeviceRule(block=False, major=1, minor=3), DeviceRule(block=False, major=1, minor=5)
    try:
        assert opens("/dev/zero")
        replace_filter(group, [null])
        assert (opens("/dev/null"), opens("/dev/zero")) == (True, False)
        replace_filter(group, [null, zero])
        assert (opens("/dev/null"), opens("/dev/zero"), opens("/dev/urandom")) == (True, True, False)
        replace_filter(group, [DeviceRule(block=False, major=1, minor=None)])
        assert (opens("/dev/zero"), opens("/dev/urandom")) == (True, True)
        replace_filter(group, [zero])
        assert (opens("/dev/null"), opens("/dev/zero")) == (False, True)
    finally:
        group.rmdir()
