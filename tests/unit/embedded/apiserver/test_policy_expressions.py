"""Expressions of policies: what they may refer to, whom they may ask, what they may cost."""

import time
from typing import Any

import pytest

from kobune.embedded.apiserver.cel import (
    COST_LIMIT,
    DYN,
    CelBudgetSpent,
    CelCompileError,
    CelRuntimeError,
    budget,
    compile_expression,
)
from kobune.embedded.apiserver.cel.authorizer import Question, asking
from kobune.embedded.apiserver.cel.policy_scope import Scope, authorizer_values, check, compile_policy
from kobune.embedded.apiserver.schema.patterns import PatternError, compile_pattern
from kobune.embedded.apiserver.validation.policies import policy, policy_binding

FULL = Scope(params=True, namespace=True, authorizer=True, variables=True)
RESOURCE = {"group": "", "resource": "pods", "subresource": "exec", "namespace": "here", "name": "p"}


def asked(expression: str) -> tuple[Any, list[Question]]:
    """(value, questions): everything about secrets is denied."""
    questions: list[Question] = []

    def answer(question: Question) -> tuple[bool, str]:
        questions.append(question)
        return question.resource != "secrets", f"because of {question.resource or question.path}"

    values = {"object": {}, "oldObject": None, "request": {}, **authorizer_values(RESOURCE)}
    with asking(answer):
        return compile_policy(expression, Scope(authorizer=True)).evaluate(values), questions


@pytest.mark.parametrize(
    ("expression", "value", "question"),
    [
        ("authorizer.path('/healthz').check('get').allowed()", True, Question("get", path="/healthz")),
        (
            "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('d')"
            ".check('update').reason()",
            "because of deployments",
            Question("update", None, "", "apps", "deployments", "scale", "n", "d"),
        ),
        (
            "authorizer.group('').resource('secrets').check('list').allowed()",
            False,
            Question("list", None, "", "", "secrets"),
        ),
        (
            "authorizer.requestResource.check('create').allowed()",
            True,
            Question("create", None, "", *RESOURCE.values()),
        ),
        (
            "authorizer.serviceAccount('n', 'robot').group('').resource('secrets').check('get').errored()",
            False,
            Question("get", ("n", "robot"), "", "", "secrets"),
        ),
    ],
)
def test_an_expression_asks_the_authorizer(expression: str, value: Any, question: Question) -> None:
    assert asked(expression) == (value, [question])


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("authorizer.path('').check('get').allowed()", "path must not be empty"),
        ("authorizer.serviceAccount('n', 'No').path('/').check('get').allowed()", "Invalid service account name"),
    ],
)
def test_a_question_must_make_sense(expression: str, error: str) -> None:
    with pytest.raises(CelRuntimeError, match=error):
        asked(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("request.nam == 'x'", "<input>:1:8: undefined field 'nam'\n | request.nam == 'x'\n | .......^"),
        ("namespaceObject.metadata.foo == ''", "undefined field 'foo'"),
        ("authorizer.check('get').allowed()", "found no matching overload for 'check'"),
        ("variables.b > 1", "<input>:1:10: undefined field 'b'\n | variables.b > 1\n | .........^"),
        ("1 < other.max", "<input>:1:5: undeclared reference to 'other' (in container '')\n | 1 < other.max\n | ....^"),
    ],
)
def test_names_are_checked_when_a_policy_is_stored(expression: str, message: str) -> None:
    with pytest.raises(CelCompileError) as error:
        check(expression, FULL, frozenset({"a"}))
    assert message in str(error.value)


def test_fields_of_the_request_and_the_namespace_have_types() -> None:
    text = (
        "request.kind.kind == 'Pod' && 'a' in request.userInfo.groups && request.dryRun && variables.a == params.x"
        " && namespaceObject.metadata.labels['a'] == 'b' && object.metadata.name.startsWith('x')"
    )
    assert check(text, FULL, frozenset({"a"})) == "BOOL"


def spec(**more: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "metadata": {"name": "p"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"matchPolicy": "Exact", "resourceRules": [rule]},
            "validations": [{"expression": "true"}],
            **more,
        },
    }


