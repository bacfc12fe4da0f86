"""Files of volumes: what they hold, how they are replaced, and that nothing leaves its directory."""

# ruff: noqa: ASYNC240 - small local files

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from kobune.api.core import ConfigMap, Secret
from kobune.embedded.kubelet.environment import ConfigError, Dependencies
from kobune.embedded.kubelet.names import KubeletPaths
from kobune.embedded.kubelet.volumes.atomic import write_files
from kobune.embedded.kubelet.volumes.content import FileContent, Tokens, token_requests, volume_files
from kobune.embedded.kubelet.volumes.provision import ImageVolumes, PodVolumes, VolumeError, make_sub_path
from kobune.host.mount import FakeMounter
from support.pods import pod

GIVEN = Dependencies(
    config_maps={"cm": ConfigMap(data={"a": "1", "b": "2"}, binary_data={"c": base64.b64encode(b"\0").decode()})},
    secrets={"s": Secret(data={"pw": base64.b64encode(b"secret").decode()})},
)
TOKENS = Tokens({("", 3600): "token", ("vault", 600): "other"})


def files(volume: dict[str, Any], **spec: Any) -> dict[str, tuple[bytes, int]]:
    the_pod = pod("c", volumes=[{"name": "v", **volume}], metadata={"labels": {"app": "web"}}, **spec)
    found = volume_files(the_pod, the_pod.spec.volumes[0], GIVEN, TOKENS)
    return {name: (content.data, content.mode) for name, content in found.items()}


def test_a_config_map_shows_all_keys_or_those_asked_for() -> None:
    assert files({"configMap": {"name": "cm"}}) == {"a": (b"1", 0o644), "b": (b"2", 0o644), "c": (b"\0", 0o644)}
    items = [{"key": "a", "path": "x/y", "mode": 0o600}, {"key": "b", "path": "z"}]
    assert files({"configMap": {"name": "cm", "items": items, "defaultMode": 0o400}}) == {
        "x/y": (b"1", 0o600),
        "z": (b"2", 0o400),
    }


def test_a_projected_volume_joins_its_sources() -> None:
    found = files(
        {
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "token"}},
                    {"serviceAccountToken": {"path": "vault", "audience": "vault", "expirationSeconds": 600}},
                    {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
                    {"secret": {"name": "s"}},
                    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                ]
            }
        },
        securityContext={"runAsUser": 107},
    )
    assert found == {
        "token": (b"token", 0o644),
        "vault": (b"other", 0o644),
        "a": (b"1", 0o644),
        "pw": (b"secret", 0o644),
        "labels": (b'app="web"', 0o644),
    }


