"""Services as a kube-apiserver judges them."""

# ruff: noqa: E501 - messages stay whole

from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.validation import default, validate_create, validate_update

INFO = next(info for info in resources() if info.kind == "Service")


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "n"}}
    obj["spec"] = {"ports": [{"port": 80}], **spec}
    assert INFO.schema.decode(obj) == []
    default(INFO, obj)
    return obj


def ports(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return list(given)


BALANCER_ONLY = "Forbidden: may only be used when `type` is 'LoadBalancer'"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"ports": []}, ["spec.ports: Required value"]),
        ({"ports": [], "clusterIP": "None"}, []),
        (
            {"ports": ports({"port": 80, "nodePort": 30000})},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {
                "type": "NodePort",
                "ports": ports(
                    {"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30001}
                ),
            },
            ["spec.ports[1].nodePort: Duplicate value: 30001"],
        ),
        (
            {
                "type": "NodePort",
                "ports": ports(
                    {"name": "a", "port": 53, "nodePort": 30001},
                    {"name": "b", "port": 53, "nodePort": 30001, "protocol": "UDP"},
                ),
            },
            [],
        ),
        (
            {"type": "LoadBalancer", "ports": ports({"port": 10250})},
            ["spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"],
        ),
        (
            {"type": "NodePort", "clusterIP": "None", "clusterIPs": ["None"]},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            {"type": "ExternalName", "externalName": "a.b", "clusterIP": "10.96.0.99"},
            ["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90000}}},
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 90000: must be greater than 0 and less than 86400"
            ],
        ),
        (
            {"clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.2"]},
            ['spec.clusterIPs: Invalid value: ["10.96.1.2"]: first value must match `clusterIP`'],
        ),
        (
            {"externalIPs": ["1.2.3.4", "127.0.0.1", "169.254.1.1"]},
            [
                'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
                'spec.externalIPs[2]: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
            ],
        ),
        ({"loadBalancerSourceRanges": ["1.2.3.0/24"]}, [f"spec.loadBalancerSourceRanges: {BALANCER_ONLY}"]),
        ({"loadBalancerClass": "a/b"}, [f"spec.loadBalancerClass: {BALANCER_ONLY}"]),
        ({"allocateLoadBalancerNodePorts": True}, [f"spec.allocateLoadBalancerNodePorts: {BALANCER_ONLY}"]),
        (
            {"externalTrafficPolicy": "Local"},
            ['spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
        ),
        ({"externalIPs": ["1.2.3.4"], "externalTrafficPolicy": "Local"}, []),
        (
            {"ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "Both"},
            [
                'spec.ipFamilies[1]: Duplicate value: "IPv4"',
                'spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
            ],
        ),
        (
            {"trafficDistribution": "X"},
            [
                'spec.trafficDistribution: Unsupported value: "X": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"'
            ],
        ),
    ],
)
def test_services_are_refused_in_the_real_servers_words(spec: dict[str, Any], expected: list[str]) -> None:
    assert [str(error) for error in validate_create(INFO, service(**spec))] == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"clusterIPs": ["10.96.0.5"]}, {"clusterIPs": ["10.96.0.6"]}, ['spec.clusterIPs[0]: Invalid value: "10.96.0.6": may not change once set']),
        ({"ipFamilies": ["IPv4"]}, {"ipFamilies": ["IPv6"]}, ['spec.ipFamilies[0]: Invalid value: "IPv6": may not change once set']),
        (
            {"type": "LoadBalancer"},
            {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
            ['spec.loadBalancerClass: Invalid value: "a/b": may not change once set'],
        ),
        ({"clusterIPs": ["10.96.0.5"]}, {"type": "ExternalName", "externalName": "x"}, []),
    ],
)  # fmt: skip
def test_what_may_not_change(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    old, new = service(**before), service(**after)
    for obj in (old, new):
        obj["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert [str(error) for error in validate_update(INFO, new, old)] == expected
