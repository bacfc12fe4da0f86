"""ValidatingAdmissionPolicies as programs: conditions, variables, validations.

Owns: compiling a policy's spec and deciding on one request. Pure: what the expressions see is given.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from kobune.embedded.apiserver.cel.expression import CelCompileError, CelRuntimeError, Program
from kobune.embedded.apiserver.cel.policy_scope import Scope, compile_policy

__all__ = ["Denial", "Outcome", "PolicyProgram"]


@dataclass(frozen=True, slots=True)
class Denial:
    """One validation that failed; `reason` is a StatusReason."""

    message: str
    reason: str


class Outcome(NamedTuple):
    """What is wrong with a request, and what the audit log is to say of it, by key."""

    denials: list[Denial]
    notes: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Validation:
    text: str
    program: "Program | str"
    message: str
    computed: "Program | str | None"
    reason: str


_MAX_NOTE = 10 * 1024

_Named: TypeAlias = "tuple[str, Program | str]"


def _compile(text: str, scope: Scope) -> "Program | str":
    """The program, or why there is none."""
    try:
        return compile_policy(text, scope)
    except CelCompileError as error:
        return str(error)


def _run(program: "Program | str", bindings: dict[str, Any]) -> Any:
    if isinstance(program, str):
        raise CelRuntimeError(f"compilation failed: {program}")
    return program.evaluate(bindings)


class PolicyProgram:
    """The spec of a policy, compiled when the first request is to be decided: most policies of a cluster wait for kinds
    that nobody writes, and compiling costs a server 15 MB.

    `fails`: an error denies the request (it does not under failurePolicy Ignore).
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.fails = spec.get("failurePolicy", "Fail") != "Ignore"
        self._spec = spec
        params = spec.get("paramKind") is not None
        self._full = Scope(params, namespace=True, authorizer=True, variables=True)
        self._plain = Scope(params, namespace=True, authorizer=False, variables=True)

    @cached_property
    def _conditions(self) -> "list[_Named]":
        return self._all("matchConditions", "name", "expression")

    @cached_property
    def _variables(self) -> "list[_Named]":
        return self._all("variables", "name", "expression")

    @cached_property
    def _annotations(self) -> "list[tuple[str, str, Program | str]]":
        return [
            (v.get("key", ""), v.get("valueExpression", ""), _compile(v.get("valueExpression", ""), self._full))
            for v in self._spec.get("auditAnnotations") or ()
        ]

    @cached_property
    def _validations(self) -> list[_Validation]:
        return [
            _Validation(
                v.get("expression", ""),
                _compile(v.get("expression", ""), self._full),
                v.get("message", ""),
                _compile(v["messageExpression"], self._plain) if v.get("messageExpression") else None,
                v.get("reason") or "Invalid",
            )
            for v in self._spec.get("validations") or ()
        ]

    def _all(self, field: str, name: str, expression: str) -> "list[_Named]":
        return [(v.get(name, ""), _compile(v.get(expression, ""), self._full)) for v in self._spec.get(field) or ()]

    def evaluate(self, bindings: dict[str, Any]) -> Outcome:
        """The decision on a request; nothing when the policy does not apply.

        `bindings` has object, oldObject, request, namespaceObject, params and the authorizer's variables.
        """
        values = {**bindings, "variables": {}}
        try:
            if not self._applies(values):
                return Outcome([], {})
        except CelRuntimeError as error:
            return Outcome([Denial(str(error), "Invalid")] if self.fails else [], {})
        for name, program in self._variables:
            try:
                values["variables"] = {**values["variables"], name: _run(program, values)}
            except CelRuntimeError:
                # The error shows, as in the real server, when something uses the variable.
                continue
        found = [self._check(validation, values) for validation in self._validations]
        denials = [denial for denial in found if denial is not None]
        notes: dict[str, str] = {}
        for key, text, program in self._annotations:
            try:
                note = _run(program, values)
            except CelRuntimeError as error:
                if self.fails:
                    denials.append(Denial(f"valueExpression '{text}' resulted in error: {error}", "Invalid"))
                continue
            # Nothing is noted for null, nor for a text of white space.
            if isinstance(note, str) and note.strip():
                notes[key] = note.strip()[:_MAX_NOTE]
        return Outcome(denials, notes)

    def _applies(self, values: dict[str, Any]) -> bool:
        """Whether all conditions hold: one that is false decides, whatever others fail."""
        failure: CelRuntimeError | None = None
        for name, program in self._conditions:
            try:
                if _run(program, values) is False:
                    return False
            except CelRuntimeError as error:
                failure = CelRuntimeError(f"match condition '{name}': {error}")
        if failure is not None:
            raise failure
        return True

    def _check(self, validation: _Validation, values: dict[str, Any]) -> Denial | None:
        try:
            if _run(validation.program, values) is True:
                return None
        except CelRuntimeError as error:
            if not self.fails:
                return None
            return Denial(f"expression '{validation.text}' resulted in error: {error}", "Invalid")
        return Denial(self._message(validation, values), validation.reason)

    @staticmethod
    def _message(validation: _Validation, values: dict[str, Any]) -> str:
        if validation.computed is not None:
            try:
                text = _run(validation.computed, values)
                if isinstance(text, str) and text.strip() and "\n" not in text:
                    return text.strip()
            except CelRuntimeError:
                pass
        return validation.message or f"failed expression: {validation.text.strip()}"
