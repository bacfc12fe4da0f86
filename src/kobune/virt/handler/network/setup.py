"""Looks at a launcher pod's network namespace and makes it what the plan says. Idempotent, safe to be killed in.

Owns: the first description of each of the pod's interfaces on disk (`STATE/pods/UID/interface.json`, and
`interface-NAME.json` for secondary ones; a bridge binding takes address and MAC away from an interface, so what CNI
made must be remembered before the first change) and the order of steps.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.base.errors import RetryableError, TerminalError
from kobune.host import procroot
from kobune.host.dnsmasq import DhcpServers
from kobune.host.files import write_file
from kobune.host.netlink import Link, Netlink, Route
from kobune.host.netns import HOST, NetworkNamespace
from kobune.host.nftables import Nftables
from kobune.host.procroot import HeldProcess
from kobune.host.run import Runner
from kobune.virt.domain.facts import InterfaceFacts
from kobune.virt.domain.networks import pairs, pluggable, pod_interface
from kobune.virt.handler.network.converge import link_changes, missing_sysctls, surplus
from kobune.virt.handler.network.model import POD_INTERFACE, QEMU_ID, TABLE, NetworkPlan, PodInterface
from kobune.virt.handler.network.plan import plan

__all__ = ["ForeignNamespace", "GuestNetworks", "HoldInPod", "NotReady", "PodNetworks"]

_LOG = logging.getLogger(__name__)
TUN = ("/dev/net/tun", (10, 200))
SYSCTL_TIMEOUT_S = 5.0

HoldInPod = Callable[[int, str], HeldProcess]
"""Holds the process with that number if it belongs to the pod with that uid; raises ProcessGone, ForeignProcess.

The number is the launcher's word, and the kernel may have given it to anybody since.
"""


class NotReady(RetryableError):
    """The pod has no network yet."""


class ForeignNamespace(TerminalError):
    """The process behind the launcher's socket is in this node's own network; nothing was touched."""


class GuestNetworks(Protocol):
    """The networks of the launcher pods on this node, by pod uid."""

    async def ensure(
        self, pod_uid: str, pid: int, vmi: VirtualMachineInstance, *, partly: bool = False
    ) -> list[InterfaceFacts]:
        """Make the network of the pod that `pid` runs in ready for the VMI; returns what the launcher must know.

        Idempotent. With `partly`, interfaces that the pod does not have (yet) are left out; else NotReady is raised.
        Takes nothing away: see `prune`. Raises UnsupportedInterface, ForeignNamespace, ForeignProcess, NotReady,
        NamespaceGone, ProcessGone, UnsafePath, DnsmasqFailed, CommandError.
        """
        ...

    async def prune(self, pod_uid: str, pid: int, vmi: VirtualMachineInstance) -> None:
        """Remove what was made for interfaces that the guest does not have any more. Idempotent."""
        ...

    async def release(self, pod_uid: str) -> None:
        """Stop what serves the pod's network and forget it; the rest ends with the namespace. Idempotent."""
        ...

    async def known(self) -> frozenset[str]:
        """Uids of pods that something is left of."""
        ...


