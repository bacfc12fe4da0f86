"""The admission step: pods are refused, objects that make pods are warned of, namespaces may say only what exists.

Owns which requests are looked at and what is said. Nobody is exempt. Source: Kubernetes' documentation of Pod Security
Admission; the texts are its servers'.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kobune.embedded.apiserver.admission.podsecurity.controls import violations
from kobune.embedded.apiserver.admission.podsecurity.levels import PREFIX, Level, Policies, Standard, policies_of
from kobune.embedded.apiserver.admission.podsecurity.violation import Violation
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import forbidden, invalid

__all__ = ["PodSecurity", "existing_pods", "is_significant"]

Object = dict[str, Any]

MAX_PODS: Final = 3000
PODS_TIMEOUT_S: Final = 1.0
_TEMPLATES: Final = {
    ("", "podtemplates"): ("template",),
    ("", "replicationcontrollers"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
}
_UNCHECKED: Final = frozenset(("exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"))
"""Subresources of a pod that change nothing of what it may do."""
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP: Final = "container.seccomp.security.alpha.kubernetes.io/"


class PodSecurity:
    """Admission step."""

    def __init__(self, storage: Storage) -> None:
        self._namespaces = storage.collection("core/namespaces")
        self._pods = storage.collection("core/pods")

    async def mutate(self, call: Call, operation: str, obj: Object | None, old: Object | None) -> None:
        """Changes nothing."""

    async def validate(self, call: Call, operation: str, obj: Object | None, old: Object | None) -> None:
        """Refuse or warn. Raises StatusError 403 for a pod, 422 for a namespace's labels."""
        info = call.resource.info
        if obj is None or operation not in ("CREATE", "UPDATE"):
            return
        kind = (info.group, info.plural)
        if kind == ("", "pods"):
            if call.info.subresource not in _UNCHECKED and (old is None or is_significant(obj, old)):
                self._pod(call, obj)
        elif kind == ("", "namespaces"):
            if not call.info.subresource:
                self._namespace(call, obj, old)
        elif kind in _TEMPLATES and not call.info.subresource:
            self._template(call, obj, _TEMPLATES[kind])

    def _pod(self, call: Call, pod: Object) -> None:
        policies = self._policies(call.info.namespace)
        if policies == Policies():
            return
        call.annotate(PREFIX + "enforce-policy", str(policies.enforce))
        _note(call, policies.audit, pod)
        found = violations(policies.enforce, pod["metadata"], pod.get("spec") or {})
        if found:
            text = f'violates PodSecurity "{policies.enforce}": {_told(found)}'
            raise forbidden("", "pods", pod["metadata"].get("name") or call.info.name, text)
        _warn(call, policies.warn, pod)

    def _template(self, call: Call, owner: Object, path: Sequence[str]) -> None:
        policies = self._policies(call.info.namespace)
        if policies.warn.level is policies.audit.level is Level.PRIVILEGED:
            return
        template: Any = owner
        for name in path:
            template = template.get(name) or {}
        if template:
            _note(call, policies.audit, template)
            _warn(call, policies.warn, template)

    def _namespace(self, call: Call, new: Object, old: Object | None) -> None:
        policies, problems = policies_of(_labels(new))
        before, old_problems = policies_of(_labels(old)) if old is not None else (Policies(), [])
        if problems and (old is None or problems != old_problems):
            raise invalid("", "Namespace", new["metadata"].get("name") or call.info.name, problems)
        asked, had = policies.enforce, before.enforce
        if old is None or asked == had or asked.level is Level.PRIVILEGED:
            return
        if asked.minor == had.minor and asked.level <= had.level:
            return
        name = new["metadata"]["name"]
        for text in existing_pods(name, asked, [item.object() for item in self._pods.select(name)]):
            call.warn(text)

    def _policies(self, namespace: str) -> Policies:
        item = self._namespaces.get("", namespace)
        labels = item.object()["metadata"].get("labels") if item is not None else None
        return policies_of(labels)[0] if labels else Policies()


def existing_pods(namespace: str, standard: Standard, pods: Sequence[Object]) -> list[str]:
    """What to say of pods that are there when a namespace becomes stricter: they stay, but could not be made again.

    Looks at one pod of each owner before it looks at a second one, at most at MAX_PODS and for PODS_TIMEOUT_S.
    """
    first: list[Object] = []
    more: list[Object] = []
    owners: set[str] = set()
    for pod in pods:
        owner = next((r["uid"] for r in pod["metadata"].get("ownerReferences") or () if r.get("controller")), None)
        (more if owner in owners else first).append(pod)
        if owner is not None:
            owners.add(owner)
    names: dict[str, list[str]] = {}
    deadline_s, checked = time.monotonic() + PODS_TIMEOUT_S, 0
    for pod in [*first, *more][:MAX_PODS]:
        found = violations(standard, pod["metadata"], pod.get("spec") or {})
        if found:
            names.setdefault(", ".join(violation.reason for violation in found), []).append(pod["metadata"]["name"])
        checked += 1
        if time.monotonic() > deadline_s:
            break
    texts = []
    if checked < len(pods):
        texts.append(
            f"new PodSecurity enforce level only checked against the first {checked} of {len(pods)} existing pods"
        )
    if names:
        texts.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"')
    return texts + sorted(f"{_pods(found)}: {reasons}" for reasons, found in names.items())


def is_significant(pod: Object, old: Object) -> bool:
    """Whether a pod was changed in a way that a control could see: its images, its ephemeral containers, seccomp."""
    annotations, before = pod["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
    if annotations.get(_SECCOMP_POD) != before.get(_SECCOMP_POD):
        return True
    known = _containers(old)
    for key, container in _containers(pod).items():
        other = known.get(key)
        annotation = f"{_SECCOMP}{container.get('name', '')}"
        if other is None or container.get("image") != other.get("image"):
            return True
        if annotations.get(annotation) != before.get(annotation):
            return True
    return False


def _containers(pod: Object) -> dict[tuple[str, str], Object]:
    spec = pod.get("spec") or {}
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return {(kind, one.get("name", "")): one for kind in kinds for one in spec.get(kind) or ()}


def _warn(call: Call, standard: Standard, pod: Mapping[str, Any]) -> None:
    found = violations(standard, pod.get("metadata") or {}, pod.get("spec") or {})
    if found:
        call.warn(f'would violate PodSecurity "{standard}": {_told(found)}')


def _note(call: Call, standard: Standard, pod: Mapping[str, Any]) -> None:
    found = violations(standard, pod.get("metadata") or {}, pod.get("spec") or {})
    if found:
        call.annotate(PREFIX + "audit-violations", f'would violate PodSecurity "{standard}": {_told(found)}')


def _told(found: Sequence[Violation]) -> str:
    return ", ".join(str(violation) for violation in found)


def _pods(names: Sequence[str]) -> str:
    others = len(names) - 1
    more = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
    return f"{min(names)}{more}"


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}
