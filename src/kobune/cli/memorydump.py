"""memory-dump: ask for the memory of a running guest in a claim, and take that claim off again."""

import json
from typing import TYPE_CHECKING, Any, Final

import click

from kobune.cli.calls import put
from kobune.cli.session import Session, command
from kobune.cli.targets import MACHINES
from kobune.cli.verb import verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["dump_claim", "memory_dump"]

OVERHEAD_BYTES: Final = 100 << 20
"""What a dump has beside the guest's memory."""
ACTIONS: Final = ("get", "remove")


def dump_claim(name: str, memory: str | int, storage_class: str, access_mode: str) -> dict[str, Any]:
    """The manifest of a claim that has room for a dump of so much memory. Pure."""
    from kobune.base.quantity import format_quantity, to_bytes

    size = format_quantity(to_bytes(memory) + OVERHEAD_BYTES, binary=True)
    spec: dict[str, Any] = {"accessModes": [access_mode], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


async def _create_claim(
    client: "HttpClient", namespace: str, name: str, claim_name: str, storage_class: str, access_mode: str
) -> None:
    from kobune.kube.client.errors import AlreadyExists

    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}"
    vmi = json.loads(await client.raw("GET", path))
    memory = (vmi.get("status") or {}).get("memory") or {}
    guest = memory.get("guestCurrent") or ((vmi["spec"]["domain"].get("memory") or {}).get("guest"))
    if not guest:
        raise click.ClickException(f"how much memory {name} has is not known yet: try again once it runs")
    body = json.dumps(dump_claim(claim_name, guest, storage_class, access_mode)).encode()
    try:
        await client.raw("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", body=body)
    except AlreadyExists as error:
        message = f"PVC {namespace}/{claim_name} already exists: leave out --create-claim to use it"
        raise click.ClickException(message) from error
    click.echo(f"PVC {namespace}/{claim_name} created")


@verb(
    "memory-dump",
    ("Dump the memory of demo to the claim `dumps`", "kobune memory-dump get demo --claim-name=dumps"),
    ("Make the claim, too", "kobune memory-dump get demo --claim-name=dumps --create-claim"),
    ("Again, to the same claim", "kobune memory-dump get demo"),
    ("Take the claim off; the dump stays in it", "kobune memory-dump remove demo"),
)
@click.argument("action", metavar="get|remove")
@click.argument("name")
@click.option("--claim-name", default="", help="The claim that the dump goes to; default: the one before.")
@click.option("--create-claim", is_flag=True, help="Make the claim, with room for the guest's memory.")
@click.option("--storage-class", default="", help="Storage class of that claim; default: the cluster's.")
@click.option("--access-mode", default="ReadWriteOnce", show_default=True, help="Access mode of that claim.")
@click.option("--output", default="", hidden=True, help="Refused: dumps are not downloaded yet.")
@click.option("--format", "dump_format", default="", hidden=True, help="Goes with --output.")
@click.option("--port-forward", is_flag=True, hidden=True, help="Goes with --output.")
@click.option("--local-port", default="", hidden=True, help="Goes with --output.")
@command
async def memory_dump(
    session: Session,
    /,
    action: str,
    name: str,
    claim_name: str,
    create_claim: bool,
    storage_class: str,
    access_mode: str,
    output: str,
    **_: Any,
) -> None:
    """Dump the memory of a running guest to a claim.

    `remove` takes the claim off the machine again. How far it is, is in the machine's status: memoryDumpRequest.
    """
    if action == "download" or output:
        message = "dumps are not downloaded yet, as volumes are not exported: read the claim from a pod with kubectl cp"
        raise click.ClickException(message)
    if action not in ACTIONS:
        raise click.UsageError(f"{action!r} is no action: get or remove")
    if action == "remove":
        await put(session, MACHINES, name, "removememorydump", {}, False)
        click.echo(f"Successfully submitted remove memory dump association of VM {name}")
        return
    if create_claim:
        if not claim_name:
            raise click.UsageError("--create-claim needs --claim-name")
        async with session.open() as (client, namespace):
            await _create_claim(client, namespace, name, claim_name, storage_class, access_mode)
    await put(session, MACHINES, name, "memorydump", {"claimName": claim_name} if claim_name else {}, False)
    click.echo(f"Successfully submitted memory dump request of VM {name}")
