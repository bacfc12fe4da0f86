"""The endpoints of a Service from its pods. Pure.

Source: the Kubernetes documentation of Services, Endpoints and EndpointSlices. Slices are named by number, so that the
same pods always give the same objects; each holds at most 100 endpoints that share their ports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kobune.api.core import Endpoints, EndpointSlice, Pod, Service, ServicePort
from kobune.kube.client.core import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from kobune.kube.client.objects import owner_reference, to_builtins
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, Delete, PatchObject

__all__ = ["MANAGED_BY", "Observed", "decide"]

MANAGED_BY: Final = "endpointslice-controller.k8s.io"
_MANAGED_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
_SERVICE_LABEL: Final = "kubernetes.io/service-name"
_HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
_LEGACY_LABEL: Final = "endpoints.kubernetes.io/managed-by"
_LEGACY_MANAGER: Final = "endpoint-controller"
_SLICE_SIZE: Final = 100
_CAPACITY: Final = 1000

_Ports = tuple[tuple[tuple[str, Any], ...], ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """A Service, the pods that it selects, and what exists of its endpoints. None: the Service is gone."""

    service: Service | None
    pods: tuple[Pod, ...]
    slices: tuple[EndpointSlice, ...]
    """Those that this controller manages."""
    endpoints: Endpoints | None


def decide(seen: Observed) -> Decision[Action]:
    """Create, patch and delete slices and the Endpoints object until they show the pods."""
    service = seen.service
    if service is None:
        # Slices have an owner and go by themselves; the older kind is told by its label.
        return Decision(_leftover(seen.endpoints))
    if service.metadata.deletion_timestamp is not None or not service.spec.selector:
        return Decision()
    actions: list[Action] = []
    groups = _groups(service, seen.pods)
    existing = {item.metadata.name: item for item in seen.slices}
    for wanted in _slices(service, groups):
        name = wanted["metadata"]["name"]
        old = existing.pop(name, None)
        if old is None:
            actions.append(Create(ENDPOINT_SLICES, service.metadata.namespace, wanted, service.metadata.uid))
        elif _differs(old, wanted, ("endpoints", "ports")) or old.metadata.labels != wanted["metadata"]["labels"]:
            body = {
                "metadata": {"labels": wanted["metadata"]["labels"]},
                "endpoints": wanted["endpoints"],
                "ports": wanted["ports"],
            }
            actions.append(PatchObject(ENDPOINT_SLICES, Key(service.metadata.namespace, name), Patch.merge(body)))
    for name, old in sorted(existing.items()):
        actions.append(Delete(ENDPOINT_SLICES, Key(service.metadata.namespace, name), old.metadata.uid))
    actions += _legacy(service, groups, seen.endpoints)
    return Decision(tuple(actions))


def _leftover(endpoints: Endpoints | None) -> tuple[Action, ...]:
    if endpoints is None or endpoints.metadata.labels.get(_LEGACY_LABEL) != _LEGACY_MANAGER:
        return ()
    metadata = endpoints.metadata
    return (Delete(ENDPOINTS, Key(metadata.namespace, metadata.name), metadata.uid),)


def _differs(old: EndpointSlice, wanted: dict[str, Any], fields: Sequence[str]) -> bool:
    """Compared as decoded, so that defaults that the server filled in don't count as a difference."""
    decoded = msgspec.convert(wanted, EndpointSlice)
    return any(getattr(old, name) != getattr(decoded, name) for name in fields)


def pod_key(pod: Pod) -> Key:
    """The key of a pod."""
    return Key(pod.metadata.namespace, pod.metadata.name)


def _is_ready(pod: Pod) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


def _serving(pods: Sequence[Pod]) -> list[Pod]:
    """Pods with an address that have not ended, ordered by name."""
    alive = [pod for pod in pods if pod.status.pod_ip and pod.status.phase not in ("Succeeded", "Failed")]
    return sorted(alive, key=pod_key)


def _resolved_ports(service: Service, pod: Pod) -> _Ports | None:
    """The ports at which this pod answers; None when it has none of them."""
    found = []
    for port in service.spec.ports:
        number = _target(port, pod)
        if number is None:
            continue
        entry = {"name": port.name, "port": number, "protocol": port.protocol}
        if port.app_protocol is not None:
            entry["appProtocol"] = port.app_protocol
        found.append(tuple(sorted(entry.items())))
    if service.spec.ports and not found:
        return None
    return tuple(found)


