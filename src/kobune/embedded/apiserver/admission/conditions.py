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
    """All must be true. One that is false decides, whatever others fail."""

    def __init__(self, conditions: list[dict[str, Any]]) -> None:
        self._programs: list[tuple[str, Program | str]] = []
        for condition in conditions:
            try:
                program: Program | str = compile_expression(condition["expression"], _VARIABLES)
            except CelCompileError as error:
                program = str(error)
            self._programs.append((condition.get("name", ""), program))

    def hold(self, request: dict[str, Any], call: Call) -> bool:
        """Evaluate against an AdmissionRequest. Raises ConditionError."""
        bindings = bindings_of(request)
        failures = []
        for name, program in self._programs:
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


def bindings_of(request: dict[str, Any]) -> dict[str, Any]:
    """CEL variables of an AdmissionRequest."""
    shown = {key: value for key, value in request.items() if key not in ("object", "oldObject")}
    return {"object": request["object"], "oldObject": request["oldObject"], "request": shown}
