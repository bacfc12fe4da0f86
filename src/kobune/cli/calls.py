"""Calls of subresources.kubevirt.io that change something, and verbs that are one such call and a line about it.

Owns: the request, `--dry-run`, and what such verbs say. Must not: wait for what the call leads to.
"""

import json
from typing import TYPE_CHECKING, Any

import click

from kobune.cli.session import Session, command
from kobune.cli.targets import INSTANCES, kind_and_name, subresource
from kobune.cli.verb import dry_run_option, verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["instance_verb", "put", "put_with"]


async def put(session: Session, plural: str, name: str, action: str, body: dict[str, Any], dry_run: bool) -> None:
    """Call a verb; with `dry_run` the server only checks."""
    async with session.open() as (client, namespace):
        await put_with(client, subresource(namespace, plural, name, action), body, dry_run)


async def put_with(client: "HttpClient", path: str, body: dict[str, Any], dry_run: bool) -> None:
    """The same for who has a client already."""
    if dry_run:
        body = {**body, "dryRun": ["All"]}
        click.echo("Dry Run execution")
    await client.raw("PUT", path, body=json.dumps(body).encode())


def instance_verb(
    name: str, action: str, told: str, summary: str, *pairs: tuple[str, str], may_be_dry: bool = False
) -> click.Command:
    """A verb on a running instance without options of its own; `told` is what follows its name when it was called."""

    async def call(session: Session, target: tuple[str, ...], dry_run: bool = False) -> None:
        found = kind_and_name(target)
        await put(session, INSTANCES, found, action, {}, dry_run)
        click.echo(f"VMI {found} {told}")

    call.__doc__ = summary
    run = command(call)
    if may_be_dry:
        run = dry_run_option(run)
    return verb(name, *pairs)(click.argument("target", nargs=-1, required=True, metavar="[vm|vmi] NAME")(run))