def _target(port: ServicePort, pod: Pod) -> int | None:
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    for container in pod.spec.containers:
        for candidate in container.ports:
            if candidate.name == port.target_port and candidate.protocol == port.protocol:
                return candidate.container_port
    return None


def _groups(service: Service, pods: Sequence[Pod]) -> dict[_Ports, list[Pod]]:
    """Pods by the ports at which they answer: a named port may differ between them."""
    groups: dict[_Ports, list[Pod]] = {}
    for pod in _serving(pods):
        ports = _resolved_ports(service, pod)
        if ports is not None:
            groups.setdefault(ports, []).append(pod)
    return groups


def _slices(service: Service, known: dict[_Ports, list[Pod]]) -> list[dict[str, Any]]:
    labels = {
        **service.metadata.labels,
        _MANAGED_LABEL: MANAGED_BY,
        _SERVICE_LABEL: service.metadata.name,
    }
    if service.spec.cluster_ip == "None":
        labels[_HEADLESS_LABEL] = ""
    found: list[dict[str, Any]] = []
    groups: dict[_Ports, list[Pod]] = known or {(): []}
    for ports, pods in sorted(groups.items(), key=lambda group: repr(group[0])):
        for start in range(0, max(len(pods), 1), _SLICE_SIZE):
            metadata = {
                "name": f"{service.metadata.name}-{len(found)}",
                "labels": labels,
                "ownerReferences": [owner_reference(SERVICES, service)],
            }
            found.append(
                {
                    "metadata": metadata,
                    "addressType": "IPv4",
                    "endpoints": [_endpoint(service, pod) for pod in pods[start : start + _SLICE_SIZE]],
                    "ports": [dict(port) for port in ports],
                }
            )
    return found


def _endpoint(service: Service, pod: Pod) -> dict[str, Any]:
    terminating = pod.metadata.deletion_timestamp is not None
    serving = _is_ready(pod)
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    endpoint: dict[str, Any] = {
        "addresses": [pod.status.pod_ip],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": _reference(pod),
    }
    if pod.spec.node_name:
        endpoint["nodeName"] = pod.spec.node_name
    if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
        endpoint["hostname"] = pod.spec.hostname
    return endpoint


def _reference(pod: Pod) -> dict[str, str]:
    metadata = pod.metadata
    return {"kind": "Pod", "namespace": metadata.namespace, "name": metadata.name, "uid": metadata.uid}


def _legacy(service: Service, groups: dict[_Ports, list[Pod]], existing: Endpoints | None) -> list[Action]:
    """The Endpoints object, which older clients read."""
    subsets: list[dict[str, Any]] = []
    for ports, pods in sorted(groups.items(), key=lambda group: repr(group[0])):
        sides: dict[str, list[dict[str, Any]]] = {"addresses": [], "notReadyAddresses": []}
        for pod in pods[:_CAPACITY]:
            if pod.metadata.deletion_timestamp is not None and not service.spec.publish_not_ready_addresses:
                continue
            ready = _is_ready(pod) or service.spec.publish_not_ready_addresses
            address: dict[str, Any] = {"ip": pod.status.pod_ip, "targetRef": _reference(pod)}
            if pod.spec.node_name:
                address["nodeName"] = pod.spec.node_name
            if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
                address["hostname"] = pod.spec.hostname
            sides["addresses" if ready else "notReadyAddresses"].append(address)
        subset: dict[str, Any] = {name: side for name, side in sides.items() if side}
        if subset:
            # Unlike in slices, an unnamed port has no name here.
            named = [{name: value for name, value in port if value != ""} for port in ports]
            subsets.append(subset | {"ports": named})
    metadata = service.metadata
    labels = {**metadata.labels, _LEGACY_LABEL: _LEGACY_MANAGER}
    wanted = {"metadata": {"name": metadata.name, "labels": labels}, "subsets": subsets}
    if existing is None:
        return [Create(ENDPOINTS, metadata.namespace, wanted, None)]
    decoded = msgspec.convert(wanted, Endpoints)
    if to_builtins(decoded).get("subsets") == to_builtins(existing).get("subsets"):
        return []
    return [PatchObject(ENDPOINTS, Key(metadata.namespace, metadata.name), Patch.merge({"subsets": subsets}))]
