"""expand, objectgraph and permitted-devices: what the server knows about machines, as documents."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from kobune.cli.session import Session, command
from kobune.cli.targets import GROUP, INSTANCES, MACHINES, subresource
from kobune.cli.verb import verb

__all__ = ["expand", "objectgraph", "permitted_devices"]


def _read(path: str) -> dict[str, Any]:
    """The VirtualMachine in a file of YAML or JSON; - is standard input."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise click.ClickException(f"cannot read {path}: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "VirtualMachine":
        raise click.ClickException(f"{path} holds no VirtualMachine")
    return document


@verb(
    "expand",
    ("demo with what its instancetype and preference say", "kobune expand --vm demo"),
    ("A manifest that is not applied yet", "kobune create vm --instancetype u1.small | kobune expand --file -"),
)
@click.option("--vm", "name", default="", metavar="NAME", help="A VM of the server.")
@click.option("-f", "--file", "path", default="", metavar="PATH", help="A file with a VM; - is standard input.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Format to print."
)
@command
async def expand(session: Session, name: str, path: str, output: str) -> None:
    """Print a VM with its instancetype and preference written out."""
    if bool(name) == bool(path):
        raise click.UsageError("give either --vm or --file")
    machine = _read(path) if path else None
    async with session.open() as (client, namespace):
        if machine is None:
            answer = await client.raw("GET", subresource(namespace, MACHINES, name, "expand-spec"))
        else:
            url = f"{GROUP}/namespaces/{namespace}/expand-vm-spec"
            answer = await client.raw("PUT", url, body=json.dumps(machine).encode())
    document = json.loads(answer)
    text = json.dumps(document, indent=1) if output == "json" else yaml.safe_dump(document, sort_keys=False)
    click.echo(text.rstrip())


@verb(
    "objectgraph",
    ("What demo depends on", "kobune objectgraph demo"),
    ("Only its storage", "kobune objectgraph demo --selector kubevirt.io/dependency-type=storage"),
)
@click.argument("name")
@click.option("--vmi", is_flag=True, help="Begin at the instance instead of the VM.")
@click.option("--exclude-optional", is_flag=True, help="Leave out what the machine can do without.")
@click.option("--selector", "selectors", multiple=True, metavar="KEY=VALUE", help="Labels of the nodes to show.")
@command
async def objectgraph(
    session: Session, name: str, vmi: bool, exclude_optional: bool, selectors: tuple[str, ...]
) -> None:
    """Show the objects that a VM depends on, as a tree in JSON."""
    pairs = [part.partition("=") for text in selectors for part in text.split(",") if part]
    options: dict[str, Any] = {"includeOptionalNodes": not exclude_optional}
    if pairs:
        options["labelSelector"] = {"matchLabels": {key: value for key, _, value in pairs}}
    async with session.open() as (client, namespace):
        path = subresource(namespace, INSTANCES if vmi else MACHINES, name, "objectgraph")
        answer = await client.raw("GET", path, body=json.dumps(options).encode())
    click.echo(json.dumps(json.loads(answer), indent=2))


@verb("permitted-devices", ("Which host devices machines may use", "kobune permitted-devices"))
@command
async def permitted_devices(session: Session) -> None:
    """List the host devices that machines may use."""
    async with session.open() as (client, _):
        found = json.loads(await client.raw("GET", "/apis/kubevirt.io/v1/kubevirts"))
    items = found.get("items") or []
    if not items:
        raise click.ClickException("there is no KubeVirt resource in this cluster")
    configuration = (items[0].get("spec") or {}).get("configuration") or {}
    permitted = configuration.get("permittedHostDevices") or {}
    hosts = [item["resourceName"] for kind in ("pciHostDevices", "usb") for item in permitted.get(kind) or ()]
    mediated = [item["resourceName"] for item in permitted.get("mediatedDevices") or ()]
    click.echo("Permitted Devices: ")
    click.echo(f"Host Devices: \n{', '.join(hosts)} ")
    click.echo(f"GPU Devices: \n{', '.join(mediated)}")
