"""Which interfaces of a running guest have to be plugged in, unplugged or linked, and what is left of others. Pure."""

from dataclasses import dataclass

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.domain.networks import pairs, pluggable, pod_interface
from kobune.virt.handler.instance.observed import LauncherPod
from kobune.virt.launcherproto.messages import DomainState

__all__ = ["InterfaceWork", "interface_work"]


@dataclass(frozen=True, slots=True)
class InterfaceWork:
    """`change`: the launcher has to be told. `left`: unplugged interfaces whose bridge and tap are still there."""

    change: bool = False
    left: frozenset[str] = frozenset()


def interface_work(
    vmi: VirtualMachineInstance, pod: LauncherPod, state: DomainState, pruned: frozenset[str]
) -> InterfaceWork:
    """Compares the specification with the domain. An interface comes once the pod's node has attached its network."""
    live = {interface.name: interface.link_up for interface in state.interfaces if interface.from_domain}
    attached = {network.interface for network in pod.attached}
    change = False
    for interface, network in pairs(vmi.spec):
        if interface.name in live:
            change = change or live[interface.name] != (interface.state != "down")
        elif pluggable(interface, network) and pod_interface(network) in attached:
            change = True
    gone = {interface.name for interface in vmi.spec.domain.devices.interfaces if interface.state == "absent"}
    change = change or bool(gone & live.keys())
    return InterfaceWork(change, frozenset(gone - live.keys() - pruned))
