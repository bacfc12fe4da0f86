"""Compile and evaluate one expression: the only place that touches the CEL library, imported on first use.

Owns: environments (one per set of variable types) and the translation of the library's errors.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from kobune.base.errors import TerminalError
from kobune.embedded.apiserver.cel.budget import EXHAUSTED, spend
from kobune.embedded.apiserver.cel.library import FUNCTIONS, Declaration
from kobune.embedded.apiserver.cel.types import CelType

__all__ = [
    "COST_LIMIT",
    "CelBudgetSpent",
    "CelCompileError",
    "CelRuntimeError",
    "Program",
    "compile_expression",
    "compile_in",
    "compile_in_pool",
    "environment",
    "needed_extensions",
]

COST_LIMIT = "operation cancelled: actual cost limit exceeded"
MAX_EXPRESSION = 32_768
"""Longer expressions are refused (bytes)."""


class CelCompileError(TerminalError):
    """The expression does not parse or its types do not fit; the text is the compiler's."""


class CelRuntimeError(TerminalError):
    """Evaluation failed (no such key, overflow, ...)."""


class CelBudgetSpent(CelRuntimeError):
    """The request's expressions have cost too much already."""


class Program:
    """A compiled expression. `result` is the CEL name of its type (BOOL, STRING, DYN, ...)."""

    __slots__ = ("_expression", "result")

    def __init__(self, expression: Any, result: str) -> None:
        self._expression = expression
        self.result = result

    def serialized(self) -> bytes:
        """The checked form, as the compiler writes it."""
        data: bytes = self._expression.serialize()
        return data

    def evaluate(self, bindings: dict[str, Any]) -> Any:
        """The plain value. Raises CelRuntimeError, CelBudgetSpent."""
        with spend() as affordable:
            if not affordable:
                raise CelBudgetSpent(EXHAUSTED)
            try:
                value = self._expression.eval(data=bindings)
            except (RuntimeError, TypeError, ValueError) as error:
                raise CelRuntimeError(_failure_words(str(error))) from error
        if value.type().name() == "ERROR":
            raise CelRuntimeError(_runtime_words(str(value.plain_value())))
        return value.plain_value()


def _failure_words(text: str) -> str:
    # The library stops after ten thousand turns of loops; a real server counts steps, and calls it the same.
    return COST_LIMIT if "Iteration budget exceeded" in text else text


def _runtime_words(text: str) -> str:
    missing = re.search(r'Key not found in map : "?([^"]*)"?', text)
    if missing:
        return f"no such key: {missing.group(1)}"
    return re.sub(r"^[A-Z_]+: ", "", text)


def compile_expression(text: str, variables: dict[str, CelType]) -> Program:
    """Compile with these variables. Raises CelCompileError."""
    if len(text) > MAX_EXPRESSION:
        raise CelCompileError(f"expression is longer than {MAX_EXPRESSION} bytes")
    typed = tuple(sorted(variables.items(), key=lambda item: item[0]))
    return _compiled(_environment(typed, needed_extensions(text)), text)


def compile_in_pool(text: str, variables: dict[str, str], pool: Any) -> Program:
    """Compile with variables of any type the checker can name, messages of `pool` included. Raises CelCompileError."""
    return _compiled(environment(variables, pool, needed=needed_extensions(text)), text)


def environment(
    variables: dict[str, str], pool: Any, functions: Sequence[Declaration] = (), *, needed: frozenset[str]
) -> Any:
    """Variables and own functions of any type the checker can name, for `compile_in` of texts with these needs."""
    cel = _library()
    typed = {name: _named_type(cel, word) for name, word in variables.items()}
    more = [_extension(cel, "own", functions)] if functions else []
    return cel.NewEnv(descriptor_pool=pool, variables=typed, extensions=[*_extensions(needed), *more])


def compile_in(env: Any, text: str) -> Program:
    """Compile in an environment that is used often. Raises CelCompileError."""
    if len(text) > MAX_EXPRESSION:
        raise CelCompileError(f"expression is longer than {MAX_EXPRESSION} bytes")
    return _compiled(env, text)


