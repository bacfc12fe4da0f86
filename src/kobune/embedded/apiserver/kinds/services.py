"""Services: cluster IPs and node ports.

Owns: the index of taken addresses; ranges are fixed (10.96.0.0/16 without its first 16 addresses, 30000-32767).
"""

import ipaddress
import random
from typing import Any

from kobune.embedded.apiserver.allocators import Allocation
from kobune.embedded.apiserver.registry.collection import Change, Collection
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.status import StatusError, internal, invalid

__all__ = ["ServiceAllocator"]

NETWORK = ipaddress.ip_network("10.96.0.0/16")
_RESERVED = 16
NODE_PORTS = range(30000, 32768)


class ServiceAllocator:
    """Allocates for Services. Taken means stored, or promised to a write that is under way."""

    def __init__(self, services: Collection) -> None:
        self._addresses: set[str] = set()
        self._ports: set[int] = set()
        for item in services.select():
            self._take(item.object())
        services.listen(self._changed)

    def create(self, call: Call, obj: dict[str, Any]) -> Allocation:
        """Fill in clusterIP, clusterIPs, ipFamilies and node ports."""
        taken: list[Any] = []
        try:
            self._allocate(call, obj, None, taken)
        except BaseException:
            self._give_back(taken)
            raise
        return Allocation(lambda: self._give_back(taken))

    def update(self, call: Call, obj: dict[str, Any], old: dict[str, Any]) -> Allocation:
        """Keep what the old object had where the type still needs it; allocate what is new."""
        if call.info.subresource:
            return Allocation()
        taken: list[Any] = []
        try:
            self._allocate(call, obj, old, taken)
        except BaseException:
            self._give_back(taken)
            raise
        return Allocation(lambda: self._give_back(taken))

    def release(self, obj: dict[str, Any]) -> None:
        """The change of the collection does it."""

    def _allocate(self, call: Call, obj: dict[str, Any], old: dict[str, Any] | None, taken: list[Any]) -> None:
        spec = obj.setdefault("spec", {})
        before = (old or {}).get("spec") or {}
        kind = spec.get("type") or "ClusterIP"
        name = obj["metadata"].get("name", "")
        if kind == "ExternalName":
            for field in ("ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
            if before.get("clusterIP") and spec.get("clusterIP") == before["clusterIP"]:
                spec.pop("clusterIP", None)
                spec.pop("clusterIPs", None)
            return
        if before and before.get("type") != "ExternalName" and not spec.get("clusterIP"):
            spec["clusterIP"] = before.get("clusterIP", "")
            if before.get("clusterIPs") and not spec.get("clusterIPs"):
                spec["clusterIPs"] = before["clusterIPs"]
        _check_families(spec, before, name)
        address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if not address:
            address = self._free_address()
            self._addresses.add(address)
            taken.append(address)
        elif address != "None" and address != before.get("clusterIP"):
            self._claim_address(obj, name, address, taken, updating=old is not None)
        spec["clusterIP"] = address
        if not spec.get("clusterIPs") or (
            before and spec["clusterIPs"] == before.get("clusterIPs") and address != before.get("clusterIP")
        ):
            spec["clusterIPs"] = [address]
        if not spec.get("ipFamilies"):
            spec["ipFamilies"] = before.get("ipFamilies") or ["IPv4"]
        if not spec.get("ipFamilyPolicy"):
            spec["ipFamilyPolicy"] = before.get("ipFamilyPolicy") or "SingleStack"
        if kind in ("NodePort", "LoadBalancer"):
            self._node_ports(obj, spec, before, name, taken)
        elif before.get("type") in ("NodePort", "LoadBalancer"):
            if spec.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
                spec.pop("externalTrafficPolicy", None)
            old_ports = {p.get("nodePort") for p in before.get("ports") or ()}
            for port in spec.get("ports") or ():
                if port.get("nodePort") in old_ports:
                    port.pop("nodePort", None)

    def _claim_address(self, obj: dict[str, Any], name: str, address: str, taken: list[Any], *, updating: bool) -> None:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return  # validation tells
        if updating:
            return  # immutable: validation tells
        if parsed not in NETWORK:
            detail = (
                f"failed to allocate IP {address}: the provided IP is not in the valid range. The range of valid IPs is"
                f" {NETWORK}"
            )
            if parsed.version != 4:
                return
            raise _bad_address(name, address, detail)
        if address in self._addresses:
            raise _bad_address(name, address, f"failed to allocate IP {address}: provided IP is already allocated")
        self._addresses.add(address)
        taken.append(address)

    def _free_address(self) -> str:
        size = NETWORK.num_addresses
        for _ in range(64):
            candidate = str(NETWORK[random.randrange(_RESERVED, size - 1)])  # noqa: S311 - an address, no secret
            if candidate not in self._addresses:
                return candidate
        for index in range(1, size - 1):
            candidate = str(NETWORK[index])
            if candidate not in self._addresses:
                return candidate
        raise internal("failed to allocate a serviceIP: range is full")

    def _node_ports(
        self, obj: dict[str, Any], spec: dict[str, Any], before: dict[str, Any], name: str, taken: list[Any]
    ) -> None:
        if spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
            return
        previous = {(p.get("protocol", "TCP"), p["port"]): p.get("nodePort") for p in before.get("ports") or ()}
        own = {p.get("nodePort") for p in before.get("ports") or ()}
        used: dict[int, set[str]] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            wanted = port.get("nodePort")
            protocol = port.get("protocol", "TCP")
            if not wanted:
                wanted = previous.get((protocol, port["port"])) or self._free_port(used)
                port["nodePort"] = wanted
                if wanted not in self._ports:
                    self._ports.add(wanted)
                    taken.append(wanted)
            elif wanted not in own and wanted not in used:
                if wanted not in NODE_PORTS:
                    valid = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
                    detail = f"provided port is not in the valid range. The range of valid ports is {valid}"
                    raise _bad_port(name, index, wanted, detail)
                if wanted in self._ports:
                    raise _bad_port(name, index, wanted, "provided port is already allocated")
                self._ports.add(wanted)
                taken.append(wanted)
            used.setdefault(wanted, set()).add(protocol)
        if (
            spec.get("type") == "LoadBalancer"
            and spec.get("externalTrafficPolicy") == "Local"
            and not spec.get("healthCheckNodePort")
        ):
            port_number = before.get("healthCheckNodePort") or self._free_port(used)
            spec["healthCheckNodePort"] = port_number
            self._ports.add(port_number)
            taken.append(port_number)

    def _free_port(self, used: dict[int, set[str]]) -> int:
        for _ in range(256):
            port = random.choice(NODE_PORTS)  # noqa: S311 - a port, no secret
            if port not in self._ports and port not in used:
                return port
        for port in NODE_PORTS:
            if port not in self._ports and port not in used:
                return port
        raise internal("failed to allocate a nodePort: range is full")

    def _give_back(self, taken: list[Any]) -> None:
        for entry in taken:
            if isinstance(entry, int):
                self._ports.discard(entry)
            else:
                self._addresses.discard(entry)
        taken.clear()

    def _changed(self, change: Change) -> None:
        if change.previous is not None:
            spec = change.previous.object().get("spec") or {}
            self._addresses.difference_update(spec.get("clusterIPs") or ())
            self._ports.difference_update(_ports(spec))
        if not change.deleted:
            self._take(change.item.object())

    def _take(self, obj: dict[str, Any]) -> None:
        spec = obj.get("spec") or {}
        self._addresses.update(a for a in spec.get("clusterIPs") or () if a != "None")
        self._ports.update(_ports(spec))


def _check_families(spec: dict[str, Any], before: dict[str, Any], name: str) -> None:
    """What a cluster of one family can't give. Raises StatusError."""
    errors: list[FieldError] = []
    policy, families = spec.get("ipFamilyPolicy") or "SingleStack", spec.get("ipFamilies") or []
    if families == before.get("ipFamilies") and spec.get("ipFamilyPolicy") == before.get("ipFamilyPolicy"):
        return
    if policy == "RequireDualStack" and before.get("ipFamilyPolicy") != policy:
        text = "this cluster is not configured for dual-stack services"
        errors.append(FieldError.invalid("spec.ipFamilyPolicy", policy, text))
    if policy == "SingleStack":
        for field, values in (("clusterIPs", spec.get("clusterIPs") or []), ("ipFamilies", families)):
            if len(values) == 2 and values[0] != values[1]:
                text = f"must be RequireDualStack or PreferDualStack when multiple '{field}' are specified"
                errors.append(FieldError.invalid("spec.ipFamilyPolicy", policy, text))
    if not errors and families[:1] == ["IPv6"] and before.get("ipFamilies") is None:
        text = "not configured on this cluster"
        errors.append(FieldError.invalid("spec.ipFamilies[0]", "IPv6", text))
    if errors:
        raise invalid("", "Service", name, errors)


def _ports(spec: dict[str, Any]) -> list[int]:
    ports = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    if spec.get("healthCheckNodePort"):
        ports.append(spec["healthCheckNodePort"])
    return ports


def _bad_address(name: str, address: str, detail: str) -> StatusError:
    error = FieldError("FieldValueInvalid", "spec.clusterIPs", f'Invalid value: ["{address}"]: {detail}')
    return invalid("", "Service", name, [error])


def _bad_port(name: str, index: int, port: int, detail: str) -> StatusError:
    return invalid("", "Service", name, [FieldError.invalid(f"spec.ports[{index}].nodePort", port, detail)])
