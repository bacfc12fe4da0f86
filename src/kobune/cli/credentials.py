"""`kobune credentials`: SSH keys and passwords of guests, in the Secrets that a machine's access credentials name."""

import base64
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kobune.cli.session import Session, command
from kobune.cli.verb import CONTEXT, VerbGroup, examples, verb

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["credentials", "password_secrets", "ssh_secrets", "without_key"]

Document = dict[str, Any]


def ssh_secrets(machine: Document, user: str) -> list[str]:
    """The Secrets whose keys the guest agent gives to `user`. Pure."""
    found: list[str] = []
    for credential in _credentials(machine):
        ssh = credential.get("sshPublicKey") or {}
        agent = (ssh.get("propagationMethod") or {}).get("qemuGuestAgent") or {}
        name = ((ssh.get("source") or {}).get("secret") or {}).get("secretName")
        if name and user in (agent.get("users") or ()):
            found.append(name)
    return found


def password_secrets(machine: Document) -> list[str]:
    """The Secrets whose passwords the guest agent sets. Pure."""
    found: list[str] = []
    for credential in _credentials(machine):
        password = credential.get("userPassword") or {}
        name = ((password.get("source") or {}).get("secret") or {}).get("secretName")
        if name and "qemuGuestAgent" in (password.get("propagationMethod") or {}):
            found.append(name)
    return found


def without_key(data: dict[str, str], key: str) -> dict[str, str | None]:
    """What to patch in a Secret's data so that `key` is in it no more: None where nothing is left. Pure."""
    changes: dict[str, str | None] = {}
    for name, encoded in data.items():
        lines = base64.b64decode(encoded).decode(errors="replace").splitlines()
        kept = [line for line in lines if not _same_key(line, key)]
        if len(kept) != len(lines):
            text = "\n".join(kept)
            changes[name] = base64.b64encode(text.encode()).decode() if text.strip() else None
    return changes


def _credentials(machine: Document) -> list[Document]:
    spec = ((machine.get("spec") or {}).get("template") or {}).get("spec") or {}
    found: list[Document] = spec.get("accessCredentials") or []
    return found


def _same_key(line: str, key: str) -> bool:
    """Comments of keys do not count."""
    return line.split()[:2] == key.split()[:2] != []


def _chosen(name: str, there: list[str], what: str) -> str:
    if not there:
        raise click.ClickException(what)
    if name and name not in there:
        raise click.ClickException(f"the machine does not use the Secret {name} for this; it uses {', '.join(there)}")
    return name or there[0]


def _key(value: str, path: str | None) -> str:
    if bool(value) == bool(path):
        raise click.UsageError("give the key either with --value or with --file")
    try:
        text = Path(path).read_text() if path else value
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {path}: {error}") from error
    key = text.strip()
    if len(key.split()) < 2 or "\n" in key:
        raise click.UsageError("an SSH public key is one line like `ssh-ed25519 AAAA... comment`")
    return key


async def _get(client: "HttpClient", path: str) -> Document:
    found: Document = json.loads(await client.raw("GET", path))
    return found


async def _patch(client: "HttpClient", path: str, body: Document) -> None:
    await client.raw("PATCH", path, body=json.dumps(body).encode(), content_type="application/merge-patch+json")


def _machine_path(namespace: str, name: str) -> str:
    return f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}"


async def _secret(client: "HttpClient", namespace: str, name: str, machine: Document, force: bool) -> Document:
    """A Secret that may be changed: the machine owns it, or the user insists."""
    secret = await _get(client, f"/api/v1/namespaces/{namespace}/secrets/{name}")
    owners = secret["metadata"].get("ownerReferences") or ()
    if not force and all(owner.get("uid") != machine["metadata"]["uid"] for owner in owners):
        machine_name = machine["metadata"]["name"]
        raise click.ClickException(
            f"secret {name} does not have an owner reference pointing to VM {machine_name}, so other machines may use "
            "it; --force changes it all the same"
        )
    return secret


user_option = click.option("-u", "--user", required=True, help="User in the guest.")
secret_option = click.option("-s", "--secret", default="", help="Secret to change; default: the first that fits.")
file_option = click.option("-f", "--file", "path", help="File with the public key.")
value_option = click.option("--value", default="", help="The public key itself.")
force_option = click.option("--force", is_flag=True, help="Also change a Secret that the VM does not own.")


@click.group("credentials", cls=VerbGroup, context_settings=CONTEXT)
def credentials() -> None:
    """Change SSH keys and passwords of a guest, by its agent."""


