"""Schemas as types that the checker knows in full: misspelt fields in a rule are errors when the rule is stored.

Owns: describing a schema to the type checker, which knows named fields only of protobuf messages: each object becomes a
message type that exists in memory alone. Rules run on plain values (see `rules`), but where times stand in named
fields: there values are such messages, because the library takes no times in plain ones.
"""

import itertools
from datetime import timedelta
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)

from kobune.embedded.apiserver.cel.cost import estimate
from kobune.embedded.apiserver.cel.expression import CelCompileError, CelRuntimeError, Program, compile_in_pool
from kobune.embedded.apiserver.cel.types import escape_name, to_cel

__all__ = ["SchemaType", "check_rule"]

_PACKAGE = "schema"
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "integer": _FIELD.TYPE_INT64,
    "number": _FIELD.TYPE_DOUBLE,
    "boolean": _FIELD.TYPE_BOOL,
    "string": _FIELD.TYPE_STRING,
}
_ANY, _LIST, _MAP = ".google.protobuf.Value", ".google.protobuf.ListValue", ".google.protobuf.Struct"
_FORMATS = {"date-time": ".google.protobuf.Timestamp", "duration": ".google.protobuf.Duration"}
_WELL_KNOWN = (struct_pb2, timestamp_pb2, duration_pb2)
_METADATA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 253}, "generateName": {"type": "string", "maxLength": 253}},
}
_IDENTITY: dict[str, Any] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _METADATA}


class _Description:
    """The message types of one schema."""

    def __init__(self) -> None:
        self.file = descriptor_pb2.FileDescriptorProto(name="schema.proto", package=_PACKAGE)
        self.file.dependency.extend(module.DESCRIPTOR.name for module in _WELL_KNOWN)
        self._numbers = itertools.count(1)
        self.names: dict[int, str] = {}
        """Full names of message types by the identity of their schema."""

    def type_of(self, schema: dict[str, Any], *, root: bool = False) -> str:
        """The checker's name of the type of a value: int, list(T), map(string, T), a message, dyn."""
        kind = schema.get("type")
        if kind == "array":
            items = schema.get("items")
            return f"list({self.type_of(items) if isinstance(items, dict) else 'dyn'})"
        if kind == "object":
            values = schema.get("additionalProperties")
            if isinstance(values, dict):
                return f"map(string, {self.type_of(values)})"
            return self._message(schema, root) if _has_fields(schema, root) else "dyn"
        if kind == "string" and schema.get("format") in _FORMATS:
            return {"date-time": "timestamp", "duration": "duration"}[schema["format"]]
        if kind == "string" and schema.get("format") == "byte":
            return "bytes"
        return {"integer": "int", "number": "double", "boolean": "bool", "string": "string"}.get(str(kind), "dyn")

    def _message(self, schema: dict[str, Any], root: bool) -> str:
        message = descriptor_pb2.DescriptorProto(name=f"Object{next(self._numbers)}")
        # Names such as fooBar and foo_bar may stand side by side.
        message.options.deprecated_legacy_json_field_conflicts = True
        properties = dict(schema.get("properties") or {})
        if root or schema.get("x-kubernetes-embedded-resource"):
            properties.update(_IDENTITY)
        number = itertools.count(1)
        for name, sub in properties.items():
            escaped = escape_name(name)
            if escaped is not None:
                self._field(message, escaped, next(number), sub)
        self.file.message_type.append(message)
        self.names[id(schema)] = f"{_PACKAGE}.{message.name}"
        return self.names[id(schema)]

    def _field(self, message: Any, name: str, number: int, schema: dict[str, Any]) -> None:
        field = message.field.add(name=name, number=number, json_name=name, label=_FIELD.LABEL_OPTIONAL)
        if schema.get("type") == "array":
            items = schema.get("items")
            field.label = _FIELD.LABEL_REPEATED
            self._typed(field, items if isinstance(items, dict) else {})
            return
        values = schema.get("additionalProperties")
        entry_name = _entry_name(name)
        taken = any(nested.name == entry_name for nested in message.nested_type)
        if schema.get("type") == "object" and isinstance(values, dict) and not taken:
            entry = message.nested_type.add(name=entry_name)
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
            self._typed(entry.field.add(name="value", number=2, label=_FIELD.LABEL_OPTIONAL), values)
            field.label = _FIELD.LABEL_REPEATED
            field.type = _FIELD.TYPE_MESSAGE
            field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
            return
        self._typed(field, schema)

    def _typed(self, field: Any, schema: dict[str, Any]) -> None:
        """Give a field the type of a single value: lists of lists and maps of maps lose their inner types."""
        kind = schema.get("type")
        name = _ANY
        if kind == "array":
            name = _LIST
        elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            name = _MAP
        elif kind == "object" and _has_fields(schema, False):
            name = "." + self._message(schema, False)
        elif kind == "string" and schema.get("format") in _FORMATS:
            name = _FORMATS[schema["format"]]
        elif kind == "string" and schema.get("format") == "byte":
            field.type = _FIELD.TYPE_BYTES
            return
        elif kind in _SCALARS:
            field.type = _SCALARS[kind]
            return
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = name


