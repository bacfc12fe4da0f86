"""`kobune status` and `kobune kubeconfig`: what an instance is doing, and how to reach it."""

import asyncio
import json
from pathlib import Path

import click

from kobune.base.errors import TerminalError
from kobune.kube.client.config import load_config
from kobune.kube.client.errors import ApiError
from kobune.kube.client.http import HttpClient
from kobune.main.instance import running_pid
from kobune.main.settings import Settings, default_data_dir
from kobune.main.supervisor import read_component_pids

__all__ = ["kubeconfig", "status"]

data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The instance's data directory."
)


@click.command(epilog="Example: kobune status; its exit status is 0 only when everything is well")
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Show what runs of an instance and whether it is well."""
    settings = Settings(data_dir=(data_dir or default_data_dir()).absolute())
    pid = running_pid(settings.run_dir)
    click.echo(f"Data directory: {settings.data_dir}")
    if pid is None:
        click.echo("Not running: start it with 'kobune up'")
        raise SystemExit(1)
    click.echo(f"Running: pid {pid}")
    for name, component_pid in read_component_pids(settings.run_dir).items():
        alive = Path(f"/proc/{component_pid}").exists()
        click.echo(f"  {name:<16} {'pid ' + str(component_pid) if alive else 'starting again'}")
    if not asyncio.run(_ask(settings)):
        raise SystemExit(1)


async def _ask(settings: Settings) -> bool:
    """Print what the API says of itself and of its nodes; False when something is not well."""
    client = HttpClient(load_config(settings.kubeconfig))
    well = True
    try:
        await client.raw("GET", "/readyz", timeout_s=5.0)
        click.echo("API: ready")
        nodes = json.loads(await client.raw("GET", "/api/v1/nodes", timeout_s=5.0))["items"]
        for node in nodes:
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
            well = well and ready
            click.echo(f"Node {node['metadata']['name']}: {'ready' if ready else 'not ready'}")
        await client.raw("GET", "/apis/subresources.kubevirt.io/v1/version", timeout_s=5.0)
        click.echo("virt-api: ready")
    except ApiError as error:
        click.echo(f"Not well: {error}; see {settings.logs_dir}")
        return False
    finally:
        await client.close()
    return well


@click.command(epilog="Example: kobune kubeconfig > ~/.kube/config")
@data_dir_option
@click.option("--path", "only_path", is_flag=True, help="Print where the file is.")
def kubeconfig(data_dir: Path | None, only_path: bool) -> None:
    """Print the administrator's kubeconfig of an instance."""
    settings = Settings(data_dir=(data_dir or default_data_dir()).absolute())
    if not settings.kubeconfig.exists():
        raise TerminalError(f"{settings.kubeconfig} does not exist: start an instance with 'kobune up'")
    click.echo(str(settings.kubeconfig) if only_path else settings.kubeconfig.read_text(), nl=only_path)
