"""Checks of expressions in a process of their own, which ends with its answers.

Owns: the exchange with it (a JSON list of questions in, a list of verdicts out); what comes in meanwhile waits for the
next one, together. A process that fails or takes too long answers nothing: then the caller's own process has to.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass, field

import msgspec

from kobune.base.errors import KobuneError
from kobune.embedded.apiserver.cel.verdicts import Question, Verdict, answer, remember
from kobune.host.run import HostRunner, Runner

__all__ = ["ExpressionChecks"]

log = logging.getLogger(__name__)

TIME_LIMIT_S = 20.0
_QUESTIONS = msgspec.json.Decoder(list[Question])
_VERDICTS = msgspec.json.Decoder(list[Verdict])


@dataclass(slots=True, eq=False)
class _Batch:
    questions: list[Question] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class ExpressionChecks:
    """Has questions answered beforehand."""

    def __init__(self, runner: Runner | None = None) -> None:
        self._runner = runner or HostRunner()
        self._next = _Batch()
        self._task: asyncio.Task[None] | None = None

    async def prepare(self, questions: list[Question]) -> None:
        """Have `verdicts.ask` know the answers, as far as they can be had."""
        batch = self._next
        batch.questions += questions
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        await batch.done.wait()

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        try:
            while self._next.questions:
                batch, self._next = self._next, _Batch()
                try:
                    await self._answer(batch.questions)
                finally:
                    batch.done.set()
        finally:
            self._task = None

    async def _answer(self, questions: list[Question]) -> None:
        command = [sys.executable, "-m", __name__]
        try:
            done = await self._runner.run(command, timeout_s=TIME_LIMIT_S, input=msgspec.json.encode(questions))
            verdicts = _VERDICTS.decode(done.stdout)
            remember(zip(questions, verdicts, strict=True))
        except (KobuneError, ValueError) as error:
            log.warning("expressions are checked in this process: %s", error)


def main() -> None:
    """The process: answer what stands on standard input."""
    questions = _QUESTIONS.decode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(msgspec.json.encode([answer(question) for question in questions]))


if __name__ == "__main__":
    main()
