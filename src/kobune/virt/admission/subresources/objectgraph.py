"""What a machine or an instance depends on, as a tree: for tools that copy, move or back up machines.

Pure. Order, labels and which nodes are optional are KubeVirt's.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from kobune.api.core import TypedObjectReference
from kobune.api.kubevirt import (
    AccessCredential,
    InstancetypeMatcher,
    InstancetypeStatusRef,
    Network,
    ObjectGraphNode,
    ObjectGraphOptions,
    PreferenceMatcher,
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineInstanceSpec,
    Volume,
)
from kobune.virt.admission.validation.others import selects

__all__ = ["DEPENDENCY_LABEL", "instance_graph", "machine_graph"]

DEPENDENCY_LABEL: Final = "kubevirt.io/dependency-type"

_GROUPS: Final = {
    "VirtualMachine": "kubevirt.io",
    "VirtualMachineInstance": "kubevirt.io",
    "VirtualMachineInstancetype": "instancetype.kubevirt.io",
    "VirtualMachineClusterInstancetype": "instancetype.kubevirt.io",
    "VirtualMachinePreference": "instancetype.kubevirt.io",
    "VirtualMachineClusterPreference": "instancetype.kubevirt.io",
    "DataVolume": "cdi.kubevirt.io",
    "ControllerRevision": "apps",
    "NetworkAttachmentDefinition": "k8s.cni.cncf.io",
}
_DEPENDENCIES: Final = {
    "storage": ("DataVolume", "PersistentVolumeClaim"),
    "compute": ("Pod", "VirtualMachine", "VirtualMachineInstance"),
    "network": ("ServiceAccount", "NetworkAttachmentDefinition"),
}
_TYPE_OF: Final = {kind: name for name, kinds in _DEPENDENCIES.items() for kind in kinds}


def machine_graph(vm: VirtualMachine, pod: str, options: ObjectGraphOptions) -> ObjectGraphNode:
    """The tree of a machine; `pod` is the name of its launcher pod, empty when there is none."""
    namespace = vm.metadata.namespace
    children: list[ObjectGraphNode] = []
    if vm.status.created:
        pods = [_node("Pod", pod, namespace)] if pod else []
        children.append(_node("VirtualMachineInstance", vm.metadata.name, namespace, pods))
    children += _matcher(vm.spec.instancetype, vm.status.instancetype_ref, "Instancetype", namespace)
    children += _matcher(vm.spec.preference, vm.status.preference_ref, "Preference", namespace)
    if vm.spec.template.spec is not None:
        children += _of_spec(vm.spec.template.spec, namespace)
    return _node("VirtualMachine", vm.metadata.name, namespace, _filtered(children, options))


def instance_graph(vmi: VirtualMachineInstance, pod: str, options: ObjectGraphOptions) -> ObjectGraphNode:
    """The tree of an instance."""
    namespace = vmi.metadata.namespace
    children = [_node("Pod", pod, namespace)] if pod else []
    children += _of_spec(vmi.spec, namespace)
    return _node("VirtualMachineInstance", vmi.metadata.name, namespace, _filtered(children, options))


def _node(
    kind: str, name: str, namespace: str, children: Iterable[ObjectGraphNode] = (), *, optional: bool = False
) -> ObjectGraphNode:
    return ObjectGraphNode(
        object_reference=TypedObjectReference(
            api_group=_GROUPS.get(kind, ""), kind=kind, name=name, namespace=namespace
        ),
        labels={DEPENDENCY_LABEL: _TYPE_OF.get(kind, "config")},
        children=list(children),
        optional=True if optional else None,
    )


def _of_spec(spec: VirtualMachineInstanceSpec, namespace: str) -> Iterator[ObjectGraphNode]:
    for secret in _credential_secrets(spec.access_credentials):
        yield _node("Secret", secret, namespace)
    for volume in spec.volumes:
        yield from _volume(volume, namespace)
    for network in spec.networks:
        yield from _network(network, namespace)


def _credential_secrets(credentials: Iterable[AccessCredential]) -> Iterator[str]:
    for credential in credentials:
        for kind in (credential.ssh_public_key, credential.user_password):
            if kind is not None and kind.source.secret is not None:
                yield kind.source.secret.secret_name


def _volume(volume: Volume, namespace: str) -> Iterator[ObjectGraphNode]:
    if volume.data_volume is not None:
        claim = _node("PersistentVolumeClaim", volume.data_volume.name, namespace)
        yield _node("DataVolume", volume.data_volume.name, namespace, [claim])
    if volume.persistent_volume_claim is not None:
        yield _node("PersistentVolumeClaim", volume.persistent_volume_claim.claim_name, namespace)
    if volume.ephemeral is not None and volume.ephemeral.persistent_volume_claim is not None:
        yield _node("PersistentVolumeClaim", volume.ephemeral.persistent_volume_claim.claim_name, namespace)
    if volume.memory_dump is not None:
        yield _node("PersistentVolumeClaim", volume.memory_dump.claim_name, namespace)
    if volume.config_map is not None and volume.config_map.name:
        yield _node("ConfigMap", volume.config_map.name, namespace)
    if volume.secret is not None and volume.secret.secret_name:
        yield _node("Secret", volume.secret.secret_name, namespace)
    if volume.service_account is not None and volume.service_account.service_account_name:
        yield _node("ServiceAccount", volume.service_account.service_account_name, namespace)
    if volume.sysprep is not None:
        for kind, reference in (("ConfigMap", volume.sysprep.config_map), ("Secret", volume.sysprep.secret)):
            if reference is not None and reference.name:
                yield _node(kind, reference.name, namespace)
    for cloud_init in (volume.cloud_init_no_cloud, volume.cloud_init_config_drive):
        if cloud_init is not None:
            for reference in (cloud_init.secret_ref, cloud_init.network_data_secret_ref):
                if reference is not None and reference.name:
                    yield _node("Secret", reference.name, namespace)


def _network(network: Network, namespace: str) -> Iterator[ObjectGraphNode]:
    """`networkName` may have a namespace before a slash."""
    if network.multus is not None and network.multus.network_name:
        where, _, name = network.multus.network_name.rpartition("/")
        yield _node("NetworkAttachmentDefinition", name, where or namespace)


def _matcher(
    matcher: InstancetypeMatcher | PreferenceMatcher | None,
    recorded: InstancetypeStatusRef | None,
    word: str,
    namespace: str,
) -> Iterator[ObjectGraphNode]:
    """The object is optional: the machine lives by the revision that keeps it."""
    if matcher is None:
        return
    if matcher.name:
        clustered = "cluster" in (matcher.kind or "cluster").lower()
        kind = f"VirtualMachine{'Cluster' if clustered else ''}{word}"
        yield _node(kind, matcher.name, "" if clustered else namespace, optional=True)
    revision = recorded.controller_revision_ref if recorded is not None else None
    name = revision.name if revision is not None else matcher.revision_name
    if name:
        yield _node("ControllerRevision", name, namespace)


def _filtered(nodes: Iterable[ObjectGraphNode], options: ObjectGraphOptions) -> list[ObjectGraphNode]:
    """A node that is left out takes those below it with it."""
    kept = []
    for node in nodes:
        if node.optional and options.include_optional_nodes is False:
            continue
        if options.label_selector is not None and not selects(options.label_selector, node.labels):
            continue
        kept.append(msgspec.structs.replace(node, children=_filtered(node.children, options)))
    return kept
