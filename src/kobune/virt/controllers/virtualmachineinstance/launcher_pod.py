"""The launcher pod of a VirtualMachineInstance, as a pure function (docs/flows/launcher.md).

Owns: labels, placement, container, security context and volumes of the pod. Must not: know the cluster; what it needs
to know is in `PodSettings`.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import (
    Interface,
    KubeVirtConfiguration,
    Probe,
    VirtualMachineInstance,
    VirtualMachineInstanceSpec,
)
from kobune.api.meta import QuantityValue
from kobune.base.quantity import to_bytes
from kobune.virt.controllers.virtualmachineinstance.filesystems import filesystem_containers
from kobune.virt.controllers.virtualmachineinstance.networks import network_annotations, sriov_resources
from kobune.virt.controllers.virtualmachineinstance.pod_volumes import pod_volumes
from kobune.virt.controllers.virtualmachineinstance.resources import KVM_DEVICE, launcher_resources
from kobune.virt.controllers.virtualmachineinstance.vm_state import state_claim_name
from kobune.virt.controllers.virtualmachineinstance.vsock import wants_vsock
from kobune.virt.domain.bindings import binding_plugins, used_plugins
from kobune.virt.domain.hostdevices import resources as host_devices
from kobune.virt.domain.numa import wants_realtime
from kobune.virt.domain.persistence import has_persistent_state

__all__ = ["COMPUTE", "PodSettings", "grace_period_s", "launcher_pod", "launcher_pod_name"]

COMPUTE: Final = "compute"
QEMU_UID: Final = 107
DEFAULT_GRACE_PERIOD_S: Final = 30
POD_GRACE_MARGIN_S: Final = 30
PROBE: Final = ("python3", "-sPm", "kobune.virt.launcher.probe")
PROBE_MARGIN_S: Final = 2
UNPAUSED_GATE: Final = "kubevirt.io/virtual-machine-unpaused"

CPU_FEATURE: Final = "cpu-feature.node.kubevirt.io/"
_HOST_MODELS: Final = (None, "", "host-model", "host-passthrough", "maximum")
_NEEDED: Final = (None, "", "require")
_KEPT_FROM_POD = ("kubectl.kubernetes.io/last-applied-configuration", "kubevirt.io/latest-observed-api-version")


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the cluster decides about every launcher pod."""

    launcher_image: str
    image_pull_policy: str = "IfNotPresent"
    block_claims: frozenset[str] = frozenset()
    """Claims that are block devices."""
    state_storage_class: str = ""
    """The class for claims of guests' own state; empty for the cluster's default."""
    configuration: KubeVirtConfiguration | None = None
    """The installation's, before it is known none."""
    network_resources: Mapping[str, str] = field(default_factory=dict)
    """The extended resources of networks that SR-IOV interfaces are on, by `NAMESPACE/NAME` of their definition."""
    kvm: bool = False
    """A node has proved that guests run in KVM there; without it the pod asks for no KVM device."""


def launcher_pod_name(vmi: VirtualMachineInstance) -> str:
    """The name of the VMI's pod: the same for the same VMI, so that a second attempt to make it finds the first one."""
    digest = hashlib.sha256(vmi.metadata.uid.encode()).digest()
    suffix = base64.b32encode(digest).decode().lower().translate(str.maketrans("aeiou", "98765"))[:5]
    return f"{_pod_name_prefix(vmi)}{suffix}"


def grace_period_s(spec: VirtualMachineInstanceSpec) -> int:
    """How long the guest gets to shut down."""
    asked = spec.termination_grace_period_seconds
    return DEFAULT_GRACE_PERIOD_S if asked is None else asked


