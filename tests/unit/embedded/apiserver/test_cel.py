"""CEL: types from schemas, escaped names, Kubernetes' functions, policies."""

from typing import Any

import pytest

from kobune.embedded.apiserver.cel import (
    DYN,
    CelCompileError,
    CelRuntimeError,
    compile_expression,
    from_schema,
    to_cel,
)
from kobune.embedded.apiserver.cel.checking import check_rule
from kobune.embedded.apiserver.cel.policy import Denial, PolicyProgram


def evaluate(text: str, value: Any = None) -> Any:
    return compile_expression(text, {"self": DYN}).evaluate({"self": value})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("quantity('1.5Gi').compareTo(quantity('1536Mi'))", 0),
        ("quantity('2').isGreaterThan(quantity('1500m'))", True),
        ("isQuantity('lots')", False),
        ("quantity('1Gi').add(quantity('1Gi')) == quantity('2Gi')", True),
        ("quantity('3').asInteger()", 3),
        ("url('https://h:8/p?q=1').getPort()", "8"),
        ("url('https://h/p?q=1').getQuery()['q'][0]", "1"),
        ("isURL('nope')", False),
        ("isIP('10.0.0.1') && ip('10.0.0.1').family() == 4", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3')", True),
        ("cidr('10.0.0.0/8').prefixLength()", 8),
        ("'a1b22'.findAll('[0-9]+')", ["1", "22"]),
        ("[1, 2, 3].isSorted() && [1, 2].sum() == 3", True),
        ("[1, 2, 1].indexOf(1) + [1, 2, 1].lastIndexOf(1)", 2),
        ("'a,b'.split(',')[1].upperAscii()", "B"),
        ("self.?x.orValue(5)", 5),
        ("cel.bind(x, 2, x * x)", 4),
    ],
)
def test_functions(text: str, result: Any) -> None:
    assert evaluate(text, {}) == result


def test_errors_are_of_two_kinds() -> None:
    with pytest.raises(CelCompileError):
        compile_expression("self >", {"self": DYN})
    with pytest.raises(CelCompileError):
        compile_expression("self.size()", {"self": from_schema({"type": "integer"})})
    with pytest.raises(CelRuntimeError, match="no such key: y"):
        evaluate("self.x.y", {"x": {}})


def test_values_follow_their_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "namespace": {"type": "string"},
            "a-b": {"type": "integer"},
            "ratio": {"type": "number"},
            "when": {"type": "string", "format": "date-time"},
            "for": {"type": "string", "format": "duration"},
        },
    }
    value = {"namespace": "n", "a-b": 1, "ratio": 2, "when": "2024-01-01T00:00:00Z", "for": "90s"}
    shown = to_cel(value, schema)
    rule = (
        "self.__namespace__ == 'n' && self.a__dash__b == 1 && self.ratio == 2.0"
        " && timestamp(self.when) < timestamp('2025-01-01T00:00:00Z') && duration(self.__for__) == duration('1m30s')"
    )
    assert compile_expression(rule, {"self": from_schema(schema)}).evaluate({"self": shown}) is True


def test_an_object_may_be_compared_with_null() -> None:
    own = from_schema({"type": "object", "properties": {"name": {"type": "string"}}})
    program = compile_expression(
        "oldSelf == null || oldSelf.name == '' || self == oldSelf", {"self": own, "oldSelf": own}
    )
    assert program.evaluate({"self": {"name": "a"}, "oldSelf": {"name": "a"}}) is True
    assert program.evaluate({"self": {"name": "a"}, "oldSelf": {"name": "b"}}) is False


def test_a_time_is_a_time_where_self_is_one() -> None:
    schema = {"type": "array", "items": {"type": "string", "format": "date-time"}}
    program = compile_expression("self[0] < timestamp('2025-01-01T00:00:00Z')", {"self": from_schema(schema)})
    assert program.evaluate({"self": to_cel(["2024-01-01T00:00:00Z"], schema)}) is True


