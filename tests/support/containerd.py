"""A containerd of our own for tests on a real machine: its own directories, bridge, subnet and cgroup, all removed."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kobune.embedded.kubelet.cleanup import NodeRemains, remove_node
from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.cni import write_conflist
from kobune.host.containerd import ContainerdConfig, ContainerdDaemon, import_image
from support.busybox_image import BUSYBOX, write_busybox_archive

__all__ = ["TEST_IMAGE", "TestNode", "skip_without_containerd", "test_node"]

TEST_IMAGE = "kobune.io/test:v1"
PAUSE_IMAGE = "kobune.io/pause:test"


def skip_without_containerd() -> None:
    """Skip, with the reason, where a node cannot run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for program in ("containerd", "runc", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    if not Path("/usr/lib/cni/bridge").exists() or not BUSYBOX.exists():
        pytest.skip("needs containernetworking-plugins and busybox-static")


@dataclass(frozen=True, slots=True)
class TestNode:
    """One instance; `data_dir` is short, because unix sockets live below it."""

    __test__ = False

    data_dir: Path
    containerd: ContainerdConfig
    daemon: ContainerdDaemon
    instance: NodeInstance

    @property
    def remains(self) -> NodeRemains:
        """For the clean-up."""
        return NodeRemains(
            containerd=self.containerd,
            kubelet_root=self.data_dir / "kubelet",
            pod_logs=self.data_dir / "logs" / "pods",
            run_dir=self.data_dir / "run" / "exec",
            network=self.instance.network,
            cgroup_root=self.instance.cgroup_root,
            keep_images=False,
        )


@contextlib.asynccontextmanager
async def test_node() -> AsyncIterator[TestNode]:
    """Start containerd with a busybox image; at the end everything is removed and that is checked."""
    data_dir = Path(tempfile.mkdtemp(prefix="kbt-", dir="/tmp"))
    number = int(hashlib.sha256(str(data_dir).encode()).hexdigest()[:4], 16)
    subnet = f"10.{200 + number % 50}.{number >> 8}.0/24"
    config = ContainerdConfig.for_data_dir(data_dir, pause_image=PAUSE_IMAGE)
    node = TestNode(data_dir, config, ContainerdDaemon(config), NodeInstance.of(data_dir, subnet))
    try:
        write_conflist(node.instance.network, node.instance.cni_conf_dir)
        await node.daemon.ensure()
        archive = data_dir / "busybox.tar"
        write_busybox_archive(archive, PAUSE_IMAGE, TEST_IMAGE)
        await import_image(config.socket, archive)
        yield node
    finally:
        left = await remove_node(node.remains, grace_s=0)
        shutil.rmtree(data_dir, ignore_errors=True)
        assert left == []


test_node.__test__ = False  # type: ignore[attr-defined]
