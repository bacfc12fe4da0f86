"""The Service `default/kubernetes`: how pods find the API, as on every cluster.

Owns: that Service and its endpoints. Without an address that pods can reach (a server on loopback) it has none.
"""

import ipaddress
import uuid
from typing import Any

from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.timestamps import now
from kobune.embedded.store import RevisionConflict

__all__ = ["ADDRESS", "publish"]

ADDRESS = "10.96.0.1"
_LABELS = {"component": "apiserver", "provider": "kubernetes"}
_SLICE_LABELS = {"kubernetes.io/service-name": "kubernetes"}


async def publish(storage: Storage, host: str, port: int) -> None:
    """Bring Service, Endpoints and EndpointSlice up to where the server listens now."""
    address = _reachable(host)
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    service = {
        "type": "ClusterIP",
        "clusterIP": ADDRESS,
        "clusterIPs": [ADDRESS],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
    }
    await _put(storage, "core/services", "v1", "Service", _LABELS, {"spec": service, "status": {"loadBalancer": {}}})
    subsets: dict[str, Any] = {}
    endpoints: list[dict[str, Any]] = []
    if address:
        subsets = {"subsets": [{"addresses": [{"ip": address}], "ports": ports}]}
        endpoints = [{"addresses": [address], "conditions": {"ready": True}}]
    await _put(
        storage, "core/endpoints", "v1", "Endpoints", {"endpointslice.kubernetes.io/skip-mirror": "true"}, subsets
    )
    slices = {"addressType": "IPv4", "endpoints": endpoints or None, "ports": ports}
    await _put(
        storage, "discovery.k8s.io/endpointslices", "discovery.k8s.io/v1", "EndpointSlice", _SLICE_LABELS, slices
    )


def _reachable(host: str) -> str:
    """The address if pods can use it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    unusable = address.is_loopback or address.is_unspecified or address.version != 4
    return "" if unusable else host


async def _put(
    storage: Storage, resource: str, api_version: str, kind: str, labels: dict[str, str], content: dict[str, Any]
) -> None:
    collection = storage.collection(resource)
    item = collection.get("default", "kubernetes")
    try:
        if item is None:
            metadata = {
                "name": "kubernetes",
                "namespace": "default",
                "uid": str(uuid.uuid4()),
                "creationTimestamp": now(),
                "labels": labels,
            }
            obj = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
            await storage.put(collection, obj, 0)
            return
        obj = item.object()
        changed = {**obj, **content}
        if changed != obj:
            await storage.put(collection, changed, item.revision)
    except RevisionConflict:
        return
