"""PolicyRules: does a rule allow a request, do some rules cover others. Pure. Source: the RBAC API."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Rule", "compact", "parse_rules", "uncovered"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows_resource(self, verb: str, group: str, resource: str, subresource: str, name: str) -> bool:
        """Whether the rule grants a request on a resource."""
        if verb not in self.verbs and "*" not in self.verbs:
            return False
        if group not in self.groups and "*" not in self.groups:
            return False
        if self.names and name not in self.names:
            return False
        full = f"{resource}/{subresource}" if subresource else resource
        return any(e in ("*", full) or (subresource and e == f"*/{subresource}") for e in self.resources)

    def allows_path(self, verb: str, path: str) -> bool:
        """Whether the rule grants a request on a path outside of the API."""
        if verb not in self.verbs and "*" not in self.verbs:
            return False
        return any(p in ("*", path) or (p.endswith("*") and path.startswith(p[:-1])) for p in self.paths)

    def wire(self) -> dict[str, Any]:
        """The PolicyRule object."""
        rule: dict[str, Any] = {"verbs": list(self.verbs)}
        if self.groups:
            rule["apiGroups"] = list(self.groups)
        if self.resources:
            rule["resources"] = list(self.resources)
        if self.names:
            rule["resourceNames"] = list(self.names)
        if self.paths:
            rule["nonResourceURLs"] = list(self.paths)
        return rule


def parse_rules(rules: Iterable[dict[str, Any]] | None) -> tuple[Rule, ...]:
    """The rules of a Role or ClusterRole."""
    return tuple(
        Rule(
            tuple(rule.get("verbs") or ()),
            tuple(rule.get("apiGroups") or ()),
            tuple(rule.get("resources") or ()),
            tuple(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )
        for rule in rules or ()
    )


def _atoms(rule: Rule) -> Iterable[Rule]:
    """The smallest rules that a rule is made of: one verb, one group, one resource, one name each."""
    for verb in rule.verbs:
        for path in rule.paths:
            yield Rule((verb,), paths=(path,))
        for group in rule.groups:
            for resource in rule.resources:
                if rule.names:
                    for name in rule.names:
                        yield Rule((verb,), (group,), (resource,), (name,))
                else:
                    yield Rule((verb,), (group,), (resource,))


def _covers(owner: Rule, atom: Rule) -> bool:
    if atom.verbs[0] not in owner.verbs and "*" not in owner.verbs:
        return False
    if atom.paths:
        path = atom.paths[0]
        return any(p == path or (p.endswith("*") and path.startswith(p[:-1])) for p in owner.paths)
    if atom.groups[0] not in owner.groups and "*" not in owner.groups:
        return False
    if owner.names and (not atom.names or atom.names[0] not in owner.names):
        return False
    resource = atom.resources[0]
    if resource in owner.resources or "*" in owner.resources:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in owner.resources


def uncovered(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted` that `owned` does not grant, joined again by verb; empty when nothing is missing."""
    owners = list(owned)
    missing = [atom for rule in wanted for atom in _atoms(rule) if not any(_covers(owner, atom) for owner in owners)]
    return compact(missing)


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Join rules that differ in their verbs only."""
    merged: dict[tuple[Any, ...], list[str]] = {}
    for rule in rules:
        verbs = merged.setdefault((rule.groups, rule.resources, rule.names, rule.paths), [])
        verbs.extend(verb for verb in rule.verbs if verb not in verbs)
    return [Rule(tuple(verbs), *rest) for rest, verbs in merged.items()]
