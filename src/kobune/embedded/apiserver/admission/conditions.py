"""matchConditions: CEL expressions that decide whether a hook looks at a request at all."""

from typing import Any

from kobune.base.errors import TerminalError
from kobune.embedded.apiserver.cel import DYN, CelCompileError, CelRuntimeError, Program, compile_expression
from kobune.embedded.apiserver.rest.call import Call

__all__ = ["ConditionError", "Conditions"]

_VARIABLES = {"object": DYN, "oldObject": DYN, "request": DYN}


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

    def hold(self, request: dict[str, Any], call: Call) -> bool:
        """Evaluate against an AdmissionRequest. Raises ConditionError."""
        bindings = bindings_of(request)
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
        return compile_expression(expression, _VARIABLES)
    except CelCompileError as error:
        return str(error)


def bindings_of(request: dict[str, Any]) -> dict[str, Any]:
    """CEL variables of an AdmissionRequest."""
    shown = {key: value for key, value in request.items() if key not in ("object", "oldObject")}
    return {"object": request["object"], "oldObject": request["oldObject"], "request": shown}
