"""The domain XML under construction, and the input that it is made from.

Owns: the skeleton of libvirt's `<domain>` and how elements are added. Which elements there are is told by the
modules beside this one and below `devices/`, each through one function `configure(source, domain)`.
Source of element and attribute names: libvirt's domain XML format.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.base.errors import TerminalError
from kobune.virt.domain.facts import Facts

__all__ = ["Configure", "DiskSource", "Domain", "DomainSource", "Element", "InvalidSpec", "KernelSource", "add"]

Element = ElementTree.Element

KOBUNE_NAMESPACE = "https://kobune.io/domain/v1"
ElementTree.register_namespace("kobune", KOBUNE_NAMESPACE)
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
ElementTree.register_namespace("qemu", QEMU_NAMESPACE)


class InvalidSpec(TerminalError):
    """The VMI cannot be rendered. `field` is the path at fault, from `spec` on."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class DiskSource:
    """Where QEMU reads a volume. `format` is raw or qcow2; `backing` is the overlay's base, if it is one.

    `block_sizes` are what the storage reads and writes at once (logical, physical, in bytes), where that is known.
    """

    path: str
    format: str = "raw"
    read_only: bool = False
    block: bool = False
    backing: "DiskSource | None" = None
    block_sizes: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class KernelSource:
    """A kernel that is booted without the guest's firmware looking for one; each path may be absent."""

    kernel: str | None = None
    initrd: str | None = None


@dataclass(frozen=True, slots=True)
class DomainSource:
    """Everything that a domain is made from. `disks` has a source for every volume that a disk refers to.

    `cpus` are the host's CPUs that the pod may run on; only dedicated placement looks at them. `environment` is the
    container's, where device plugins tell which devices of the node it was given. `numa_nodes` are the host's CPUs by
    their NUMA node; only `guestMappingPassthrough` looks at them.
    """

    vmi: VirtualMachineInstance
    facts: Facts
    disks: Mapping[str, DiskSource] = field(default_factory=dict)
    kernel: KernelSource | None = None
    cpus: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    numa_nodes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


class Domain:
    """A `<domain>` element whose sections are there in a fixed order; empty ones are dropped when rendered."""

    _SECTIONS = (
        "metadata",
        "memoryBacking",
        "cputune",
        "numatune",
        "os",
        "sysinfo",
        "features",
        "cpu",
        "clock",
        "devices",
        "qemu",
    )

    def __init__(self) -> None:
        self.root = Element("domain")
        self.identity: list[Element] = []
        self._sections = {name: Element(name) for name in self._SECTIONS}
        self._sections["qemu"] = Element(f"{{{QEMU_NAMESPACE}}}commandline")

    def section(self, name: str) -> Element:
        """The element of a section, which is one of `_SECTIONS`."""
        return self._sections[name]

    @property
    def devices(self) -> Element:
        """The `<devices>` section."""
        return self._sections["devices"]

    def top(self, tag: str, text: str | None = None, **attributes: str) -> Element:
        """Add an element directly below `<domain>`, before the sections."""
        element = _element(tag, text, attributes)
        self.identity.append(element)
        return element

    def qemu_argument(self, *words: str) -> None:
        """Words of QEMU's command line, for what libvirt has no element for."""
        for word in words:
            add(self._sections["qemu"], f"{{{QEMU_NAMESPACE}}}arg", value=word)

    def render(self) -> str:
        """The XML text, indented by two spaces."""
        # `sysinfo type=...` style attributes make a section worth keeping even without children.
        kept = [e for e in self._sections.values() if len(e) or e.attrib]
        self.root.extend([*self.identity, *kept])
        ElementTree.indent(self.root)
        text: str = ElementTree.tostring(self.root, encoding="unicode")
        return text + "\n"


class Configure(Protocol):
    """What every module of this package offers."""

    def __call__(self, source: DomainSource, domain: Domain) -> None:
        """Add what the source asks for to the domain. Raises InvalidSpec."""
        ...


def add(parent: Element, tag: str, text: str | None = None, **attributes: str | None) -> Element:
    """Append a child; attributes that are None are left out, a trailing underscore of a name is dropped."""
    element = _element(tag, text, attributes)
    parent.append(element)
    return element


def _element(tag: str, text: str | None, attributes: Mapping[str, str | None]) -> Element:
    element = Element(tag, {name.rstrip("_"): value for name, value in attributes.items() if value is not None})
    element.text = text
    return element
