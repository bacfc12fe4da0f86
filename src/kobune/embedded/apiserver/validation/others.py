"""Rules of networking, coordination, scheduling, storage and aggregation kinds."""

import ipaddress
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_subdomain
from kobune.embedded.apiserver.validation.checks import immutable, one_of, positive
from kobune.embedded.apiserver.validation.metadata import selector

__all__ = [
    "api_service",
    "endpoint_slice",
    "endpoint_slice_update",
    "endpoints",
    "ingress",
    "lease",
    "network_policy",
    "priority_class",
    "priority_class_update",
]


def lease(obj: dict[str, Any]) -> list[FieldError]:
    """A Lease's duration and transitions."""
    spec = obj.get("spec") or {}
    errors = positive(spec.get("leaseDurationSeconds"), "spec.leaseDurationSeconds")
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        text = "must be greater than or equal to 0"
        errors.append(FieldError.invalid("spec.leaseTransitions", transitions, text))
    return errors


def network_policy(obj: dict[str, Any]) -> list[FieldError]:
    """Selectors, address blocks and policy types."""
    spec = obj.get("spec") or {}
    errors = selector(spec.get("podSelector") or {}, "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(direction) or ()):
            for j, peer in enumerate(rule.get(peers) or ()):
                errors += _peer(peer, f"spec.{direction}[{i}].{peers}[{j}]")
            for j, port in enumerate(rule.get("ports") or ()):
                at = f"spec.{direction}[{i}].ports[{j}].protocol"
                errors += one_of(port.get("protocol"), ("SCTP", "TCP", "UDP"), at)
    for i, kind in enumerate(spec.get("policyTypes") or ()):
        errors += one_of(kind, ("Egress", "Ingress"), f"spec.policyTypes[{i}]")
    return errors


def _peer(peer: dict[str, Any], path: str) -> list[FieldError]:
    if not peer:
        return [FieldError.required(path, "must specify a peer")]
    errors: list[FieldError] = []
    for field in ("podSelector", "namespaceSelector"):
        errors += selector(peer.get(field) or {}, f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        if len(peer) > 1:
            errors.append(FieldError.forbidden(path, "may not specify both ipBlock and another peer"))
        for text in [block.get("cidr", ""), *(block.get("except") or ())]:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                errors.append(
                    FieldError.invalid(
                        f"{path}.ipBlock.cidr", text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                    )
                )
    return errors


def ingress(obj: dict[str, Any]) -> list[FieldError]:
    """Rules or a default backend, with path types."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        text = "either `defaultBackend` or `rules` must be specified"
        errors.append(FieldError.invalid("spec", spec.get("rules") or [], text))
    for i, rule in enumerate(spec.get("rules") or ()):
        at = f"spec.rules[{i}]"
        host = rule.get("host")
        if host:
            name = host.removeprefix("*.")
            errors += [FieldError.invalid(f"{at}.host", host, m) for m in is_dns1123_subdomain(name)]
        for j, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            where = f"{at}.http.paths[{j}]"
            kind = path.get("pathType")
            if not kind:
                errors.append(FieldError.required(f"{where}.pathType", "pathType must be specified"))
            errors += one_of(kind, ("Exact", "ImplementationSpecific", "Prefix"), f"{where}.pathType")
            text = path.get("path", "")
            if kind in ("Exact", "Prefix") and not text.startswith("/"):
                errors.append(FieldError.invalid(f"{where}.path", text, "must be an absolute path"))
    return errors


def _special(text: str) -> str | None:
    """Why an address can't be an endpoint, if it can't."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    if address.is_unspecified:
        return f"may not be unspecified ({text})"
    if address.is_loopback:
        return "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if address.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if address.is_multicast:
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return None


def endpoints(obj: dict[str, Any]) -> list[FieldError]:
    """Addresses and ports of Endpoints."""
    errors: list[FieldError] = []
    for i, subset in enumerate(obj.get("subsets") or ()):
        at = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            text = "must specify `addresses` or `notReadyAddresses`"
            errors.append(FieldError.required(at, text))
        for kind in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(kind) or ()):
                wrong = _special(address.get("ip", ""))
                if wrong:
                    errors.append(FieldError.invalid(f"{at}.{kind}[{j}].ip", address.get("ip", ""), wrong))
    return errors


def endpoint_slice(obj: dict[str, Any]) -> list[FieldError]:
    """Address type and addresses."""
    kind = obj.get("addressType", "")
    if not kind:
        return [FieldError.required("addressType")]
    errors = one_of(kind, ("FQDN", "IPv4", "IPv6"), "addressType")
    if len(obj.get("endpoints") or ()) > 1000:
        errors.append(FieldError.too_many("endpoints", len(obj["endpoints"]), 1000))
    for i, endpoint in enumerate(obj.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            errors.append(FieldError.required(f"endpoints[{i}].addresses", "must contain at least 1 address"))
        for j, address in enumerate(endpoint.get("addresses") or ()):
            errors += _slice_address(kind, address, f"endpoints[{i}].addresses[{j}]")
    return errors


def _slice_address(kind: str, address: str, path: str) -> list[FieldError]:
    if kind == "FQDN":
        return [FieldError.invalid(path, address, m) for m in is_dns1123_subdomain(address)]
    wrong = _special(address)
    if wrong:
        return [FieldError.invalid(path, address, wrong)]
    if (kind == "IPv6") != (":" in address):
        return [FieldError.invalid(path, address, f"must be an {kind} address")]
    return []


def endpoint_slice_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """The address type never changes."""
    return endpoint_slice(obj) + immutable(obj.get("addressType"), old.get("addressType"), "addressType")


_USER_LIMIT = 1000000000


def priority_class(obj: dict[str, Any]) -> list[FieldError]:
    """System values and names are reserved."""
    errors: list[FieldError] = []
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    reserved = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
    if name.startswith("system-"):
        if reserved.get(name) != value:
            text = (
                "priority class names with 'system-' prefix are reserved for system use only. error: "
                f"{name} is not a known system priority class"
            )
            errors.append(FieldError.forbidden("metadata.name", text))
    elif value > _USER_LIMIT:
        text = f"maximum allowed value of a user defined priority is {_USER_LIMIT}"
        errors.append(FieldError.forbidden("value", text))
    errors += one_of(obj.get("preemptionPolicy"), ("Never", "PreemptLowerPriority"), "preemptionPolicy")
    return errors


def priority_class_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Value and preemption policy never change."""
    errors: list[FieldError] = []
    if obj.get("value", 0) != old.get("value", 0):
        errors.append(FieldError.forbidden("value", "may not be changed in an update."))
    errors += immutable(obj.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")
    return errors


def api_service(obj: dict[str, Any]) -> list[FieldError]:
    """Name, group, version and who answers."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    name = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if obj["metadata"].get("name") != name:
        text = f'must be `spec.version+"."+spec.group`: "{name}"'
        errors.append(FieldError.invalid("metadata.name", obj["metadata"].get("name", ""), text))
    if not spec.get("version"):
        errors.append(FieldError.required("spec.version"))
    for field, limit in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if value <= 0 or value > limit:
            text = f"must be positive and less than {limit}"
            errors.append(FieldError.invalid(f"spec.{field}", value, text))
    service = spec.get("service")
    if service is None:
        if spec.get("caBundle"):
            text = "local APIServices may not have a caBundle"
            errors.append(FieldError.invalid("spec.caBundle", spec["caBundle"], text))
        return errors
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        text = "may not be true if caBundle is present"
        errors.append(FieldError.invalid("spec.insecureSkipTLSVerify", True, text))
    for field in ("namespace", "name"):
        if not service.get(field):
            errors.append(FieldError.required(f"spec.service.{field}"))
    return errors