CHECKED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "l": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "string"}},
        "any": {"x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
        "when": {"type": "string", "format": "date-time"},
        "grid": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        "foo_bar": {"type": "string"},
        "fooBar": {"type": "string"},
        "a-b": {"type": "string"},
        "map_x": {"type": "object", "additionalProperties": {"type": "string"}},
        "mapX": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@pytest.mark.parametrize(
    "rule",
    [
        "self.n > 1",
        "self.l.all(x, x.k == 'a')",
        "self.m['a'] == 'b' && self.m.exists(k, self.m[k] == 'c')",
        "self.any.x.y == 1",
        "self.port == 5 || self.port == 'http'",
        "self.when < timestamp('2020-01-01T00:00:00Z')",
        "self.grid[0][0] == 'x'",
        "self.foo_bar == self.fooBar && self.a__dash__b == 'x'",
        "self.map_x['a'] == self.mapX['a']",
        "oldSelf == null || self == oldSelf",
        "has(self.l) && self.l.map(x, x.k).isSorted() && self.m == {}",
    ],
)
def test_rules_that_fit_their_schema_pass_the_strict_check(rule: str) -> None:
    check_rule(rule, CHECKED)


@pytest.mark.parametrize(
    "rule",
    [
        "self.misspelt == 1",
        "self.l.all(x, x.z == 'a')",
        "self.n == 'a'",
        "self.metadata.name == 'x'",
        "self.m.n == 1 + ''",
    ],
)
def test_misspelt_fields_and_wrong_types_are_found_when_a_rule_is_stored(rule: str) -> None:
    with pytest.raises(CelCompileError):
        check_rule(rule, CHECKED)


def test_the_root_has_metadata_and_old_values_may_be_optional() -> None:
    check_rule("self.metadata.name.size() < 12 && self.kind == 'X'", CHECKED, root=True)
    check_rule("oldSelf.hasValue() || self == 'first'", {"type": "string"}, optional_old=True)
    with pytest.raises(CelCompileError):
        check_rule("self.metadata.labels.size() == 0", CHECKED, root=True)


def bindings(obj: Any, **more: Any) -> dict[str, Any]:
    return {"object": obj, "oldObject": None, "request": {}, "namespaceObject": None, "params": None, **more}


def test_a_policy_uses_variables_and_computes_messages() -> None:
    program = PolicyProgram(
        {
            "variables": [{"name": "n", "expression": "size(object.data)"}],
            "validations": [
                {
                    "expression": "variables.n < 2",
                    "messageExpression": "'has ' + string(variables.n)",
                    "reason": "Forbidden",
                },
                {"expression": "object.data.size() < 3", "message": "too many"},
            ],
        }
    )
    assert program.evaluate(bindings({"data": {"a": "1"}})).denials == []
    assert program.evaluate(bindings({"data": {"a": "1", "b": "2", "c": "3"}})).denials == [
        Denial("has 3", "Forbidden"),
        Denial("too many", "Invalid"),
    ]


def test_a_condition_that_is_false_decides_whatever_others_fail() -> None:
    conditions = [{"name": "broken", "expression": "object.none == 1"}, {"name": "no", "expression": "false"}]
    spec = {"matchConditions": conditions, "validations": [{"expression": "false"}]}
    assert PolicyProgram(spec).evaluate(bindings({})).denials == []
    spec["matchConditions"] = conditions[:1]
    (denial,) = PolicyProgram(spec).evaluate(bindings({})).denials
    assert denial.message == "match condition 'broken': no such key: none"
    assert PolicyProgram({**spec, "failurePolicy": "Ignore"}).evaluate(bindings({})).denials == []


def test_what_the_audit_log_is_to_say() -> None:
    notes = [
        {"key": "size", "valueExpression": "'has ' + string(size(object.data))"},
        {"key": "nothing", "valueExpression": "object.data.size() > 5 ? dyn('many') : dyn(null)"},
        {"key": "blank", "valueExpression": "'  '"},
        {"key": "broken", "valueExpression": "object.none"},
    ]
    outcome = PolicyProgram({"auditAnnotations": notes}).evaluate(bindings({"data": {"a": "1"}}))
    assert outcome.notes == {"size": "has 1"}
    assert [denial.message for denial in outcome.denials] == [
        "valueExpression 'object.none' resulted in error: no such key: none"
    ]
    lenient = PolicyProgram({"auditAnnotations": notes, "failurePolicy": "Ignore"})
    assert lenient.evaluate(bindings({"data": {}})) == ([], {"size": "has 0"})


def test_parameters_reach_the_expressions() -> None:
    program = PolicyProgram(
        {
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "validations": [{"expression": "object.n <= params.max"}],
        }
    )
    assert program.evaluate(bindings({"n": 1}, params={"max": 2})).denials == []
    assert program.evaluate(bindings({"n": 3}, params={"max": 2})).denials == [
        Denial("failed expression: object.n <= params.max", "Invalid")
    ]
