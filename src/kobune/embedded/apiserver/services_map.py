"""Where a Service is answered: `--service-endpoint` overrides first, then the Service's own addresses.

Owns: the way from NAMESPACE/NAME and a port to HOST:PORT, for webhooks, APIServices and the service proxy.
"""

from typing import Any

from kobune.base.errors import RetryableError
from kobune.embedded.apiserver.registry.storage import Storage

__all__ = ["ServiceMap", "ServiceUnresolved"]


class ServiceUnresolved(RetryableError):
    """The Service does not exist, or nobody stands behind it. `reason` is the word that conditions use."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ServiceMap:
    """Resolves Services. EndpointSlices and Endpoints name pods that the API server may reach or not."""

    def __init__(self, storage: Storage, overrides: dict[str, str]) -> None:
        self._overrides = {name: _split(address) for name, address in overrides.items()}
        self._services = storage.collection("core/services")
        self._endpoints = storage.collection("core/endpoints")
        self._slices = storage.collection("discovery.k8s.io/endpointslices")

    def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """(host, port). Raises ServiceUnresolved."""
        override = self._overrides.get(f"{namespace}/{name}")
        if override is not None:
            return override
        item = self._services.get(namespace, name)
        if item is None:
            raise ServiceUnresolved("ServiceNotFound", f'service/{name} in "{namespace}" is not present')
        spec = item.object().get("spec") or {}
        if spec.get("type") == "ExternalName":
            return spec.get("externalName", ""), port
        wanted = next((p for p in spec.get("ports") or () if p["port"] == port), None)
        if wanted is None:
            raise ServiceUnresolved(
                "ServicePortError", f'service/{name} in "{namespace}" is not listening on port {port}'
            )
        found = self._address(namespace, name, wanted)
        if found is None:
            detail = f'have no addresses with port name "{wanted.get("name", "")}"'
            raise ServiceUnresolved("MissingEndpoints", f'endpoints for service/{name} in "{namespace}" {detail}')
        return found

    def _address(self, namespace: str, name: str, port: dict[str, Any]) -> tuple[str, int] | None:
        port_name = port.get("name", "")
        for item in self._slices.select(namespace):
            if item.labels.get("kubernetes.io/service-name") != name:
                continue
            endpoint_slice = item.object()
            number = next(
                (
                    p["port"]
                    for p in endpoint_slice.get("ports") or ()
                    if p.get("name", "") == port_name and p.get("port")
                ),
                None,
            )
            for endpoint in endpoint_slice.get("endpoints") or ():
                ready = (endpoint.get("conditions") or {}).get("ready")
                if number and ready is not False and endpoint.get("addresses"):
                    return endpoint["addresses"][0], number
        endpoints = self._endpoints.get(namespace, name)
        for subset in (endpoints.object().get("subsets") or ()) if endpoints else ():
            number = next((p["port"] for p in subset.get("ports") or () if p.get("name", "") == port_name), None)
            if number and subset.get("addresses"):
                return subset["addresses"][0]["ip"], number
        return None


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
