"""`kobune version`: of the client and of what it speaks to."""

import json

import click

from kobune.cli.session import Session, command
from kobune.cli.targets import GROUP
from kobune.cli.verb import verb

__all__ = ["version"]


@verb("version", ("Of client and server", "kobune version"), ("Without a server", "kobune version --client"))
@click.option("-c", "--client", "client_only", is_flag=True, help="Only the client's version; no server is asked.")
@command
async def version(session: Session, client_only: bool) -> None:
    """Show the versions of client and server."""
    from importlib.metadata import version as package_version

    click.echo(f"Client Version: {package_version('kobune')}")
    if client_only:
        return
    async with session.open() as (client, _):
        virt = json.loads(await client.raw("GET", f"{GROUP}/version"))
        kubernetes = json.loads(await client.raw("GET", "/version"))
    click.echo(f"Server Version: {virt.get('gitVersion', 'unknown')}")
    click.echo(f"Kubernetes Version: {kubernetes.get('gitVersion', 'unknown')}")
