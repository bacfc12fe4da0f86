"""Names of Services and pods as dnsmasq serves them. Pure.

Source: the Kubernetes specification of DNS-based service discovery: A records of Services and of pods with a host name
behind headless ones, and SRV records of named ports.
"""

from collections.abc import Mapping, Sequence

from kobune.api.core import EndpointSlice, Service

__all__ = ["external_names", "hosts_file", "srv_lines"]

_SERVICE_LABEL = "kubernetes.io/service-name"


def external_names(services: Sequence[Service], domain: str) -> set[str]:
    """Names outside of the cluster that Services stand for."""
    names = {
        service.spec.external_name.rstrip(".")
        for service in services
        if service.spec.type == "ExternalName" and service.spec.external_name
    }
    return {name for name in names if not _is_inside(name, domain)}


def _is_inside(name: str, domain: str) -> bool:
    return name.rstrip(".").endswith(f".{domain}")


def hosts_file(
    services: Sequence[Service],
    slices: Sequence[EndpointSlice],
    domain: str,
    externals: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """One line per address and name, as in hosts(5), sorted. `externals` are addresses of `external_names`."""
    lines: set[str] = set()
    for service in services:
        meta = service.metadata
        name = f"{meta.name}.{meta.namespace}.svc.{domain}"
        if service.spec.type == "ExternalName":
            target = (service.spec.external_name or "").rstrip(".")
            lines |= {f"{ip} {name}" for ip in (externals or {}).get(target, ())}
        elif service.spec.cluster_ip and service.spec.cluster_ip != "None":
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
            # Those outside of the cluster are served by their addresses: dnsmasq cannot follow an alias to them.
            if _is_inside(spec.external_name, domain):
                lines.add(f"cname={name},{spec.external_name}")
            continue
        for port in spec.ports:
            if port.name:
                lines.add(f"srv-host=_{port.name}._{port.protocol.lower()}.{name},{name},{port.port}")
    return sorted(lines)
