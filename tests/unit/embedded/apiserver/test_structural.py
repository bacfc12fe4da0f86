"""Custom resources: pruning, defaults, validation, ratcheting, rules."""

from typing import Any

import pytest

from kobune.embedded.apiserver.schema.structural import StructuralSchema, compile_schema


def schema(**properties: Any) -> StructuralSchema:
    return compile_schema({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})


def errors(compiled: StructuralSchema, spec: Any, old: Any = None) -> list[tuple[str, str]]:
    obj: dict[str, Any] = {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "spec": spec}
    before = None if old is None else {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "spec": old}
    return [(e.field, e.message) for e in compiled.validate(obj, before)]


def test_unknown_fields_are_pruned_preserved_ones_stay() -> None:
    compiled = schema(
        a={"type": "string"},
        open={"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"in": {"type": "object"}}},
        items={"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
    )
    obj = {"kind": "X", "spec": {"a": "1", "b": 2, "open": {"x": 1, "in": {"y": 1}}, "items": [{"k": "", "z": 0}]}}
    assert compiled.decode(obj) == ["spec.b", "spec.open.in.y", "spec.items[0].z"]
    assert obj["spec"] == {"a": "1", "open": {"x": 1, "in": {}}, "items": [{"k": ""}]}


def test_defaults_fill_what_is_absent_or_null() -> None:
    inner = {"type": "object", "default": {}, "properties": {"n": {"type": "integer", "default": 7}}}
    compiled = schema(d={"type": "string", "default": "x"}, o=inner, nul={"type": "string", "nullable": True})
    obj: dict[str, Any] = {"spec": {"d": None, "nul": None}}
    assert compiled.decode(obj) == []
    assert obj["spec"] == {"d": "x", "o": {"n": 7}, "nul": None}
    untouched: dict[str, Any] = {}
    compiled.decode(untouched)
    assert "spec" not in untouched


def test_defaults_are_not_shared_between_objects() -> None:
    compiled = schema(
        o={"type": "object", "default": {"l": []}, "properties": {"l": {"type": "array", "items": {"type": "integer"}}}}
    )
    first: dict[str, Any] = {"spec": {}}
    compiled.decode(first)
    first["spec"]["o"]["l"].append(1)
    second: dict[str, Any] = {"spec": {}}
    compiled.decode(second)
    assert second["spec"]["o"] == {"l": []}


@pytest.mark.parametrize(
    ("node", "value", "expected"),
    [
        ({"type": "integer"}, "x", 'Invalid value: "string": spec.v in body must be of type integer: "string"'),
        ({"type": "integer", "minimum": 1}, 0, "Invalid value: 0: spec.v in body should be greater than or equal to 1"),
        (
            {"type": "integer", "maximum": 1, "exclusiveMaximum": True},
            1,
            "Invalid value: 1: spec.v in body should be less than 1",
        ),
        ({"type": "number", "multipleOf": 0.5}, 0.7, "Invalid value: 0.7: spec.v in body should be a multiple of 0.5"),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'Unsupported value: "c": supported values: "a", "b"'),
        (
            {"type": "string", "pattern": "^[a-z]+$"},
            "A",
            "Invalid value: \"A\": spec.v in body should match '^[a-z]+$'",
        ),
        (
            {"type": "string", "pattern": "^[a-z]+$"},
            "a\n",
            "Invalid value: \"a\\n\": spec.v in body should match '^[a-z]+$'",
        ),
        ({"type": "string", "minLength": 2}, "a", 'Invalid value: "a": spec.v in body should be at least 2 chars long'),
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        ({"type": "string", "format": "ipv4"}, "x", 'Invalid value: "x": spec.v in body must be of type ipv4: "x"'),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            'Invalid value: "boolean": spec.v in body must be of type integer,string: "boolean"',
        ),
        (
            {"type": "array", "items": {"type": "string"}, "maxItems": 1},
            ["a", "b"],
            "Too many: 2: must have at most 1 items",
        ),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"k": 1}, None),
    ],
)
def test_one_violation_one_message(node: dict[str, Any], value: Any, expected: str | None) -> None:
    found = errors(schema(v=node), {"v": value})
    assert found == ([] if expected is None else [("spec.v", expected)])


