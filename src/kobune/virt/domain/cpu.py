"""Virtual CPUs: how many, in which topology, of which model."""

from dataclasses import dataclass

from kobune.api.kubevirt.domain import CPU, DomainSpec
from kobune.base.quantity import to_milli
from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["Topology", "configure", "topology"]


@dataclass(frozen=True, slots=True)
class Topology:
    """Sockets x cores x threads; `max_sockets` is how far sockets can grow while the guest runs."""

    sockets: int = 1
    cores: int = 1
    threads: int = 1
    max_sockets: int = 1

    @property
    def vcpus(self) -> int:
        """Virtual CPUs at start."""
        return self.sockets * self.cores * self.threads

    @property
    def max_vcpus(self) -> int:
        """Virtual CPUs when all sockets are plugged."""
        return self.max_sockets * self.cores * self.threads


def topology(spec: DomainSpec) -> Topology:
    """The topology asked for; without one, as many sockets as `resources` asks for whole CPUs."""
    cpu = spec.cpu or CPU()
    sockets, cores, threads = cpu.sockets or 0, cpu.cores or 0, cpu.threads or 0
    if not (sockets or cores or threads) and spec.resources is not None:
        wanted = spec.resources.requests.get("cpu", spec.resources.limits.get("cpu"))
        if wanted is not None:
            sockets = -(-to_milli(wanted) // 1000)
    sockets, cores, threads = max(sockets, 1), max(cores, 1), max(threads, 1)
    return Topology(sockets, cores, threads, max(cpu.max_sockets or 0, sockets))


def configure(source: DomainSource, domain: Domain) -> None:
    """`<vcpu>` and `<cpu>`."""
    spec = source.vmi.spec.domain
    layout = topology(spec)
    current = str(layout.vcpus) if layout.max_vcpus != layout.vcpus else None
    domain.top("vcpu", str(layout.max_vcpus), placement="static", **({"current": current} if current else {}))
    cpu = domain.section("cpu")
    wanted = spec.cpu or CPU()
    model = wanted.model or ""
    if not source.facts.kvm and model in ("", "host-model", "host-passthrough", "maximum"):
        # TCG emulates one CPU, with all it can do; the host's model means nothing to it.
        cpu.set("mode", "maximum")
    elif model in ("", "host-model"):
        cpu.set("mode", "host-model")
    elif model in ("host-passthrough", "maximum"):
        cpu.set("mode", model)
    else:
        cpu.set("mode", "custom")
        # Under TCG a model's unknown features are dropped; under KVM a guest must get what it was promised.
        cpu.set("match", "exact")
        cpu.set("check", "partial" if source.facts.kvm else "none")
        add(cpu, "model", model, fallback="forbid" if source.facts.kvm else "allow")
    add(
        cpu,
        "topology",
        sockets=str(layout.max_sockets),
        dies="1",
        cores=str(layout.cores),
        threads=str(layout.threads),
    )
    for feature in wanted.features:
        add(cpu, "feature", name=feature.name, policy=feature.policy or "require")
