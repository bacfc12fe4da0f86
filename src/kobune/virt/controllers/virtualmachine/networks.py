"""Interfaces of a machine's template that come to its running instance, leave it, or change their link. Pure.

Owns which interfaces an instance gets from its machine after its start. Source: KubeVirt's rules: bridges to secondary
networks are plugged, `state: absent` unplugs them, `state` up and down is the link of any interface.
"""

from typing import Any

import msgspec

from kobune.api.kubevirt import Interface, VirtualMachine, VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import key_of
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, PatchObject
from kobune.virt.domain.networks import pluggable

__all__ = ["networks_need_restart", "plug_interfaces", "without_networks"]


def plug_interfaces(vm: VirtualMachine, vmi: VirtualMachineInstance) -> list[Action]:
    """The change of the instance, if there is one. Only of one that runs: a later one is made from the template."""
    template = vm.spec.template.spec
    if vmi.status.phase != "Running" or vmi.metadata.deletion_timestamp is not None or template is None:
        return []
    networks = {network.name: network for network in template.networks}
    present = {interface.name: interface for interface in vmi.spec.domain.devices.interfaces}
    coming: list[Interface] = []
    for wanted in template.domain.devices.interfaces:
        found = present.get(wanted.name)
        if found is not None:
            may_go = pluggable(found, networks.get(wanted.name))
            if "absent" not in (wanted.state, found.state) or may_go:
                present[wanted.name] = msgspec.structs.replace(found, state=wanted.state)
        elif wanted.state != "absent" and pluggable(wanted, networks.get(wanted.name)):
            coming.append(wanted)
    interfaces = [*present.values(), *coming]
    if interfaces == vmi.spec.domain.devices.interfaces:
        return []
    attached = [*vmi.spec.networks, *(networks[interface.name] for interface in coming)]
    body: dict[str, Any] = {
        # The lists are replaced as they are known here.
        "metadata": {"resourceVersion": vmi.metadata.resource_version},
        "spec": {
            "networks": msgspec.to_builtins(attached),
            "domain": {"devices": {"interfaces": msgspec.to_builtins(interfaces)}},
        },
    }
    return [PatchObject(VIRTUAL_MACHINE_INSTANCES, key_of(vmi), Patch.merge(body))]


def without_networks(spec: dict[str, Any]) -> dict[str, Any]:
    """A template's specification without what `networks_need_restart` looks at; `spec` is decoded JSON."""
    domain = spec.get("domain") or {}
    devices = {key: value for key, value in (domain.get("devices") or {}).items() if key != "interfaces"}
    rest = {key: value for key, value in spec.items() if key != "networks"}
    return {**rest, "domain": {**domain, "devices": devices}}


def networks_need_restart(then: VirtualMachineInstanceSpec, now: VirtualMachineInstanceSpec) -> bool:
    """Whether the template has come to differ in more than what follows live.

    `then` is the template that the instance was made from. What was plugged in since is nobody's business here: it
    comes again at the next start, as it is in the template then.
    """
    networks_then = {network.name: network for network in then.networks}
    networks_now = {network.name: network for network in now.networks}
    before = {interface.name: interface for interface in then.domain.devices.interfaces}
    after = {interface.name: interface for interface in now.domain.devices.interfaces}
    for name in before.keys() | after.keys():
        was, wanted = before.get(name), after.get(name)
        if was is None and wanted is not None:
            if wanted.state != "absent" and not pluggable(wanted, networks_now.get(name)):
                return True
        elif wanted is None and was is not None:
            # One that left before its line was deleted is gone already.
            if was.state != "absent":
                return True
        elif was is not None and wanted is not None:
            same = msgspec.structs.replace(was, state=wanted.state) == wanted
            if not same or networks_then.get(name) != networks_now.get(name):
                return True
    return False
