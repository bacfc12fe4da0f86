"""Checks of expressions had beforehand, in batches, by a process that may fail."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from kobune.embedded.apiserver.cel import verdicts
from kobune.embedded.apiserver.cel.check_process import ExpressionChecks
from kobune.embedded.apiserver.cel.verdicts import PolicyQuestion, Question, RuleQuestion, Verdict, ask, missing
from kobune.host.run import CommandTimeout, Completed, HostRunner

SCHEMA = {"type": "object", "properties": {"size": {"type": "integer"}}}


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    verdicts._state.known.clear()
    yield
    verdicts._state.known.clear()


def rule(text: str) -> RuleQuestion:
    return RuleQuestion(text, SCHEMA, False, False)


def policy(text: str) -> PolicyQuestion:
    return PolicyQuestion(text, False, True, True, False, ())


class Processes(HostRunner):
    """Counts batches; the real thing unless it is told to fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.batches: list[int] = []
        self.fails = fails

    async def run(self, args, *, timeout_s, input=None, **rest) -> Completed:  # type: ignore[no-untyped-def] # noqa: A002
        self.batches.append(len(msgspec.json.decode(input)))
        if self.fails:
            raise CommandTimeout(args, timeout_s)
        return await super().run(args, timeout_s=timeout_s, input=input, **rest)


def test_a_first_pass_tells_what_is_not_known_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "answer", lambda question: pytest.fail("the library was asked"))
    verdicts.remember([(rule("self.size > 1"), Verdict("BOOL", 3))])
    found = missing(lambda: [ask(rule("self.size > 1")), ask(rule("self.size > 2")), ask(rule("self.size > 2"))])
    assert found == [rule("self.size > 2")]


async def test_answers_of_the_process_are_those_of_the_library() -> None:
    asked: list[Question] = [
        rule("self.size > 1"),
        rule("self.sise > 1"),
        rule("self.size"),
        policy("request.userInfo.username == 'a'"),
        policy("request.no"),
    ]
    await ExpressionChecks().prepare(asked)
    assert len(verdicts._state.known) == len(asked)
    for question in asked:
        assert ask(question) == verdicts.answer(question)
    assert [bool(ask(question).error) for question in asked] == [False, True, False, False, True]


async def test_what_comes_while_a_process_runs_shares_the_next_one() -> None:
    processes = Processes()
    checks = ExpressionChecks(processes)
    await asyncio.gather(*(checks.prepare([rule(f"self.size > {number}")]) for number in range(5)))
    assert sum(processes.batches) == 5
    assert len(processes.batches) <= 2
    await checks.prepare([rule("self.size > 9")])
    assert processes.batches[-1] == 1
    await checks.close()


async def test_a_process_that_fails_leaves_the_work_to_this_one(caplog: pytest.LogCaptureFixture) -> None:
    checks = ExpressionChecks(Processes(fails=True))
    await checks.prepare([rule("self.size > 1")])
    assert "checked in this process" in caplog.text
    assert ask(rule("self.size > 1")).result == "BOOL"


def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "_REMEMBERED", 3)
    for number in range(5):
        verdicts.remember([(rule(str(number)), Verdict())])
    assert missing(lambda: [ask(rule(str(number))) for number in range(5)]) == [rule("0"), rule("1")]
