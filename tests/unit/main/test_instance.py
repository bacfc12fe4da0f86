"""One instance per data directory, whatever way the last one ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kobune.main.instance import InstanceRunning, hold_instance, running_pid, stop_instance

HOLD = (
    "import sys, time; from pathlib import Path; from kobune.main.instance import hold_instance\n"
    "with hold_instance(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)\n"
)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


def hold_in_other_process(run_dir: Path) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(run_dir)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    child.stdout.close()
    return child


def test_a_second_instance_is_told_who_the_first_one_is(run_dir: Path) -> None:
    child = hold_in_other_process(run_dir)
    try:
        with pytest.raises(InstanceRunning, match=f"pid {child.pid}.*kobune down"), hold_instance(run_dir):
            pass
        assert running_pid(run_dir) == child.pid
    finally:
        child.kill()
        child.wait()


def test_a_killed_instance_leaves_no_lock(run_dir: Path) -> None:
    child = hold_in_other_process(run_dir)
    child.kill()
    child.wait()
    assert running_pid(run_dir) is None
    with hold_instance(run_dir):
        assert os.getpid() == running_pid(run_dir)


def test_down_waits_until_the_instance_has_ended(run_dir: Path) -> None:
    child = hold_in_other_process(run_dir)
    assert stop_instance(run_dir, timeout_s=30.0)
    assert child.wait() == -signal.SIGTERM
    assert not stop_instance(run_dir)


def test_an_instance_that_does_not_end_is_named(run_dir: Path) -> None:
    deaf = HOLD.replace("import sys", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); import sys", 1)
    child = subprocess.Popen([sys.executable, "-c", deaf, str(run_dir)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    try:
        with pytest.raises(TimeoutError, match=f"pid {child.pid}"):
            stop_instance(run_dir, timeout_s=0.2)
    finally:
        child.kill()
        child.wait()
