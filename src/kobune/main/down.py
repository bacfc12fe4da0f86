"""`kobune down`: ends an instance and everything that it runs on this machine. Objects and images stay."""

import asyncio
import shutil
from pathlib import Path

import click

from kobune.main.instance import stop_instance
from kobune.main.progress import Progress
from kobune.main.settings import Settings, default_data_dir
from kobune.main.supervisor import kill_left_components

__all__ = ["down"]


@click.command(epilog="Examples: kobune down; kobune down --purge")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The instance's data directory.")
@click.option(
    "--grace-period", "grace_s", default=30.0, show_default=True, help="Seconds that guests have to shut down."
)
@click.option("--purge", is_flag=True, help="Delete the data directory too: every object and every local disk is lost.")
def down(data_dir: Path | None, grace_s: float, purge: bool) -> None:
    """Stop an instance and everything that it runs; its data stays."""
    settings = Settings(data_dir=(data_dir or default_data_dir()).absolute())
    if not settings.data_dir.exists():
        click.echo(f"Nothing to do: {settings.data_dir} does not exist")
        return
    progress = Progress()
    with progress.step("components stopped"):
        stop_instance(settings.run_dir)
        kill_left_components(settings.run_dir)
    if (settings.data_dir / "containerd").exists():
        from kobune.main.node import tear_down_node

        with progress.step("pods, mounts and network removed"):
            asyncio.run(tear_down_node(settings, grace_s))
    if purge:
        with progress.step(f"{settings.data_dir} deleted"):
            shutil.rmtree(settings.data_dir)
    else:
        click.echo(f"Objects and images stay in {settings.data_dir}; 'kobune down --purge' deletes them")
