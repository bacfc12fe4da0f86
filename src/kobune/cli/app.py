"""The `kobune` command: what it can do to virtual machines. main/ adds the commands that run the platform."""

from typing import Final

import click

from kobune.cli.lazy import LazyCommand
from kobune.cli.verb import VerbGroup

__all__ = ["COMMANDS", "app"]

# Name, where it is, and its line in the list of commands (a test keeps that equal to the command's own first line).
COMMANDS: Final = (
    ("addvolume", "kobune.cli.volumes:addvolume", "Plug a volume into a virtual machine."),
    ("completion", "kobune.cli.completion:completion", "Print the completion script of a shell."),
    ("console", "kobune.cli.console:console", "Connect this terminal to the serial console of a guest."),
    (
        "create",
        "kobune.cli.create.command:create",
        "Print a manifest: VirtualMachine, instancetype, preference or clone.",
    ),
    ("credentials", "kobune.cli.credentials:credentials", "Change SSH keys and passwords of a guest, by its agent."),
    ("evacuate-cancel", "kobune.cli.moves:evacuate_cancel", "Take back that a guest is to leave its node."),
    ("expand", "kobune.cli.describe:expand", "Print a VM with its instancetype and preference written out."),
    ("expose", "kobune.cli.expose:expose", "Create a Service that leads to a virtual machine."),
    ("freeze", "kobune.cli.guest:freeze", "Freeze the file systems of a guest, for a consistent snapshot."),
    ("fslist", "kobune.cli.guest:fslist", "Show the file systems that a guest has mounted."),
    ("guestosinfo", "kobune.cli.guest:guestosinfo", "Show what the guest agent tells about the operating system."),
    (
        "memory-dump",
        "kobune.cli.memorydump:memory_dump",
        "Dump the memory of a running guest to a claim.",
    ),
    ("migrate", "kobune.cli.moves:migrate", "Ask for a guest to be moved to another node."),
    ("migrate-cancel", "kobune.cli.moves:migrate_cancel", "Cancel the migration of a guest that is under way."),
    ("objectgraph", "kobune.cli.describe:objectgraph", "Show the objects that a VM depends on, as a tree in JSON."),
    ("options", "kobune.cli.listing:options", "List the options that every command takes."),
    ("pause", "kobune.cli.power:pause", "Stop the vCPUs of a running guest; its memory stays."),
    ("permitted-devices", "kobune.cli.describe:permitted_devices", "List the host devices that machines may use."),
    ("port-forward", "kobune.cli.portforward:port_forward", "Forward local ports to a guest."),
    ("removevolume", "kobune.cli.volumes:removevolume", "Unplug a volume from a virtual machine."),
    ("reset", "kobune.cli.power:reset", "Reset a guest as its reset button would; the pod stays."),
    ("restart", "kobune.cli.power:restart", "Restart a virtual machine: a new pod, a new boot."),
    ("scp", "kobune.cli.ssh:scp", "Copy files to or from a guest."),
    ("soft-reboot", "kobune.cli.power:soft_reboot", "Ask a guest to reboot, by its agent or by ACPI."),
    ("ssh", "kobune.cli.ssh:ssh", "Log in to a guest, or run a command in it."),
    ("start", "kobune.cli.power:start", "Start a virtual machine."),
    ("stop", "kobune.cli.power:stop", "Stop a virtual machine."),
    ("unfreeze", "kobune.cli.guest:unfreeze", "Thaw the file systems of a guest."),
    ("unpause", "kobune.cli.power:unpause", "Let a paused guest run again."),
    ("usbredir", "kobune.cli.usbredir:usbredir", "Redirect a USB device of this machine into a guest."),
    ("userlist", "kobune.cli.guest:userlist", "Show who is logged in to a guest."),
    ("version", "kobune.cli.version:version", "Show the versions of client and server."),
    ("vnc", "kobune.cli.vnc:vnc", "Open the screen of a guest in a VNC viewer."),
    ("why", "kobune.cli.why.command:why", "Say what state a virtual machine is in, and why."),
)

# Verbs of virtctl that are not there: each says so, and they are not listed.
ABSENT: Final = ("adm", "config", "guestfs", "image-upload", "template", "vmexport")


@click.group(
    cls=VerbGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: kobune up; then kubectl apply -f a VirtualMachine, and kobune console NAME.",
)
@click.version_option(package_name="kobune", message="kobune %(version)s")
def app() -> None:
    """Run and manage virtual machines as Kubernetes resources."""


for _name, _target, _summary in COMMANDS:
    app.add_command(LazyCommand(_name, _target, _summary))
for _name in ABSENT:
    app.add_command(LazyCommand(_name, f"kobune.cli.absent:{_name.replace('-', '_')}"))
