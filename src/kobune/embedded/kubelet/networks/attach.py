"""Attaches the networks of a pod's annotations to its sandbox, and takes them away again.

Owns: the order (a record on disk before a plugin runs, an ADD that may have been cut short is undone before it is
repeated) and what the pod is told in its network-status. Which networks those are says `selection`.

A primary network takes the place of eth0, which the runtime has made: that one is put aside under another name and
comes back at the end, because the runtime will ask its own plugins to remove eth0.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.networks.selection import PRIMARY, Selection, selections
from kobune.embedded.kubelet.networks.state import Attached, PodRecord, Records
from kobune.host.cni import Attachment, CniResult, InvalidNetwork, NetworkList, Plugins, parse_network
from kobune.host.netlink import DeleteLink, Link, Netlink, RenameLink, SetLink
from kobune.host.netns import HOST, NamespaceGone, NetworkNamespace

__all__ = ["Definitions", "PodAttachments", "remove_bridges"]

_LOG = logging.getLogger(__name__)
ASIDE: Final = "kobune-eth0"
"""The runtime's eth0 while another network has its name."""

Definitions = Callable[[str, str], Awaitable[str]]
"""The `spec.config` of a NetworkAttachmentDefinition by namespace and name. Raises KobuneError."""


@dataclass(frozen=True, slots=True)
class NetworksOutcome:
    """What there is now. `status` is the text of the network-status; `primary_ips` replace the runtime's when given.

    `added` and `removed` are lines for events.
    """

    status: str
    primary_ips: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = field(default=())


class PodAttachments:
    """All pods of the node. Calls for one pod must not overlap; calls for several may."""

    def __init__(
        self, plugins: Plugins, netlink: Netlink, records: Records, definitions: Definitions, cluster_network: str
    ) -> None:
        self._plugins = plugins
        self._netlink = netlink
        self._records = records
        self._definitions = definitions
        self._cluster_network = cluster_network

    def known(self, uid: str) -> bool:
        """Whether something is, or may be, attached to the pod."""
        return self._records.read(uid) is not None

    async def converge(self, pod: Pod, sandbox_id: str, namespace: str) -> NetworksOutcome:
        """Make the sandbox have exactly the networks that the pod asks for; idempotent.

        `namespace` is the path of the sandbox's network namespace. Raises InvalidNetwork, CniFailed, CommandError,
        ApiError: what was attached before stays, and the next call goes on from there.
        """
        uid = pod.metadata.uid
        wanted = selections(pod)
        record = self._records.read(uid)
        if record is not None and record.sandbox != sandbox_id:
            await self.release(uid)
            record = None
        if record is None:
            record = PodRecord(sandbox=sandbox_id, namespace=namespace)
        removed: list[str] = []
        for attached in reversed(record.attached):
            if attached.selection not in wanted or not attached.complete:
                record = await self._detach(uid, record, attached)
                if attached.complete:
                    removed.append(_place(attached.selection))
        added: list[str] = []
        for selection in wanted:
            if all(one.selection != selection for one in record.attached):
                record, line = await self._attach(uid, record, selection)
                added.append(line)
        if not record.attached:
            self._records.remove(uid)
        primary = next((one for one in record.attached if one.selection.primary), None)
        return NetworksOutcome(
            status=await self._status(record, wanted),
            primary_ips=_bare(_result_ips(primary.result)) if primary is not None else (),
            added=tuple(added),
            removed=tuple(removed),
        )

    async def release(self, uid: str) -> None:
        """Detach everything of a pod; repeatable. Raises CniFailed, CommandError, and may be called again then."""
        record = self._records.read(uid)
        if record is None:
            return
        for attached in reversed(record.attached):
            record = await self._detach(uid, record, attached)
        self._records.remove(uid)

    async def release_all(self) -> list[str]:
        """Detach everything of all pods; returns what could not be, as text."""
        left: list[str] = []
        for uid in list(self._records.uids()):
            try:
                await self.release(uid)
            except (KobuneError, OSError) as error:
                left.append(f"networks of pod {uid}: {error}")
        return left

    # ---- one network ----

    async def _attach(self, uid: str, record: PodRecord, selection: Selection) -> tuple[PodRecord, str]:
        config = await self._definitions(selection.namespace, selection.name)
        network = parse_network(config, selection.name)
        begun = Attached(selection=selection, config=config)
        record = msgspec.structs.replace(record, attached=(*record.attached, begun))
        self._records.write(uid, record)
        self._note_bridges(network)
        if selection.primary:
            await self._put_aside(record.namespace)
        # Not interrupted half-way: a plugin that was killed leaves what only its own end would clean.
        result = await asyncio.shield(self._plugins.add(network, _attachment(record, selection)))
        if selection.primary and not result.ips:
            raise InvalidNetwork(f"network {selection.network} gives no address: a pod's first network must have ipam")
        done = msgspec.structs.replace(begun, complete=True, result=dict(result.raw))
        record = msgspec.structs.replace(record, attached=(*record.attached[:-1], done))
        self._records.write(uid, record)
        return record, _line(selection, result)

    async def _detach(self, uid: str, record: PodRecord, attached: Attached) -> PodRecord:
        network = parse_network(attached.config, attached.selection.name)
        attachment = _attachment(record, attached.selection)
        if not await asyncio.to_thread(Path(record.namespace).exists):
            attachment = Attachment(record.sandbox, "", attached.selection.interface)
        await asyncio.shield(self._plugins.delete(network, attachment, attached.result))
        if attached.selection.primary and attachment.namespace:
            await self._bring_back(record.namespace)
        rest = tuple(one for one in record.attached if one is not attached)
        record = msgspec.structs.replace(record, attached=rest)
        self._records.write(uid, record)
        return record

    async def _put_aside(self, namespace: str) -> None:
        with NetworkNamespace.at(Path(namespace)) as space:
            names = {link.name for link in await self._netlink.links(space)}
            if ASIDE not in names and PRIMARY in names:
                await self._netlink.change(space, [SetLink(PRIMARY, up=False), RenameLink(PRIMARY, ASIDE)])

    async def _bring_back(self, namespace: str) -> None:
        with NetworkNamespace.at(Path(namespace)) as space:
            names = {link.name for link in await self._netlink.links(space)}
            if ASIDE in names and PRIMARY not in names:
                await self._netlink.change(space, [RenameLink(ASIDE, PRIMARY)])

    def _note_bridges(self, network: NetworkList) -> None:
        for plugin in network.plugins:
            if plugin["type"] == "bridge":
                name = str(plugin.get("bridge") or "cni0")
                if not (Path("/sys/class/net") / name).exists():
                    self._records.note_bridge(name)

    # ---- what is told ----

    async def _status(self, record: PodRecord, wanted: list[Selection]) -> str:
        """The network-status: the pod's first network, then the others in the order of the annotation."""
        by_selection = {one.selection: one for one in record.attached}
        entries: list[dict[str, Any]] = []
        if not any(selection.primary for selection in wanted):
            entries.append(await self._cluster_status(record.namespace))
        for selection in wanted:
            attached = by_selection[selection]
            entries.append(_entry(selection, attached.result))
        return msgspec.json.format(msgspec.json.encode(entries), indent=2).decode()

    async def _cluster_status(self, namespace: str) -> dict[str, Any]:
        link: Link | None = None
        try:
            with NetworkNamespace.at(Path(namespace)) as space:
                link = next((one for one in await self._netlink.links(space) if one.name == PRIMARY), None)
        except NamespaceGone:
            pass
        entry: dict[str, Any] = {"name": self._cluster_network, "interface": PRIMARY}
        if link is not None:
            ips = [address.address for address in link.addresses if address.scope == "global"]
            entry |= {"ips": ips, "mac": link.mac}
        return {**entry, "default": True, "dns": {}}


