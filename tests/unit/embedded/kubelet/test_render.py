"""Pods as the runtime gets them."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from kobune.embedded.kubelet.environment import ConfigError, Dependencies
from kobune.embedded.kubelet.names import KubeletPaths
from kobune.embedded.kubelet.render import (
    ContainerInput,
    DeviceAllocation,
    DnsConfig,
    MountedVolume,
    container_config,
    hostname,
    sandbox_config,
)
from kobune.host.cri.types import ImageInfo
from support.pods import UID, pod

PATHS = KubeletPaths(Path("/k"), Path("/logs"))
IMAGE = ImageInfo("sha256:abc", ("img:1",), (), 10)


def sandbox(the_pod: Any) -> dict[str, Any]:
    dns = DnsConfig(("10.0.0.10",), ("svc.cluster.local",), ("ndots:5",))
    document: dict[str, Any] = MessageToDict(
        sandbox_config(the_pod, 2, PATHS, dns, "/kobune"), preserving_proto_field_name=True
    )
    return document


def render(the_pod: Any, index: int = 0, image: ImageInfo = IMAGE, **more: Any) -> dict[str, Any]:
    given = ContainerInput(
        container=the_pod.spec.containers[index],
        attempt=3,
        backoff_s=20,
        image=image,
        volumes=more.pop("volumes", {}),
        dependencies=more.pop("dependencies", Dependencies()),
        paths=PATHS,
        message_file="/k/message",
        node_memory_bytes=8 << 30,
        **more,
    )
    document: dict[str, Any] = MessageToDict(container_config(the_pod, given), preserving_proto_field_name=True)
    return document


def test_a_sandbox_names_the_pod_and_its_places() -> None:
    config = sandbox(pod("c", metadata={"labels": {"app": "web"}, "annotations": {"note": "x"}}))
    assert config["metadata"] == {"name": "web", "uid": UID, "namespace": "default", "attempt": 2}
    assert config["hostname"] == "web"
    assert config["log_directory"] == f"/logs/default_web_{UID}"
    assert config["dns_config"] == {
        "servers": ["10.0.0.10"],
        "searches": ["svc.cluster.local"],
        "options": ["ndots:5"],
    }
    assert config["labels"]["app"] == "web"
    assert config["labels"]["io.kubernetes.pod.uid"] == UID
    assert config["annotations"] == {"note": "x", "io.kubernetes.pod.terminationGracePeriod": "30"}
    assert config["linux"]["cgroup_parent"] == f"/kobune/pod{UID}"
    assert config["linux"]["security_context"]["namespace_options"] == {"pid": "CONTAINER"}


def test_host_namespaces_and_ports() -> None:
    config = sandbox(pod("c", hostNetwork=True, hostPID=True, hostIPC=True))
    assert config["linux"]["security_context"]["namespace_options"] == {"network": "NODE", "pid": "NODE", "ipc": "NODE"}
    assert "hostname" not in config
    ports = [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP", "hostIP": "127.0.0.1"}, {"containerPort": 81}]
    config = sandbox(pod({"name": "c", "ports": ports}))
    assert config["port_mappings"] == [
        {"protocol": "UDP", "container_port": 80, "host_port": 8080, "host_ip": "127.0.0.1"}
    ]


@pytest.mark.parametrize(("name", "expected"), [("web", "web"), ("x" * 70, "x" * 63), ("a" * 62 + "-b", "a" * 62)])
def test_host_names_are_short_and_end_well(name: str, expected: str) -> None:
    assert hostname(pod("c", metadata={"name": name})) == expected


def test_a_container_has_command_environment_mounts_and_its_records() -> None:
    the_pod = pod(
        {
            "name": "c",
            "command": ["run", "$(MODE)", "$$(MODE)", "$(UNKNOWN)"],
            "args": ["--mode=$(MODE)"],
            "env": [{"name": "MODE", "value": "fast"}, {"name": "BOTH", "value": "$(MODE)-$(MODE)"}],
            "volumeMounts": [
                {"name": "data", "mountPath": "/data", "subPath": "a/b"},
                {"name": "image", "mountPath": "/image"},
            ],
            "terminationMessagePath": "/tmp/message",
        }
    )
    volumes = {"data": MountedVolume("/k/data"), "image": MountedVolume("/k/image", read_only=True)}
    config = render(the_pod, volumes=volumes)
    assert config["metadata"] == {"name": "c", "attempt": 3}
    assert config["image"] == {"image": "sha256:abc"}
    assert config["command"] == ["run", "fast", "$(MODE)", "$(UNKNOWN)"]
    assert config["args"] == ["--mode=fast"]
    assert {own["key"]: own["value"] for own in config["envs"]} == {
        "HOSTNAME": "web",
        "MODE": "fast",
        "BOTH": "fast-fast",
    }
    assert config["mounts"] == [
        {"container_path": "/data", "host_path": "/k/data/a/b"},
        {"container_path": "/image", "host_path": "/k/image", "readonly": True},
        {"container_path": "/tmp/message", "host_path": "/k/message"},
        {"container_path": "/etc/hosts", "host_path": f"/k/pods/{UID}/etc-hosts"},
    ]
    assert config["log_path"] == "c/3.log"
    assert config["annotations"]["kobune.io/restart-backoff-seconds"] == "20"
    assert config["labels"]["io.kubernetes.container.name"] == "c"


@pytest.mark.parametrize("path", ["../etc", "/etc", "a/../../b"])
def test_a_sub_path_stays_inside_its_volume(path: str) -> None:
    the_pod = pod({"name": "c", "volumeMounts": [{"name": "d", "mountPath": "/d", "subPath": path}]})
    with pytest.raises(ConfigError, match="relative path"):
        render(the_pod, volumes={"d": MountedVolume("/k/d")})


def test_an_unknown_volume_is_named() -> None:
    the_pod = pod({"name": "c", "volumeMounts": [{"name": "d", "mountPath": "/d"}]})
    with pytest.raises(ConfigError, match='cannot find volume "d"'):
        render(the_pod)


def test_the_containers_security_context_wins_over_the_pods() -> None:
    the_pod = pod(
        {
            "name": "c",
            "securityContext": {
                "runAsUser": 107,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
        },
        securityContext={
            "runAsUser": 1,
            "runAsGroup": 2,
            "fsGroup": 3,
            "supplementalGroups": [4],
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    )
    security = render(the_pod)["linux"]["security_context"]
    assert security["run_as_user"] == {"value": "107"}
    assert security["run_as_group"] == {"value": "2"}
    assert security["supplemental_groups"] == ["4", "3"]
    assert security["capabilities"] == {"add_capabilities": ["NET_BIND_SERVICE"], "drop_capabilities": ["ALL"]}
    assert security["no_new_privs"] is True
    assert security["readonly_rootfs"] is True
    assert security["seccomp"] == {}  # RuntimeDefault is the message's zero
    assert "/proc/kcore" in security["masked_paths"]


def test_without_a_profile_seccomp_is_off_and_privileged_masks_nothing() -> None:
    assert render(pod("c"))["linux"]["security_context"]["seccomp"] == {"profile_type": "Unconfined"}
    security = render(pod({"name": "c", "securityContext": {"privileged": True}}))["linux"]["security_context"]
    assert security["privileged"] is True
    assert "masked_paths" not in security


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (IMAGE, "image will run as root"),
        (ImageInfo("i", (), (), 1, uid=0), "image will run as root"),
        (ImageInfo("i", (), (), 1, username="web"), "non-numeric user"),
    ],
)
def test_run_as_non_root_refuses_root(image: ImageInfo, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        render(pod({"name": "c", "securityContext": {"runAsNonRoot": True}}), image=image)


def test_the_images_user_is_kept() -> None:
    security = render(pod("c"), image=ImageInfo("i", (), (), 1, uid=33))["linux"]["security_context"]
    assert security["run_as_user"] == {"value": "33"}
    security = render(pod("c"), image=ImageInfo("i", (), (), 1, username="web"))["linux"]["security_context"]
    assert security["run_as_username"] == "web"


def test_resources_become_shares_quota_and_limit() -> None:
    the_pod = pod(
        {
            "name": "c",
            "resources": {
                "requests": {"cpu": "250m", "memory": "1Gi"},
                "limits": {"cpu": "1500m", "memory": "2Gi", "hugepages-2Mi": "4Mi"},
            },
        }
    )
    resources = render(the_pod)["linux"]["resources"]
    assert resources == {
        "cpu_period": "100000",
        "cpu_quota": "150000",
        "cpu_shares": "256",
        "memory_limit_in_bytes": str(2 << 30),
        "oom_score_adj": "875",
        "hugepage_limits": [{"page_size": "2MB", "limit": str(4 << 20)}],
    }


@pytest.mark.parametrize(
    ("resources", "score"),
    [
        ({}, 1000),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, -997),
        ({"requests": {"memory": "100Gi"}}, 3),
        ({"requests": {"cpu": "1"}}, 999),
    ],
)
def test_who_dies_first(resources: dict[str, Any], score: int) -> None:
    config = render(pod({"name": "c", "resources": resources}))
    assert int(config["linux"]["resources"]["oom_score_adj"]) == score


def test_devices_come_with_environment_mounts_and_nodes() -> None:
    allocation = DeviceAllocation(
        envs={"DEVICE": "tun"},
        annotations={"note": "y"},
        mounts=[("/lib/x", "/host/x", True)],
        devices=[("/dev/net/tun", "/dev/net/tun", "rw")],
    )
    config = render(pod("c"), allocation=allocation)
    assert config["devices"] == [{"container_path": "/dev/net/tun", "host_path": "/dev/net/tun", "permissions": "rw"}]
    assert {"container_path": "/lib/x", "host_path": "/host/x", "readonly": True} in config["mounts"]
    assert {"key": "DEVICE", "value": "tun"} in config["envs"]
    assert config["annotations"]["note"] == "y"


def test_block_volumes_are_devices() -> None:
    the_pod = pod({"name": "c", "volumeDevices": [{"name": "disk", "devicePath": "/dev/disk"}]})
    volumes = {"disk": MountedVolume("/dev/loop0", block=True)}
    assert render(the_pod, volumes=volumes)["devices"] == [
        {"container_path": "/dev/disk", "host_path": "/dev/loop0", "permissions": "mrw"}
    ]
    with pytest.raises(ConfigError, match="no block volume"):
        render(the_pod, volumes={"disk": MountedVolume("/dir")})
    mounted = pod({"name": "c", "volumeMounts": [{"name": "disk", "mountPath": "/d"}]})
    with pytest.raises(ConfigError, match="is a block volume"):
        render(mounted, volumes=volumes)
