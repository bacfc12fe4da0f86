"""Warnings about a pod or pod template."""

from collections.abc import Iterator
from typing import Any

from kobune.embedded.apiserver.validation.checks import amount

__all__ = ["pod"]

Object = dict[str, Any]

_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_PLUGINS = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_KINDS = ("initContainers", "containers", "ephemeralContainers")


def pod(given: Object, path: str) -> Iterator[str]:
    """`given` has metadata and spec; `path` is empty or ends with a dot."""
    spec, annotations = given.get("spec") or {}, (given.get("metadata") or {}).get("annotations") or {}
    at = f"{path}spec"
    yield from _placement(spec, at)
    for name, told in _ANNOTATIONS.items():
        if name in annotations:
            yield f"{path}metadata.annotations[{name}]: {told}"
    for i, volume in enumerate(spec.get("volumes") or ()):
        for plugin, told in _PLUGINS.items():
            if volume.get(plugin) is not None:
                yield f"{at}.volumes[{i}].{plugin}: {told}"
    yield from _repeated(spec.get("hostAliases") or [], "ip", f"{at}.hostAliases")
    secrets = spec.get("imagePullSecrets") or []
    yield from _repeated(secrets, "name", f"{at}.imagePullSecrets")
    for i, secret in enumerate(secrets):
        if not secret.get("name"):
            yield f'{at}.imagePullSecrets[{i}].name: invalid empty name ""'
    yield from _fractions(spec.get("overhead") or {}, f"{at}.overhead")
    containers = [(c, f"{at}.{kind}[{i}]") for kind in _KINDS for i, c in enumerate(spec.get(kind) or ())]
    for container, where in containers:
        resources = container.get("resources") or {}
        for kind in ("limits", "requests"):
            yield from _fractions(resources.get(kind) or {}, f"{where}.resources.{kind}")
        yield from _hidden(container.get("env") or [], f"{where}.env")
    yield from _ports(containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield (
            f"{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )


def _placement(spec: Object, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or {}:
        if key in _LABELS:
            yield f"{path}.nodeSelector[{key}]: {_LABELS[key]}"
    nodes = ((spec.get("affinity") or {}).get("nodeAffinity")) or {}
    at = f"{path}.affinity.nodeAffinity"
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    terms = [
        (term, f"{at}.{required}.nodeSelectorTerms[{i}]")
        for i, term in enumerate((nodes.get(required) or {}).get("nodeSelectorTerms") or ())
    ]
    terms += [
        (term.get("preference") or {}, f"{at}.{preferred}[{i}].preference")
        for i, term in enumerate(nodes.get(preferred) or ())
    ]
    for term, where in terms:
        for i, expression in enumerate(term.get("matchExpressions") or ()):
            key = expression.get("key", "")
            if key in _LABELS:
                yield f"{where}.matchExpressions[{i}].key: {key} is {_LABELS[key]}"
    for i, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        where, key = f"{path}.topologySpreadConstraints[{i}]", constraint.get("topologyKey", "")
        if key in _LABELS:
            yield f"{where}.topologyKey: {key} is {_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{where}.labelSelector: a null labelSelector results in matching no pod"


def _repeated(entries: list[Object], field: str, path: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, entry in enumerate(entries):
        value = entry.get(field, "")
        if value in seen:
            yield f'{path}[{i}].{field}: duplicate {field} "{value}"'
        seen.add(value)


def _fractions(values: Object, path: str) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage"):
        if name in values and amount(values[name]) % 1:
            yield f'{path}[{name}]: fractional byte value "{values[name]}" is invalid, must be an integer'


def _hidden(variables: list[Object], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for i, variable in enumerate(variables):
        name, value = variable.get("name", ""), variable.get("value", "")
        reference = f"$({name})"
        replaces = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and replaces:
            yield f'{path}[{i}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(containers: list[tuple[Object, str]]) -> Iterator[str]:
    known: dict[tuple[Any, Any], list[tuple[Object, str]]] = {}
    for container, where in containers:
        for i, port in enumerate(container.get("ports") or ()):
            at = f"{where}.ports[{i}]"
            others = known.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other, place in others:
                mine, theirs = (port.get("hostPort") or 0), (other.get("hostPort") or 0)
                here, there = port.get("hostIP") or "", other.get("hostIP") or ""
                if (mine, here) == (theirs, there):
                    yield f"{at}: duplicate port definition with {place}"
                elif not mine or not theirs:
                    yield f"{at}: overlapping port definition with {place}"
                elif mine == theirs and bool(here) != bool(there):
                    yield f"{at}: dangerously ambiguous port definition with {place}"
            others.append((port, at))
