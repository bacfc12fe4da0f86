"""Where a guest may run: affinity and spread. The rules are Kubernetes' for pods, at the paths KubeVirt gives them."""

from typing import Final

from kobune.api.core import NodeAffinity, NodeSelectorTerm, PodAffinityTerm
from kobune.api.kubevirt import VirtualMachineInstanceSpec
from kobune.virt.admission.validation.check import Findings

__all__ = ["check_placement"]

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def check_placement(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """Affinity and topology spread constraints of a specification at `path`."""
    affinity = spec.affinity
    if affinity is not None:
        node = affinity.node_affinity
        if node is not None:
            _node_affinity(findings, f"{path}.nodeAffinity", node)
        for name, rules in (("podAffinity", affinity.pod_affinity), ("podAntiAffinity", affinity.pod_anti_affinity)):
            if rules is None:
                continue
            for index, term in enumerate(rules.required_during_scheduling_ignored_during_execution):
                _pod_term(findings, f"{path}.{name}.{_REQUIRED}[{index}]", term)
            for index, weighted in enumerate(rules.preferred_during_scheduling_ignored_during_execution):
                where = f"{path}.{name}.{_PREFERRED}[{index}]"
                _weight(findings, where, weighted.weight)
                _pod_term(findings, f"{where}.podAffinityTerm", weighted.pod_affinity_term)
    seen: set[tuple[str, str]] = set()
    for index, constraint in enumerate(spec.topology_spread_constraints):
        here = f"{path}.topologySpreadConstraints[{index}]"
        if constraint.max_skew <= 0:
            findings.add(f"{here}.maxSkew", f"{here}.maxSkew: must be greater than zero")
        if not constraint.topology_key:
            findings.add(f"{here}.topologyKey", f"{here}.topologyKey: Required value: can not be empty")
        pair = (constraint.topology_key, constraint.when_unsatisfiable)
        if pair in seen:
            where = f"{here}.{{topologyKey, whenUnsatisfiable}}"
            findings.add(where, f"{where}: Duplicate value: {{{pair[0]}, {pair[1]}}}")
        seen.add(pair)


def _node_affinity(findings: Findings, path: str, affinity: NodeAffinity) -> None:
    required = affinity.required_during_scheduling_ignored_during_execution
    if required is not None:
        where = f"{path}.{_REQUIRED}.nodeSelectorTerms"
        if not required.node_selector_terms:
            findings.add(where, f"{where}: Required value: must have at least one node selector term")
        for index, term in enumerate(required.node_selector_terms):
            _node_term(findings, f"{where}[{index}]", term)
    for index, weighted in enumerate(affinity.preferred_during_scheduling_ignored_during_execution):
        where = f"{path}.{_PREFERRED}[{index}]"
        _weight(findings, where, weighted.weight)
        _node_term(findings, f"{where}.preference", weighted.preference)


def _node_term(findings: Findings, path: str, term: NodeSelectorTerm) -> None:
    for index, item in enumerate(term.match_expressions):
        where = f"{path}.matchExpressions[{index}].values"
        if item.operator in ("In", "NotIn") and not item.values:
            findings.add(where, f"{where}: Required value: must be specified when `operator` is 'In' or 'NotIn'")
        elif item.operator in ("Exists", "DoesNotExist") and item.values:
            message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            findings.add(where, f"{where}: Forbidden: {message}")
        elif item.operator in ("Gt", "Lt") and len(item.values) != 1:
            message = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            findings.add(where, f"{where}: Required value: {message}")


def _weight(findings: Findings, path: str, weight: int) -> None:
    if not 0 < weight <= 100:
        findings.add(f"{path}.weight", f"{path}.weight: Invalid value: {weight}: must be in the range 1-100")


def _pod_term(findings: Findings, path: str, term: PodAffinityTerm) -> None:
    if not term.topology_key:
        findings.add(f"{path}.topologyKey", f"{path}.topologyKey: Required value: can not be empty")
    for index, item in enumerate(term.label_selector.match_expressions if term.label_selector is not None else ()):
        where = f"{path}.labelSelector.matchExpressions[{index}].values"
        if item.operator in ("In", "NotIn") and not item.values:
            findings.add(where, f"{where}: Required value: must be specified when `operator` is 'In' or 'NotIn'")
        elif item.operator in ("Exists", "DoesNotExist") and item.values:
            message = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            findings.add(where, f"{where}: Forbidden: {message}")