@verb(
    "add-ssh-key",
    ("Let a key log in to demo", "kobune credentials add-ssh-key --user kobune --file ~/.ssh/id_ed25519.pub demo"),
)
@click.argument("name")
@user_option
@secret_option
@file_option
@value_option
@click.option("--create-secret", is_flag=True, help="Always make a new Secret; used from the next start on.")
@click.option("--update-secret", is_flag=True, help="Never make a new Secret.")
@click.option("--force", is_flag=True, help="Also change a Secret that the VM does not own, or a VM that runs.")
@command
async def add_ssh_key(session: Session, /, name: str, user: str, secret: str, force: bool, **options: Any) -> None:
    """Let an SSH key log in to a guest."""
    key = _key(options["value"], options["path"])
    if options["create_secret"] and options["update_secret"]:
        raise click.UsageError("--create-secret and --update-secret exclude each other")
    async with session.open() as (client, namespace):
        machine = await _get(client, _machine_path(namespace, name))
        there = ssh_secrets(machine, user)
        if options["create_secret"] or (not there and not options["update_secret"]):
            made = await _new_secret(client, namespace, machine, user, key, force)
            click.echo(f"Created secret {made}; the guest gets the key when it starts")
            return
        chosen = _chosen(secret, there, f"no secrets specified for user: {user}")
        found = await _secret(client, namespace, chosen, machine, force)
        if without_key(found.get("data") or {}, key):
            click.echo(f'Secret "{chosen}" already contains this SSH key.')
            return
        data = {f"ssh-key-{secrets.token_hex(4)}": base64.b64encode(key.encode()).decode()}
        await _patch(client, f"/api/v1/namespaces/{namespace}/secrets/{chosen}", {"data": data})
    click.echo(f'Successfully added the key to secret "{chosen}"')


async def _new_secret(client: "HttpClient", namespace: str, machine: Document, user: str, key: str, force: bool) -> str:
    from kobune.kube.client.errors import NotFound

    name = machine["metadata"]["name"]
    if not force:
        try:
            await client.raw("GET", f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}")
        except NotFound:
            pass
        else:
            message = f"virtual machine {name} is running: with --force it gets the key when it starts again"
            raise click.ClickException(message)
    owner = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "name": name,
        "uid": machine["metadata"]["uid"],
        "controller": True,
    }
    body = {
        "metadata": {"generateName": f"{name}-ssh-key-", "ownerReferences": [owner]},
        "data": {f"ssh-key-{secrets.token_hex(4)}": base64.b64encode(key.encode()).decode()},
    }
    made = json.loads(
        await client.raw("POST", f"/api/v1/namespaces/{namespace}/secrets", body=json.dumps(body).encode())
    )
    secret: str = made["metadata"]["name"]
    credential = {
        "sshPublicKey": {
            "source": {"secret": {"secretName": secret}},
            "propagationMethod": {"qemuGuestAgent": {"users": [user]}},
        }
    }
    access = [*_credentials(machine), credential]
    patch = {
        "metadata": {"resourceVersion": machine["metadata"]["resourceVersion"]},
        "spec": {"template": {"spec": {"accessCredentials": access}}},
    }
    await _patch(client, _machine_path(namespace, name), patch)
    return secret


@verb(
    "remove-ssh-key",
    ("Lock a key out", "kobune credentials remove-ssh-key --user kobune --file ~/.ssh/id_ed25519.pub demo"),
)
@click.argument("name")
@user_option
@secret_option
@file_option
@value_option
@force_option
@command
async def remove_ssh_key(
    session: Session, name: str, user: str, secret: str, path: str | None, value: str, force: bool
) -> None:
    """Take an SSH key from a guest."""
    key = _key(value, path)
    async with session.open() as (client, namespace):
        machine = await _get(client, _machine_path(namespace, name))
        there = ssh_secrets(machine, user)
        names = [_chosen(secret, there, f"no secrets specified for user: {user}")] if secret or not there else there
        removed = False
        for each in names:
            found = await _secret(client, namespace, each, machine, force)
            changes = without_key(found.get("data") or {}, key)
            if changes:
                await _patch(client, f"/api/v1/namespaces/{namespace}/secrets/{each}", {"data": changes})
                click.echo(f'Successfully removed the key from secret "{each}"')
                removed = True
    if not removed:
        raise click.ClickException(f"no secret of user {user} contains this SSH key")


@verb(
    "set-password",
    ("A new password for kobune in demo", "kobune credentials set-password --user kobune --password secret demo"),
)
@click.argument("name")
@user_option
@secret_option
@click.option("-p", "--password", required=True, help="The new password.")
@force_option
@command
async def set_password(session: Session, name: str, user: str, secret: str, password: str, force: bool) -> None:
    """Set the password of a user in a guest."""
    async with session.open() as (client, namespace):
        machine = await _get(client, _machine_path(namespace, name))
        there = password_secrets(machine)
        chosen = _chosen(secret, there, "no secrets assigned to UserPassword AccessCredentials")
        await _secret(client, namespace, chosen, machine, force)
        data = {user: base64.b64encode(password.encode()).decode()}
        await _patch(client, f"/api/v1/namespaces/{namespace}/secrets/{chosen}", {"data": data})
    click.echo(f'Successfully set password in secret "{chosen}"')


for _command in (add_ssh_key, remove_ssh_key, set_password):
    credentials.add_command(_command)
credentials.epilog = examples(
    ("Let a key log in to demo", "kobune credentials add-ssh-key --user kobune --file ~/.ssh/id_ed25519.pub demo")
)
