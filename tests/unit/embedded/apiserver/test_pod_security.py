"""Pod Security Standards: each control, what a namespace asks for, and what is said to whom."""

from typing import Any

import pytest

from kobune.embedded.apiserver.admission.podsecurity.controls import violations
from kobune.embedded.apiserver.admission.podsecurity.levels import LATEST, Level, Policies, Standard, policies_of
from kobune.embedded.apiserver.admission.podsecurity.step import existing_pods, is_significant
from kobune.kube.client.objects import to_builtins
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings, launcher_pod
from support.vms import instance

Object = dict[str, Any]

BASELINE, RESTRICTED = Standard(Level.BASELINE), Standard(Level.RESTRICTED)
LABEL = "pod-security.kubernetes.io/"
SAFE: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(name: str = "c", **context: Any) -> Object:
    return {"name": name, "image": "x", "securityContext": context}


def told(standard: Standard, spec: Object, **annotations: str) -> str:
    metadata = {"name": "p", "annotations": {key.replace("__", "/"): value for key, value in annotations.items()}}
    full = {"containers": [{"name": "c", "image": "x"}], **spec}
    return ", ".join(str(violation) for violation in violations(standard, metadata, full))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, ""),
        ({"hostNetwork": True, "hostIPC": True}, "host namespaces (hostNetwork=true, hostIPC=true)"),
        ({"hostPID": True}, "host namespaces (hostPID=true)"),
        ({"hostNetwork": False}, ""),
        (
            {"containers": [container(privileged=True)], "initContainers": [container("i", privileged=True)]},
            'privileged (containers "i", "c" must not set securityContext.privileged=true)',
        ),
        ({"containers": [container(privileged=False)]}, ""),
        (
            {"ephemeralContainers": [container("debug", privileged=True)]},
            'privileged (container "debug" must not set securityContext.privileged=true)',
        ),
        (
            {"containers": [container(capabilities={"add": ["SYS_ADMIN", "CHOWN", "NET_RAW"]})]},
            'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in '
            "securityContext.capabilities.add)",
        ),
        ({"containers": [container(capabilities={"add": ["NET_BIND_SERVICE", "MKNOD"]})]}, ""),
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "emptyDir": {}}]},
            'hostPath volumes (volume "a")',
        ),
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "hostPath": {"path": "/"}}]},
            'hostPath volumes (volumes "a", "b")',
        ),
        ({"volumes": [{"name": "n", "nfs": {"server": "s", "path": "/"}}]}, ""),
        (
            {"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 8080}, {"containerPort": 2}]}]},
            'hostPort (container "c" uses hostPort 8080)',
        ),
        (
            {
                "containers": [
                    {"name": "c", "ports": [{"containerPort": 1, "hostPort": 9}]},
                    {"name": "d", "ports": [{"containerPort": 1, "hostPort": 10}]},
                ]
            },
            'hostPort (containers "c", "d" use hostPorts 10, 9)',
        ),
        (
            {"containers": [container(procMount="Unmasked")]},
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        ({"containers": [container(procMount="Default")]}, ""),
        (
            {"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u", "role": "r"}}},
            'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; '
            "role may not be set)",
        ),
        ({"containers": [container(seLinuxOptions={"type": "container_kvm_t", "level": "s0:c1"})]}, ""),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "forbidden sysctls (kernel.msgmax)",
        ),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}}, ""),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        ({"containers": [container(seccompProfile={"type": "Localhost", "localhostProfile": "x"})]}, ""),
        (
            {"containers": [container(appArmorProfile={"type": "Unconfined"})]},
            'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            {
                "securityContext": {"windowsOptions": {"hostProcess": True}},
                "containers": [container(windowsOptions={"hostProcess": True})],
            },
            'hostProcess (pod and container "c" must not set securityContext.windowsOptions.hostProcess=true)',
        ),
    ],
)
def test_baseline(spec: Object, text: str) -> None:
    assert told(BASELINE, spec) == text


