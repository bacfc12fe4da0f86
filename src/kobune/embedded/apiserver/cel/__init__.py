"""CEL expressions as Kubernetes has them: types from schemas, Kubernetes' function libraries, errors as values."""

from kobune.embedded.apiserver.cel.expression import (
    COST_LIMIT,
    CelBudgetSpent,
    CelCompileError,
    CelRuntimeError,
    Program,
    compile_expression,
)
from kobune.embedded.apiserver.cel.types import DYN, CelType, from_schema, to_cel

__all__ = [
    "COST_LIMIT",
    "DYN",
    "CelBudgetSpent",
    "CelCompileError",
    "CelRuntimeError",
    "CelType",
    "Program",
    "compile_expression",
    "from_schema",
    "to_cel",
]
