"""Kubernetes' CEL functions: quantities, URLs, IP addresses, regular expressions, lists.

Owns: plain Python implementations and the table of their declarations. Must not import the CEL library: types are
named by short words that `expression` translates. Source: Kubernetes' documentation "CEL in Kubernetes".
Quantities, URLs, IPs and CIDRs are their canonical text, so that they stay comparable.
"""

import ipaddress
import itertools
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kobune.base.quantity import parse_quantity
from kobune.embedded.apiserver.schema.patterns import compile_pattern
from kobune.embedded.apiserver.schema.scalars import canonical_quantity

__all__ = ["FUNCTIONS", "Declaration"]

Declaration = tuple[str, str, tuple[str, ...], str, bool, Callable[..., Any]]
"""(name, overload id, parameter types, result type, called as a method, implementation)"""


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _compare(a: str, b: str) -> int:
    left, right = parse_quantity(a), parse_quantity(b)
    return (left > right) - (left < right)


def _as_integer(text: str) -> int:
    amount = parse_quantity(text)
    if amount != amount.to_integral_value():
        raise ValueError("cannot convert value to integer")
    return int(amount)


def _plus(sign: int) -> Callable[[str, Any], str]:
    def add(a: str, b: Any) -> str:
        binary = re.search(r"[KMGTPE]i$", a) is not None
        amount = parse_quantity(a) + sign * parse_quantity(b)
        if binary and amount == amount.to_integral_value() and amount % 1024 == 0:
            return canonical_quantity(f"{int(amount) // 1024}Ki")
        return canonical_quantity(f"{amount:f}")

    return add


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return bool((parts.scheme and parts.netloc) or text.startswith("/"))


def _url(text: str) -> str:
    if not _is_url(text):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    return text


def _url_host(text: str) -> str:
    return urlsplit(text).netloc.rpartition("@")[2]


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "/" in text


def _contains_ip(cidr: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_interface(cidr).network


def _contains_cidr(outer: str, inner: str) -> bool:
    a, b = ipaddress.ip_interface(outer).network, ipaddress.ip_interface(inner).network
    return a.version == b.version and b.subnet_of(a)  # type: ignore[arg-type]


def _find(text: str, pattern: str) -> str:
    found = compile_pattern(pattern).search(text)
    return found.group(0) if found else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [m.group(0) for m in compile_pattern(pattern).finditer(text)]


def _find_some(text: str, pattern: str, limit: int) -> list[str]:
    found = _find_all(text, pattern)
    return found if limit < 0 else found[:limit]


def _first(values: list[Any], value: Any) -> int:
    return values.index(value) if value in values else -1


def _last(values: list[Any], value: Any) -> int:
    return len(values) - 1 - values[::-1].index(value) if value in values else -1


def _sorted(values: list[Any]) -> bool:
    return all(a <= b for a, b in itertools.pairwise(values))


_QUANTITY: list[Declaration] = [
    ("isQuantity", "is_quantity_string", ("string",), "bool", False, _is_quantity),
    ("quantity", "string_to_quantity", ("string",), "string", False, canonical_quantity),
    ("isInteger", "quantity_is_integer", ("string",), "bool", True, lambda q: parse_quantity(q) % 1 == 0),
    ("asInteger", "quantity_as_integer", ("string",), "int", True, _as_integer),
    ("asApproximateFloat", "quantity_as_float", ("string",), "double", True, lambda q: float(parse_quantity(q))),
    ("sign", "quantity_sign", ("string",), "int", True, lambda q: _compare(q, "0")),
    ("isGreaterThan", "quantity_gt", ("string", "string"), "bool", True, lambda a, b: _compare(a, b) > 0),
    ("isLessThan", "quantity_lt", ("string", "string"), "bool", True, lambda a, b: _compare(a, b) < 0),
    ("compareTo", "quantity_compare", ("string", "string"), "int", True, _compare),
    ("add", "quantity_add", ("string", "string"), "string", True, _plus(1)),
    ("add", "quantity_add_int", ("string", "int"), "string", True, _plus(1)),
    ("sub", "quantity_sub", ("string", "string"), "string", True, _plus(-1)),
    ("sub", "quantity_sub_int", ("string", "int"), "string", True, _plus(-1)),
]
_URL: list[Declaration] = [
    ("isURL", "is_url_string", ("string",), "bool", False, _is_url),
    ("url", "string_to_url", ("string",), "string", False, _url),
    ("getScheme", "url_scheme", ("string",), "string", True, lambda u: urlsplit(u).scheme),
    ("getHost", "url_host", ("string",), "string", True, _url_host),
    ("getHostname", "url_hostname", ("string",), "string", True, lambda u: urlsplit(u).hostname or ""),
    ("getPort", "url_port", ("string",), "string", True, lambda u: str(urlsplit(u).port or "")),
    ("getEscapedPath", "url_path", ("string",), "string", True, lambda u: urlsplit(u).path),
    ("getQuery", "url_query", ("string",), "map", True, lambda u: parse_qs(urlsplit(u).query, keep_blank_values=True)),
]
_IP: list[Declaration] = [
    ("isIP", "is_ip_string", ("string",), "bool", False, _is_ip),
    ("ip", "string_to_ip", ("string",), "string", False, lambda t: str(ipaddress.ip_address(t))),
    ("family", "ip_family", ("string",), "int", True, lambda t: ipaddress.ip_address(t).version),
    ("isLoopback", "ip_loopback", ("string",), "bool", True, lambda t: ipaddress.ip_address(t).is_loopback),
    ("isUnspecified", "ip_unspecified", ("string",), "bool", True, lambda t: ipaddress.ip_address(t).is_unspecified),
    ("isGlobalUnicast", "ip_unicast", ("string",), "bool", True, lambda t: not ipaddress.ip_address(t).is_multicast),
    ("isCIDR", "is_cidr_string", ("string",), "bool", False, _is_cidr),
    ("cidr", "string_to_cidr", ("string",), "string", False, lambda t: str(ipaddress.ip_interface(t))),
    ("containsIP", "cidr_contains_ip", ("string", "string"), "bool", True, _contains_ip),
    ("containsCIDR", "cidr_contains_cidr", ("string", "string"), "bool", True, _contains_cidr),
    ("prefixLength", "cidr_prefix", ("string",), "int", True, lambda t: ipaddress.ip_interface(t).network.prefixlen),
    ("masked", "cidr_masked", ("string",), "string", True, lambda t: str(ipaddress.ip_interface(t).network)),
]
_TEXT: list[Declaration] = [
    ("find", "string_find", ("string", "string"), "string", True, _find),
    ("findAll", "string_find_all", ("string", "string"), "list", True, _find_all),
    ("findAll", "string_find_some", ("string", "string", "int"), "list", True, _find_some),
]
_LISTS: list[Declaration] = [
    ("isSorted", "list_is_sorted", ("list",), "bool", True, _sorted),
    ("sum", "list_sum", ("list",), "dyn", True, sum),
    ("min", "list_min", ("list",), "dyn", True, min),
    ("max", "list_max", ("list",), "dyn", True, max),
    ("indexOf", "list_index_of", ("list", "dyn"), "int", True, _first),
    ("lastIndexOf", "list_last_index_of", ("list", "dyn"), "int", True, _last),
]
FUNCTIONS: list[Declaration] = [*_QUANTITY, *_URL, *_IP, *_TEXT, *_LISTS]
