"""Rules of Services: type, ports, addresses, families, affinity, traffic policies.

Owns: Kubernetes' rules for them. What a cluster of one address family can't give (allocation) is `kinds.services`'.
"""

import ipaddress
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_port_name,
    is_port_number,
    is_qualified_name,
)
from kobune.embedded.apiserver.validation.checks import one_of
from kobune.embedded.apiserver.validation.metadata import labels

__all__ = ["service_create", "service_update"]

_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
_NOT_EXTERNAL = "may not be set for ExternalName services"
_LONGEST_AFFINITY_S = 86400
_KUBELET_PORT = 10250

Spec = dict[str, Any]


def service_create(obj: dict[str, Any]) -> list[FieldError]:
    """A new Service."""
    spec = obj.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or []
    errors: list[FieldError] = []
    if not ports and spec.get("clusterIP") != "None" and kind != "ExternalName":
        errors.append(FieldError.required("spec.ports"))
    errors += _of_type(spec, kind, ports)
    errors += _ports(ports, kind)
    errors += labels(spec.get("selector") or {}, "spec.selector")
    errors += _affinity(spec)
    if kind != "ExternalName":
        errors += _families(spec)
        errors += _addresses(spec)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        errors += _external(address, f"spec.externalIPs[{i}]")
    errors += one_of(kind, _TYPES, "spec.type")
    errors += _balancer(spec, kind)
    return errors + _traffic(spec, kind)


def service_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """The primary cluster IP and family stay while the Service has them."""
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        for field, unset in (("clusterIPs", "primary clusterIP"), ("ipFamilies", "primary ipFamily")):
            was, now = before.get(field) or [], spec.get(field) or []
            if not was or was[:1] == now[:1]:
                continue
            at = f"spec.{field}[0]"
            if now:
                errors.append(FieldError.invalid(at, now[0], "may not change once set"))
            else:
                errors.append(FieldError.invalid(at, now, f"{unset} can not be unset"))
    if spec.get("type") == before.get("type") == "LoadBalancer":
        chosen = spec.get("loadBalancerClass")
        if chosen != before.get("loadBalancerClass"):
            errors.append(FieldError.invalid("spec.loadBalancerClass", chosen, "may not change once set"))
    return errors + service_create(obj)


