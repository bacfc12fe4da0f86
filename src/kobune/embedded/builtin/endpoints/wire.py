"""Wires endpoints: Services, the pods of their namespace that they select, and the objects that are written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kobune.api.core import Endpoints, EndpointSlice, Pod, Service
from kobune.embedded.builtin.endpoints.decide import MANAGED_BY, Observed, decide
from kobune.kube.client.core import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer, by_controller_uid, by_namespace
from kobune.kube.runtime import ControllerProcess, Watch, controller_key

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one Service from caches."""

    services: Informer[Service]
    pods: Informer[Pod]
    slices: Informer[EndpointSlice]
    endpoints: Informer[Endpoints]

    async def __call__(self, key: Key) -> Observed | None:
        """None for a Service whose endpoints somebody else writes."""
        service = self.services.get(key)
        if service is None:
            return Observed(None, (), (), self.endpoints.get(key))
        if not service.spec.selector:
            return None
        pods = tuple(pod for pod in self.pods.by_index("namespace", key.namespace) if selects(service, pod))
        slices = tuple(self.slices.by_index("controller", service.metadata.uid))
        return Observed(service, pods, slices, self.endpoints.get(key))


def selects(service: Service, pod: Pod) -> bool:
    """Whether all labels of the Service's selector are the pod's."""
    return bool(service.spec.selector) and service.spec.selector.items() <= pod.metadata.labels.items()


def matters(old: Pod | None, new: Pod | None) -> bool:
    """Whether a pod's change can show in endpoints; its heartbeats do not."""
    if old is None or new is None:
        return True
    return _shown(old) != _shown(new)


def _shown(pod: Pod) -> tuple[Any, ...]:
    ready = [condition.status for condition in pod.status.conditions if condition.type == "Ready"]
    return (
        *(pod.metadata.labels, pod.metadata.deletion_timestamp, pod.spec.node_name),
        *(pod.status.pod_ip, pod.status.phase, ready),
    )


def add_to(process: ControllerProcess) -> None:
    """Add the controller to a process."""
    services = process.informers.of(SERVICES, indexes={"namespace": by_namespace})
    pods = process.informers.of(PODS, indexes={"namespace": by_namespace})
    slices = process.informers.of(
        ENDPOINT_SLICES,
        label_selector=f"endpointslice.kubernetes.io/managed-by={MANAGED_BY}",
        indexes={"controller": by_controller_uid},
    )
    endpoints = process.informers.of(ENDPOINTS)

    def services_of(pod: Pod) -> Iterable[Key]:
        found = services.by_index("namespace", pod.metadata.namespace)
        return [key_of(service) for service in found if selects(service, pod)]

    process.add(
        "endpoints",
        primary=services,
        observe=Observe(services, pods, slices, endpoints),
        decide=decide,
        execute=process.writer.execute,
        watches=[
            Watch(pods, services_of, matters),
            Watch(slices, controller_key("Service")),
            Watch(endpoints, lambda obj: (key_of(obj),)),
        ],
    )