def test_required_and_duplicate_entries() -> None:
    entry = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}
    compiled = schema(
        m={"type": "array", "items": entry, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        s={"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    )
    found = errors(compiled, {"m": [{"k": "a"}, {"k": "a"}, {}], "s": ["x", "x"]})
    assert ("spec.m[1]", 'Duplicate value: {"k":"a"}') in found
    assert ("spec.m[2].k", "Required value") in found
    assert ("spec.s[1]", 'Duplicate value: "x"') in found


def test_junctors() -> None:
    one = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    compiled = schema(v=one)
    assert errors(compiled, {"v": {"a": "1"}}) == []
    assert errors(compiled, {"v": {"a": "1", "b": "2"}})[0][1].endswith("Found 2 valid alternatives")
    assert errors(compiled, {"v": {}})[0][1].endswith("Found none valid")
    forbidden = schema(v={"type": "string", "not": {"enum": ["x"]}})
    assert errors(forbidden, {"v": "x"}) == [
        ("<nil>", 'Invalid value: "": "spec.v" must not validate the schema (not)')
    ]


def test_an_unchanged_invalid_value_is_tolerated_a_changed_one_is_not() -> None:
    compiled = schema(v={"type": "string", "maxLength": 1}, w={"type": "string"})
    assert errors(compiled, {"v": "long", "w": "2"}, {"v": "long", "w": "1"}) == []
    assert errors(compiled, {"v": "longer"}, {"v": "long"}) != []


def rule(text: str, **more: Any) -> dict[str, Any]:
    return {"rule": text, **more}


def test_rules_see_values_and_old_values() -> None:
    compiled = schema(
        fixed={"type": "string", "x-kubernetes-validations": [rule("self == oldSelf", message="name is immutable")]},
        n={"type": "integer", "x-kubernetes-validations": [rule("self % 2 == 0")]},
    )
    assert errors(compiled, {"fixed": "a", "n": 2}) == []
    assert errors(compiled, {"fixed": "b"}, {"fixed": "a"}) == [("spec.fixed", 'Invalid value: "b": name is immutable')]
    assert errors(compiled, {"n": 3}) == [("spec.n", "Invalid value: 3: failed rule: self % 2 == 0")]


def test_a_rule_may_name_a_field_a_reason_and_compute_its_message() -> None:
    node = {
        "type": "object",
        "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
        "x-kubernetes-validations": [
            rule(
                "self.min <= self.max",
                fieldPath=".min",
                reason="FieldValueForbidden",
                messageExpression="'min ' + string(self.min) + ' is too much'",
            )
        ],
    }
    assert errors(schema(v=node), {"v": {"min": 3, "max": 2}}) == [("spec.v.min", "Forbidden: min 3 is too much")]


def test_list_map_entries_are_correlated_by_key() -> None:
    entry = {
        "type": "object",
        "required": ["k"],
        "properties": {
            "k": {"type": "string"},
            "n": {"type": "integer", "x-kubernetes-validations": [rule("self >= oldSelf", message="may only grow")]},
        },
    }
    compiled = schema(
        l={"type": "array", "items": entry, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    )
    old = {"l": [{"k": "a", "n": 1}, {"k": "b", "n": 5}]}
    assert errors(compiled, {"l": [{"k": "b", "n": 5}, {"k": "a", "n": 2}]}, old) == []
    assert errors(compiled, {"l": [{"k": "b", "n": 4}]}, old) == [("spec.l[0].n", "Invalid value: 4: may only grow")]


def test_rules_wait_until_the_structure_holds() -> None:
    compiled = schema(n={"type": "integer", "x-kubernetes-validations": [rule("self > 0")]})
    found = errors(compiled, {"n": "x"})
    assert len(found) == 2
    assert found[1][1].startswith("Invalid value: null: some validation rules were not checked")


def test_kubernetes_functions_in_rules() -> None:
    compiled = schema(
        q={"type": "string", "x-kubernetes-validations": [rule("quantity(self).isLessThan(quantity('1Gi'))")]}
    )
    assert errors(compiled, {"q": "512Mi"}) == []
    assert errors(compiled, {"q": "2Gi"}) != []
    url = schema(u={"type": "string", "x-kubernetes-validations": [rule("url(self).getHostname() == 'example.com'")]})
    assert errors(url, {"u": "https://example.com:8443/x"}) == []


def test_times_in_named_fields_are_times_in_rules() -> None:
    window = {
        "type": "object",
        "properties": {
            "from": {"type": "string", "format": "date-time"},
            "to": {"type": "string", "format": "date-time"},
            "at-least": {"type": "string", "format": "duration"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "x-kubernetes-validations": [
            rule("self.from < self.to", message="ends before it begins"),
            rule("!has(self.at__dash__least) || self.to - self.from >= self.at__dash__least", message="too short"),
            rule("oldSelf.from == self.from", message="begin is fixed"),
        ],
    }
    compiled = schema(w=window)
    good = {"from": "2024-01-01T00:00:00Z", "to": "2024-01-01T02:00:00Z", "at-least": "1h30m", "tags": ["x"]}
    assert errors(compiled, {"w": good}) == []
    assert errors(compiled, {"w": {**good, "at-least": "3h"}}) == [("spec.w", 'Invalid value: "object": too short')]
    backwards = {"from": good["to"], "to": good["from"]}
    assert errors(compiled, {"w": backwards}, {"w": backwards}) == []
    assert errors(compiled, {"w": backwards}, {"w": good}) == [
        ("spec.w", 'Invalid value: "object": ends before it begins'),
        ("spec.w", 'Invalid value: "object": begin is fixed'),
    ]


def test_the_status_part_is_checked_alone() -> None:
    compiled = compile_schema(
        {
            "type": "object",
            "properties": {
                "spec": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}},
                "status": {"type": "object", "properties": {"note": {"type": "string"}}},
            },
        }
    )
    found = compiled.validate({"metadata": {}, "spec": {}, "status": {"note": 5}}, None, part="status")
    assert [(e.field, e.message) for e in found] == [
        ("status.note", 'Invalid value: "integer": note in body must be of type string: "integer"')
    ]
