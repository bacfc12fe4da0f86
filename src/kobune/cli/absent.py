"""Verbs of virtctl that kobune has not: each says so and names what to do instead."""

from typing import Final

import click

from kobune.cli.verb import CONTEXT

__all__ = ["ABSENT", "adm", "config", "guestfs", "image_upload", "template", "vmexport"]

ABSENT: Final = {
    "config": "put `ProxyCommand kobune port-forward --stdio=true vm/NAME 22` into ~/.ssh/config yourself",
    "adm": "the verbosity of components is chosen when they start",
    "guestfs": "start a pod with the claim and the tools that you need: kubectl apply",
    "image-upload": "put the image into a container disk, or fill a claim from a pod: kubectl cp",
    "template": "VirtualMachineTemplates are not served; `kobune create vm` makes manifests",
    "vmexport": "volumes are not exported; read the claim from a pod: kubectl cp",
}
"""What each would be, and the way around."""


def _absent(name: str) -> click.Command:
    @click.command(
        name,
        hidden=True,
        add_help_option=False,
        context_settings={**CONTEXT, "ignore_unknown_options": True, "allow_extra_args": True},
        help=f"Not there: {ABSENT[name]}.",
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def refuse(words: tuple[str, ...]) -> None:
        raise click.ClickException(f"kobune has no {name} yet: {ABSENT[name]}")

    return refuse


adm, config, guestfs, image_upload, template, vmexport = (
    _absent(name) for name in ("adm", "config", "guestfs", "image-upload", "template", "vmexport")
)
