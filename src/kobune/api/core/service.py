"""Service (core/v1), Endpoints (core/v1) and EndpointSlice (discovery.k8s.io/v1)."""

from typing import Any

from msgspec import field

from kobune.api.core.reference import ObjectReference
from kobune.api.meta import Condition, IntOrString, Object, ObjectMeta

__all__ = [
    "Endpoint",
    "EndpointAddress",
    "EndpointConditions",
    "EndpointPort",
    "EndpointSlice",
    "EndpointSubset",
    "Endpoints",
    "Service",
    "ServicePort",
    "ServiceSpec",
    "ServiceStatus",
]


class ServicePort(Object, frozen=True, kw_only=True):
    """`target_port` is a number or the name of a container's port."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: IntOrString = 0
    node_port: int = 0


class ServiceSpec(Object, frozen=True, kw_only=True):
    """`type` is ClusterIP, NodePort, LoadBalancer or ExternalName; `cluster_ip` None means headless."""

    type: str = ""
    selector: dict[str, str] = {}
    ports: list[ServicePort] = []
    cluster_ip: str = field(name="clusterIP", default="")
    cluster_ips: list[str] = field(name="clusterIPs", default_factory=list)
    external_ips: list[str] = field(name="externalIPs", default_factory=list)
    external_name: str = ""
    ip_families: list[str] = []
    ip_family_policy: str | None = None
    session_affinity: str = ""
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: str | None = None
    external_traffic_policy: str = ""
    load_balancer_class: str | None = None


class ServiceStatus(Object, frozen=True, kw_only=True):
    """The load balancer's answer."""

    load_balancer: dict[str, Any] = {}
    conditions: list[Condition] = []


class Service(Object, frozen=True, kw_only=True):
    """A stable name and address of pods."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointPort(Object, frozen=True, kw_only=True):
    """A port behind a Service."""

    port: int | None = None
    name: str | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class EndpointConditions(Object, frozen=True, kw_only=True):
    """None means unknown: ready counts as true, terminating as false."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Object, frozen=True, kw_only=True):
    """One backend."""

    addresses: list[str] = []
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSlice(Object, frozen=True, kw_only=True):
    """`address_type` is IPv4, IPv6 or FQDN. API servers write null for a slice without endpoints or ports."""

    metadata: ObjectMeta = ObjectMeta()
    address_type: str = ""
    endpoints: list[Endpoint] | None = None
    ports: list[EndpointPort] | None = None


class EndpointAddress(Object, frozen=True, kw_only=True):
    """One backend, in the older form."""

    ip: str
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointSubset(Object, frozen=True, kw_only=True):
    """Addresses that share ports."""

    addresses: list[EndpointAddress] = []
    not_ready_addresses: list[EndpointAddress] = []
    ports: list[EndpointPort] = []


class Endpoints(Object, frozen=True, kw_only=True):
    """The older form of EndpointSlice."""

    metadata: ObjectMeta = ObjectMeta()
    subsets: list[EndpointSubset] = []
