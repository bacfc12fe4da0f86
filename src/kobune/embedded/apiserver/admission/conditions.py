"""matchConditions: CEL expressions that decide whether a hook looks at a request at all."""

from typing import Any

from kobune.base.errors import TerminalError
from kobune.embedded.apiserver.admission.questions import authorizer_bindings, questions
from kobune.embedded.apiserver.cel import CelCompileError, CelRuntimeError, Program
from kobune.embedded.apiserver.cel.authorizer import asking
from kobune.embedded.apiserver.cel.budget import limited
from kobune.embedded.apiserver.cel.policy_scope import Scope, compile_policy
from kobune.embedded.apiserver.rest.call import Call

__all__ = ["ConditionError", "Conditions"]

_SCOPE = Scope(namespace=True, authorizer=True)


class ConditionError(TerminalError):
    """An expression failed and no other one was false."""


class Conditions:
    """All must be true. One that is false decides, whatever others fail.

    Compiled when first asked: most hooks never see a request, and the compiler takes 20 MB.
    """

    def __init__(self, conditions: list[dict[str, Any]]) -> None:
        self._conditions = conditions
        self._compiled: list[tuple[str, Program | str]] | None = None

    def _programs(self) -> list[tuple[str, Program | str]]:
        if self._compiled is None:
            self._compiled = [(c.get("name", ""), _compile(c["expression"])) for c in self._conditions]
        return self._compiled

    def hold(self, request: dict[str, Any], call: Call, namespace: dict[str, Any] | None) -> bool:
        """Evaluate against an AdmissionRequest in its namespace. Raises ConditionError."""
        with limited(), asking(questions(call)):
            bindings = bindings_of(request) | authorizer_bindings(call) | {"namespaceObject": namespace}
            return self._hold(bindings)

    def _hold(self, bindings: dict[str, Any]) -> bool:
        failures = []
        for name, program in self._programs():
            if isinstance(program, str):
                failures.append(f"compiling match condition {name!r}: {program}")
                continue
            try:
                if program.evaluate(bindings) is False:
                    return False
            except CelRuntimeError as error:
                failures.append(f"match condition {name!r}: {error}")
        if failures:
            raise ConditionError("; ".join(failures))
        return True


def _compile(expression: str) -> Program | str:
    try:
        return compile_policy(expression, _SCOPE)
    except CelCompileError as error:
        return str(error)


def bindings_of(request: dict[str, Any]) -> dict[str, Any]:
    """CEL variables of an AdmissionRequest."""
    shown = {key: value for key, value in request.items() if key not in ("object", "oldObject")}
    return {"object": request["object"], "oldObject": request["oldObject"], "request": shown}
