"""The `kobune` command: what it can do to virtual machines. main/ adds the commands that run the platform."""

from importlib.metadata import version as package_version

import click

from kobune.cli import power
from kobune.cli.console import console
from kobune.cli.version import version

__all__ = ["app"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: kobune up; then kubectl apply -f a VirtualMachine, and kobune console NAME.",
)
@click.version_option(package_version("kobune"), "--version", message="kobune %(version)s")
def app() -> None:
    """Run and manage virtual machines as Kubernetes resources."""


for verb in (
    console,
    power.start,
    power.stop,
    power.restart,
    power.pause,
    power.unpause,
    power.soft_reboot,
    version,
):
    app.add_command(verb)
