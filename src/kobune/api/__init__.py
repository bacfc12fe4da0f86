"""The resource types, one package per API group. Pure: no I/O, no clock, no client.

Conventions that hold for every type below:

- `class Thing(Object, frozen=True, kw_only=True)`: a frozen msgspec Struct; unknown fields are ignored, defaults are
  omitted on encoding (type checkers need both options repeated on each class);
- attributes are snake_case and renamed to camelCase; a name that camelCase does not give (`podIP`) is spelled with
  `msgspec.field(name="podIP")`;
- what may be absent is `T | None = None`; lists and maps default to empty and are left out when empty.
"""
