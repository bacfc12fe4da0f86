"""The help of every command is looked at when it changes, and starting is fast because nothing is imported early."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner

from kobune.cli.app import COMMANDS, app
from kobune.cli.lazy import LazyCommand


def command_lines(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    real = command.load() if isinstance(command, LazyCommand) else command
    yield words
    if isinstance(real, click.Group):
        for name, child in real.commands.items():
            if child.hidden:
                continue
            yield from command_lines(child, (*words, name))


LINES = [*command_lines(app), ("vnc", "screenshot")]


@pytest.mark.parametrize("words", LINES, ids=lambda words: "-".join(words) or "kobune")
def test_help(words: tuple[str, ...], golden: Callable[[str, str], None]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], prog_name="kobune", terminal_width=100)
    assert result.exit_code == 0
    assert not words or "Example" in result.output
    golden(f"{'-'.join(('kobune', *words))}.txt", result.output)


@pytest.mark.parametrize(("name", "target", "summary"), COMMANDS)
def test_the_list_says_what_the_command_says(name: str, target: str, summary: str) -> None:
    real = LazyCommand(name, target).load()
    assert real.name == name
    assert real.help is not None
    assert real.help.splitlines()[0] == summary


def imported(*arguments: str) -> set[str]:
    """The modules that the program has imported when it ends."""
    code = (
        "import sys, atexit; atexit.register(lambda: print('\\n'.join(sys.modules), file=sys.stderr));"
        f"sys.argv = ['kobune', *{list(arguments)!r}]; from kobune.main.entry import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return set(done.stderr.splitlines())


def test_help_imports_next_to_nothing() -> None:
    modules = imported("--help")
    assert "click" in modules
    assert not modules & {"aiohttp", "msgspec", "lightkube", "asyncio", "yaml", "importlib.metadata"}


def test_a_verb_imports_no_server_and_no_types() -> None:
    modules = imported("start", "demo", "--kubeconfig", "/does/not/exist")
    assert "kobune.cli.power" in modules
    for server in ("kobune.embedded", "kobune.virt", "kobune.host", "kobune.operator", "kobune.api.kubevirt", "grpc"):
        assert server not in modules, server