def test_annotations_of_profiles_count_as_well() -> None:
    assert told(BASELINE, {}, **{"container.apparmor.security.beta.kubernetes.io__c": "unconfined"}) == (
        "forbidden AppArmor profile (annotation must not set AppArmor profile type to "
        '"container.apparmor.security.beta.kubernetes.io/c="unconfined"")'
    )
    assert told(BASELINE, {}, **{"container.apparmor.security.beta.kubernetes.io__c": "localhost/x"}) == ""
    unconfined = {"container.seccomp.security.alpha.kubernetes.io__c": "unconfined"}
    assert told(BASELINE, {}, **unconfined) == ""
    assert told(Standard(Level.RESTRICTED, 18), {"containers": [container(**SAFE)]}, **unconfined) == (
        'seccompProfile (forbidden annotation container.seccomp.security.alpha.kubernetes.io/c="unconfined")'
    )


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {},
            'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false),'
            ' unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
            'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
            'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
            '"Localhost")',
        ),
        ({"containers": [container(**SAFE)]}, ""),
        (
            {
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container(allowPrivilegeEscalation=False, capabilities={"drop": ["ALL"]})],
            },
            "",
        ),
        (
            {"containers": [container(**SAFE | {"capabilities": {"drop": ["KILL"], "add": ["CHOWN"]}})]},
            'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c"'
            ' must not include "CHOWN" in securityContext.capabilities.add)',
        ),
        (
            {"containers": [container(**SAFE | {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}})]},
            "",
        ),
        (
            {"securityContext": {"runAsNonRoot": False}, "containers": [container(**SAFE | {"runAsNonRoot": False})]},
            'runAsNonRoot != true (pod and container "c" must not set securityContext.runAsNonRoot=false)',
        ),
        (
            {"securityContext": {"runAsUser": 0}, "containers": [container(**SAFE)]},
            "runAsUser=0 (pod must not set runAsUser=0)",
        ),
        ({"containers": [container(**SAFE | {"runAsUser": 1000})]}, ""),
        (
            {"containers": [container(**SAFE | {"seccompProfile": {"type": "Unconfined"}})]},
            'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {
                "containers": [container(**SAFE)],
                "volumes": [
                    {"name": "h", "hostPath": {"path": "/"}},
                    {"name": "n", "nfs": {"server": "s", "path": "/"}},
                    {"name": "e", "emptyDir": {}},
                ],
            },
            'restricted volume types (volumes "h", "n" use restricted volume types "hostPath", "nfs")',
        ),
        (
            {"os": {"name": "windows"}, "containers": [container(runAsNonRoot=True)]},
            "",
        ),
        (
            {"hostNetwork": True, "containers": [container(**SAFE | {"privileged": True})]},
            "host namespaces (hostNetwork=true), privileged (container "
            '"c" must not set securityContext.privileged=true)',
        ),
    ],
)
def test_restricted(spec: Object, text: str) -> None:
    assert told(RESTRICTED, spec) == text


def test_privileged_allows_everything() -> None:
    assert told(Standard(Level.PRIVILEGED), {"hostNetwork": True, "containers": [container(privileged=True)]}) == ""