def _of_type(spec: Spec, kind: str | None, ports: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    headless = spec.get("clusterIP") == "None"
    match kind:
        case "LoadBalancer" | "NodePort":
            if kind == "LoadBalancer":
                text = f"may not expose port {_KUBELET_PORT} externally since it is used by kubelet"
                errors += [
                    FieldError.invalid(f"spec.ports[{i}]", _KUBELET_PORT, text)
                    for i, port in enumerate(ports)
                    if port.get("port") == _KUBELET_PORT
                ]
            if headless:
                text = f"may not be set to 'None' for {kind} services"
                errors.append(FieldError.invalid("spec.clusterIPs[0]", "None", text))
        case "ExternalName":
            if spec.get("clusterIP") or spec.get("clusterIPs"):
                errors.append(FieldError.forbidden("spec.clusterIPs", _NOT_EXTERNAL))
            for field in ("ipFamilies", "ipFamilyPolicy"):
                if spec.get(field):
                    errors.append(FieldError.forbidden(f"spec.{field}", _NOT_EXTERNAL))
            name = (spec.get("externalName") or "").removesuffix(".")
            if not name:
                errors.append(FieldError.required("spec.externalName"))
            else:
                errors += [FieldError.invalid("spec.externalName", name, m) for m in is_dns1123_subdomain(name)]
    return errors


def _ports(ports: list[dict[str, Any]], kind: str | None) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    taken: set[tuple[Any, Any]] = set()
    on_nodes: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        at = f"spec.ports[{i}]"
        name = port.get("name", "")
        if len(ports) > 1 and not name:
            errors.append(FieldError.required(f"{at}.name"))
        elif name:
            errors += [FieldError.invalid(f"{at}.name", name, m) for m in is_dns1123_label(name)]
            if name in names:
                errors.append(FieldError.duplicate(f"{at}.name", name))
            names.add(name)
        number, protocol = port.get("port", 0), port.get("protocol")
        errors += [FieldError.invalid(f"{at}.port", number, m) for m in is_port_number(number)]
        errors += one_of(protocol, ("SCTP", "TCP", "UDP"), f"{at}.protocol")
        target = port.get("targetPort")
        if isinstance(target, int):
            errors += [FieldError.invalid(f"{at}.targetPort", target, m) for m in is_port_number(target)]
        elif isinstance(target, str):
            errors += [FieldError.invalid(f"{at}.targetPort", target, m) for m in is_port_name(target)]
        application = port.get("appProtocol")
        if application is not None:
            errors += [FieldError.invalid(f"{at}.appProtocol", application, m) for m in is_qualified_name(application)]
        on_node = port.get("nodePort")
        if on_node and kind == "ClusterIP":
            errors.append(FieldError.forbidden(f"{at}.nodePort", "may not be used when `type` is 'ClusterIP'"))
        if on_node and (protocol, on_node) in on_nodes:
            errors.append(FieldError.duplicate(f"{at}.nodePort", on_node))
        on_nodes.add((protocol, on_node))
        if (protocol, number) in taken:
            errors.append(FieldError.duplicate(at, {"port": number, "protocol": protocol}))
        taken.add((protocol, number))
    return errors


def _affinity(spec: Spec) -> list[FieldError]:
    errors = one_of(spec.get("sessionAffinity"), ("ClientIP", "None"), "spec.sessionAffinity")
    if spec.get("sessionAffinity") == "ClientIP":
        life = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
        at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        if life is not None and not 0 < life <= _LONGEST_AFFINITY_S:
            text = f"must be greater than 0 and less than {_LONGEST_AFFINITY_S}"
            errors.append(FieldError.invalid(at, life, text))
    return errors


def _families(spec: Spec) -> list[FieldError]:
    errors: list[FieldError] = []
    families = spec.get("ipFamilies") or []
    for i, family in enumerate(families):
        errors += one_of(family, ("IPv4", "IPv6"), f"spec.ipFamilies[{i}]")
        if family in families[:i]:
            errors.append(FieldError.duplicate(f"spec.ipFamilies[{i}]", family))
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    return errors + one_of(spec.get("ipFamilyPolicy"), policies, "spec.ipFamilyPolicy")


def _addresses(spec: Spec) -> list[FieldError]:
    first, given = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    errors: list[FieldError] = []
    if first and given and given[0] != first:
        errors.append(FieldError.invalid("spec.clusterIPs", given, "first value must match `clusterIP`"))
    if first == "None" and len(given) > 1:
        text = "must be only one value when `clusterIPs[0]` is 'None'"
        errors.append(FieldError.invalid("spec.clusterIPs", given, text))
    wrong = [
        FieldError.invalid(f"spec.clusterIPs[{i}]", address, _IP_TEXT)
        for i, address in enumerate(given)
        if address != "None" and not _is_ip(address)
    ]
    if len(given) > 2:
        wrong.append(FieldError.invalid("spec.clusterIPs", given, "may only hold up to 2 values"))
    errors += wrong
    if wrong or first == "None":
        return errors
    versions = [ipaddress.ip_address(address).version for address in given if address != "None"]
    if len(versions) == 2 and versions[0] == versions[1]:
        text = "may specify no more than one IP for each IP family"
        errors.append(FieldError.invalid("spec.clusterIPs", given, text))
    for i, (version, family) in enumerate(zip(versions, spec.get("ipFamilies") or (), strict=False)):
        if family in ("IPv4", "IPv6") and family != f"IPv{version}":
            text = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
            errors.append(FieldError.invalid(f"spec.clusterIPs[{i}]", given[i], text))
    return errors


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _external(address: str, path: str) -> list[FieldError]:
    if not _is_ip(address):
        return [FieldError.invalid(path, address, _IP_TEXT)]
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return [FieldError.invalid(path, address, f"may not be unspecified ({address})")]
    if parsed.is_loopback:
        return [FieldError.invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if parsed.is_link_local:
        text = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        return [FieldError.invalid(path, address, text)]
    if parsed.is_multicast and (address.startswith(("224.0.0.", "ff02:"))):
        text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        return [FieldError.invalid(path, address, text)]
    return []


def _balancer(spec: Spec, kind: str | None) -> list[FieldError]:
    errors: list[FieldError] = []
    balancer = kind == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and not balancer:
        errors.append(FieldError.forbidden("spec.loadBalancerSourceRanges", _BALANCER_ONLY))
    for i, value in enumerate(ranges):
        try:
            ipaddress.ip_interface(value.strip())
            valid = "/" in value
        except ValueError:
            valid = False
        if not valid:
            errors.append(FieldError.invalid(f"spec.loadBalancerSourceRanges[{i}]", value, _CIDR_TEXT))
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balancer:
        errors.append(FieldError.forbidden("spec.allocateLoadBalancerNodePorts", _BALANCER_ONLY))
    chosen = spec.get("loadBalancerClass")
    if chosen is not None:
        if not balancer:
            errors.append(FieldError.forbidden("spec.loadBalancerClass", _BALANCER_ONLY))
        else:
            errors += [FieldError.invalid("spec.loadBalancerClass", chosen, m) for m in is_qualified_name(chosen)]
    return errors


def _traffic(spec: Spec, kind: str | None) -> list[FieldError]:
    errors: list[FieldError] = []
    policy = spec.get("externalTrafficPolicy")
    accessible = kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if policy and not accessible:
        text = "may only be set for externally-accessible services"
        errors.append(FieldError.invalid("spec.externalTrafficPolicy", policy, text))
    elif policy:
        errors += one_of(policy, ("Cluster", "Local"), "spec.externalTrafficPolicy")
    check = spec.get("healthCheckNodePort")
    if check and not (kind == "LoadBalancer" and policy == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(FieldError.invalid("spec.healthCheckNodePort", check, text))
    errors += one_of(spec.get("internalTrafficPolicy"), ("Cluster", "Local"), "spec.internalTrafficPolicy")
    return errors + one_of(spec.get("trafficDistribution"), _DISTRIBUTIONS, "spec.trafficDistribution")
