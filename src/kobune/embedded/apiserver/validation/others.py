"""Rules of endpoints, coordination, scheduling, node and aggregation kinds."""

import ipaddress
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_label, is_dns1123_subdomain
from kobune.embedded.apiserver.validation.checks import immutable, one_of, positive

__all__ = [
    "api_service",
    "csi_driver",
    "endpoint_slice",
    "endpoint_slice_update",
    "endpoints",
    "lease",
    "priority_class",
    "priority_class_update",
    "runtime_class",
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


def runtime_class(obj: dict[str, Any]) -> list[FieldError]:
    """Its handler is a label."""
    handler = obj.get("handler") or ""
    return [FieldError.invalid("handler", handler, m) for m in is_dns1123_label(handler)]


def csi_driver(obj: dict[str, Any]) -> list[FieldError]:
    """What a driver says of itself."""
    spec = obj.get("spec") or {}
    errors = one_of(spec.get("fsGroupPolicy"), ("File", "None", "ReadWriteOnceWithFSType"), "spec.fsGroupPolicy")
    for mode in spec.get("volumeLifecycleModes") or ():
        errors += one_of(mode, ("Ephemeral", "Persistent"), "spec.volumeLifecycleModes")
    return errors
