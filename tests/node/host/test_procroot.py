"""Devices of a container are opened to its user from outside, and nothing else is touched."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kobune.host import procroot
from kobune.host.procroot import HeldProcess
from support.netlab import Space, pod_root, space

pytestmark = pytest.mark.node

LOOP = os.makedev(7, 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return pod_root(tmp_path / "root", "nameserver 10.0.0.1\n")


@pytest.fixture
def container(root: Path) -> Iterator[Space]:
    with space(root) as made:
        yield made


def mode_and_group(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mode & 0o777, status.st_gid


def test_a_block_device_is_opened_to_the_group(root: Path, container: Space) -> None:
    node = root / "dev" / "disk"
    os.mknod(node, 0o060600, LOOP)
    procroot.grant_block_device(HeldProcess(container.pid), "/dev/disk", 107)
    assert mode_and_group(node) == (0o660, 107)
    procroot.grant_block_device(HeldProcess(container.pid), "/dev/disk", 107)


def test_a_character_device_must_have_the_numbers_that_were_meant(root: Path, container: Space) -> None:
    procroot.grant_device(HeldProcess(container.pid), "/dev/net/tun", (10, 200), 107)
    assert mode_and_group(root / "dev/net/tun") == (0o660, 107)
    with pytest.raises(procroot.UnsafePath):
        procroot.grant_device(HeldProcess(container.pid), "/dev/net/tun", (10, 232), 107)


def test_what_is_no_device_is_left_alone(root: Path, container: Space) -> None:
    file = root / "dev" / "file"
    file.write_text("")
    before = mode_and_group(file)
    for path in ("/dev/file", "/dev/net/tun"):
        with pytest.raises(procroot.UnsafePath):
            procroot.grant_block_device(HeldProcess(container.pid), path, 107)
    with pytest.raises(procroot.UnsafePath):
        procroot.grant_device(HeldProcess(container.pid), "/dev/file", (10, 200), 107)
    assert mode_and_group(file) == before
    with pytest.raises(FileNotFoundError):
        procroot.grant_block_device(HeldProcess(container.pid), "/dev/none", 107)


def test_no_link_is_followed_at_any_place(root: Path, container: Space, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    os.mknod(outside / "disk", 0o060600, LOOP)
    (root / "dev" / "last").symlink_to(outside / "disk")
    (root / "dev" / "middle").symlink_to(outside)
    for path in ("/dev/last", "/dev/middle/disk"):
        with pytest.raises(procroot.UnsafePath):
            procroot.grant_block_device(HeldProcess(container.pid), path, 107)
    assert mode_and_group(outside / "disk") == (0o600, 0)
    with pytest.raises(ValueError, match="absolute"):
        procroot.read_text(HeldProcess(container.pid), "/etc/../../passwd")


def test_a_file_is_read_up_to_its_limit_and_a_pipe_is_not(root: Path, container: Space) -> None:
    assert procroot.read_text(HeldProcess(container.pid), "/etc/resolv.conf", limit_bytes=10) == "nameserver"
    os.mkfifo(root / "etc" / "pipe")
    with pytest.raises(procroot.UnsafePath):
        procroot.read_text(HeldProcess(container.pid), "/etc/pipe")


def test_a_process_that_has_ended_is_told(root: Path) -> None:
    with space(root) as made:
        pid = made.pid
        held = HeldProcess(pid)
        assert procroot.read_text(held, "/etc/resolv.conf")
    with pytest.raises(procroot.ProcessGone):
        procroot.read_text(held, "/etc/resolv.conf")
    with pytest.raises(procroot.ProcessGone):
        HeldProcess(pid)


def test_a_process_outside_of_the_control_group_is_not_touched(container: Space) -> None:
    uid = "0b1f1a5e-8a3c-4f6e-9a52-6d7d3c9e1f00"
    with pytest.raises(procroot.ForeignProcess):
        HeldProcess.of_group(container.pid, uid)
    with pytest.raises(procroot.ForeignProcess):
        HeldProcess.of_group(container.pid, "")
    # As systemd names the slice of a pod.
    group = Path("/sys/fs/cgroup/pids") / f"kubepods-pod{uid.replace('-', '_')}.slice"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(container.pid))
        assert HeldProcess.of_group(container.pid, uid).pid == container.pid
        Path("/sys/fs/cgroup/pids/cgroup.procs").write_text(str(container.pid))
    finally:
        group.rmdir()
