"""The guest's NUMA nodes: those of the host that its dedicated CPUs are on. Pure.

Source: libvirt's `<numatune>`, `<numa>` and `<memoryBacking>`; the layout is KubeVirt's `guestMappingPassthrough`: as
many cells as host nodes are involved, memory in equal shares of whole huge pages, each taken from its own node.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kobune.api.kubevirt import DomainSpec
from kobune.base.quantity import to_bytes
from kobune.virt.domain.cpu import topology
from kobune.virt.domain.document import Domain, DomainSource, InvalidSpec, add
from kobune.virt.domain.memory import guest_memory_bytes

__all__ = ["Cell", "cells", "chosen_vcpus", "configure", "passes_numa", "wants_realtime"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One node of the guest: its virtual CPUs, its memory, and the node of the host that both are on."""

    vcpus: tuple[int, ...]
    memory_bytes: int
    host_node: int


def passes_numa(spec: DomainSpec) -> bool:
    """Whether the guest gets the layout of its CPUs."""
    cpu = spec.cpu
    return cpu is not None and cpu.numa is not None and cpu.numa.guest_mapping_passthrough is not None


def wants_realtime(spec: DomainSpec) -> bool:
    """Whether virtual CPUs run with real-time priority."""
    return spec.cpu is not None and spec.cpu.realtime is not None


def chosen_vcpus(mask: str, count: int) -> frozenset[int]:
    """The virtual CPUs of a mask such as `0-3,^1`, in order; all without one. Raises ValueError."""
    if not mask.strip():
        return frozenset(range(count))
    chosen: set[int] = set()
    for part in mask.replace(" ", "").split(","):
        first, _, last = part.removeprefix("^").partition("-")
        span = range(int(first), int(last or first) + 1)
        chosen = chosen - set(span) if part.startswith("^") else chosen | set(span)
    return frozenset(vcpu for vcpu in chosen if vcpu < count)


def cells(source: DomainSource) -> list[Cell]:
    """The guest's nodes in the order of the host's; none when the host tells of none.

    Raises InvalidSpec when a pinned CPU is on no node, or the memory is less than one page for each.
    """
    if not source.numa_nodes:
        return []
    spec = source.vmi.spec.domain
    node_of = {cpu: node for node, cpus in source.numa_nodes.items() for cpu in cpus}
    pinned: dict[int, list[int]] = {}
    # `cputune` pins virtual CPU N to the Nth of the pod's CPUs.
    for vcpu, cpu in enumerate(source.cpus[: topology(spec).max_vcpus]):
        if cpu not in node_of:
            raise InvalidSpec(_FIELD, f"CPU {cpu} of the host is on no NUMA node")
        pinned.setdefault(node_of[cpu], []).append(vcpu)
    amounts = _shares(spec, len(pinned))
    return [Cell(tuple(pinned[node]), next(amounts), node) for node in sorted(pinned)]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<numatune>`, `<numa>` of `<cpu>`, and where pages come from. `memory` and `cpu` have to be configured before."""
    spec = source.vmi.spec.domain
    if wants_realtime(spec):
        # Merging equal pages would hold up the guest at any time.
        add(domain.section("memoryBacking"), "nosharepages")
    if not passes_numa(spec):
        return
    found = cells(source)
    if not found:
        return
    tune = domain.section("numatune")
    add(tune, "memory", mode="strict", nodeset=",".join(str(cell.host_node) for cell in found))
    numa = add(domain.section("cpu"), "numa")
    pages = domain.section("memoryBacking").find("hugepages")
    if pages is None:
        raise InvalidSpec("spec.domain.memory.hugepages", "the host's NUMA layout needs huge pages")
    pages.clear()
    for number, cell in enumerate(found):
        add(tune, "memnode", cellid=str(number), mode="strict", nodeset=str(cell.host_node))
        vcpus = ",".join(str(vcpu) for vcpu in cell.vcpus)
        add(numa, "cell", id=str(number), cpus=vcpus, memory=str(cell.memory_bytes), unit="b")
        add(pages, "page", size=str(_page_bytes(spec)), unit="b", nodeset=str(number))
    add(domain.section("memoryBacking"), "allocation", mode="immediate")


_FIELD = "spec.domain.cpu.numa.guestMappingPassthrough"


def _page_bytes(spec: DomainSpec) -> int:
    hugepages = spec.memory.hugepages if spec.memory is not None else None
    if hugepages is None:
        raise InvalidSpec("spec.domain.memory.hugepages", "the host's NUMA layout needs huge pages")
    return to_bytes(hugepages.page_size or "2Mi")


def _shares(spec: DomainSpec, count: int) -> Iterator[int]:
    """Memory in whole pages for each of `count` nodes; the first ones get a page more where it does not divide."""
    page = _page_bytes(spec)
    pages = guest_memory_bytes(spec) // page
    if pages < count:
        raise InvalidSpec("spec.domain.memory.guest", f"less than one page of {page} bytes for each of {count} nodes")
    for number in range(count):
        yield (pages // count + (1 if number < pages % count else 0)) * page
