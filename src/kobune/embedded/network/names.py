"""Names of Services and pods as dnsmasq serves them. Pure.

Source: the Kubernetes specification of DNS-based service discovery: A records of Services and of pods with a host name
behind headless ones, and SRV records of named ports.
"""

from collections.abc import Sequence

from kobune.api.core import EndpointSlice, Service

__all__ = ["hosts_file", "srv_lines"]

_SERVICE_LABEL = "kubernetes.io/service-name"


def hosts_file(services: Sequence[Service], slices: Sequence[EndpointSlice], domain: str) -> str:
    """One line per address and name, as in hosts(5), sorted."""
    lines: set[str] = set()
    for service in services:
        meta = service.metadata
        name = f"{meta.name}.{meta.namespace}.svc.{domain}"
        if service.spec.cluster_ip and service.spec.cluster_ip != "None":
            lines |= {f"{ip} {name}" for ip in service.spec.cluster_ips or [service.spec.cluster_ip]}
        elif service.spec.cluster_ip == "None":
            lines |= _headless(service, slices, name)
    return "".join(f"{line}\n" for line in sorted(lines))


def _headless(service: Service, slices: Sequence[EndpointSlice], name: str) -> set[str]:
    lines: set[str] = set()
    for item in slices:
        meta = item.metadata
        owner = (meta.namespace, meta.labels.get(_SERVICE_LABEL))
        if owner != (service.metadata.namespace, service.metadata.name) or item.address_type == "FQDN":
            continue
        for endpoint in item.endpoints or ():
            if endpoint.conditions.ready is False and not service.spec.publish_not_ready_addresses:
                continue
            for ip in endpoint.addresses:
                lines.add(f"{ip} {name}")
                if endpoint.hostname:
                    lines.add(f"{ip} {endpoint.hostname}.{name}")
    return lines


def srv_lines(services: Sequence[Service], domain: str) -> list[str]:
    """dnsmasq's `srv-host` and `cname` settings for named ports and external names, sorted."""
    lines: set[str] = set()
    for service in services:
        meta, spec = service.metadata, service.spec
        name = f"{meta.name}.{meta.namespace}.svc.{domain}"
        if spec.type == "ExternalName" and spec.external_name:
            lines.add(f"cname={name},{spec.external_name}")
            continue
        for port in spec.ports:
            if port.name:
                lines.add(f"srv-host=_{port.name}._{port.protocol.lower()}.{name},{name},{port.port}")
    return sorted(lines)
