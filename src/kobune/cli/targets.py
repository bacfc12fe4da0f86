"""Names of machines and instances as users type them. Pure."""

from dataclasses import dataclass, replace
from typing import Final

import click

__all__ = [
    "GROUP",
    "INSTANCES",
    "KINDS",
    "MACHINES",
    "Target",
    "kind_and_name",
    "older_reading",
    "parse_target",
    "subresource",
]

GROUP: Final = "/apis/subresources.kubevirt.io/v1"

MACHINES: Final = "virtualmachines"
INSTANCES: Final = "virtualmachineinstances"

KINDS: Final = {
    **dict.fromkeys(("vm", "vms", "virtualmachine", "virtualmachines"), MACHINES),
    **dict.fromkeys(("vmi", "vmis", "virtualmachineinstance", "virtualmachineinstances"), INSTANCES),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A machine or an instance; `namespace` is empty where the user named none, `user` likewise."""

    plural: str
    name: str
    namespace: str = ""
    user: str = ""

    @property
    def short_kind(self) -> str:
        """vm or vmi."""
        return "vm" if self.plural == MACHINES else "vmi"


def parse_target(text: str) -> Target:
    """`[USER@][vm/|vmi/]NAME[/NAMESPACE]`; without a kind it is an instance. Raises UsageError."""
    user, at, rest = text.rpartition("@")
    if at and not user:
        raise click.UsageError(f"there is no user before the @ in {text!r}")
    words = rest.split("/")
    if not all(words):
        raise click.UsageError(f"{text!r} is no target: write vm/NAME, vmi/NAME or vm/NAME/NAMESPACE")
    kind = KINDS.get(words[0].lower()) if len(words) > 1 else None
    if len(words) == 1:
        return Target(INSTANCES, words[0], user=user)
    if kind is None or len(words) > 3:
        raise click.UsageError(f"{text!r} is no target: write vm/NAME, vmi/NAME or vm/NAME/NAMESPACE")
    return Target(kind, words[1], words[2] if len(words) == 3 else "", user)


def kind_and_name(target: tuple[str, ...]) -> str:
    """`NAME`, `vm NAME`, `vmi NAME`, `vm/NAME`: the instance of a VM has the VM's name."""
    words = target[0].split("/") if len(target) == 1 else list(target)
    if len(words) == 1:
        return words[0]
    if len(words) == 2 and words[0].lower() in KINDS:
        return words[1]
    raise click.UsageError("give NAME, vm NAME or vmi NAME")


def subresource(namespace: str, plural: str, name: str, verb: str) -> str:
    """The URL path of a verb."""
    return f"{GROUP}/namespaces/{namespace}/{plural}/{name}/{verb}"


def older_reading(target: Target) -> Target | None:
    """What older clients took `NAME.NAMESPACE` for; None for a name without a dot.

    Names may hold dots, so this is for targets that are not found.
    """
    name, dot, namespace = target.name.rpartition(".")
    return replace(target, name=name, namespace=namespace) if dot and name and namespace else None
