"""The launcher pod: what it asks for, where it may run, what it mounts."""

import json
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import KubeVirtConfiguration, VirtualMachineInstanceSpec
from kobune.base.quantity import to_bytes
from kobune.kube.runtime.decision import PatchObject
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import (
    PodSettings,
    launcher_pod,
    launcher_pod_name,
)
from kobune.virt.controllers.virtualmachineinstance.networks import networks_of_running_pod
from kobune.virt.controllers.virtualmachineinstance.resources import launcher_resources
from kobune.virt.domain.bindings import binding_plugins
from support.vms import VMI_UID, instance, launcher, spec

SETTINGS = PodSettings("registry.example/launcher:1")


def compute(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def domain(**changes: Any) -> dict[str, Any]:
    return {"domain": {**spec()["domain"], **changes}}


@pytest.mark.parametrize(
    ("changes", "requests", "limits"),
    [
        (domain(), {"cpu": "100m", "memory": "253Mi"}, {}),
        (domain(memory={"guest": "1Gi"}), {"cpu": "100m", "memory": "1261Mi"}, {}),
        (domain(memory={"guest": "4Gi"}, cpu={"cores": 4}), {"cpu": "400m", "memory": "4387Mi"}, {}),
        (domain(cpu={"cores": 2, "sockets": 2, "threads": 2}), {"cpu": "800m", "memory": "366Mi"}, {}),
        (domain(resources={"requests": {"cpu": "1500m"}}), {"cpu": "1500m", "memory": "269Mi"}, {}),
        (
            domain(memory={"guest": "512Mi"}, resources={"requests": {"memory": "512Mi"}}),
            {"cpu": "100m", "memory": "748Mi"},
            {},
        ),
        (
            domain(memory={"guest": "512Mi"}, resources={"limits": {"cpu": "2", "memory": "2Gi"}}),
            {"cpu": "2", "memory": "2355Mi"},
            {"cpu": "2", "memory": "2355Mi"},
        ),
        (
            domain(cpu={"cores": 2, "dedicatedCpuPlacement": True}),
            {"cpu": "2", "memory": "325Mi"},
            {"cpu": "2", "memory": "325Mi"},
        ),
        (
            domain(memory={"guest": "64Mi", "hugepages": {"pageSize": "2Mi"}}),
            {"cpu": "100m", "memory": "189Mi"},
            {"hugepages-2Mi": "64Mi"},
        ),
    ],
)
def test_resources_are_the_guest_s_and_the_overhead(
    changes: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    wanted = msgspec.convert(spec(**changes), VirtualMachineInstanceSpec)
    rendered = launcher_resources(wanted, devices={})
    assert {key: rendered["requests"].get(key) for key in requests} == requests
    assert rendered.get("limits", {}) == limits


def test_identity_is_the_instance_s() -> None:
    pod = launcher_pod(instance(labels={"app": "x"}, annotations={"note": "y"}), SETTINGS)
    assert pod["metadata"]["labels"] == {
        "app": "x",
        "kubevirt.io": "virt-launcher",
        "kubevirt.io/created-by": VMI_UID,
        "vm.kubevirt.io/name": "vm",
        "vmi.kubevirt.io/id": "vm",
    }
    assert pod["metadata"]["annotations"]["note"] == "y"
    assert pod["metadata"]["name"].startswith(pod["metadata"]["generateName"])
    assert launcher_pod_name(instance()) == launcher_pod_name(instance())
    assert launcher_pod_name(instance()) != launcher_pod_name(instance(uid="another"))


def test_the_launcher_is_unprivileged() -> None:
    container = compute(launcher_pod(instance(), SETTINGS))
    context = container["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert (context["runAsUser"], context["runAsNonRoot"], context["allowPrivilegeEscalation"]) == (107, True, False)


def test_kvm_is_asked_for_only_where_it_was_proved() -> None:
    limits = compute(launcher_pod(instance(), SETTINGS))["resources"]["limits"]
    assert limits == {"devices.kubevirt.io/tun": "1"}
    with_kvm = PodSettings("launcher:1", kvm=True)
    assert "devices.kubevirt.io/kvm" in compute(launcher_pod(instance(), with_kvm))["resources"]["limits"]


def test_the_grace_period_leaves_the_decision_to_the_launcher() -> None:
    pod = launcher_pod(instance(spec_changes={"terminationGracePeriodSeconds": 100}), SETTINGS)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 130
    command = compute(pod)["command"]
    assert command[command.index("--grace-period-s") + 1] == "100"


def test_placement_keeps_the_user_s_rules_and_adds_ours_to_every_term() -> None:
    terms = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"matchExpressions": []}]
    changes = {
        "architecture": "amd64",
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}},
        "tolerations": [{"key": "a", "operator": "Exists"}],
    }
    pod = launcher_pod(instance(spec_changes=changes | domain(machine={"type": "q35"})), SETTINGS)["spec"]
    assert pod["nodeSelector"] == {
        "disk": "ssd",
        "kubernetes.io/arch": "amd64",
        "kubevirt.io/schedulable": "true",
        "machine-type.node.kubevirt.io/q35": "true",
    }
    rendered = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [len(term["matchExpressions"]) for term in rendered] == [2, 1]
    assert pod["tolerations"] == [{"key": "a", "operator": "Exists"}]