def _entry_name(field: str) -> str:
    """The name that protobuf insists on for the entries of a map field."""
    return "".join(part[:1].upper() + part[1:] for part in field.split("_")) + "Entry"


def _has_fields(schema: dict[str, Any], root: bool) -> bool:
    return root or bool(schema.get("properties")) or bool(schema.get("x-kubernetes-embedded-resource"))


class SchemaType:
    """A schema node as a type that the checker knows in full, objects with named fields included.

    `own` is its name. Raises nothing: a schema that the checker can't be told about is not `usable`.
    """

    def __init__(self, schema: dict[str, Any], *, root: bool = False) -> None:
        description = _Description()
        self.own = description.type_of(schema, root=root)
        self._schema = schema
        self._messages = description.names
        self._pool = descriptor_pool.DescriptorPool()
        for module in _WELL_KNOWN:
            copy = descriptor_pb2.FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(copy)
            self._pool.Add(copy)
        self._pool.Add(description.file)
        self.usable = self._probe(description)

    def _probe(self, description: _Description) -> bool:
        message = next((m for m in description.file.message_type if f"{_PACKAGE}.{m.name}" == self.own), None)
        if message is None or not message.field:
            return True
        try:
            compile_in_pool(f"has(self.{message.field[0].name})", {"self": self.own}, self._pool)
        except CelCompileError:
            return False
        return True

    def compile(self, text: str, *, optional_old: bool = False) -> Program:
        """An expression over `self` and, if it says so, `oldSelf`. Raises CelCompileError."""
        variables = {"self": self.own}
        if "oldSelf" in text:
            variables["oldSelf"] = self.own
            if optional_old:
                variables["oldSelfGiven"] = "bool"
                text = f"cel.bind(oldSelf, oldSelfGiven ? optional.of(oldSelf) : optional.none(), ({text}\n))"
        return compile_in_pool(text, variables, self._pool)

    def value(self, value: Any) -> Any:
        """A JSON value as this type. Raises CelRuntimeError."""
        try:
            return self._value(value, self._schema)
        except (json_format.ParseError, ValueError, TypeError) as error:
            raise CelRuntimeError(str(error)) from error

    def _value(self, value: Any, schema: dict[str, Any]) -> Any:
        if isinstance(value, list):
            items = schema.get("items")
            return [self._value(v, items if isinstance(items, dict) else {}) for v in value]
        if not isinstance(value, dict):
            return to_cel(value, schema)
        name = self._messages.get(id(schema))
        if name is not None:
            message = message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))()
            return json_format.ParseDict(_escaped(value, schema), message, ignore_unknown_fields=True)
        values = schema.get("additionalProperties")
        return {k: self._value(v, values if isinstance(values, dict) else {}) for k, v in value.items()}


def _escaped(value: Any, schema: dict[str, Any]) -> Any:
    """Property names as the messages have them, durations in seconds."""
    if isinstance(value, list):
        items = schema.get("items")
        return [_escaped(v, items if isinstance(items, dict) else {}) for v in value]
    if isinstance(value, dict):
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return {k: _escaped(v, values) for k, v in value.items()}
        properties = schema.get("properties") or {}
        return {escape_name(k) or k: _escaped(v, properties.get(k) or {}) for k, v in value.items()}
    if isinstance(value, str) and schema.get("type") == "string" and schema.get("format") == "duration":
        length = to_cel(value, schema)
        return f"{length.total_seconds():.9f}s" if isinstance(length, timedelta) else value
    return value


def check_rule(text: str, schema: dict[str, Any], *, root: bool = False, optional_old: bool = False) -> tuple[str, int]:
    """Check an expression over `self` and `oldSelf` of a schema node; the CEL name of its type and its estimated cost.

    Raises CelCompileError.
    """
    own = SchemaType(schema, root=root)
    if not own.usable:
        return "DYN", 0
    program = own.compile(text, optional_old=optional_old)
    known = {**schema, "properties": {**(schema.get("properties") or {}), **_IDENTITY}} if root else schema
    return program.result, estimate(program.serialized(), known)
