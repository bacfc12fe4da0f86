"""ValidatingAdmissionPolicies: which bindings look at a request, with which parameters, and what they answer.

The expressions themselves are `cel.policy`'s.
"""

from dataclasses import dataclass
from typing import Any

from kobune.embedded.apiserver.admission.conditions import bindings_of
from kobune.embedded.apiserver.admission.matching import Matched, Matcher, object_selected, selector
from kobune.embedded.apiserver.admission.questions import authorizer_bindings, questions
from kobune.embedded.apiserver.admission.review import admission_request
from kobune.embedded.apiserver.cel.authorizer import asking
from kobune.embedded.apiserver.cel.budget import limited
from kobune.embedded.apiserver.cel.policy import Denial, PolicyProgram
from kobune.embedded.apiserver.registry.collection import Change, Collection
from kobune.embedded.apiserver.registry.registry import Registry
from kobune.embedded.apiserver.registry.selectors import LabelSelector
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.convert import convert
from kobune.embedded.apiserver.status import StatusError

__all__ = ["Policies"]

_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


@dataclass(frozen=True, slots=True)
class _Scope:
    """Compiled matchConstraints or matchResources."""

    rules: list[dict[str, Any]]
    excluded: list[dict[str, Any]]
    match_policy: str
    namespaces: LabelSelector
    objects: LabelSelector

    @classmethod
    def of(cls, match: dict[str, Any]) -> "_Scope":
        """From the API's form."""
        return cls(
            match.get("resourceRules") or [],
            match.get("excludeResourceRules") or [],
            match.get("matchPolicy") or "Equivalent",
            selector(match.get("namespaceSelector")),
            selector(match.get("objectSelector")),
        )


@dataclass(frozen=True, slots=True)
class _Binding:
    """One binding with its policy."""

    policy: str
    name: str
    spec: dict[str, Any]
    scope: _Scope
    narrower: _Scope | None
    program: PolicyProgram
    param_kind: dict[str, Any] | None


class Policies:
    """Admission step."""

    def __init__(self, policies: Collection, bindings: Collection, matcher: Matcher, registry: Registry) -> None:
        self._policies = policies
        self._bindings = bindings
        self._matcher = matcher
        self._registry = registry
        self._compiled: list[_Binding] | None = None
        policies.listen(self._changed)
        bindings.listen(self._changed)

    def _changed(self, change: Change) -> None:
        self._compiled = None

    def _all(self) -> list[_Binding]:
        if self._compiled is None:
            found = []
            programs: dict[str, PolicyProgram] = {}
            for item in self._bindings.select():
                spec = item.object().get("spec") or {}
                policy = self._policies.get("", spec.get("policyName", ""))
                if policy is None:
                    continue
                wanted = policy.object().get("spec") or {}
                if policy.name not in programs:
                    programs[policy.name] = PolicyProgram(wanted)
                narrower = spec.get("matchResources")
                found.append(
                    _Binding(
                        policy.name,
                        item.name,
                        spec,
                        _Scope.of(wanted.get("matchConstraints") or {}),
                        _Scope.of(narrower) if narrower else None,
                        programs[policy.name],
                        wanted.get("paramKind"),
                    )
                )
            self._compiled = found
        return self._compiled

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Nothing."""

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Evaluate every binding that looks at the request. Raises StatusError for the first that denies."""
        for binding in self._all():
            matched = self._matches(binding.scope, call, operation, obj, old)
            if matched is None:
                continue
            if binding.narrower and self._matches(binding.narrower, call, operation, obj, old, rules=False) is None:
                continue
            await self._decide(binding, matched, call, operation, obj, old)

    def _matches(
        self,
        scope: _Scope,
        call: Call,
        operation: str,
        obj: dict[str, Any] | None,
        old: dict[str, Any] | None,
        *,
        rules: bool = True,
    ) -> Matched | None:
        """The version to look at. A binding's own scope may leave out rules: then only its selectors count."""
        matched: Matched | None = Matched(call.resource)
        if rules or scope.rules:
            matched = self._matcher.rules(call, operation, scope.rules, scope.match_policy, names=True)
        if matched is None:
            return None
        if scope.excluded and self._matcher.rules(call, operation, scope.excluded, scope.match_policy, names=True):
            return None
        labels = self._matcher.namespace_labels(call, obj, old)
        if labels is not None and not scope.namespaces.matches(labels):
            return None
        return matched if object_selected(scope.objects, obj, old) else None

    async def _decide(
        self,
        binding: _Binding,
        matched: Matched,
        call: Call,
        operation: str,
        obj: dict[str, Any] | None,
        old: dict[str, Any] | None,
    ) -> None:
        seen, before = obj, old
        if matched.resource is not call.resource:
            seen = await convert(call.resource, matched.resource, obj) if obj is not None else None
            before = await convert(call.resource, matched.resource, old) if old is not None else None
        request = admission_request(call, operation, matched.resource, seen, before)
        bindings = bindings_of(request) | {"namespaceObject": self._matcher.namespace_object(call)}
        name = str(request.get("name", ""))
        bindings |= authorizer_bindings(call)
        for params in self._params(binding, call):
            if isinstance(params, Denial):
                self._act(binding, params, call, name)
                continue
            with limited(), asking(questions(call)):
                outcome = binding.program.evaluate({**bindings, "params": params})
            for key, note in outcome.notes.items():
                call.annotate(f"{binding.policy}/{key}", note)
            for denial in outcome.denials:
                self._act(binding, denial, call, name)

    def _params(self, binding: _Binding, call: Call) -> "list[dict[str, Any] | Denial | None]":
        """The parameter objects to evaluate with; [None] for a policy without parameters."""
        kind, reference = binding.param_kind, binding.spec.get("paramRef")
        if not kind or not reference:
            return [None]
        group, _, version = str(kind.get("apiVersion", "")).rpartition("/")
        resource = self._registry.find_kind(group, version, str(kind.get("kind", "")))
        found: list[dict[str, Any] | Denial | None] = []
        if resource is not None:
            space = reference.get("namespace") or (call.info.namespace if resource.info.namespaced else "")
            if reference.get("name"):
                item = resource.collection.get(space, reference["name"])
                found = [item.object()] if item else []
            else:
                wanted = selector(reference.get("selector"))
                found = [i.object() for i in resource.collection.select(space) if wanted.matches(i.labels)]
        if found:
            return found
        if reference.get("parameterNotFoundAction", "Deny") == "Allow" or not binding.program.fails:
            return []
        text = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        return [Denial(text, "Invalid")]

    @staticmethod
    def _act(binding: _Binding, denial: Denial, call: Call, name: str) -> None:
        """Deny, warn or only audit, as the binding says."""
        actions = binding.spec.get("validationActions") or []
        named = f"ValidatingAdmissionPolicy '{binding.policy}' with binding '{binding.name}'"
        if "Warn" in actions:
            call.warn(f"Validation failed for {named}: {denial.message}")
        if "Deny" not in actions:
            return
        info = call.resource.info
        text = f"{named} denied request: {denial.message}"
        details: dict[str, Any] = {"name": name, "kind": info.plural, "causes": [{"message": text}]}
        if info.group:
            details["group"] = info.group
        message = f'{info.qualified} "{name}" is forbidden: {text}'
        raise StatusError(_CODES.get(denial.reason, 422), denial.reason, message, details)
