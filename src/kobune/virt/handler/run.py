"""virt-handler as a whole: composes its parts and runs until cancelled. Needs a kubeconfig and root; no guest ends
with it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from kobune.api.kubevirt import KubeVirt
from kobune.host.containerfs.files import HostContainerFiles
from kobune.host.dnsmasq import Dnsmasq
from kobune.host.netlink import IpCommand
from kobune.host.nftables import NftCommand
from kobune.host.procroot import HeldProcess
from kobune.host.run import HostRunner
from kobune.kube.client.config import load_config
from kobune.kube.client.core import SECRETS
from kobune.kube.client.http import HttpClient
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.protocol import Client
from kobune.kube.runtime import ControllerProcess
from kobune.virt.domain.bindings import binding_plugins
from kobune.virt.handler.capabilities import CapabilityCache
from kobune.virt.handler.devices.kvm import KVM, KvmProof
from kobune.virt.handler.devices.passthrough import HostDevicePlugins, permitted_devices
from kobune.virt.handler.devices.plugin import DeviceNode, DevicePlugin
from kobune.virt.handler.devices.sysfs import Node
from kobune.virt.handler.heartbeat import heartbeat
from kobune.virt.handler.instance.wire import InstanceController
from kobune.virt.handler.labeller.wire import Labeller
from kobune.virt.handler.leftovers import Leftovers
from kobune.virt.handler.network.setup import HoldInPod, PodNetworks
from kobune.virt.handler.server.app import make_app
from kobune.virt.handler.server.tls import CLIENT_NAMES, SECRET_NAME, SECRET_NAMESPACE, ServerTls

__all__ = ["HandlerConfig", "cleanup", "run"]

log = logging.getLogger(__name__)

TUN: Final = DeviceNode("devices.kubevirt.io/tun", "/dev/net/tun")
VHOST_NET: Final = DeviceNode("devices.kubevirt.io/vhost-net", "/dev/vhost-net")
VHOST_VSOCK: Final = DeviceNode("devices.kubevirt.io/vhost-vsock", "/dev/vhost-vsock")
KVM_NODE: Final = DeviceNode("devices.kubevirt.io/kvm", KVM)


@dataclass(frozen=True, slots=True)
class HandlerConfig:
    """`listen_port` 0 takes a free one; `advertise_host` is what virt-api dials, by default `listen_host`."""

    kubeconfig: Path | None
    node_name: str
    kubelet_root: Path
    listen_host: str
    listen_port: int
    state_dir: Path
    advertise_host: str = ""
    host_root: Path = Path("/proc/1/root")
    """Below it are this machine's own sys and dev, where devices for guests are looked for: a container has others."""


async def run(config: HandlerConfig, *, client: Client | None = None, hold: HoldInPod = HeldProcess.of_group) -> None:
    """Run until cancelled. Raises ConfigError without a usable kubeconfig."""
    own = HttpClient(load_config(config.kubeconfig)) if client is None else None
    try:
        await _run(config, client or own, hold)  # type: ignore[arg-type]
    finally:
        if own is not None:
            await own.close()


async def cleanup(state_dir: Path) -> None:
    """Stop everything that outlives virt-handler on this node (DHCP servers), for a node that is taken down."""
    networks = _networks(state_dir, lambda pod_uid: None)
    for pod_uid in await networks.known():
        await networks.release(pod_uid)


def _networks(
    state_dir: Path,
    lost: Callable[[str], None],
    hold: HoldInPod = HeldProcess.of_group,
    attachments: Callable[[], Mapping[str, str]] = dict,
) -> PodNetworks:
    runner = HostRunner()
    dnsmasq = Dnsmasq(runner, state_dir / "dhcp", lost)
    return PodNetworks(runner, IpCommand(runner), NftCommand(runner), dnsmasq, state_dir, hold, attachments)


async def _run(config: HandlerConfig, client: Client, hold: HoldInPod) -> None:
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = ControllerProcess(client, component="virt-handler", instance=config.node_name)
    kvm = KvmProof(HostRunner(), config.state_dir)
    installations = process.informers.of(KUBEVIRTS)
    networks = _networks(
        config.state_dir,
        lambda pod_uid: controller.network_lost(pod_uid),
        hold,
        lambda: _attachments(installations.list()),
    )
    verdict = await kvm.prove()
    variant = f"{verdict.boot_id} kvm={str(verdict.proved).lower()}"
    capabilities = CapabilityCache(config.kubelet_root, config.state_dir, variant)
    files = HostContainerFiles(HostRunner())
    controller = InstanceController(
        process, config.node_name, config.kubelet_root, networks, kvm, files, capabilities, hold
    )
    labeller = Labeller(process, config.node_name, config.kubelet_root, config.state_dir, kvm, variant=variant)
    tls = ServerTls(config.state_dir / "tls")
    certificates = process.informers.of(
        SECRETS, namespace=SECRET_NAMESPACE, field_selector=f"metadata.name={SECRET_NAME}"
    )
    certificates.add_handler(tls.take)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(process.run(), name="controllers")
            group.create_task(labeller.run(), name="labels")
            group.create_task(Leftovers(controller.pods, networks).run(), name="leftovers")
            for plugin in _plugins(config, kvm):
                group.create_task(plugin.run(), name=plugin.offer.resource)
            group.create_task(_host_devices(process, config).run(), name="host devices")
            group.create_task(_serve(config, process, controller, tls), name="server")
    finally:
        controller.launchers.close()


def _plugins(config: HandlerConfig, kvm: KvmProof) -> list[DevicePlugin]:
    directory = config.kubelet_root / "device-plugins"
    nodes = [node for node in (TUN, VHOST_NET, VHOST_VSOCK) if Path(node.path).exists()]
    nodes += [KVM_NODE] if kvm.proved else []
    return [DevicePlugin(node, directory) for node in nodes]


def _attachments(installations: Sequence[KubeVirt]) -> Mapping[str, str]:
    """`domainAttachmentType` of the installation's network binding plugins."""
    plugins = [plugin for one in installations for plugin in binding_plugins(one.spec.configuration).items()]
    return {name: plugin.domain_attachment_type or "" for name, plugin in plugins}


def _host_devices(process: ControllerProcess, config: HandlerConfig) -> HostDevicePlugins:
    installations = process.informers.of(KUBEVIRTS)
    directory = config.kubelet_root / "device-plugins"
    plugins = HostDevicePlugins(lambda: permitted_devices(installations.list()), directory, Node(config.host_root))
    installations.add_handler(lambda old, new: plugins.look_again())
    return plugins


async def _serve(
    config: HandlerConfig, process: ControllerProcess, controller: InstanceController, tls: ServerTls
) -> None:
    """Listen once there is a certificate, then announce where."""
    await tls.wait_ready()
    app = make_app(controller.launchers, config.kubelet_root, CLIENT_NAMES)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.listen_host, config.listen_port, ssl_context=tls.context)
        await site.start()
        host, port = runner.addresses[0][:2]
        log.info("listening on %s:%d", host, port)
        address = f"{config.advertise_host or host}:{port}"
        await heartbeat(process.client, config.node_name, address, process.clock)
    finally:
        await runner.cleanup()
