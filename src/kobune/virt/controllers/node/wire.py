"""Observing nodes, and which changes make the controller look at one."""

from collections.abc import Iterable

from kobune.api.core import Pod
from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess, Watch
from kobune.virt.controllers.node.decide import Observed, decide
from kobune.virt.controllers.node.facts_pod import CPU_FACTS, facts_pod_name

__all__ = ["wire"]

BY_NODE = "node"
LAUNCHER_PODS = "kubevirt.io=virt-launcher"


def wire(
    process: ControllerProcess, *, launcher_image: str, image_pull_policy: str, namespace: str
) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    nodes = process.informers.of(NODES)
    instances = process.informers.of(VIRTUAL_MACHINE_INSTANCES, indexes={BY_NODE: _node_of_instance})
    launchers = process.informers.of(PODS, label_selector=LAUNCHER_PODS, indexes={BY_NODE: _node_of_pod})
    facts = process.informers.of(PODS, namespace=namespace, label_selector=CPU_FACTS)

    async def observe(key: Key) -> Observed | None:
        return Observed(
            key.name,
            nodes.get(key),
            tuple(instances.by_index(BY_NODE, key.name)),
            tuple(launchers.by_index(BY_NODE, key.name)),
            facts.get(Key(namespace, facts_pod_name(key.name))),
            namespace,
            launcher_image,
            image_pull_policy,
            process.clock.now(),
        )

    return process.add(
        "node",
        primary=nodes,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        watches=(
            Watch(instances, lambda vmi: _keys(_node_of_instance(vmi)), _moved),
            Watch(facts, lambda pod: _keys(_node_of_pod(pod))),
        ),
        reads=(launchers,),
    )


def _node_of_instance(vmi: VirtualMachineInstance) -> list[str]:
    return [vmi.status.node_name] if vmi.status.node_name else []


def _node_of_pod(pod: Pod) -> list[str]:
    return [pod.spec.node_name] if pod.spec.node_name else []


def _keys(names: Iterable[str]) -> list[Key]:
    return [Key("", name) for name in names]


def _moved(old: VirtualMachineInstance | None, new: VirtualMachineInstance | None) -> bool:
    """An instance that came to a node or left one; what happens on a live node is virt-handler's."""
    return (_node_of_instance(old) if old is not None else []) != (_node_of_instance(new) if new is not None else [])