def _compiled(env: Any, text: str) -> Program:
    try:
        expression = env.compile(text)
    except (RuntimeError, ValueError) as error:
        told = re.sub(r"^INVALID_ARGUMENT: |\s*\[INVALID_ARGUMENT\]$", "", str(error))
        raise CelCompileError(_compiler_words(told)) from error
    return Program(expression, expression.return_type().name())


_UNDECLARED = re.compile(
    r"<input>:(\d+):(\d+): undeclared reference to '(\w+)(\.[\w.]+)' \(in container ''\)\n \| (.*)\n \| \.*\^"
)


def _compiler_words(text: str) -> str:
    """The library's errors as Go's says them: the variable alone, at its place, where a field of it was asked for."""
    text = re.sub(r"(undefined field '[^']*') not found in struct '[^']*'", r"\1", text)

    def variable(found: re.Match[str]) -> str:
        line, column, name, fields, shown = found.groups()
        at = shown.rfind(name + fields, 0, int(column) + len(fields))
        if at < 0:
            return found[0]
        where = f"<input>:{line}:{at + 1}: undeclared reference to '{name}' (in container '')"
        return f"{where}\n | {shown}\n | {'.' * at}^"

    return _UNDECLARED.sub(variable, text)


def _extension(cel: Any, name: str, functions: Sequence[Declaration]) -> Any:
    declared: dict[str, list[Any]] = {}
    for function, overload, parameters, result, member, implementation in functions:
        types = [_named_type(cel, word) for word in parameters]
        declared.setdefault(function, []).append(
            cel.Overload(overload, _named_type(cel, result), types, member, implementation)
        )
    return cel.CelExtension(name, [cel.FunctionDecl(n, overloads) for n, overloads in declared.items()])


def _named_type(cel: Any, word: str) -> Any:
    if word.startswith("list("):
        return cel.Type.List(_named_type(cel, word[5:-1]))
    if word.startswith("map(string, "):
        return cel.Type.Map(cel.Type.STRING, _named_type(cel, word[12:-1]))
    return cel.Type(word) if "." in word else _type(cel, word)


_EXTENSIONS: dict[str, tuple[str, re.Pattern[str]]] = {
    "ext_strings": (
        "ExtStrings",
        re.compile(
            r"charAt|format|indexOf|join|lastIndexOf|lowerAscii|upperAscii|quote|replace|reverse|split|substring|trim"
        ),
    ),
    "ext_optional": ("ExtOptional", re.compile(r"optional|[.\[{,]\s*\?|opt\w*Map|orValue|hasValue")),
    "ext_math": ("ExtMath", re.compile(r"math")),
    "ext_bindings": ("ExtBindings", re.compile(r"bind")),
    "ext_encoders": ("ExtEncoders", re.compile(r"base64")),
}
"""The library's extensions: the class in each module, and what an expression that needs it has in its text."""


def needed_extensions(text: str) -> frozenset[str]:
    """The extensions that an expression may refer to; each is a library of its own that stays loaded (3 MB)."""
    return frozenset(name for name, (_, words) in _EXTENSIONS.items() if words.search(text))


@cache
def _library() -> Any:
    from cel_expr_python import cel

    return cel


@cache
def _extensions(needed: frozenset[str]) -> list[Any]:
    modules = {name: import_module(f"cel_expr_python.ext.{name}") for name in sorted(needed)}
    return [*(getattr(module, _EXTENSIONS[name][0])() for name, module in modules.items()), _kubernetes()]


@cache
def _kubernetes() -> Any:
    """Kubernetes' own functions."""
    return _extension(_library(), "kubernetes", FUNCTIONS)


def _type(cel: Any, word: str) -> Any:
    if word == "list":
        return cel.Type.List(cel.Type.DYN)
    if word == "map":
        return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return getattr(cel.Type, word.upper())


def _full_type(cel: Any, wanted: CelType) -> Any:
    if wanted.element is None:
        return _type(cel, wanted.name)
    element = _full_type(cel, wanted.element)
    return cel.Type.List(element) if wanted.name == "list" else cel.Type.Map(cel.Type.STRING, element)


@cache
def _environment(variables: tuple[tuple[str, CelType], ...], needed: frozenset[str]) -> Any:
    cel = _library()
    return cel.NewEnv(variables={n: _full_type(cel, t) for n, t in variables}, extensions=_extensions(needed))
