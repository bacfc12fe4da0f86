"""Which networks a pod asks for, and what it is told of them. Pure.

Source: the annotations k8s.v1.cni.cncf.io/networks (JSON, or NAMESPACE/NAME@INTERFACE separated by commas),
v1.multus-cni.io/default-network and k8s.v1.cni.cncf.io/network-status.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kobune.api.core import Pod
from kobune.host.cni import InvalidNetwork

__all__ = ["DEFAULT_NETWORK", "NETWORKS", "NETWORK_STATUS", "Selection", "asked_networks", "selections"]

NETWORKS: Final = "k8s.v1.cni.cncf.io/networks"
NETWORK_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
DEFAULT_NETWORK: Final = "v1.multus-cni.io/default-network"
PRIMARY: Final = "eth0"
MAX_NETWORKS: Final = 32
MAX_ANNOTATION_BYTES: Final = 64 * 1024
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_WORD: Final = re.compile(r"[^;=\s\x00]{1,256}")
_KNOWN: Final = {"name", "namespace", "interface", "mac", "ips", "cni-args"}


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """One network that a pod asks for. `ips` are ADDRESS or ADDRESS/LENGTH; `primary` takes the place of eth0."""

    namespace: str
    name: str
    interface: str
    mac: str = ""
    ips: tuple[str, ...] = ()
    args: tuple[tuple[str, str], ...] = ()
    primary: bool = False

    @property
    def network(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"


def asked_networks(pod: Pod) -> str:
    """What the annotations say, as one text to compare; empty when the pod has the cluster's network alone."""
    if pod.spec.host_network:
        return ""
    annotations = pod.metadata.annotations
    words = [annotations.get(DEFAULT_NETWORK, "").strip(), annotations.get(NETWORKS, "").strip()]
    return "\n".join(words) if any(words) else ""


def selections(pod: Pod) -> list[Selection]:
    """The networks in the order of the annotation, the primary one first. Raises InvalidNetwork."""
    if not asked_networks(pod):
        return []
    annotations, namespace = pod.metadata.annotations, pod.metadata.namespace
    found: list[Selection] = []
    if primary := annotations.get(DEFAULT_NETWORK, "").strip():
        found.append(_short(primary, namespace, PRIMARY, DEFAULT_NETWORK, primary=True))
    text = annotations.get(NETWORKS, "").strip()
    if len(text) > MAX_ANNOTATION_BYTES:
        raise InvalidNetwork(f"annotation {NETWORKS} has more than {MAX_ANNOTATION_BYTES} bytes")
    entries = _elements(text)
    if len(entries) > MAX_NETWORKS:
        raise InvalidNetwork(f"annotation {NETWORKS} has more than {MAX_NETWORKS} networks")
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str):
            found.append(_short(entry, namespace, f"net{number}", NETWORKS))
        else:
            found.append(_element(entry, namespace, f"net{number}"))
    names = [one.interface for one in found]
    for name in names:
        if names.count(name) > 1 or name == "lo":
            raise InvalidNetwork(f"annotation {NETWORKS}: interface {name!r} is taken")
    if PRIMARY in names[1:] or (names[:1] == [PRIMARY] and not found[0].primary):
        raise InvalidNetwork(f"annotation {NETWORKS}: interface {PRIMARY!r} is the pod's first network's")
    return found


def _elements(text: str) -> list[Any]:
    if not text:
        return []
    if not text.startswith("["):
        return [word.strip() for word in text.split(",") if word.strip()]
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidNetwork(f"annotation {NETWORKS} is no JSON: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise InvalidNetwork(f"annotation {NETWORKS} is no list of objects")
    return entries


def _short(text: str, namespace: str, interface: str, annotation: str, *, primary: bool = False) -> Selection:
    """NAMESPACE/NAME@INTERFACE, all but the name optional."""
    place, _, given = text.partition("@")
    first, slash, rest = place.partition("/")
    where, name = (first, rest) if slash else (namespace, first)
    _check_names(annotation, where, name, given or interface)
    return Selection(namespace=where, name=name, interface=given or interface, primary=primary)


def _element(entry: Mapping[str, Any], namespace: str, interface: str) -> Selection:
    unknown = {key for key, value in entry.items() if value not in (None, "", [], {})} - _KNOWN
    if unknown:
        raise InvalidNetwork(f"annotation {NETWORKS}: {min(unknown)!r} is not supported")
    where = entry.get("namespace") or namespace
    name, given = entry.get("name") or "", entry.get("interface") or interface
    _check_names(NETWORKS, where, name, given)
    mac = entry.get("mac") or ""
    if mac and not (isinstance(mac, str) and _MAC.fullmatch(mac)):
        raise InvalidNetwork(f"annotation {NETWORKS}: {mac!r} is no MAC address")
    ips = entry.get("ips") or []
    if not isinstance(ips, list):
        raise InvalidNetwork(f"annotation {NETWORKS}: ips is no list")
    for ip in ips:
        try:
            ipaddress.ip_interface(str(ip))
        except ValueError:
            raise InvalidNetwork(f"annotation {NETWORKS}: {ip!r} is no IP address") from None
    args = entry.get("cni-args") or {}
    if not isinstance(args, dict) or not all(_WORD.fullmatch(str(word)) for pair in args.items() for word in pair):
        raise InvalidNetwork(f"annotation {NETWORKS}: cni-args must be words without semicolons and equals signs")
    return Selection(
        namespace=where,
        name=name,
        interface=given,
        mac=mac.lower(),
        ips=tuple(str(ip) for ip in ips),
        args=tuple(sorted((str(key), str(value)) for key, value in args.items())),
    )


def _check_names(annotation: str, namespace: object, name: object, interface: object) -> None:
    for value in (namespace, name):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise InvalidNetwork(f"annotation {annotation}: {value!r} is no name: write NAMESPACE/NAME@INTERFACE")
    if not isinstance(interface, str) or not _INTERFACE.fullmatch(interface):
        raise InvalidNetwork(f"annotation {annotation}: {interface!r} cannot be the name of an interface")
