"""What virt-handler raises for a guest: limits and priorities of the processes in its container, and of no others."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kobune.host.procroot import HeldProcess, grant_devices_below
from kobune.host.procroot.siblings import siblings
from kobune.virt.handler.devices import memorylock
from kobune.virt.handler.devices.memorylock import allow_locked_memory
from kobune.virt.handler.instance.realtime import NoRealtime, make_realtime

pytestmark = pytest.mark.node


@pytest.fixture
def container() -> Iterator[int]:
    """The id, here, of a process that is the first one of a process namespace; it has a child."""
    script = "import os, time\nif os.fork() == 0: time.sleep(60)\nprint(flush=True); time.sleep(60)"
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as outside:
        assert outside.stdout is not None
        outside.stdout.readline()
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
        yield int(children[0])
        outside.kill()


def test_the_processes_of_a_container_are_its_siblings(container: int) -> None:
    found = set(siblings(HeldProcess(container)))
    assert container in found
    assert len(found) == 2
    assert os.getpid() not in found


def test_the_memory_of_a_container_can_be_locked_and_nobody_else_s(
    container: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # As much as the hard limit allows: raising that needs a capability that not every machine's root has.
    _, hard = resource.prlimit(container, resource.RLIMIT_MEMLOCK)
    wanted = 1 << 30 if hard == resource.RLIM_INFINITY else hard
    resource.prlimit(container, resource.RLIMIT_MEMLOCK, (4096, hard))
    monkeypatch.setattr(memorylock, "BESIDE_GUEST_BYTES", 0)
    assert allow_locked_memory(HeldProcess(container), wanted) == 2
    assert resource.prlimit(container, resource.RLIMIT_MEMLOCK)[0] == wanted
    assert resource.getrlimit(resource.RLIMIT_MEMLOCK) == mine


def may_be_realtime() -> bool:
    """Whether this machine's kernel gives its processes real-time priority at all."""
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            os.sched_setscheduler(other.pid, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            return False
        finally:
            other.kill()
    return True


def test_only_the_threads_of_chosen_virtual_cpus_become_real_time(tmp_path: Path) -> None:
    """Two threads of this very process play virtual CPUs."""
    ready, over = threading.Barrier(3), threading.Event()
    ids: dict[int, int] = {}

    def vcpu(number: int) -> None:
        thread = threading.get_native_id()
        Path(f"/proc/self/task/{thread}/comm").write_text(f"CPU {number}/KVM")
        ids[number] = thread
        ready.wait(10)
        over.wait(60)

    threads = [threading.Thread(target=vcpu, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        ready.wait(10)
        held = HeldProcess(os.getpid())
        if not may_be_realtime():
            with pytest.raises(NoRealtime, match="does not allow"):
                make_realtime(held, frozenset({1}))
            return
        make_realtime(held, frozenset({1}))
        assert os.sched_getscheduler(ids[1]) == os.SCHED_FIFO
        assert os.sched_getscheduler(ids[0]) == os.SCHED_OTHER
        with pytest.raises(NoRealtime, match="virtual CPU 2"):
            make_realtime(held, frozenset({1, 2}))
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_only_character_devices_in_the_folder_are_granted() -> None:
    command = (
        "mount -t tmpfs none /mnt && mkdir -p /mnt/bus/001 && mknod -m 600 /mnt/bus/001/002 c 1 3 && "
        "mknod -m 600 /mnt/near c 1 3 && touch /mnt/file && ln -s /etc/passwd /mnt/link && echo && sleep 60"
    )
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", command], stdout=subprocess.PIPE) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        process = HeldProcess(inside.pid)
        assert grant_devices_below(process, "/mnt", 107) == ["/mnt/near"]
        assert grant_devices_below(process, "/mnt", 107, depth=3) == ["/mnt/bus/001/002", "/mnt/near"]
        assert grant_devices_below(process, "/nowhere", 107) == []
        status = Path(f"/proc/{inside.pid}/root/mnt/bus/001/002").stat()
        assert (status.st_gid, status.st_mode & 0o777) == (107, 0o660)
        inside.kill()
