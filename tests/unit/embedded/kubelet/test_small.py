"""DNS, images, QoS, node status, names, certificates and the wire framing of streams."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509

from kobune.api.core import Node, NodeSystemInfo, Secret
from kobune.embedded.kubelet.certificates import ensure_serving_certificate
from kobune.embedded.kubelet.dns import parse_resolv_conf, pod_dns
from kobune.embedded.kubelet.images import ImageError, Images, default_policy, registry_auth
from kobune.embedded.kubelet.instance import NodeInstance
from kobune.embedded.kubelet.machine import Machine, Pressure, read_pressure
from kobune.embedded.kubelet.node import NodeIdentity, node_status
from kobune.embedded.kubelet.qos import qos_class
from kobune.embedded.kubelet.render import DnsConfig
from kobune.embedded.kubelet.server.channels import parse_resize, status_for_exit
from kobune.embedded.kubelet.status import status_patch
from kobune.host.cri.fake import FakeCri
from kobune.kube.testing import FakeClock
from support.pods import pod

CLUSTER = DnsConfig(("10.0.0.10",), ("cluster.local",))
HOST = DnsConfig(("192.0.2.53",), ("example.com",), ("timeout:1",))


@pytest.mark.parametrize(
    ("spec", "cluster", "expected"),
    [
        ({}, DnsConfig(), HOST),
        ({"dnsPolicy": "Default"}, CLUSTER, HOST),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, CLUSTER, HOST),
        ({"dnsPolicy": "None"}, CLUSTER, DnsConfig()),
        (
            {"dnsPolicy": "ClusterFirst"},
            CLUSTER,
            DnsConfig(
                ("10.0.0.10",),
                ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"),
                ("ndots:5",),
            ),
        ),
        (
            {
                "dnsPolicy": "None",
                "dnsConfig": {
                    "nameservers": ["1.1.1.1"],
                    "searches": ["x"],
                    "options": [{"name": "ndots", "value": "2"}],
                },
            },
            CLUSTER,
            DnsConfig(("1.1.1.1",), ("x",), ("ndots:2",)),
        ),
    ],
)
def test_dns_by_policy(spec: dict[str, Any], cluster: DnsConfig, expected: DnsConfig) -> None:
    assert pod_dns(pod("c", **spec), cluster, HOST) == expected


def test_resolv_conf_is_read_as_the_resolver_does() -> None:
    text = "# comment\nnameserver 192.0.2.1 # x\nnameserver fd00::1\nsearch a b\ndomain c\noptions ndots:2 edns0\nbad\n"
    assert parse_resolv_conf(text) == DnsConfig(("192.0.2.1", "fd00::1"), ("c",), ("ndots:2", "edns0"))


@pytest.mark.parametrize(
    ("reference", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("busybox:1.36", "IfNotPresent"),
        ("host:5000/busybox", "Always"),
        ("busybox@sha256:abc", "IfNotPresent"),
    ],
)
def test_default_pull_policy(reference: str, policy: str) -> None:
    assert default_policy(reference) == policy


async def test_images_by_policy() -> None:
    cri = FakeCri(FakeClock(), "img:1")
    cri.registry.add("example.com/a:1")
    images = Images(cri)
    assert (await images.ensure("img:1", "IfNotPresent", []))[1] is None
    assert (await images.ensure("example.com/a:1", "", []))[1] is not None
    assert cri.calls.count("pull_image") == 1
    with pytest.raises(ImageError, match="pull policy of Never") as never:
        await images.ensure("example.com/b:1", "Never", [])
    assert never.value.reason == "ErrImageNeverPull"
    with pytest.raises(ImageError, match="failed to resolve") as failed:
        await images.ensure("img:1", "Always", [])
    assert failed.value.reason == "ErrImagePull"


def test_pull_secrets_are_used_for_their_registry() -> None:
    auths = {
        "https://index.docker.io/v1/": {"auth": base64.b64encode(b"me:pw").decode()},
        "example.com": {"username": "you", "password": "x"},
    }
    data = {".dockerconfigjson": base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}
    secrets = [Secret(data=data), Secret(data={".dockerconfigjson": "!"}), Secret()]
    (docker,) = registry_auth("busybox:1", secrets)
    assert docker is not None
    assert (docker.username, docker.password) == ("me", "pw")
    (example,) = registry_auth("example.com/a/b:1", secrets)
    assert example is not None
    assert example.username == "you"
    assert registry_auth("other.example/a", secrets) == []


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}], "Burstable"),
    ],
)
def test_quality_of_service(resources: list[dict[str, Any]], expected: str) -> None:
    assert qos_class(pod(*({"name": f"c{n}", "resources": own} for n, own in enumerate(resources)))) == expected


def a_machine() -> Machine:
    info = NodeSystemInfo(architecture="amd64", kubelet_version="v1")
    return Machine(4, 8 << 30, 100 << 30, {"hugepages-2Mi": 0}, info)


def status(
    runtime: dict[str, tuple[bool, str]],
    stored: Node | None = None,
    devices: dict[str, tuple[int, int]] | None = None,
    pressure: Pressure | None = None,
) -> dict[str, Any]:
    identity = NodeIdentity("node1", "192.0.2.1", 10250, "10.42.0.0/24", {})
    return node_status(
        identity, a_machine(), pressure or Pressure(), devices or {}, runtime, [], stored, "2026-05-04T12:00:00Z"
    )


GOOD = {"RuntimeReady": (True, ""), "NetworkReady": (True, "")}


def test_a_node_tells_what_it_has() -> None:
    found = status(GOOD, devices={"devices/tun": (3, 2)})
    assert found["capacity"]["cpu"] == "4"
    assert found["capacity"]["memory"] == "8388608Ki"
    assert found["allocatable"]["memory"] == "8286208Ki"
    assert (found["capacity"]["devices/tun"], found["allocatable"]["devices/tun"]) == ("3", "2")
    assert found["addresses"][0] == {"type": "InternalIP", "address": "192.0.2.1"}
    assert found["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_resources_of_plugins_that_left_stay_with_zero() -> None:
    stored = msgspec.convert({"status": {"capacity": {"devices/old": "3", "cpu": "9"}}}, Node)
    found = status(GOOD, stored)
    assert (found["capacity"]["devices/old"], found["capacity"]["cpu"]) == ("0", "4")


@pytest.mark.parametrize(
    ("runtime", "ready", "message"),
    [
        (GOOD, "True", "kubelet is posting ready status"),
        (GOOD | {"NetworkReady": (False, "no network configured")}, "False", "NetworkReady: no network configured"),
        ({}, "False", "container runtime is down"),
    ],
)
def test_readiness_follows_the_runtime(runtime: dict[str, tuple[bool, str]], ready: str, message: str) -> None:
    condition = next(own for own in status(runtime)["conditions"] if own["type"] == "Ready")
    assert (condition["status"], condition["message"]) == (ready, message)


def test_pressure_is_told() -> None:
    conditions = {own["type"]: own for own in status(GOOD, pressure=Pressure(memory=True, disk=True))["conditions"]}
    assert (conditions["MemoryPressure"]["status"], conditions["MemoryPressure"]["reason"]) == (
        "True",
        "KubeletHasInsufficientMemory",
    )
    assert conditions["DiskPressure"]["message"] == "kubelet has disk pressure"
    assert conditions["PIDPressure"]["status"] == "False"
    assert conditions["Ready"]["status"] == "True"


def test_this_machine_has_room_for_processes(tmp_path: Path) -> None:
    assert not read_pressure(tmp_path).pid


def test_transition_times_change_with_the_status_only_and_foreign_conditions_stay() -> None:
    stored = msgspec.convert(
        {
            "status": {
                "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                    {"type": "NetworkUnavailable", "status": "False"},
                ]
            }
        },
        Node,
    )
    conditions = {own["type"]: own for own in status(GOOD, stored)["conditions"]}
    assert conditions["Ready"]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert conditions["NetworkUnavailable"]["status"] == "False"
    conditions = {own["type"]: own for own in status({}, stored)["conditions"]}
    assert conditions["Ready"]["lastTransitionTime"] == "2026-05-04T12:00:00Z"


def test_instances_stay_apart() -> None:
    default, other = NodeInstance.of(Path("/var/lib/kobune")), NodeInstance.of(Path("/srv/b"))
    assert (default.network.bridge, default.cgroup_root) == ("kobune0", "/kobune")
    assert other.network.bridge != default.network.bridge
    assert len(other.network.bridge) <= 15
    assert other.cgroup_root != default.cgroup_root
    assert other == NodeInstance.of(Path("/srv/b"))


def test_a_serving_certificate_is_made_once_and_private(tmp_path: Path) -> None:
    certificate, key = ensure_serving_certificate(tmp_path, "node1", ("192.0.2.1",))
    before = certificate.read_bytes()
    assert ensure_serving_certificate(tmp_path, "node1", ("192.0.2.1",)) == (certificate, key)
    assert certificate.read_bytes() == before
    assert key.stat().st_mode & 0o777 == 0o600
    names = x509.load_pem_x509_certificate(before).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["node1"]
    certificate.write_bytes(b"damaged")
    ensure_serving_certificate(tmp_path, "node1", ("192.0.2.1",))
    assert certificate.read_bytes().startswith(b"-----BEGIN")


@pytest.mark.parametrize(
    ("payload", "size"),
    [
        (b'{"Width":80,"Height":24}', (80, 24)),
        (b'{"Width":0,"Height":24}', None),
        (b'{"Width":80}', None),
        (b"[]", None),
        (b"\xff", None),
        (b'{"Width":99999,"Height":24}', None),
    ],
)
def test_terminal_sizes_are_checked(payload: bytes, size: tuple[int, int] | None) -> None:
    assert parse_resize(payload) == size


def test_the_last_message_tells_the_exit_status() -> None:
    assert json.loads(status_for_exit(0)[1:]) == {"metadata": {}, "status": "Success"}
    failure = json.loads(status_for_exit(3)[1:])
    assert status_for_exit(3)[0] == 3
    assert failure["reason"] == "NonZeroExitCode"
    assert failure["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_a_status_patch_is_minimal_and_clears_what_is_ours() -> None:
    stored = pod("c", status={"phase": "Failed", "reason": "Evicted", "qosClass": "BestEffort"}).status
    wanted = pod("c", status={"phase": "Failed", "qosClass": "BestEffort"}).status
    assert status_patch(wanted, stored) == {"reason": None}
    assert status_patch(wanted, wanted) is None