@pytest.mark.parametrize(
    ("more", "errors"),
    [
        ({}, []),
        ({"auditAnnotations": [{"key": "k", "valueExpression": "'x'"}], "validations": []}, []),
        (
            {"validations": []},
            [
                "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
                "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
            ],
        ),
        (
            {"auditAnnotations": [{"key": "k", "valueExpression": "1"}, {"key": "k", "valueExpression": "null"}]},
            [
                'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string'
                " null_type]",
                'spec.auditAnnotations[1].key: Duplicate value: "k"',
            ],
        ),
        (
            {"validations": [{"expression": "'x'", "message": "a\nb", "reason": "No"}]},
            [
                "spec.validations[0].expression: Invalid value: \"'x'\": must evaluate to bool",
                'spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks',
                'spec.validations[0].reason: Unsupported value: "No": supported values: "Forbidden", "Invalid",'
                ' "RequestEntityTooLarge", "Unauthorized"',
            ],
        ),
        (
            {"variables": [{"name": "in", "expression": "1"}]},
            ['spec.variables[0].name: Invalid value: "in": name is not a valid CEL identifier'],
        ),
        (
            {"paramKind": {"apiVersion": "v1"}},
            ["spec.paramKind.kind: Required value"],
        ),
    ],
)
def test_policies_are_validated(more: dict[str, Any], errors: list[str]) -> None:
    assert [str(error) for error in policy(spec(**more))] == errors


def test_params_are_there_only_with_a_kind() -> None:
    validations = [{"expression": "params.x == 1"}]
    (error,) = policy(spec(validations=validations))
    assert "undeclared reference to 'params'" in error.message
    assert policy(spec(validations=validations, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})) == []


def test_a_message_may_not_ask_the_authorizer() -> None:
    computed = "authorizer.path('/').check('get').reason()"
    (error,) = policy(spec(validations=[{"expression": "true", "messageExpression": computed}]))
    assert error.field == "spec.validations[0].messageExpression"


def test_bindings_are_validated() -> None:
    binding = {
        "spec": {"policyName": "p", "paramRef": {"name": "a", "selector": {}}, "validationActions": ["Deny", "Deny"]}
    }
    assert [str(error) for error in policy_binding(binding)] == [
        "spec.paramRef.name: Forbidden: name and selector are mutually exclusive",
        "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
        "spec.paramRef.parameterNotFoundAction: Required value",
        'spec.validationActions[1]: Duplicate value: "Deny"',
    ]


def test_loops_have_an_end() -> None:
    program = compile_expression("self.all(a, self.all(b, a + b >= 0))", {"self": DYN})
    assert program.evaluate({"self": list(range(50))}) is True
    with pytest.raises(CelRuntimeError, match=COST_LIMIT):
        program.evaluate({"self": list(range(500))})


def test_a_request_has_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "REQUEST_LIMIT_S", 0.0)
    program = compile_expression("self == 1", {"self": DYN})
    with budget.limited(), pytest.raises(CelBudgetSpent):
        program.evaluate({"self": 1})
    monkeypatch.setattr(budget, "REQUEST_LIMIT_S", 5.0)
    with budget.limited():
        assert all(program.evaluate({"self": 1}) for _ in range(100))
    assert program.evaluate({"self": 1}) is True


def test_patterns_take_linear_time() -> None:
    started = time.perf_counter()
    text = "a" * 100_000 + "!"
    assert compile_pattern("^([a-z0-9]+-?)*$").search(text) is None
    assert compile_expression("self.find('^(a|a)*$')", {"self": DYN}).evaluate({"self": text}) == ""
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "error parsing regexp: missing closing ): `(`"),
        ("a[b", "error parsing regexp: missing closing ]: `[b`"),
        ("*a", "error parsing regexp: missing argument to repetition operator: `*`"),
        ("a)", "error parsing regexp: unexpected ): `a)`"),
        ("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
        ("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"),
        ("[z-a]", "error parsing regexp: invalid character class range: `z-a`"),
    ],
)
def test_wrong_patterns_are_told_in_gos_words(pattern: str, message: str) -> None:
    with pytest.raises(PatternError) as error:
        compile_pattern(pattern)
    assert str(error.value) == message


def test_a_dollar_is_the_end_of_the_text() -> None:
    assert compile_pattern("^a$").search("a\n") is None
    assert compile_pattern("^[[:alpha:]]+\\z").search("abc") is not None