def test_huge_pages_come_with_the_file_system_that_libvirt_takes_them_from() -> None:
    pod = launcher_pod(
        instance(spec_changes=domain(memory={"hugepages": {"pageSize": "2Mi"}, "guest": "64Mi"})), SETTINGS
    )
    assert {"name": "hugepages", "emptyDir": {"medium": "HugePages-2Mi"}} in pod["spec"]["volumes"]
    assert {"name": "hugepages", "mountPath": "/dev/hugepages"} in compute(pod)["volumeMounts"]
    assert compute(pod)["resources"]["limits"]["hugepages-2Mi"] == "64Mi"


def test_each_volume_is_mounted_where_the_launcher_looks() -> None:
    volumes = [
        {"name": "root", "containerDisk": {"image": "i", "imagePullSecret": "s"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "ci", "cloudInitNoCloud": {"secretRef": {"name": "u"}, "networkDataSecretRef": {"name": "n"}}},
        {"name": "cm", "configMap": {"name": "m"}},
    ]
    pod = launcher_pod(instance(spec_changes={"volumes": volumes}), SETTINGS)
    mounts = {mount["name"]: mount["mountPath"] for mount in compute(pod)["volumeMounts"]}
    assert mounts == {
        "sockets": "/var/run/kubevirt/sockets",
        "private": "/var/run/kubevirt-private",
        "ephemeral-disks": "/var/run/kubevirt-ephemeral-disks",
        "libvirt-runtime": "/var/run/libvirt",
        "root": "/var/run/kubevirt/container-disks/root",
        "data": "/var/run/kubevirt-private/vmi-disks/data",
        "ci-udata": "/var/run/kubevirt-private/cloud-init/ci/user",
        "ci-ndata": "/var/run/kubevirt-private/cloud-init/ci/network",
        "cm": "/var/run/kubevirt-private/config-map/cm",
    }
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == set(mounts)
    assert pod["spec"]["imagePullSecrets"] == [{"name": "s"}]


def test_probes_reach_the_guest_by_network_or_through_its_agent() -> None:
    changes = {
        "livenessProbe": {"httpGet": {"port": 80, "path": "/h"}},
        "readinessProbe": {"guestAgentPing": {}, "timeoutSeconds": 5, "periodSeconds": 7},
    }
    container = compute(launcher_pod(instance(spec_changes=changes), SETTINGS))
    assert container["livenessProbe"] == {"httpGet": {"port": 80, "path": "/h"}}
    probe = ["python3", "-sPm", "kobune.virt.launcher.probe", "--timeout-s"]
    assert container["readinessProbe"] == {
        "exec": {"command": [*probe, "5", "--guest-agent-ping"]},
        "timeoutSeconds": 7,
        "periodSeconds": 7,
    }
    changes = {"readinessProbe": {"exec": {"command": ["cat", "/tmp/well"]}}}
    container = compute(launcher_pod(instance(spec_changes=changes), SETTINGS))
    assert container["readinessProbe"]["exec"] == {"command": [*probe, "1", "--exec", "--", "cat", "/tmp/well"]}


def test_an_account_s_disk_has_what_a_pod_finds_of_its_account() -> None:
    volumes = [{"name": "who", "serviceAccount": {"serviceAccountName": "robot"}}]
    pod = launcher_pod(instance(spec_changes=spec(volumes=volumes)), SETTINGS)["spec"]
    assert pod["serviceAccountName"] == "robot"
    sources = next(one for one in pod["volumes"] if one["name"] == "who")["projected"]["sources"]
    files = {one["path"] for source in sources for part in source.values() for one in part.get("items", [part])}
    assert files == {"token", "ca.crt", "namespace"}
    # The account is the guest's: the launcher itself speaks to no API server.
    assert pod["automountServiceAccountToken"] is False


def test_a_kernel_and_credentials_are_mounted() -> None:
    boot = {"container": {"image": "kernels:1", "kernelPath": "/k", "imagePullSecret": "pull"}}
    credential = {
        "sshPublicKey": {
            "source": {"secret": {"secretName": "keys"}},
            "propagationMethod": {"qemuGuestAgent": {"users": ["kobune"]}},
        }
    }
    base = instance().spec.domain
    changes = {
        "accessCredentials": [credential],
        "domain": {**msgspec.to_builtins(base), "firmware": {"kernelBoot": boot}},
    }
    pod = launcher_pod(instance(spec_changes=changes), SETTINGS)
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounts = {mount["name"]: mount for mount in compute(pod)["volumeMounts"]}
    assert volumes["kernel-boot"]["image"] == {"reference": "kernels:1"}
    assert mounts["kernel-boot"]["mountPath"] == "/var/run/kubevirt/kernel-boot"
    assert volumes["access-credential-0"]["secret"] == {"secretName": "keys"}
    assert mounts["access-credential-0"]["mountPath"] == "/var/run/kubevirt-private/access-credentials/0"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.parametrize(("name", "hostname"), [("vm", "vm"), ("a.b.c", "a"), ("x" * 80, "x" * 63)])
def test_any_name_gives_a_host_name(name: str, hostname: str) -> None:
    pod = launcher_pod(instance(name=name), SETTINGS)
    assert pod["spec"]["hostname"] == hostname
    assert all(len(value) <= 63 for value in pod["metadata"]["labels"].values())


NETWORKS = "k8s.v1.cni.cncf.io/networks"


def networked(*states: str | None) -> dict[str, Any]:
    """A specification with a secondary network `blue` and one of another namespace, in these states."""
    interfaces: list[dict[str, Any]] = [
        {"name": "default", "masquerade": {}},
        {"name": "blue", "bridge": {}, "macAddress": "02:00:00:00:00:05"},
        {"name": "red", "bridge": {}},
    ]
    for interface, state in zip(interfaces[1:], states, strict=True):
        interface |= {"state": state} if state else {}
    devices = {**spec()["domain"]["devices"], "interfaces": interfaces}
    networks = [
        {"name": "default", "pod": {}},
        {"name": "blue", "multus": {"networkName": "lan"}},
        {"name": "red", "multus": {"networkName": "other/lan"}},
    ]
    return {**domain(devices=devices), "networks": networks}


BLUE = {"name": "lan", "namespace": "ns", "mac": "02:00:00:00:00:05", "interface": "pod16477688c0e"}
RED = {"name": "lan", "namespace": "other", "interface": "podb1f51a511f1"}


@pytest.mark.parametrize(
    ("states", "expected"), [((None, "down"), [BLUE, RED]), (("absent", "up"), [RED]), (("absent", "absent"), None)]
)
def test_secondary_networks_are_asked_for_by_annotation(
    states: tuple[str | None, ...], expected: list[dict[str, str]] | None
) -> None:
    vmi = instance(spec_changes=networked(*states))
    annotations = launcher_pod(vmi, SETTINGS)["metadata"]["annotations"]
    assert json.loads(annotations.get(NETWORKS, "null")) == expected
    # A pod that runs is told what has changed, and nothing when nothing has.
    assert networks_of_running_pod(vmi, launcher(annotations=annotations)) == []
    (action,) = networks_of_running_pod(vmi, launcher(annotations={NETWORKS: "before"}))
    assert isinstance(action, PatchObject)
    assert action.patch.body["metadata"]["annotations"] == {NETWORKS: annotations.get(NETWORKS)}


PLUGINS = {
    "l2bridge": {"domainAttachmentType": "managedTap"},
    "own": {
        "domainAttachmentType": "tap",
        "networkAttachmentDefinition": "infra/own-cni",
        "computeResourceOverhead": {"requests": {"memory": "500Mi"}},
    },
}


def test_a_binding_plugin_brings_its_network_and_its_memory() -> None:
    bare, bound = (
        {**networked(None, None), **domain(devices={"interfaces": [{"name": "default", binding: {"name": "own"}}]})}
        for binding in ("masquerade", "binding")
    )
    settings = PodSettings(
        "launcher:1", configuration=msgspec.convert({"network": {"binding": PLUGINS}}, KubeVirtConfiguration)
    )
    plain, pod = (launcher_pod(instance(spec_changes=changes), settings) for changes in (bare, bound))
    assert NETWORKS not in plain["metadata"]["annotations"]
    assert json.loads(pod["metadata"]["annotations"][NETWORKS]) == [
        {"name": "own-cni", "namespace": "infra", "cni-args": {"logicNetworkName": "default"}}
    ]
    amounts = [to_bytes(compute(one)["resources"]["requests"]["memory"]) for one in (plain, pod)]
    assert amounts[1] - amounts[0] == 500 << 20
    plugins = binding_plugins(settings.configuration)
    annotations = pod["metadata"]["annotations"]
    assert networks_of_running_pod(instance(spec_changes=bound), launcher(annotations=annotations), plugins) == []


def test_a_default_network_takes_the_place_of_the_pod_network() -> None:
    devices = {**spec()["domain"]["devices"], "interfaces": [{"name": "main", "bridge": {}}]}
    networks = [{"name": "main", "multus": {"networkName": "infra/lan", "default": True}}]
    pod = launcher_pod(instance(spec_changes={**domain(devices=devices), "networks": networks}), SETTINGS)
    annotations = pod["metadata"]["annotations"]
    assert annotations["v1.multus-cni.io/default-network"] == "infra/lan"
    assert NETWORKS not in annotations


def test_devices_of_the_node_are_asked_for_by_their_resources() -> None:
    devices = {
        "gpus": [{"name": name, "deviceName": "nvidia.com/T4"} for name in ("one", "two")],
        "hostDevices": [{"name": "token", "deviceName": "example.com/token"}],
    }
    plain = compute(launcher_pod(instance(spec_changes=domain(devices={})), SETTINGS))["resources"]
    asked = compute(launcher_pod(instance(spec_changes=domain(devices=devices)), SETTINGS))["resources"]
    for kind in ("requests", "limits"):
        assert (asked[kind]["nvidia.com/T4"], asked[kind]["example.com/token"]) == ("2", "1")
    # Registers of devices are locked memory of QEMU.
    assert to_bytes(asked["requests"]["memory"]) - to_bytes(plain["requests"]["memory"]) >= 1 << 30


def sriov(*networks: str) -> dict[str, Any]:
    interfaces = [{"name": f"fast{number}", "sriov": {}} for number in range(len(networks))]
    multus = [{"name": f"fast{number}", "multus": {"networkName": name}} for number, name in enumerate(networks)]
    return {**domain(devices={"interfaces": interfaces}), "networks": multus}


def test_sriov_interfaces_ask_for_what_their_networks_are_offered_by() -> None:
    resources = {"ns/fast": "intel.com/vf", "infra/fast": "mellanox.com/vf", "ns/plain": ""}
    settings = PodSettings("launcher:1", network_resources=resources)
    pod = launcher_pod(instance(spec_changes=sriov("fast", "infra/fast", "fast", "plain")), settings)
    asked = compute(pod)["resources"]["limits"]
    assert {name: asked[name] for name in ("intel.com/vf", "mellanox.com/vf")} == {
        "intel.com/vf": "2",
        "mellanox.com/vf": "1",
    }
    names = [one["name"] for one in json.loads(pod["metadata"]["annotations"][NETWORKS])]
    assert names == ["fast", "fast", "fast", "plain"]
    memory = to_bytes(compute(pod)["resources"]["requests"]["memory"])
    assert memory >= 1 << 30, "registers of the devices"