class PodNetworks:
    """`GuestNetworks` on this machine."""

    def __init__(
        self,
        runner: Runner,
        netlink: Netlink,
        nftables: Nftables,
        dhcp: DhcpServers,
        state_dir: Path,
        hold: HoldInPod = HeldProcess.of_group,
        attachments: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`attachments` gives the `domainAttachmentType`s of the installation's binding plugins, by their names."""
        self._runner = runner
        self._netlink = netlink
        self._nftables = nftables
        self._dhcp = dhcp
        self._state_dir = state_dir
        self._hold = hold
        self._attachments = attachments

    async def ensure(
        self, pod_uid: str, pid: int, vmi: VirtualMachineInstance, *, partly: bool = False
    ) -> list[InterfaceFacts]:
        """See `GuestNetworks.ensure`."""
        if not vmi.spec.domain.devices.interfaces:
            return []
        process = self._hold(pid, pod_uid)
        resolv_conf = await asyncio.to_thread(_resolv_conf, process)
        with _namespace(process) as namespace:
            links = await self._netlink.links(namespace)
            pod = await self._pod_interfaces(pod_uid, namespace, links, vmi, partly=partly)
            wanted = plan(vmi, pod, resolv_conf, self._attachments())
            if not wanted.guests:
                return []
            _must_have_taps(wanted, links)
            await self._converge(pod_uid, namespace, wanted, links)
        await asyncio.to_thread(_grant_tun, process)
        return [
            InterfaceFacts(
                name=guest.name, tap=guest.tap, mac=guest.mac, mtu=guest.mtu, queues=guest.queues, bridge=guest.bridge
            )
            for guest in wanted.guests
        ]

    async def prune(self, pod_uid: str, pid: int, vmi: VirtualMachineInstance) -> None:
        """See `GuestNetworks.prune`."""
        networks = [network for _, network in pairs(vmi.spec)]
        with _namespace(self._hold(pid, pod_uid)) as namespace:
            links = await self._netlink.links(namespace)
            await self._netlink.change(namespace, surplus(networks, links))
        for name in {*self._described(pod_uid)} - {pod_interface(network) for network in networks}:
            self._description(pod_uid, name).unlink(missing_ok=True)

    async def release(self, pod_uid: str) -> None:
        """See `GuestNetworks.release`."""
        await self._dhcp.stop(pod_uid)
        await asyncio.to_thread(shutil.rmtree, self._folder(pod_uid), ignore_errors=True)

    async def known(self) -> frozenset[str]:
        """See `GuestNetworks.known`."""
        folders: frozenset[str] = frozenset()
        with contextlib.suppress(FileNotFoundError):
            folders = frozenset(os.listdir(self._state_dir / "pods"))
        return folders | await self._dhcp.names()

    async def _converge(
        self, pod_uid: str, namespace: NetworkNamespace, wanted: NetworkPlan, links: tuple[Link, ...]
    ) -> None:
        changes = link_changes(wanted, links)
        await self._netlink.change(namespace, changes)
        # The rest needs the interfaces, and nothing of each other: each of them costs a process or two.
        await asyncio.gather(
            self._set_sysctls(namespace, wanted, fresh=bool(changes)),
            self._set_rules(namespace, wanted),
            self._serve_dhcp(pod_uid, namespace, wanted),
        )
        if changes:
            _LOG.info("network of pod %s is ready: %d interface changes", pod_uid, len(changes))

    async def _set_sysctls(self, namespace: NetworkNamespace, wanted: NetworkPlan, *, fresh: bool) -> None:
        names = [] if fresh else [name for name, _ in wanted.sysctls]
        settings = missing_sysctls(wanted, await self._sysctls(namespace, names))
        if settings:
            words = [f"{name}={value}" for name, value in settings]
            await namespace.run(self._runner, ["sysctl", "-q", "-w", *words], timeout_s=SYSCTL_TIMEOUT_S)

    async def _set_rules(self, namespace: NetworkNamespace, wanted: NetworkPlan) -> None:
        present = await self._nftables.digest(namespace, *TABLE)
        if wanted.table is None:
            if present is not None:
                await self._nftables.delete(namespace, *TABLE)
        elif present != wanted.table.digest:
            await self._nftables.replace(namespace, wanted.table)

    async def _serve_dhcp(self, pod_uid: str, namespace: NetworkNamespace, wanted: NetworkPlan) -> None:
        if wanted.dhcp is None:
            if await self._dhcp.digest(pod_uid) is not None:
                await self._dhcp.stop(pod_uid)
        elif await self._dhcp.digest(pod_uid) != wanted.dhcp.digest:
            await self._dhcp.start(pod_uid, namespace, wanted.dhcp)

    async def _sysctls(self, namespace: NetworkNamespace, names: list[str]) -> dict[str, str]:
        if not names:
            return {}
        done = await namespace.run(self._runner, ["sysctl", "-n", *names], timeout_s=SYSCTL_TIMEOUT_S)
        return dict(zip(names, done.text.split(), strict=True))

    async def _pod_interfaces(
        self,
        pod_uid: str,
        namespace: NetworkNamespace,
        links: tuple[Link, ...],
        vmi: VirtualMachineInstance,
        *,
        partly: bool,
    ) -> dict[str, PodInterface]:
        """The pod's interfaces that the guest's networks come by, as they were made."""
        routes: tuple[Route, ...] | None = None
        found: dict[str, PodInterface] = {}
        for interface, network in pairs(vmi.spec):
            if interface.sriov is not None:
                continue
            name = pod_interface(network)
            path = self._description(pod_uid, name)
            link = next((link for link in links if link.name == name), None)
            if link is None and partly and pluggable(interface, network):
                continue
            try:
                found[name] = msgspec.json.decode(path.read_bytes(), type=PodInterface)
                continue
            except FileNotFoundError:
                pass
            if link is None:
                raise NotReady(f"the pod has no interface {name} yet, which network {network.name} comes by")
            if routes is None:
                routes = await self._netlink.routes(namespace)
            own = tuple(route for route in routes if route.device == name)
            found[name] = PodInterface(link.mac, link.mtu, link.addresses, own, name)
            await asyncio.to_thread(write_file, path, msgspec.json.encode(found[name]))
        return found

    def _description(self, pod_uid: str, name: str) -> Path:
        return self._folder(pod_uid) / ("interface.json" if name == POD_INTERFACE else f"interface-{name}.json")

    def _described(self, pod_uid: str) -> list[str]:
        """Secondary interfaces of the pod that were described."""
        paths = self._folder(pod_uid).glob("interface-*.json")
        return [path.name.removeprefix("interface-").removesuffix(".json") for path in paths]

    def _folder(self, pod_uid: str) -> Path:
        return self._state_dir / "pods" / pod_uid


def _must_have_taps(wanted: NetworkPlan, links: tuple[Link, ...]) -> None:
    """Taps that binding plugins make must be there. Raises NotReady."""
    made, there = {link.name for link in wanted.links}, {link.name for link in links}
    for guest in wanted.guests:
        if guest.tap not in made and guest.tap not in there:
            raise NotReady(f"the pod has no tap {guest.tap} yet, which the binding of interface {guest.name} makes")


def _namespace(process: HeldProcess) -> NetworkNamespace:
    """The network namespace of a launcher. Raises ForeignNamespace, NamespaceGone."""
    namespace = NetworkNamespace.of_held(process)
    if namespace.identity == HOST.identity:
        namespace.close()
        raise ForeignNamespace(f"process {process.pid} is not in a pod's network namespace")
    return namespace


def _resolv_conf(process: HeldProcess) -> str:
    try:
        return procroot.read_text(process, "/etc/resolv.conf")
    except (FileNotFoundError, procroot.UnsafePath) as error:
        _LOG.info("no name servers for the guest: %s", error)
        return ""


def _grant_tun(process: HeldProcess) -> None:
    path, numbers = TUN
    try:
        procroot.grant_device(process, path, numbers, QEMU_ID)
    except FileNotFoundError as error:
        raise NotReady(f"the pod was not given {path}; it must request devices.kubevirt.io/tun") from error
