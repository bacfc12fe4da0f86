"""The shape of a type: what patches, field ownership and listings need to know about a field, and nothing more.

Owns: the tree (possibly cyclic, built lazily) of `Shape` nodes. Sources: x-kubernetes-list-type, -list-map-keys,
-map-type, -patch-strategy, -patch-merge-key, -preserve-unknown-fields.
"""

from collections.abc import Callable
from typing import Literal

__all__ = ["ANY", "Shape"]

ShapeKind = Literal["scalar", "object", "map", "list", "any"]


class Shape:
    """One node. Children are made on first use, so recursive types and large APIs cost nothing until touched.

    kind: scalar, object (named fields), map (free keys, one value shape), list, any (schemaless JSON: structure is
    deduced from the value; its lists are atomic).
    """

    __slots__ = (
        "_expand",
        "_fields",
        "_items",
        "atomic",
        "defaults",
        "keys",
        "kind",
        "list_type",
        "patch_key",
        "patch_strategies",
        "preserve_unknown",
        "scalar",
    )

    def __init__(
        self,
        kind: ShapeKind,
        *,
        atomic: bool = False,
        list_type: Literal["atomic", "set", "map"] = "atomic",
        keys: tuple[str, ...] = (),
        patch_key: str = "",
        patch_strategies: tuple[str, ...] = (),
        preserve_unknown: bool = False,
        expand: "Callable[[], tuple[dict[str, Shape], Shape | None]] | None" = None,
        defaults: dict[str, object] | None = None,
        scalar: str = "",
    ) -> None:
        self.kind = kind
        self.atomic = atomic
        self.list_type = list_type
        self.keys = keys
        self.patch_key = patch_key
        self.patch_strategies = patch_strategies
        self.preserve_unknown = preserve_unknown
        self.scalar = scalar
        """Of a scalar: string, numeric or boolean; empty when any scalar will do."""
        self.defaults = defaults or {}
        """Defaults of a list-map entry's key fields (a port's protocol is TCP when left out)."""
        self._expand = expand
        self._fields: dict[str, Shape] = {}
        self._items: Shape | None = None

    def _load(self) -> None:
        if self._expand is not None:
            expand, self._expand = self._expand, None
            self._fields, self._items = expand()

    @property
    def fields(self) -> "dict[str, Shape]":
        """Named fields of an object."""
        self._load()
        return self._fields

    @property
    def items(self) -> "Shape":
        """The shape of a list's entries or a map's values."""
        self._load()
        return self._items or ANY

    def field(self, name: str) -> "Shape | None":
        """The shape below key `name`; None when an object does not have that field."""
        if self.kind == "any":
            return ANY
        self._load()
        found = self._fields.get(name)
        if found is not None:
            return found
        if self._items is not None and self.kind == "map":
            return self._items
        return ANY if self.preserve_unknown or self.kind == "map" else None


ANY = Shape("any", preserve_unknown=True)
