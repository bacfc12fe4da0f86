"""CNI plugins in memory: keeps `Plugins`, for tests without root."""

from collections.abc import Mapping
from typing import Any

from kobune.host.cni.plugins import Attachment, CniFailed, CniResult, NetworkList

__all__ = ["FakePlugins"]


class FakePlugins:
    """`attached` has the interfaces that are there, by sandbox and name; `fail_next` is raised once."""

    def __init__(self) -> None:
        self.attached: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []
        self.fail_next: CniFailed | None = None

    async def add(self, network: NetworkList, attachment: Attachment) -> CniResult:
        """See `Plugins.add`."""
        self._call("ADD", network, attachment)
        key = (attachment.container_id, attachment.interface)
        if key in self.attached:
            raise CniFailed(f"plugin {network.plugins[0]['type']}: {attachment.interface!r} already exists")
        self.attached[key] = network.name
        mac = attachment.mac or "02:00:00:00:00:01"
        ips = attachment.ips or (("10.9.0.2/24",) if network.plugins[0].get("ipam") else ())
        raw = {
            "interfaces": [{"name": attachment.interface, "mac": mac, "sandbox": attachment.namespace or "/gone"}],
            "ips": [{"address": ip} for ip in ips],
        }
        return CniResult(ips=ips, mac=mac, raw=raw)

    async def delete(self, network: NetworkList, attachment: Attachment, result: Mapping[str, Any]) -> None:
        """See `Plugins.delete`."""
        self._call("DEL", network, attachment)
        self.attached.pop((attachment.container_id, attachment.interface), None)

    def _call(self, command: str, network: NetworkList, attachment: Attachment) -> None:
        self.calls.append(f"{command} {network.name} {attachment.interface}")
        if self.fail_next is not None:
            failure, self.fail_next = self.fail_next, None
            raise failure
