"""A `Runner` for tests: answers by rule, records what was asked, starts nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kobune.host.run.types import CommandFailed, CommandNotFound, Completed, Launch, RunningProcess

__all__ = ["Call", "FakeProcess", "FakeRunner"]


@dataclass(frozen=True, slots=True)
class Call:
    """One command as it was asked for."""

    args: tuple[str, ...]
    input: bytes | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: tuple[int, int] | None = None


class FakeProcess:
    """A process that ends when the test says so (`end`), or by a signal."""

    def __init__(self, launch: Launch, pid: int) -> None:
        self.launch = launch
        self.signals: list[int] = []
        self._pid = pid
        self._status: int | None = None
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int:
        """A number that no real process has."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """None until `end` or a signal."""
        return self._status

    def end(self, status: int) -> None:
        """The process ends by itself."""
        self._status = status
        self._ended.set()

    async def wait(self) -> int:
        """Wait for `end`."""
        await self._ended.wait()
        assert self._status is not None
        return self._status

    def signal(self, number: int) -> None:
        """Any signal ends it."""
        if self._status is None:
            self.signals.append(number)
            self.end(-number)

    async def stop(self, *, grace_s: float) -> int:
        """Ends at once."""
        self.signal(15)
        return await self.wait()


class FakeRunner:
    """Answers each command by the latest rule whose prefix its arguments begin with; without one, `CommandNotFound`.

    Example: `runner.on("ip", "link", stdout=b"[]")`; `runner.on("nft", answer=lambda call: Completed(...))`.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.processes: list[FakeProcess] = []
        self._rules: list[tuple[tuple[str, ...], Callable[[Call], Completed]]] = []

    def on(
        self,
        *prefix: str,
        stdout: bytes = b"",
        stderr: bytes = b"",
        returncode: int = 0,
        answer: Callable[[Call], Completed] | None = None,
    ) -> None:
        """Add a rule; later rules win."""

        def fixed(call: Call) -> Completed:
            return Completed(call.args, returncode, stdout, stderr)

        self._rules.insert(0, (prefix, answer or fixed))

    async def run(
        self,
        args: Sequence[str],
        *,
        timeout_s: float,
        input: bytes | None = None,  # noqa: A002 - subprocess' own word
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: tuple[int, int] | None = None,
        pass_fds: tuple[int, ...] = (),
        check: bool = True,
    ) -> Completed:
        """Answer by rule."""
        call = Call(tuple(args), input, dict(env or {}), cwd, user)
        self.calls.append(call)
        for prefix, answer in self._rules:
            if call.args[: len(prefix)] == prefix:
                completed = answer(call)
                if check and completed.returncode != 0:
                    raise CommandFailed(call.args, completed.returncode, completed.stderr)
                return completed
        raise CommandNotFound(call.args)

    async def start(self, launch: Launch) -> RunningProcess:
        """Start a `FakeProcess`, whatever the command."""
        process = FakeProcess(launch, pid=4_194_305 + len(self.processes))
        self.processes.append(process)
        return process
