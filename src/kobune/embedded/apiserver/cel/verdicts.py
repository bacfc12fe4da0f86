"""What the type checker says of expressions that are about to be stored, without their library where it is known.

The checker's libraries take 20 MB for good in the process that loads them, and most servers never run a rule. So a
check of an object can be gone through once to learn what it would ask (`missing`), the answers can be had elsewhere
(`check_process`), and the check itself then finds them here. What nobody answered before is answered in this process.
Owns: the questions, the answers that are remembered.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["PolicyQuestion", "Question", "RuleQuestion", "Verdict", "answer", "ask", "missing", "remember"]

_REMEMBERED = 4096


class RuleQuestion(msgspec.Struct, frozen=True, tag="rule"):
    """A rule, or the expression of its message, over the values of a schema node."""

    text: str
    schema: dict[str, Any]
    root: bool
    optional_old: bool


class PolicyQuestion(msgspec.Struct, frozen=True, tag="policy"):
    """An expression of a policy or a match condition; see `policy_scope.Scope`. `declared`: variables before it."""

    text: str
    params: bool
    namespace: bool
    authorizer: bool
    variables: bool
    declared: tuple[str, ...]


Question = RuleQuestion | PolicyQuestion


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """`result` is the CEL name of the expression's type, `cost` its estimate once; with `error` there is neither."""

    result: str = "DYN"
    cost: int = 0
    error: str = ""


@dataclass(slots=True)
class _State:
    known: OrderedDict[bytes, Verdict]
    asked: dict[bytes, Question] | None = None
    """While `missing` runs: what was asked and is not known."""


_state = _State(OrderedDict())


def ask(question: Question) -> Verdict:
    """What is known of it, or else what the library in this process says."""
    key = _key(question)
    found = _state.known.get(key)
    if found is not None:
        _state.known.move_to_end(key)
        return found
    if _state.asked is not None:
        _state.asked[key] = question
        return Verdict()
    found = answer(question)
    remember([(question, found)])
    return found


def missing(check: Callable[[], object]) -> list[Question]:
    """What `check` would have this process's library say; its own outcome means nothing yet."""
    _state.asked = {}
    try:
        check()
        return list(_state.asked.values())
    finally:
        _state.asked = None


def remember(answers: Iterable[tuple[Question, Verdict]]) -> None:
    """Keep answers that were had elsewhere."""
    for question, verdict in answers:
        _state.known[_key(question)] = verdict
        if len(_state.known) > _REMEMBERED:
            _state.known.popitem(last=False)


def answer(question: Question) -> Verdict:
    """What the library says; loads it."""
    from kobune.embedded.apiserver.cel.checking import check_rule
    from kobune.embedded.apiserver.cel.expression import CelCompileError
    from kobune.embedded.apiserver.cel.policy_scope import Scope, check
    from kobune.embedded.apiserver.schema.rules import compile_rule, rule_type

    text = question.text
    try:
        if isinstance(question, PolicyQuestion):
            scope = Scope(question.params, question.namespace, question.authorizer, question.variables)
            return Verdict(check(text, scope, frozenset(question.declared)))
        rule = {"rule": text, "optionalOldSelf": question.optional_old}
        result = compile_rule(rule, rule_type(question.schema)).result
        known, cost = check_rule(text, question.schema, root=question.root, optional_old=question.optional_old)
    except CelCompileError as error:
        return Verdict(error=str(error))
    # Plain values have no types below `self`; where the schema tells one, it counts.
    return Verdict(result if known == "DYN" else known, cost)


def _key(question: Question) -> bytes:
    return hashlib.sha256(msgspec.json.encode(question)).digest()
