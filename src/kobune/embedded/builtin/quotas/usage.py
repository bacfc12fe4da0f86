"""What one object uses of a quota. Pure.

Source: the Kubernetes documentation of resource quotas (names, scopes) and of pod resource requests (init containers
run one after the other, sidecars beside the rest).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from kobune.api.core import Container, PersistentVolumeClaim, Pod, Service
from kobune.base.quantity import format_quantity, parse_quantity

__all__ = ["Amounts", "claim_usage", "in_scope", "pod_usage", "service_usage"]


@dataclass
class Amounts:
    """Sums by name. Each is shown with binary suffixes when the first amount that counted was written so."""

    values: dict[str, Decimal] = field(default_factory=dict)
    binary: dict[str, bool] = field(default_factory=dict)

    def add(self, name: str, value: str | int | float) -> None:
        """Add a quantity."""
        amount = parse_quantity(value)
        before = self.values.get(name, Decimal(0))
        if before == 0 and amount != 0:
            self.binary[name] = isinstance(value, str) and value.endswith("i")
        self.values[name] = before + amount

    def add_all(self, other: "Amounts") -> None:
        """Add what another one has."""
        for name, amount in other.values.items():
            before = self.values.get(name, Decimal(0))
            if before == 0 and amount != 0:
                self.binary[name] = other.binary.get(name, False)
            self.values[name] = before + amount

    def render(self, names: Iterable[str]) -> dict[str, str]:
        """The amounts of these names as quantities; zero where nothing counted."""
        return {
            name: format_quantity(self.values.get(name, Decimal(0)), binary=self.binary.get(name, False))
            for name in sorted(names)
        }

    def largest(self, other: "Amounts") -> None:
        """Keep the larger of both, name by name."""
        for name, amount in other.values.items():
            if amount > self.values.get(name, Decimal(0)):
                self.values[name] = amount
                self.binary[name] = other.binary.get(name, False)


def _of(containers: Iterable[Container], kind: str) -> Amounts:
    total = Amounts()
    for container in containers:
        listed: Mapping[str, str | int | float] = getattr(container.resources, kind)
        for name, value in listed.items():
            total.add(name, value)
    return total


def _pod_total(pod: Pod, kind: str) -> Amounts:
    total = _of(pod.spec.containers, kind)
    running = Amounts()
    first = Amounts()
    for container in pod.spec.init_containers:
        if container.restart_policy == "Always":
            running.add_all(_of([container], kind))
            first.largest(running)
        else:
            beside = _of([container], kind)
            beside.add_all(running)
            first.largest(beside)
    total.add_all(running)
    total.largest(first)
    for name, value in pod.spec.overhead.items():
        if kind == "requests" or name in total.values:
            total.add(name, value)
    return total


def pod_usage(pod: Pod) -> Amounts:
    """Nothing once the pod has ended."""
    used = Amounts()
    if pod.status.phase in ("Succeeded", "Failed"):
        return used
    used.add("pods", 1)
    used.add("count/pods", 1)
    requests, limits = _pod_total(pod, "requests"), _pod_total(pod, "limits")
    for name, amount in requests.values.items():
        shown = Amounts({f"requests.{name}": amount}, {f"requests.{name}": requests.binary.get(name, False)})
        used.add_all(shown)
        if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
            used.add_all(Amounts({name: amount}, {name: requests.binary.get(name, False)}))
    for name, amount in limits.values.items():
        used.add_all(Amounts({f"limits.{name}": amount}, {f"limits.{name}": limits.binary.get(name, False)}))
    return used


def service_usage(service: Service) -> Amounts:
    """Services count by type too."""
    used = Amounts()
    used.add("services", 1)
    used.add("count/services", 1)
    kind, ports = service.spec.type, len(service.spec.ports)
    if kind == "LoadBalancer":
        used.add("services.loadbalancers", 1)
    if kind in ("NodePort", "LoadBalancer"):
        used.add("services.nodeports", ports)
    return used


def claim_usage(claim: PersistentVolumeClaim) -> Amounts:
    """Claims count in all, and by storage class."""
    used = Amounts()
    size = (claim.spec.resources.requests or {}).get("storage", 0)
    used.add("persistentvolumeclaims", 1)
    used.add("count/persistentvolumeclaims", 1)
    used.add("requests.storage", size)
    if claim.spec.storage_class_name:
        prefix = f"{claim.spec.storage_class_name}.storageclass.storage.k8s.io"
        used.add(f"{prefix}/persistentvolumeclaims", 1)
        used.add(f"{prefix}/requests.storage", size)
    return used


def _is_best_effort(pod: Pod) -> bool:
    containers = [*pod.spec.containers, *pod.spec.init_containers]
    return not any(
        name in ("cpu", "memory")
        for container in containers
        for name in (*container.resources.requests, *container.resources.limits)
    )


def in_scope(pod: Pod, scope: str, operator: str = "Exists", values: Iterable[str] = ()) -> bool:
    """Whether a quota with that scope counts the pod; an unknown scope counts nothing."""
    terminating = pod.spec.active_deadline_seconds is not None
    match scope:
        case "Terminating":
            return terminating
        case "NotTerminating":
            return not terminating
        case "BestEffort":
            return _is_best_effort(pod)
        case "NotBestEffort":
            return not _is_best_effort(pod)
        case "PriorityClass":
            name = pod.spec.priority_class_name
            matches = {
                "In": name in values,
                "NotIn": name not in values,
                "Exists": bool(name),
                "DoesNotExist": not name,
            }
            return matches.get(operator, False)
        case _:
            return False
