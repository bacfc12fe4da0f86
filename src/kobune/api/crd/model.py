"""How a kind is described before it becomes a CustomResourceDefinition."""

from dataclasses import dataclass

from msgspec import Struct

__all__ = ["Column", "Definition"]


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column; `priority` 1 shows it with `-o wide` only."""

    name: str
    type: str
    path: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind. `versions` are all served, with one schema; the first is the stored one."""

    group: str
    versions: tuple[str, ...]
    kind: str
    type: type[Struct]
    plural: str
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    namespaced: bool = True
    status: bool = True
    scale_selector: str = ""
    deprecations: tuple[tuple[str, str], ...] = ()
    """Versions that are going away, each with its warning."""
    categories: tuple[str, ...] = ("all",)
    singular: str = ""
    """The kind in lower case unless given."""
    annotations: tuple[tuple[str, str], ...] = ()