def test_tokens_are_asked_for_once_per_audience_and_life() -> None:
    sources = [
        {"serviceAccountToken": {"path": "a"}},
        {"serviceAccountToken": {"path": "b"}},
        {"serviceAccountToken": {"path": "c", "audience": "x", "expirationSeconds": 900}},
    ]
    the_pod = pod("c", volumes=[{"name": "v", "projected": {"sources": sources}}])
    assert token_requests(the_pod) == {("", 3600), ("x", 900)}


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}}, "non-existent configmap key: z"),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "../a"}]}}, "invalid path"),
        ({"secret": {"secretName": "s", "items": [{"key": "pw", "path": "/etc/passwd"}]}}, "invalid path"),
    ],
)
def test_what_cannot_be_made_is_said(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        files(volume)


def test_an_optional_object_may_be_absent() -> None:
    assert files({"configMap": {"name": "none", "optional": True}}) == {}


def shown(directory: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir() if not entry.name.startswith("..")}


def test_files_are_replaced_at_once_and_old_ones_go(tmp_path: Path) -> None:
    assert write_files(tmp_path, {"a": FileContent(b"1", 0o644), "b": FileContent(b"2", 0o600)})
    assert shown(tmp_path) == {"a": b"1", "b": b"2"}
    assert not write_files(tmp_path, {"a": FileContent(b"1", 0o644), "b": FileContent(b"2", 0o600)})
    before = os.readlink(tmp_path / "..data")
    assert write_files(tmp_path, {"a": FileContent(b"3", 0o644)})
    assert shown(tmp_path) == {"a": b"3"}
    assert not (tmp_path / before).exists()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_paths_with_folders_show_the_folder(tmp_path: Path) -> None:
    write_files(tmp_path, {"x/y": FileContent(b"1", 0o644)})
    assert (tmp_path / "x" / "y").read_bytes() == b"1"
    write_files(tmp_path, {})
    assert shown(tmp_path) == {}


class NoCri:
    """No test here needs an image."""


def node_volumes(tmp_path: Path) -> tuple[PodVolumes, FakeMounter, KubeletPaths]:
    mounter = FakeMounter()
    paths = KubeletPaths(tmp_path / "kubelet", tmp_path / "logs")

    async def ensure(*_: object) -> None: ...

    images = ImageVolumes(NoCri(), NoCri(), mounter, ensure)  # type: ignore[arg-type]
    return PodVolumes(paths, mounter, images), mounter, paths


async def test_empty_dirs_are_writable_for_all_and_memory_is_a_mount(tmp_path: Path) -> None:
    volumes, mounter, paths = node_volumes(tmp_path)
    the_pod = pod(
        "c",
        volumes=[
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
    )
    made = await volumes.prepare(the_pod, GIVEN, TOKENS)
    assert Path(made["disk"].host_path).stat().st_mode & 0o777 == 0o777
    assert [(own[0], own[2].name, own[3]) for own in mounter.mounts] == [
        ("tmpfs", "memory", ("mode=0777", "size=1048576"))
    ]
    (Path(made["disk"].host_path) / "kept").write_text("x")
    assert await volumes.prepare(the_pod, GIVEN, TOKENS) == made
    assert (Path(made["disk"].host_path) / "kept").exists()
    assert len(mounter.mounts) == 1
    await volumes.tear_down(the_pod.metadata.uid)
    assert mounter.mounts == []
    assert not paths.pod(the_pod.metadata.uid).exists()
    await volumes.tear_down(the_pod.metadata.uid)


async def test_secrets_live_in_memory_only(tmp_path: Path) -> None:
    volumes, mounter, _ = node_volumes(tmp_path)
    the_pod = pod("c", volumes=[{"name": "s", "secret": {"secretName": "s"}}])
    made = await volumes.prepare(the_pod, GIVEN, TOKENS)
    assert made["s"].read_only
    assert [own[0] for own in mounter.mounts] == ["tmpfs"]


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"hostPath": {"path": "/no/such", "type": "Directory"}}, "is not a directory"),
        ({"hostPath": {"path": "/etc", "type": "File"}}, "is not a file"),
        ({"hostPath": {"path": "/etc", "type": "Socket"}}, "is not a socket file"),
        ({"persistentVolumeClaim": {"claimName": "x"}}, "no storage"),
        ({"csi": {"driver": "x"}}, "no volume plugin matched"),
    ],
)
async def test_volumes_that_cannot_be_made_name_themselves(
    tmp_path: Path, volume: dict[str, Any], message: str
) -> None:
    volumes, _, _ = node_volumes(tmp_path)
    with pytest.raises(VolumeError, match=f'volume "v" : .*{message}'):
        await volumes.prepare(pod("c", volumes=[{"name": "v", **volume}]), GIVEN, TOKENS)


async def test_a_tree_with_a_mount_in_it_is_never_deleted(tmp_path: Path) -> None:
    volumes, mounter, _ = node_volumes(tmp_path)
    the_pod = pod("c", volumes=[{"name": "d", "emptyDir": {}}])
    made = await volumes.prepare(the_pod, GIVEN, TOKENS)
    stuck = Path(made["d"].host_path)

    async def refuse(target: Path) -> None: ...

    mounter.mounts.append(("nfs", "server:/x", stuck, ()))
    mounter.unmount = refuse  # type: ignore[method-assign]
    with pytest.raises(VolumeError, match="still mounted"):
        await volumes.tear_down(the_pod.metadata.uid)
    assert stuck.exists()


def test_a_sub_path_is_made_and_links_out_of_the_volume_are_refused(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    make_sub_path(volume, volume / "a" / "b")
    assert (volume / "a" / "b").is_dir()
    make_sub_path(volume, volume / "a")
    (volume / "out").symlink_to("/etc")
    (volume / "up").symlink_to("..")
    (volume / "inside").symlink_to("a")
    make_sub_path(volume, volume / "inside" / "b")
    for name in ("out", "out/ssh", "up", "up/other"):
        with pytest.raises(VolumeError, match="leads out of its volume"):
            make_sub_path(volume, volume / name)
    assert not (tmp_path / "other").exists()
