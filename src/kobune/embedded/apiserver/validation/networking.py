"""Rules of networking.k8s.io: network policies, ingresses and their classes."""

import ipaddress
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1035_label,
    is_dns1123_subdomain,
    is_port_name,
    is_port_number,
)
from kobune.embedded.apiserver.validation.checks import one_of
from kobune.embedded.apiserver.validation.metadata import selector

__all__ = ["ingress", "ingress_class", "ingress_create", "network_policy"]

_CLASS = "kubernetes.io/ingress.class"
_CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def network_policy(obj: dict[str, Any]) -> list[FieldError]:
    """Selectors, ports, address blocks and policy types."""
    spec = obj.get("spec") or {}
    errors = selector(spec.get("podSelector") or {}, "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(direction) or ()):
            at = f"spec.{direction}[{i}]"
            for j, port in enumerate(rule.get("ports") or ()):
                errors += _policy_port(port, f"{at}.ports[{j}]")
            for j, peer in enumerate(rule.get(peers) or ()):
                errors += _peer(peer, f"{at}.{peers}[{j}]")
    for i, kind in enumerate(spec.get("policyTypes") or ()):
        errors += one_of(kind, ("Egress", "Ingress"), f"spec.policyTypes[{i}]")
    return errors


def _policy_port(given: dict[str, Any], path: str) -> list[FieldError]:
    errors = one_of(given.get("protocol"), ("SCTP", "TCP", "UDP"), f"{path}.protocol")
    port, end = given.get("port"), given.get("endPort")
    if isinstance(port, int):
        errors += [FieldError.invalid(f"{path}.port", port, m) for m in is_port_number(port)]
    elif isinstance(port, str):
        errors += [FieldError.invalid(f"{path}.port", port, m) for m in is_port_name(port)]
    if end is None:
        return errors
    if port is None:
        errors.append(FieldError.invalid(f"{path}.endPort", end, "must not be specified when `port` is not specified"))
    elif isinstance(port, str):
        errors.append(FieldError.invalid(f"{path}.endPort", end, "must not be specified when `port` is non-numeric"))
    elif end < port:
        errors.append(FieldError.invalid(f"{path}.endPort", end, "must be greater than or equal to `port`"))
    return errors + [FieldError.invalid(f"{path}.endPort", end, m) for m in is_port_number(end)]


def _peer(peer: dict[str, Any], path: str) -> list[FieldError]:
    if not peer:
        return [FieldError.required(path, "must specify a peer")]
    errors: list[FieldError] = []
    for field in ("podSelector", "namespaceSelector"):
        errors += selector(peer.get(field) or {}, f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is None:
        return errors
    if len(peer) > 1:
        errors.append(FieldError.forbidden(path, "may not specify both ipBlock and another peer"))
    outer = _network(block.get("cidr", ""))
    if outer is None:
        return [*errors, FieldError.invalid(f"{path}.ipBlock.cidr", block.get("cidr", ""), _CIDR_TEXT)]
    for i, text in enumerate(block.get("except") or ()):
        at, inner = f"{path}.ipBlock.except[{i}]", _network(text)
        if inner is None:
            errors.append(FieldError.invalid(at, text, _CIDR_TEXT))
        elif inner.version != outer.version or inner == outer or not _within(inner, outer):
            errors.append(FieldError.invalid(at, text, "must be a strict subset of `cidr`"))
    return errors


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> _Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _within(inner: _Network, outer: _Network) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer


def ingress_create(obj: dict[str, Any]) -> list[FieldError]:
    """A new Ingress: the old annotation and the field name one class."""
    annotation = (obj["metadata"].get("annotations") or {}).get(_CLASS)
    chosen = (obj.get("spec") or {}).get("ingressClassName")
    errors = ingress(obj)
    if annotation is not None and chosen is not None and annotation != chosen:
        text = "must match `ingressClassName` when both are specified"
        errors.append(FieldError.invalid(f"annotations.{_CLASS}", annotation, text))
    return errors


def ingress(obj: dict[str, Any]) -> list[FieldError]:
    """Rules or a default backend, with path types."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    if not spec.get("rules") and spec.get("defaultBackend") is None:
        text = "either `defaultBackend` or `rules` must be specified"
        errors.append(FieldError.invalid("spec", spec.get("rules") or [], text))
    if spec.get("defaultBackend") is not None:
        errors += _backend(spec["defaultBackend"], "spec.defaultBackend")
    for i, rule in enumerate(spec.get("rules") or ()):
        errors += _rule(rule, f"spec.rules[{i}]")
    name = spec.get("ingressClassName")
    if name is not None:
        errors += [FieldError.invalid("spec.ingressClassName", name, m) for m in is_dns1123_subdomain(name)]
    return errors


def _rule(rule: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    host = rule.get("host")
    if host:
        try:
            ipaddress.ip_address(host)
            errors.append(FieldError.invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        except ValueError:
            wrong = is_dns1123_subdomain(host.removeprefix("*."))
            errors += [FieldError.invalid(f"{path}.host", host, m) for m in wrong]
    if rule.get("http") is None:
        return errors
    paths = rule["http"].get("paths") or []
    if not paths:
        errors.append(FieldError.required(f"{path}.http.paths"))
    for j, given in enumerate(paths):
        where, kind, text = f"{path}.http.paths[{j}]", given.get("pathType"), given.get("path", "")
        if not kind:
            errors.append(FieldError.required(f"{where}.pathType", "pathType must be specified"))
        errors += one_of(kind, ("Exact", "ImplementationSpecific", "Prefix"), f"{where}.pathType")
        if kind in ("Exact", "Prefix"):
            if not text.startswith("/"):
                errors.append(FieldError.invalid(f"{where}.path", text, "must be an absolute path"))
            else:
                for bad in ("//", "/./", "/../", "%2f", "%2F"):
                    if bad in text:
                        errors.append(FieldError.invalid(f"{where}.path", text, f"must not contain '{bad}'"))
        errors += _backend(given.get("backend") or {}, f"{where}.backend")
    return errors


def _backend(backend: dict[str, Any], path: str) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [FieldError.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return [
            FieldError.required(f"{path}.resource.{field}") for field in ("kind", "name") if not resource.get(field)
        ]
    if service is None:
        return [FieldError.invalid(path, "", "resource or service backend is required")]
    name, port = service.get("name", ""), service.get("port") or {}
    if not name:
        errors = [FieldError.required(f"{path}.service.name")]
    else:
        errors = [FieldError.invalid(f"{path}.service.name", name, m) for m in is_dns1035_label(name)]
    number, word = port.get("number"), port.get("name")
    at = f"{path}.service.port"
    if number and word:
        errors.append(FieldError.invalid(path, "", "cannot set both port name & port number"))
    elif word:
        errors += [FieldError.invalid(f"{at}.name", word, m) for m in is_port_name(word)]
    elif number:
        errors += [FieldError.invalid(f"{at}.number", number, m) for m in is_port_number(number)]
    else:
        errors.append(FieldError.required(path, "port name or number is required"))
    return errors


def ingress_class(obj: dict[str, Any]) -> list[FieldError]:
    """Its controller is named like a path of a domain."""
    name = (obj.get("spec") or {}).get("controller") or ""
    if not name:
        return []
    domain, slash, rest = name.partition("/")
    if not slash or not rest:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        return [FieldError.invalid("spec.controller", name, text)]
    return [FieldError.invalid("spec.controller", domain, m) for m in is_dns1123_subdomain(domain)]
