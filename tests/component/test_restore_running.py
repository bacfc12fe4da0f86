"""`kobune restore` of an instance that runs: the supervisor goes on with the backup's state, or with the old one."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kobune.main.archive import STORE, Manifest, digest_of, unpack, write_archive
from support.instance import free_port
from support.kubectl import KUBECTLS, Kubectl

KOBUNE = [sys.executable, "-m", "kobune.main.entry"]
START_TIMEOUT_S = 120.0


def kobune(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KOBUNE, *arguments], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)


class Instance:
    """A control plane in the foreground of a process of its own."""

    def __init__(self, folder: Path) -> None:
        # As long as paths of real users may be: longer than the address of a unix socket.
        self.data = folder / ("d" * 100)
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def up(self) -> str:
        """Start; everything it says up to the ready line."""
        command = [*KOBUNE, "up", "--control-plane-only", f"--data-dir={self.data}", f"--listen=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("Ready"):
                return said
        raise AssertionError(f"not ready: {said}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and wait."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        with self.process.stdout:
            return self.process.wait(timeout=60)

    def kubectl(self, *arguments: str) -> str:
        return Kubectl(KUBECTLS[0], self.data / "kubeconfig", "default")(*arguments)

    def maps(self) -> set[str]:
        """The names of the test's ConfigMaps."""
        found = self.kubectl("get", "cm", "-l", "test", "-o", "jsonpath={.items[*].metadata.name}")
        return set(found.split())

    def make(self, name: str) -> int:
        """Create a ConfigMap; its revision."""
        self.kubectl("create", "cm", name)
        labelled = self.kubectl("label", "cm", name, "test=yes", "-o", "jsonpath={.metadata.resourceVersion}")
        return int(labelled)

    def components(self) -> dict[str, int]:
        pids: dict[str, int] = json.loads((self.data / "run/components.json").read_text())
        return pids


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    instance = Instance(tmp_path)
    instance.up()
    yield instance
    assert instance.process is not None
    if instance.process.poll() is None:
        assert instance.end() == 0


def test_an_instance_that_runs_goes_back_to_the_backup(instance: Instance, tmp_path: Path) -> None:
    instance.make("first")
    assert kobune("backup", str(tmp_path / "copy"), "--data-dir", str(instance.data)).returncode == 0
    late = instance.make("late")
    before = instance.components()
    for _ in range(2):
        done = kobune("restore", str(tmp_path / "copy"), "--data-dir", str(instance.data))
        assert done.returncode == 0, done.stderr
        assert "it runs again" in done.stdout
        assert instance.process is not None
        assert instance.process.poll() is None, "the supervisor is the same process"
        assert instance.maps() == {"first"}
        after = instance.components()
        assert set(after) == set(before)
        assert not set(after.values()) & set(before.values()), "every component has read the restored state"
        stale = instance.kubectl("get", "--raw", f"/api/v1/configmaps?watch=1&resourceVersion={late}")
        assert "too old resource version" in stale, "a client from before lists again"
        late, earlier = instance.make("late"), late
        assert late > earlier
        before = after
    assert kobune("status", "--data-dir", str(instance.data)).returncode == 0
    assert len(list(instance.data.glob("replaced-*"))) == 2


def test_a_bad_file_disturbs_nobody(instance: Instance, tmp_path: Path) -> None:
    assert kobune("backup", str(tmp_path / "copy"), "--data-dir", str(instance.data)).returncode == 0
    instance.make("late")
    before = instance.components()
    (tmp_path / "bad").write_bytes((tmp_path / "copy").read_bytes()[:-100])
    done = kobune("restore", str(tmp_path / "bad"), "--data-dir", str(instance.data))
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr.splitlines()[-1]
    assert instance.components() == before
    assert instance.maps() == {"late"}
    assert not list(instance.data.glob("replaced-*")) + list(instance.data.glob(".restore*"))


def test_a_state_that_does_not_start_gives_way_to_the_old_one(instance: Instance, tmp_path: Path) -> None:
    assert kobune("backup", str(tmp_path / "copy"), "--data-dir", str(instance.data)).returncode == 0
    late = instance.make("late")
    folder = tmp_path / "unpacked"
    folder.mkdir()
    manifest = unpack(tmp_path / "copy", folder)
    keys = {name: (folder / name).read_bytes() for name in manifest.files if name != STORE}
    (folder / "pki/ca.key").write_bytes(b"no key at all")
    keys["pki/ca.key"] = b"no key at all"
    files = {name: digest_of(folder / name) for name in (*keys, STORE)}
    broken = Manifest(format=1, kobune="1", created="then", revision=manifest.revision, files=files)
    write_archive(tmp_path / "broken", broken, keys, folder / STORE)
    done = kobune("restore", str(tmp_path / "broken"), "--data-dir", str(instance.data))
    assert done.returncode == 1
    assert "the instance goes on as it was" in done.stderr.splitlines()[-1]
    assert instance.maps() == {"late"}
    assert instance.make("later") > late
    assert kobune("status", "--data-dir", str(instance.data)).returncode == 0


def test_a_supervisor_killed_during_a_restore_starts_with_one_state(instance: Instance, tmp_path: Path) -> None:
    instance.make("first")
    assert kobune("backup", str(tmp_path / "copy"), "--data-dir", str(instance.data)).returncode == 0
    instance.make("late")
    command = [*KOBUNE, "restore", str(tmp_path / "copy"), "--data-dir", str(instance.data)]
    for words, expected in (("checked", {"first", "late"}), ("replaced", {"first"})):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
            assert asking.stdout is not None
            assert asking.stderr is not None
            assert any(words in line for line in asking.stdout)
            assert instance.end(signal.SIGKILL) == -signal.SIGKILL
            assert "kobune up" in asking.stderr.read()
            assert asking.wait(timeout=60) == 1
        instance.up()
        assert instance.maps() == expected
