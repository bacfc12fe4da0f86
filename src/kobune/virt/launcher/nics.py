"""Makes the interfaces of a running domain be what the VMI says: plugged in, unplugged, linked or not.

Level-triggered: compares the VMI with libvirt's own description, and is called again by whoever waits for the result.
`plan_nics` (pure) says what there is to do. An interface for which no facts are given is not plugged in.
"""

import copy
import logging
from dataclasses import dataclass
from xml.etree import ElementTree

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.host.libvirt.types import Hypervisor, LibvirtRefused
from kobune.virt.domain.devices.interface import interface_element
from kobune.virt.domain.document import DomainSource
from kobune.virt.domain.facts import Facts

__all__ = ["NicPlan", "follow_nics", "plan_nics"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NicPlan:
    """`attach` and `update` are libvirt's descriptions of interfaces, `detach` aliases."""

    attach: tuple[str, ...] = ()
    detach: tuple[str, ...] = ()
    update: tuple[str, ...] = ()


def plan_nics(vmi: VirtualMachineInstance, facts: Facts, domain_xml: str) -> NicPlan:
    """What leads from the domain as libvirt describes it to the VMI's interfaces. Raises InvalidSpec."""
    root = ElementTree.fromstring(domain_xml)  # noqa: S314 - libvirt's own text, not a guest's
    live = {_alias(element): element for element in root.iterfind("devices/interface")}
    ready = {fact.name for fact in facts.interfaces}
    attach: list[str] = []
    detach: list[str] = []
    update: list[str] = []
    for index, interface in enumerate(vmi.spec.domain.devices.interfaces):
        if interface.sriov is not None:
            continue  # a device of the node stays as it was given
        alias = f"ua-{interface.name}"
        element = live.get(alias)
        if interface.state == "absent":
            detach += [alias] if element is not None else []
        elif element is None:
            if interface.name in ready:
                attach.append(_text(interface_element(DomainSource(vmi, facts), index)))
        elif _link(element) != (interface.state or "up"):
            update.append(_with_link(element, interface.state or "up"))
    return NicPlan(tuple(attach), tuple(detach), tuple(update))


async def follow_nics(
    hypervisor: Hypervisor, domain: str, vmi: VirtualMachineInstance, facts: Facts, domain_xml: str
) -> None:
    """Carry the plan out. Raises InvalidSpec, LibvirtRefused, LibvirtUnavailable."""
    plan = plan_nics(vmi, facts, domain_xml)
    for alias in plan.detach:
        # Gone when the guest has let go of it, which an event tells.
        try:
            await hypervisor.detach_device(domain, alias)
            log.info("unplugging %s", alias)
        except LibvirtRefused as error:
            # Also said while an earlier request waits for the guest.
            log.info("unplugging %s: %s", alias, error)
    for xml in plan.update:
        await hypervisor.update_device(domain, xml)
    for xml in plan.attach:
        await hypervisor.attach_device(domain, xml)
    if plan.attach or plan.update:
        log.info("%d interfaces plugged in, %d links changed", len(plan.attach), len(plan.update))


def _alias(element: ElementTree.Element) -> str:
    found = element.find("alias")
    return found.get("name", "") if found is not None else ""


def _link(element: ElementTree.Element) -> str:
    found = element.find("link")
    return found.get("state", "up") if found is not None else "up"


def _with_link(element: ElementTree.Element, state: str) -> str:
    changed = copy.deepcopy(element)
    for link in changed.findall("link"):
        changed.remove(link)
    ElementTree.SubElement(changed, "link", state=state)
    return _text(changed)


def _text(element: ElementTree.Element) -> str:
    return ElementTree.tostring(element, encoding="unicode")
