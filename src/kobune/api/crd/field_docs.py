"""What each field of an API type says of itself: the string below it in the class body.

Owns: reading those strings. The compiler drops them, so they are read from the source once per module; a type whose
source is not there has none. Must not: know what they are for.
"""

import ast
import inspect
import sys
from functools import cache

from msgspec import Struct

__all__ = ["field_docs"]


def field_docs(kind: type[Struct]) -> dict[str, str]:
    """The texts of the fields of `kind`, its own before its bases', by Python name; fields without one are left out."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        texts |= _of_module(base.__module__).get(base.__qualname__, {})
    return texts


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError):  # no source, or a module of the interpreter's own
        return {}
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    texts: dict[str, str] = {}
    for statement, following in zip(node.body, node.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = text
    return texts