async def remove_bridges(records: Records, netlink: Netlink) -> list[str]:
    """Remove bridges that pods' networks have made on this node and nobody uses; returns what is left, as text."""
    left: list[str] = []
    for name in records.bridges():
        place = Path("/sys/class/net") / name
        if not (place / "bridge").is_dir():
            continue
        if any((place / "brif").iterdir()):
            left.append(f"bridge {name}: it has ports")
            continue
        try:
            await netlink.change(HOST, [DeleteLink(name)])
        except KobuneError as error:
            left.append(f"bridge {name}: {error}")
    return left


def _attachment(record: PodRecord, selection: Selection) -> Attachment:
    return Attachment(
        container_id=record.sandbox,
        namespace=record.namespace,
        interface=selection.interface,
        mac=selection.mac,
        ips=selection.ips,
        args=dict(selection.args),
    )


def _entry(selection: Selection, answer: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": selection.network, "interface": selection.interface}
    own: Mapping[str, Any] = next(
        (one for one in answer.get("interfaces") or () if one.get("name") == selection.interface), {}
    )
    if ips := _bare(_result_ips(answer)):
        entry["ips"] = list(ips)
    if mac := own.get("mac") or selection.mac:
        entry["mac"] = mac
    if selection.primary:
        entry["default"] = True
    return {**entry, "dns": answer.get("dns") or {}}


def _result_ips(answer: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(one["address"]) for one in answer.get("ips") or () if one.get("address"))


def _bare(cidrs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cidr.partition("/")[0] for cidr in cidrs)


def _place(selection: Selection) -> str:
    return f"Remove {selection.interface} from {selection.network}"


def _line(selection: Selection, result: CniResult) -> str:
    return f"Add {selection.interface} [{' '.join(result.ips)}] from {selection.network}"
