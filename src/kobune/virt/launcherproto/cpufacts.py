"""What a launcher image can do on this node, as the image's own libvirt says it: the one question and its answer.

A pod of the image, made once per node and image (virt-controller), serves one connection on `CPU_FACTS_SOCKET`:
virt-handler sends `CpuFactsQuestion`, the pod answers `CpuFacts` and ends. Both are one line of `framing`.
"""

from typing import Final

from msgspec import Struct

__all__ = ["CPU_FACTS_SOCKET", "CPU_FACTS_VOLUME", "CpuFacts", "CpuFactsQuestion"]

CPU_FACTS_VOLUME: Final = "facts"
"""The pod's emptyDir; virt-handler finds the socket in it."""
CPU_FACTS_SOCKET: Final = "facts.sock"


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Frozen, keyword-only, camelCase on the wire."""


class CpuFactsQuestion(Message, frozen=True, kw_only=True):
    """`kvm`: for guests under KVM, which virt-handler has proved and opened to the pod; otherwise for TCG."""

    kvm: bool = False


class CpuFacts(Message, frozen=True, kw_only=True):
    """libvirt's documents as they are, for the machine type q35; and which features each CPU model of its map has.

    `domain_capabilities` and `capabilities` are libvirt's XML documents of these names, `baseline` is the `<cpu>` of
    host-model with all its features spelt out. `error` says why they are missing.
    """

    domain_capabilities: str = ""
    capabilities: str = ""
    baseline: str = ""
    model_features: dict[str, list[str]] = {}
    error: str = ""
