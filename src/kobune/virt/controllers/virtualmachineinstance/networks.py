"""The annotations by which a launcher pod asks for networks beside the pod network. Pure.

Source: the Kubernetes Network Custom Resource Definition De-facto Standard, as KubeVirt uses it.
"""

import json
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from kobune.api.core import Pod
from kobune.api.kubevirt import InterfaceBindingPlugin, Network, VirtualMachineInstance
from kobune.api.meta import QuantityValue
from kobune.kube.client.core import PODS
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, PatchObject
from kobune.virt.domain.networks import is_secondary, pairs, pod_interface, sriov_pairs

__all__ = [
    "DEFAULT_NETWORK",
    "NETWORKS",
    "RESOURCE_NAME",
    "definition_of",
    "network_annotations",
    "networks_of_running_pod",
    "sriov_resources",
]

NETWORKS: Final = "k8s.v1.cni.cncf.io/networks"
_NO_PLUGINS: Final[Mapping[str, InterfaceBindingPlugin]] = MappingProxyType({})
RESOURCE_NAME: Final = "k8s.v1.cni.cncf.io/resourceName"
"""Annotation of a definition: the extended resource that a pod on that network has to ask for."""
DEFAULT_NETWORK: Final = "v1.multus-cni.io/default-network"


def network_annotations(
    vmi: VirtualMachineInstance, plugins: Mapping[str, InterfaceBindingPlugin] = _NO_PLUGINS
) -> dict[str, str]:
    """None for a guest on the pod network alone. A binding plugin of `plugins` may bring a network of its own."""
    elements: list[dict[str, Any]] = []
    annotations: dict[str, str] = {}
    for interface, network in pairs(vmi.spec):
        plugin = plugins.get(interface.binding.name) if interface.binding is not None else None
        if plugin is not None and plugin.network_attachment_definition:
            elements.append(_plugins_own(plugin.network_attachment_definition, vmi, network))
        if network.multus is None:
            continue
        namespace, _, name = network.multus.network_name.rpartition("/")
        if not is_secondary(network):
            annotations[DEFAULT_NETWORK] = network.multus.network_name
            continue
        element = {"name": name, "namespace": namespace or vmi.metadata.namespace}
        if interface.mac_address:
            element["mac"] = interface.mac_address
        elements.append({**element, "interface": pod_interface(network)})
    if elements:
        annotations[NETWORKS] = json.dumps(elements, separators=(",", ":"))
    return annotations


def definition_of(vmi: VirtualMachineInstance, network: Network) -> Key:
    """The NetworkAttachmentDefinition of a network on one."""
    namespace, _, name = network.multus.network_name.rpartition("/") if network.multus is not None else ("", "", "")
    return Key(namespace or vmi.metadata.namespace, name)


def sriov_resources(vmi: VirtualMachineInstance, resources: Mapping[str, str]) -> dict[str, QuantityValue]:
    """How many of each resource SR-IOV interfaces need; `resources` by `NAMESPACE/NAME` of the definition."""
    names = [str(definition_of(vmi, network)) for _, network in sriov_pairs(vmi.spec)]
    counted = Counter(resources[name] for name in names if resources.get(name))
    return {resource: str(count) for resource, count in counted.items()}


def _plugins_own(definition: str, vmi: VirtualMachineInstance, network: Network) -> dict[str, Any]:
    """The plugin's CNI plugin learns which network it is for."""
    namespace, _, name = definition.rpartition("/")
    args = {"logicNetworkName": network.name}
    return {"name": name, "namespace": namespace or vmi.metadata.namespace, "cni-args": args}


def networks_of_running_pod(
    vmi: VirtualMachineInstance, pod: Pod, plugins: Mapping[str, InterfaceBindingPlugin] = _NO_PLUGINS
) -> list[Action]:
    """Tell the pod's node which networks the instance has now. The first network stays what it was."""
    wanted = network_annotations(vmi, plugins).get(NETWORKS, vmi.metadata.annotations.get(NETWORKS))
    if pod.metadata.annotations.get(NETWORKS) == wanted:
        return []
    patch = Patch.merge({"metadata": {"uid": pod.metadata.uid, "annotations": {NETWORKS: wanted}}})
    return [PatchObject(PODS, Key(pod.metadata.namespace, pod.metadata.name), patch)]