@pytest.mark.parametrize(
    ("spec", "minor", "allowed"),
    [
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}, 31, False),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}}, 32, True),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}}, 26, False),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}}, 27, True),
        ({"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}, 30, False),
        ({"securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}, 31, True),
        ({"securityContext": {"runAsUser": 0}}, 22, True),
        ({"securityContext": {"runAsUser": 0}}, 23, False),
        ({"containers": [container(**SAFE | {"capabilities": {}})]}, 21, True),
        ({"containers": [container(**SAFE | {"capabilities": {}})]}, 22, False),
        ({"containers": [container(**SAFE | {"capabilities": {"add": ["SYS_ADMIN"]}})]}, 21, False),
        ({"containers": [container(**SAFE | {"allowPrivilegeEscalation": None})]}, 7, True),
        ({"os": {"name": "windows"}, "containers": [container(runAsNonRoot=True)]}, 24, False),
        ({"os": {"name": "windows"}, "containers": [container(runAsNonRoot=True)]}, 999, True),
    ],
)
def test_a_version_keeps_to_what_it_published(spec: Object, minor: int, allowed: bool) -> None:
    full = {"containers": [container(**SAFE)], **spec}
    assert (violations(Standard(Level.RESTRICTED, minor), {}, full) == []) is allowed


@pytest.mark.parametrize(
    ("labels", "policies", "problems"),
    [
        ({}, Policies(), []),
        ({"enforce": "baseline"}, Policies(BASELINE, Standard(), BASELINE), []),
        (
            {"enforce": "restricted", "enforce-version": "v1.24", "warn": "baseline", "audit": "restricted"},
            Policies(Standard(Level.RESTRICTED, 24), RESTRICTED, BASELINE),
            [],
        ),
        (
            {"enforce": "baseline", "enforce-version": "v1.30", "warn-version": "v1.29"},
            Policies(Standard(Level.BASELINE, 30), Standard(), Standard(Level.BASELINE, 29)),
            [],
        ),
        (
            {"enforce": "strict"},
            Policies(RESTRICTED),
            [
                f'metadata.labels[{LABEL}enforce]: Invalid value: "strict": must be one of privileged, baseline, '
                "restricted"
            ],
        ),
        (
            {"warn": "Baseline", "audit-version": "1.30"},
            Policies(),
            [
                f'metadata.labels[{LABEL}audit-version]: Invalid value: "1.30": must be "latest" or "v1.x"',
                f'metadata.labels[{LABEL}warn]: Invalid value: "Baseline": must be one of privileged, baseline, '
                "restricted",
            ],
        ),
        (
            {"enforce-version": "v1.030"},
            Policies(),
            [
                f'metadata.labels[{LABEL}enforce-version]: Invalid value: "v1.030": must be "latest" or "v1.x"',
            ],
        ),
    ],
)
def test_labels(labels: dict[str, str], policies: Policies, problems: list[str]) -> None:
    found, wrong = policies_of({LABEL + key: value for key, value in labels.items()})
    assert found == policies
    assert [str(problem) for problem in wrong] == problems


def test_standards_are_named_as_in_messages() -> None:
    assert str(Standard(Level.RESTRICTED, 24)) == "restricted:v1.24"
    assert str(Standard(Level.BASELINE, LATEST)) == "baseline:latest"


def pod(name: str, owner: str = "", **spec: Any) -> Object:
    references = [{"uid": owner, "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "ownerReferences": references},
        "spec": {"containers": [{"name": "c", "image": "x"}], **spec},
    }


def test_pods_that_could_not_be_made_again_are_told_by_what_is_wrong_with_them() -> None:
    pods = [
        pod("b", "rs", hostNetwork=True),
        pod("a", "rs", hostNetwork=True),
        pod("c", hostNetwork=True),
        pod("d", hostNetwork=True, hostPID=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
        pod("fine"),
    ]
    assert existing_pods("n", BASELINE, pods) == [
        'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
        "d: host namespaces, hostPath volumes",
    ]
    assert existing_pods("n", BASELINE, [pod("fine")]) == []


@pytest.mark.parametrize(
    ("change", "significant"),
    [
        ({}, False),
        ({"activeDeadlineSeconds": 5}, False),
        ({"containers": [{"name": "c", "image": "y"}]}, True),
        ({"ephemeralContainers": [{"name": "debug", "image": "x"}]}, True),
    ],
)
def test_only_changes_that_matter_are_looked_at(change: Object, significant: bool) -> None:
    assert is_significant(pod("p", **change), pod("p")) is significant


def test_a_launcher_pod_stays_behind_the_walls_of_baseline() -> None:
    launcher = to_builtins(launcher_pod(instance(), PodSettings("launcher")))
    assert violations(BASELINE, launcher["metadata"], launcher["spec"]) == []