def launcher_pod(vmi: VirtualMachineInstance, settings: PodSettings) -> dict[str, Any]:
    """The pod that runs `vmi`."""
    spec = vmi.spec
    state_claim = state_claim_name(vmi.metadata.name) if has_persistent_state(spec.domain) else ""
    volumes = pod_volumes(spec, settings.block_claims, state_claim=state_claim)
    pod: dict[str, Any] = {
        "metadata": {
            "name": launcher_pod_name(vmi),
            "generateName": _pod_name_prefix(vmi),
            "labels": _labels(vmi),
            "annotations": _annotations(vmi, settings),
            "ownerReferences": [
                {
                    "apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachineInstance",
                    "name": vmi.metadata.name,
                    "uid": vmi.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "containers": [
                _compute(vmi, settings, volumes.mounts, volumes.devices),
                *filesystem_containers(
                    spec,
                    volumes.shared_mounts,
                    image=settings.launcher_image,
                    image_pull_policy=settings.image_pull_policy,
                    user=QEMU_UID,
                ),
            ],
            "volumes": volumes.volumes,
            "restartPolicy": "Never",
            "hostname": _dns_label(spec.hostname or vmi.metadata.name),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": grace_period_s(spec) + POD_GRACE_MARGIN_S,
            "nodeSelector": _node_selector(spec),
            "readinessGates": [{"conditionType": UNPAUSED_GATE}],
            "securityContext": {
                "runAsUser": QEMU_UID,
                "runAsGroup": QEMU_UID,
                "runAsNonRoot": True,
                "fsGroup": QEMU_UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        },
    }
    pod_spec = pod["spec"]
    if affinity := _affinity(spec):
        pod_spec["affinity"] = affinity
    if volumes.pull_secrets:
        pod_spec["imagePullSecrets"] = [{"name": name} for name in volumes.pull_secrets]
    if volumes.service_account:
        pod_spec["serviceAccountName"] = volumes.service_account
    if spec.service_account_name:
        pod_spec["serviceAccountName"] = spec.service_account_name
    for key, value in (
        ("tolerations", spec.tolerations),
        ("topologySpreadConstraints", spec.topology_spread_constraints),
        ("dnsConfig", spec.dns_config),
        ("dnsPolicy", spec.dns_policy),
        ("subdomain", spec.subdomain),
        ("schedulerName", spec.scheduler_name),
        ("priorityClassName", spec.priority_class_name),
    ):
        if value:
            pod_spec[key] = msgspec.to_builtins(value)
    return pod


def _compute(
    vmi: VirtualMachineInstance,
    settings: PodSettings,
    mounts: list[dict[str, Any]],
    block_devices: list[dict[str, Any]],
) -> dict[str, Any]:
    spec = vmi.spec
    devices: dict[str, QuantityValue] = {}
    if spec.domain.devices.interfaces:
        devices["devices.kubevirt.io/tun"] = "1"
    if wants_vsock(spec):
        devices["devices.kubevirt.io/vhost-vsock"] = "1"
    if settings.kvm:
        devices[KVM_DEVICE] = "1"
    devices.update(host_devices(spec))
    devices.update(sriov_resources(vmi, settings.network_resources))
    container: dict[str, Any] = {
        "name": COMPUTE,
        "image": settings.launcher_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": [
            "/usr/bin/virt-launcher-monitor",
            "--uid",
            vmi.metadata.uid,
            "--namespace",
            vmi.metadata.namespace,
            "--name",
            vmi.metadata.name,
            "--grace-period-s",
            str(grace_period_s(spec)),
        ],
        "resources": launcher_resources(spec, devices=devices, more_bytes=_bindings_bytes(spec, settings)),
        "volumeMounts": mounts,
        "securityContext": {
            "runAsUser": QEMU_UID,
            "runAsGroup": QEMU_UID,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if block_devices:
        container["volumeDevices"] = block_devices
    if ports := [port for interface in spec.domain.devices.interfaces for port in _ports(interface)]:
        container["ports"] = ports
    for key, probe in (("livenessProbe", spec.liveness_probe), ("readinessProbe", spec.readiness_probe)):
        if probe is not None and (rendered := _probe(probe)):
            container[key] = rendered
    return container


def _bindings_bytes(spec: VirtualMachineInstanceSpec, settings: PodSettings) -> int:
    """Memory that the network binding plugins say their part needs, each once."""
    plugins = binding_plugins(settings.configuration)
    names = {name for _, name in used_plugins(spec)}
    overheads = [plugins[name].compute_resource_overhead for name in sorted(names & plugins.keys())]
    return sum(to_bytes(one.requests.get("memory", 0)) for one in overheads if one is not None)


def _ports(interface: Interface) -> list[dict[str, Any]]:
    return [
        {"containerPort": port.port, "protocol": port.protocol or "TCP", **({"name": port.name} if port.name else {})}
        for port in interface.ports
    ]


def _probe(probe: Probe) -> dict[str, Any] | None:
    """HTTP and TCP probes reach the guest through the pod's address; the others go through the guest agent."""
    rendered = msgspec.to_builtins(probe)
    assert isinstance(rendered, dict)
    rendered.pop("exec", None)
    rendered.pop("guestAgentPing", None)
    if probe.http_get is not None or probe.tcp_socket is not None:
        return rendered
    if probe.exec is not None and probe.exec.command:
        asked = ["--exec", "--", *probe.exec.command]
    elif probe.guest_agent_ping is not None:
        asked = ["--guest-agent-ping"]
    else:
        return None
    # The launcher needs a moment itself: it gives up before the kubelet does.
    limit_s = probe.timeout_seconds or 1
    rendered["timeoutSeconds"] = limit_s + PROBE_MARGIN_S
    rendered["exec"] = {"command": [*PROBE, "--timeout-s", str(limit_s), *asked]}
    return rendered


def _labels(vmi: VirtualMachineInstance) -> dict[str, str]:
    name = _label_value(vmi.metadata.name)
    return {
        **vmi.metadata.labels,
        "kubevirt.io": "virt-launcher",
        "kubevirt.io/created-by": vmi.metadata.uid,
        "vm.kubevirt.io/name": name,
        "vmi.kubevirt.io/id": name,
    }


def _annotations(vmi: VirtualMachineInstance, settings: PodSettings) -> dict[str, str]:
    kept = {key: value for key, value in vmi.metadata.annotations.items() if key not in _KEPT_FROM_POD}
    return {
        **kept,
        **network_annotations(vmi, binding_plugins(settings.configuration)),
        "kubevirt.io/domain": vmi.metadata.name,
        "kubectl.kubernetes.io/default-container": COMPUTE,
    }


def _node_selector(spec: VirtualMachineInstanceSpec) -> dict[str, str]:
    selector = {"kubevirt.io/schedulable": "true", **spec.node_selector}
    if spec.architecture:
        selector["kubernetes.io/arch"] = spec.architecture
    if spec.domain.cpu is not None and spec.domain.cpu.dedicated_cpu_placement:
        selector["cpumanager"] = "true"
    if wants_realtime(spec.domain):
        selector["kubevirt.io/realtime"] = ""
    machine = spec.domain.machine.type if spec.domain.machine is not None else None
    if machine:
        selector[f"machine-type.node.kubevirt.io/{machine}"] = "true"
    cpu = spec.domain.cpu
    if cpu is not None:
        if cpu.model not in _HOST_MODELS:
            selector[f"cpu-model.node.kubevirt.io/{cpu.model}"] = "true"
        for feature in cpu.features:
            if feature.policy in _NEEDED:
                selector[f"{CPU_FEATURE}{feature.name}"] = "true"
    return selector


def _affinity(spec: VirtualMachineInstanceSpec) -> dict[str, Any]:
    """The VMI's own rules; for the host's CPU model no node whose model is obsolete; none with a forbidden feature."""
    affinity: dict[str, Any] = msgspec.to_builtins(spec.affinity) if spec.affinity is not None else {}
    cpu = spec.domain.cpu
    avoided = [
        f"{CPU_FEATURE}{feature.name}"
        for feature in (cpu.features if cpu is not None else ())
        if feature.policy == "forbid"
    ]
    if cpu is None or cpu.model in (None, "", "host-model"):
        avoided.append("node-labeller.kubevirt.io/obsolete-host-model")
    for label in avoided:
        rule = {"key": label, "operator": "DoesNotExist"}
        required = affinity.setdefault("nodeAffinity", {}).setdefault(
            "requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": []}
        )
        # Terms are alternatives, so the rule goes into each of them.
        required["nodeSelectorTerms"] = required["nodeSelectorTerms"] or [{}]
        for term in required["nodeSelectorTerms"]:
            term["matchExpressions"] = [*term.get("matchExpressions", []), rule]
    return affinity


def _pod_name_prefix(vmi: VirtualMachineInstance) -> str:
    return f"virt-launcher-{vmi.metadata.name[:200]}-"


def _label_value(name: str) -> str:
    """A label value for any object name: too long ones are cut and made unique by a hash."""
    if len(name) <= 63:
        return name
    return f"{name[:54].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _dns_label(name: str) -> str:
    """A host name for any object name: the part before the first dot, at most 63 characters."""
    return re.sub(r"[^a-z0-9-]", "-", name.split(".", maxsplit=1)[0])[:63].strip("-")
