"""`kobune ssh` and `kobune scp`: this machine's OpenSSH client, its connection carried by `kobune port-forward`.

Owns: the command line of ssh and scp. Must not: speak SSH.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import click

from kobune.base.errors import KobuneError
from kobune.cli.hints import explained
from kobune.cli.session import Session
from kobune.cli.targets import Target, parse_target
from kobune.cli.verb import verb

__all__ = ["Login", "scp", "scp_arguments", "ssh", "ssh_arguments"]


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a guest's SSH server; `kobune` starts this program, `api` are its options that choose the API."""

    kobune: tuple[str, ...]
    api: tuple[str, ...] = ()
    port: int = 22
    username: str = ""
    identity_file: str = ""
    known_hosts: str = ""
    options: tuple[str, ...] = ()


def _common(login: Login, target: Target) -> list[str]:
    where = f"{target.short_kind}/{target.name}/{target.namespace}"
    proxy = [*login.kobune, "port-forward", *login.api, "--stdio=true", where, str(login.port)]
    arguments = ["-o", f"ProxyCommand={shlex.join(proxy).replace('%', '%%')}"]
    if login.known_hosts:
        arguments += ["-o", f"UserKnownHostsFile={login.known_hosts}"]
    if login.identity_file:
        arguments += ["-i", login.identity_file]
    return arguments + [word for text in login.options for word in shlex.split(text)]


def _host(target: Target) -> str:
    """What ssh believes to speak to; it stands in known_hosts and in messages, and is never resolved."""
    return f"{target.short_kind}.{target.name}.{target.namespace}"


def _complete(target: Target, namespace: str) -> Target:
    return target if target.namespace else replace(target, namespace=namespace)


def ssh_arguments(login: Login, target: Target, namespace: str, command: str) -> list[str]:
    """The arguments of ssh; `namespace` is that of a target without one. Pure."""
    target = _complete(target, namespace)
    user = target.user or login.username
    return [
        *_common(login, target),
        *(["-l", user] if user else []),
        _host(target),
        *([command] if command else []),
    ]


def scp_arguments(
    login: Login, source: str, destination: str, namespace: str, *, recursive: bool, preserve: bool
) -> list[str]:
    """The arguments of scp; exactly one side is in a guest, and `namespace` is that of a target without one.

    Raises UsageError. Pure.
    """
    remote = [_is_remote(source), _is_remote(destination)]
    if sum(remote) != 1:
        raise click.UsageError("one of source and destination is in the guest: write it as [USER@]vm/NAME:PATH")
    text = source if remote[0] else destination
    target = _complete(parse_target(text.partition(":")[0]), namespace)
    user = target.user or login.username
    there = f"{user}@" * bool(user) + f"{_host(target)}:{text.partition(':')[2]}"
    flags = (["-r"] if recursive else []) + (["-p"] if preserve else [])
    sides = [there, destination] if remote[0] else [source, there]
    return [*_common(login, target), *flags, "--", *sides]


def _is_remote(text: str) -> bool:
    """As scp decides it: a colon before any slash; or our own kind/NAME: form."""
    head, colon, _ = text.partition(":")
    if not colon or head.startswith(("/", ".")):
        return False
    kind = head.rpartition("@")[2].partition("/")[0].lower()
    return "/" not in head or kind in ("vm", "vmi", "virtualmachine", "virtualmachineinstance")


def _this_program() -> tuple[str, ...]:
    """What starts this same program again, wherever ssh runs it."""
    found = shutil.which(sys.argv[0]) if os.path.basename(sys.argv[0]) == "kobune" else None
    return (os.path.abspath(found),) if found else (sys.executable, "-m", "kobune.main.entry")


def _prepared(options: dict[str, Any]) -> tuple[Login, str]:
    """How to log in, and the namespace to look in. What is wrong with the configuration is told here, not by ssh."""
    if options["vsock"]:
        raise click.UsageError("--vsock: guests are reached by their network; leave it out")
    session = Session.current()
    try:
        config = session.config()
    except KobuneError as error:
        raise click.ClickException(explained(error)) from error
    login = Login(
        kobune=_this_program(),
        api=tuple(session.options()),
        port=options["port"],
        username=options["username"] or "",
        identity_file=options["identity_file"] or "",
        known_hosts=options["known_hosts"] or "",
        options=options["local_ssh_opts"],
    )
    return login, session.namespace(config)


def _become(program: str, arguments: list[str]) -> None:
    """Replace this process: signals, the terminal and the exit status are ssh's own."""
    path = shutil.which(program)
    if path is None:
        raise click.ClickException(f"{program} is not installed here: install openssh-client, or use `kobune console`")
    sys.stdout.flush()
    os.execv(path, [program, *arguments])  # noqa: S606 - no shell is wanted


def login_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What ssh and scp share."""
    for option in (
        click.option(
            "-t", "--local-ssh-opts", multiple=True, metavar="OPTIONS", help="More options for the local client."
        ),
        click.option("--known-hosts", type=click.Path(), help="File with the guests' host keys; default: ssh's own."),
        click.option(
            "-p",
            "--port",
            type=click.IntRange(1, 65535),
            default=22,
            show_default=True,
            help="Port of the guest's SSH server.",
        ),
        click.option("-i", "--identity-file", type=click.Path(), help="Private key to log in with."),
        click.option("-l", "--username", help="User in the guest; default: as ssh has it, your name here."),
        click.option("--local-ssh", is_flag=True, hidden=True, help="Always so; taken for virtctl's scripts."),
        click.option("--vsock", is_flag=True, hidden=True, help="Refused: guests are reached by their network."),
    ):
        function = option(function)
    return function


@verb(
    "ssh",
    ("Log in", "kobune ssh kobune@vm/demo"),
    ("Run one command", "kobune ssh --username kobune vm/demo -c 'uname -a'"),
    (
        "Do not remember the key of a guest that comes and goes",
        "kobune ssh kobune@vm/demo -t '-o StrictHostKeyChecking=no' -t '-o UserKnownHostsFile=/dev/null'",
    ),
)
@click.argument("target", metavar="[USER@][vm|vmi]/NAME[/NAMESPACE]")
@click.option("-c", "--command", default="", help="Run this in the guest and leave.")
@login_options
def ssh(target: str, command: str, **options: Any) -> None:
    """Log in to a guest, or run a command in it.

    Uses the ssh of this machine; the connection goes through the Kubernetes API, so the guest needs no address that
    you can reach.
    """
    where = parse_target(target)
    login, namespace = _prepared(options)
    _become("ssh", ssh_arguments(login, where, namespace, command))


@verb(
    "scp",
    ("Into the guest", "kobune scp notes.txt kobune@vm/demo:/tmp/"),
    ("Out of it, with a directory's content", "kobune scp -r kobune@vm/demo:/etc/init.d ."),
)
@click.argument("source")
@click.argument("destination")
@click.option("-r", "--recursive", is_flag=True, help="Copy directories with what is in them.")
@click.option("--preserve", is_flag=True, help="Keep times and modes.")
@login_options
def scp(source: str, destination: str, recursive: bool, preserve: bool, **options: Any) -> None:
    """Copy files to or from a guest.

    Uses the scp of this machine, through the Kubernetes API. One side is [USER@][vm|vmi]/NAME[/NAMESPACE]:PATH.
    """
    login, namespace = _prepared(options)
    arguments = scp_arguments(login, source, destination, namespace, recursive=recursive, preserve=preserve)
    _become("scp", arguments)
