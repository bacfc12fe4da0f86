"""migrate, migrate-cancel and evacuate-cancel: where a guest runs."""

import json
from urllib.parse import quote

import click

from kobune.cli.calls import put
from kobune.cli.session import Session, command
from kobune.cli.targets import KINDS, MACHINES
from kobune.cli.verb import dry_run_option, verb

__all__ = ["evacuate_cancel", "migrate", "migrate_cancel"]

_OVER = ("Succeeded", "Failed")


@verb("migrate", ("Ask for demo to be moved to another node", "kobune migrate demo"))
@click.argument("name")
@click.option(
    "--addedNodeSelector",
    "selectors",
    multiple=True,
    metavar="KEY=VALUE",
    help="Label that the target node must have; repeatable, several with commas.",
)
@dry_run_option
@command
async def migrate(session: Session, name: str, selectors: tuple[str, ...], dry_run: bool) -> None:
    """Ask for a guest to be moved to another node."""
    pairs = [part.partition("=") for text in selectors for part in text.split(",") if part]
    if any(not key or not separator for key, separator, _ in pairs):
        raise click.UsageError("--addedNodeSelector: write KEY=VALUE,KEY=VALUE")
    body = {"addedNodeSelector": {key: value for key, _, value in pairs}} if pairs else {}
    await put(session, MACHINES, name, "migrate", body, dry_run)
    click.echo(f"VM {name} was scheduled to migrate")


@verb("migrate-cancel", ("Stay where it is", "kobune migrate-cancel demo"))
@click.argument("name")
@dry_run_option
@command
async def migrate_cancel(session: Session, name: str, dry_run: bool) -> None:
    """Cancel the migration of a guest that is under way."""
    async with session.open() as (client, namespace):
        where = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstancemigrations"
        selector = quote(f"kubevirt.io/vmi-name={name}")
        found = json.loads(await client.raw("GET", f"{where}?labelSelector={selector}"))
        active = [
            item["metadata"]["name"]
            for item in found.get("items") or ()
            if (item.get("status") or {}).get("phase") not in _OVER
        ]
        if not active:
            raise click.ClickException(f"Found no migration to cancel for {name}")
        for migration in active:
            query = "?dryRun=All" if dry_run else ""
            await client.raw("DELETE", f"{where}/{migration}{query}")
    click.echo(f"VM {name} was scheduled to migrate-cancel")


@verb("evacuate-cancel", ("Let demo stay on a node that is drained", "kobune evacuate-cancel vm demo"))
@click.argument("kind", metavar="vm|vmi")
@click.argument("name")
@dry_run_option
@command
async def evacuate_cancel(session: Session, kind: str, name: str, dry_run: bool) -> None:
    """Take back that a guest is to leave its node."""
    plural = KINDS.get(kind.lower())
    if plural is None:
        raise click.UsageError(f"unsupported resource type {kind!r}: write vm or vmi")
    await put(session, plural, name, "evacuate/cancel", {}, dry_run)
    click.echo(f"{'VM' if plural == MACHINES else 'VMI'} {name}: its evacuation was canceled")
