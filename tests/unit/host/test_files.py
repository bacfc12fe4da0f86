"""What host drivers write and read: containerd's and CNI's configuration, mounts, cgroups."""

import json
import tomllib
from pathlib import Path

from kobune.host.cgroup import Cgroups
from kobune.host.cni import BridgeNetwork, conflist, write_conflist
from kobune.host.containerd import ContainerdConfig, ContainerdDaemon, render_config
from kobune.host.containerd.images import import_image, list_images
from kobune.host.mount import HostMounter, mount_points_below
from kobune.host.run.fake import FakeRunner


def test_the_containerd_configuration_is_toml_and_stays_in_its_directory(tmp_path: Path) -> None:
    config = ContainerdConfig.for_data_dir(tmp_path / 'odd "name"', pause_image="p:1")
    document = tomllib.loads(render_config(config))
    assert document["version"] == 2
    for path in (document["root"], document["state"], document["grpc"]["address"]):
        assert path.startswith(str(tmp_path))
    cri = document["plugins"]["io.containerd.grpc.v1.cri"]
    assert (cri["sandbox_image"], cri["disable_apparmor"], cri["restrict_oom_score_adj"]) == ("p:1", True, False)
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is False
    assert cri["cni"]["conf_dir"].startswith(str(tmp_path))


def test_a_stale_pid_file_names_no_daemon(tmp_path: Path) -> None:
    config = ContainerdConfig.for_data_dir(tmp_path)
    daemon = ContainerdDaemon(config, FakeRunner())
    assert daemon.pid() is None
    config.pid_file.parent.mkdir(parents=True)
    config.pid_file.write_text("1\n")
    assert daemon.pid() is None
    config.pid_file.write_text("rubbish")
    assert daemon.pid() is None


async def test_images_are_imported_and_listed_in_the_cri_namespace() -> None:
    runner = FakeRunner()
    runner.on(
        "ctr", stdout=b"REF TYPE DIGEST SIZE\nkobune.io/a:1 application/x sha256:ab 1 MiB -\nsha256:cd y sha256:ab 1\n"
    )
    await import_image(Path("/s"), Path("/a.tar"), runner=runner)
    assert await list_images(Path("/s"), runner=runner) == {"kobune.io/a:1": "sha256:ab", "sha256:cd": "sha256:ab"}
    assert runner.calls[0].args == ("ctr", "--address", "/s", "--namespace", "k8s.io", "images", "import", "/a.tar")


def test_the_network_is_a_bridge_with_a_gateway(tmp_path: Path) -> None:
    network = BridgeNetwork("net", "br0", "10.1.2.0/24", tmp_path / "state", mtu=1400)
    bridge, portmap = conflist(network)["plugins"]
    assert network.gateway == "10.1.2.1"
    assert (bridge["bridge"], bridge["isGateway"], bridge["ipMasq"], bridge["mtu"]) == ("br0", True, True, 1400)
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.1.2.0/24", "gateway": "10.1.2.1"}]]
    assert portmap["capabilities"] == {"portMappings": True}
    written = write_conflist(network, tmp_path / "conf")
    assert json.loads(written.read_text()) == conflist(network)
    before = written.stat().st_mtime_ns
    write_conflist(network, tmp_path / "conf")
    assert written.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "conf").iterdir()] == ["10-net.conflist"]


MOUNTINFO = r"""
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:20 / /pods/a rw - tmpfs tmpfs rw
31 30 0:21 / /pods/a/volumes/with\040space rw - tmpfs tmpfs rw
32 22 0:22 / /pods/ab rw - tmpfs tmpfs rw
33 30 0:23 / /pods/a rw - overlay overlay rw
"""


def test_mounts_are_found_below_a_path_newest_first() -> None:
    assert mount_points_below(Path("/pods/a"), MOUNTINFO) == [
        Path("/pods/a"),
        Path("/pods/a/volumes/with space"),
        Path("/pods/a"),
    ]


async def test_read_only_binds_are_bound_and_then_remounted(tmp_path: Path) -> None:
    runner = FakeRunner()
    runner.on("mount")
    await HostMounter(runner).mount("bind", "/from", tmp_path, ("ro", "rbind"))
    await HostMounter(runner).mount("tmpfs", "tmpfs", tmp_path, ("size=1",))
    assert [call.args for call in runner.calls] == [
        ("mount", "--rbind", "/from", str(tmp_path)),
        ("mount", "-o", "remount,bind,ro", str(tmp_path)),
        ("mount", "-t", "tmpfs", "-o", "size=1", "tmpfs", str(tmp_path)),
    ]
    await HostMounter(runner).unmount(tmp_path)
    assert len(runner.calls) == 3


def test_cgroups_are_found_in_every_hierarchy_and_removed(tmp_path: Path) -> None:
    for hierarchy in ("cpu", "memory"):
        (tmp_path / hierarchy / "kobune" / "pod1").mkdir(parents=True)
    cgroups = Cgroups(tmp_path)
    assert len(cgroups.directories("/kobune")) == 2
    assert cgroups.processes("/kobune") == set()
    assert cgroups.remove("/kobune/pod1")
    assert cgroups.directories("/kobune/pod1") == []
    assert cgroups.remove("/kobune/pod1")
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "kobune" / "pod2").mkdir(parents=True)
    assert cgroups.directories("/kobune") == [tmp_path / "kobune"]
