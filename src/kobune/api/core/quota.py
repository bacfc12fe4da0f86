"""ResourceQuota, and what one object uses of it: for who admits objects and for who counts them.

Source: the Kubernetes documentation of resource quotas (names, scopes) and of pod resource requests (init containers
run one after the other, sidecars beside the rest).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import msgspec

from kobune.api.core.container import Container
from kobune.api.core.pod import Pod
from kobune.api.core.service import Service
from kobune.api.core.storage import PersistentVolumeClaim
from kobune.api.meta import Object, ObjectMeta, QuantityValue
from kobune.base.quantity import format_quantity, parse_quantity

__all__ = [
    "COUNTED_BY_NAME",
    "Amounts",
    "ResourceQuota",
    "ResourceQuotaSpec",
    "claim_usage",
    "counts",
    "object_usage",
    "pod_usage",
    "service_usage",
]

COUNTED_BY_NAME: Final = frozenset({"configmaps", "secrets", "replicationcontrollers", "resourcequotas"})
"""Resources that a quota may name without `count/`, besides those that have more than a number."""


class ResourceQuotaSpec(Object, frozen=True, kw_only=True):
    """`scope_selector` is kept as it is written."""

    hard: dict[str, QuantityValue] = {}
    scopes: list[str] = []
    scope_selector: dict[str, Any] | None = None


class ResourceQuota(Object, frozen=True, kw_only=True):
    """What the objects of a namespace may use together; `status` is kept as it is written."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: dict[str, Any] = {}


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

    def beyond(self, other: "Amounts") -> "Amounts":
        """What is more here than there, name by name."""
        more = {name: amount - other.values.get(name, Decimal(0)) for name, amount in self.values.items()}
        return Amounts({name: amount for name, amount in more.items() if amount > 0}, dict(self.binary))

    def only(self, names: Iterable[str]) -> "Amounts":
        """The amounts of these names, where something counted."""
        return Amounts({name: self.values[name] for name in names if name in self.values}, dict(self.binary))

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
    """Once the pod has ended, it is an object and no more."""
    used = Amounts()
    used.add("count/pods", 1)
    if pod.status.phase in ("Succeeded", "Failed"):
        return used
    used.add("pods", 1)
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


def object_usage(group: str, plural: str, obj: Mapping[str, Any]) -> Amounts:
    """What any object uses, as it is sent over the API. Raises msgspec.ValidationError when it is no such object."""
    match group, plural:
        case "", "pods":
            return pod_usage(msgspec.convert(obj, Pod))
        case "", "services":
            return service_usage(msgspec.convert(obj, Service))
        case "", "persistentvolumeclaims":
            return claim_usage(msgspec.convert(obj, PersistentVolumeClaim))
    used = Amounts()
    used.add(f"count/{plural}.{group}" if group else f"count/{plural}", 1)
    if not group and plural in COUNTED_BY_NAME:
        used.add(plural, 1)
    return used


def _is_best_effort(pod: Pod) -> bool:
    containers = [*pod.spec.containers, *pod.spec.init_containers]
    return not any(
        name in ("cpu", "memory")
        for container in containers
        for name in (*container.resources.requests, *container.resources.limits)
    )


def counts(spec: ResourceQuotaSpec, pod: Pod | None) -> bool:
    """Whether a quota counts the pod, or (None) an object that is no pod: scopes are about pods."""
    selector = (spec.scope_selector or {}).get("matchExpressions") or ()
    scopes = [(scope, "Exists", ()) for scope in spec.scopes]
    scopes += [(entry["scopeName"], entry["operator"], tuple(entry.get("values") or ())) for entry in selector]
    return not scopes or (pod is not None and all(_in_scope(pod, *scope) for scope in scopes))


def _in_scope(pod: Pod, scope: str, operator: str, values: Iterable[str]) -> bool:
    """An unknown scope counts nothing."""
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
