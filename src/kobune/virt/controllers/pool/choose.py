"""Which machines of a pool go first, when some are to be taken away or updated."""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from kobune.api.core import NodeSelectorRequirement
from kobune.api.kubevirt import VirtualMachine
from kobune.api.pool import VirtualMachinePool, VirtualMachinePoolSelectionPolicy, VirtualMachinePoolSelectors
from kobune.kube.client.selectors import SelectorError, parse_labels, render_selector
from kobune.virt.controllers.pool.members import index_of

__all__ = ["followers", "in_order"]


def in_order(
    pool: VirtualMachinePool, machines: Iterable[VirtualMachine], policy: VirtualMachinePoolSelectionPolicy | None
) -> list[VirtualMachine]:
    """Those that the policy selects before the others, each group sorted as it says.

    Without a policy the highest numbers go first. `Random` is a fixed order without meaning, so that a decision that
    is made twice is the same decision.
    """
    sort = (policy.sort_policy if policy is not None else None) or "DescendingOrder"
    ordered = sorted(machines, key=lambda vm: (index_of(pool, vm.metadata.name), vm.metadata.name))
    if sort == "Random":
        ordered.sort(key=lambda vm: hashlib.sha256(vm.metadata.uid.encode()).hexdigest())
    elif sort in ("Oldest", "Newest"):
        ordered.sort(key=lambda vm: vm.metadata.creation_timestamp or "", reverse=sort == "Newest")
    elif sort == "DescendingOrder":
        ordered.reverse()
    selectors = policy.selectors if policy is not None else None
    return sorted(ordered, key=lambda vm: not _selected(vm, selectors)) if selectors is not None else ordered


def followers(pool: VirtualMachinePool, machines: Iterable[VirtualMachine]) -> list[VirtualMachine]:
    """Those that follow the pool's template: all, or the ones that its update strategy selects."""
    strategy = pool.spec.update_strategy
    policy = strategy.proactive.selection_policy if strategy is not None and strategy.proactive is not None else None
    selectors = policy.selectors if policy is not None else None
    return [vm for vm in machines if selectors is None or _selected(vm, selectors)]


def _selected(vm: VirtualMachine, selectors: VirtualMachinePoolSelectors) -> bool:
    template = vm.spec.template
    if selectors.label_selector is not None:
        try:
            if not parse_labels(render_selector(selectors.label_selector))(template.metadata.labels):
                return False
        except SelectorError:
            return False
    wanted: dict[str, Any] = msgspec.to_builtins(template.spec.node_selector) if template.spec is not None else {}
    return all(_meets(item, wanted or {}) for item in selectors.node_selector_requirement_matcher)


def _meets(item: NodeSelectorRequirement, labels: dict[str, str]) -> bool:
    value = labels.get(item.key)
    if item.operator in ("Gt", "Lt"):
        limit = item.values[0] if item.values else ""
        if value is None or not value.isdigit() or not limit.isdigit():
            return False
        return int(value) > int(limit) if item.operator == "Gt" else int(value) < int(limit)
    return {
        "In": value in item.values,
        "NotIn": value not in item.values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(item.operator, False)
