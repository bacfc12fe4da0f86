"""Composes the kubelet of one node and runs it until cancelled. Pods outlive it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kobune.api.core import Pod, Service
from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.devices import DevicePlugins
from kobune.embedded.kubelet.dns import read_host_dns
from kobune.embedded.kubelet.images import Images
from kobune.embedded.kubelet.instance import NodeInstance
from kobune.embedded.kubelet.machine import own_address, read_machine, read_pressure
from kobune.embedded.kubelet.names import KubeletPaths
from kobune.embedded.kubelet.networks.attach import PodAttachments
from kobune.embedded.kubelet.networks.cluster import ClusterNetwork
from kobune.embedded.kubelet.networks.definitions import definitions, no_definitions
from kobune.embedded.kubelet.networks.state import Records
from kobune.embedded.kubelet.node import NodeIdentity, NodeRegistration
from kobune.embedded.kubelet.objects import NodeFacts, PodObjects
from kobune.embedded.kubelet.pods import NodePods
from kobune.embedded.kubelet.render import DnsConfig
from kobune.embedded.kubelet.server.app import KubeletServer, ServerConfig
from kobune.embedded.kubelet.volumes.claims import NodeClaims
from kobune.embedded.kubelet.volumes.provision import ImageVolumes, PodVolumes
from kobune.host.cgroup import Cgroups
from kobune.host.cni import CNI_BIN_DIR, CniPlugins, write_conflist
from kobune.host.containerd import ContainerdClient, ContainerdConfig, ContainerdDaemon
from kobune.host.cri import CriClient, CriError
from kobune.host.loop import LoopDevices
from kobune.host.mount import HostMounter
from kobune.host.netlink import IpCommand
from kobune.host.run import HostRunner
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.config import load_config
from kobune.kube.client.core import PODS, SERVICES
from kobune.kube.client.http import HttpClient
from kobune.kube.client.protocol import Client
from kobune.kube.informer import Informer
from kobune.kube.runtime import EventRecorder

__all__ = ["KubeletConfig", "run", "run_with_client"]

_LOG = logging.getLogger(__name__)
RUNTIME_TIMEOUT_S = 60.0
CONTAINERD_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """One node. Paths are this machine's; `tls_*` None means a self-signed certificate below `root`.

    `client_ca` verifies clients of the kubelet's server (the API server); without it the server refuses everybody.
    `allowed_clients` are the common names that may ask.
    """

    kubeconfig: Path
    root: Path
    node_name: str
    containerd_socket: Path
    pod_logs: Path
    run_dir: Path
    pod_subnet: str = "10.42.0.0/24"
    """As `NodeInstance.of` takes it."""
    node_ip: str = ""
    listen_host: str = "0.0.0.0"  # noqa: S104 - clients need a certificate
    listen_port: int = 10250
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    allowed_clients: tuple[str, ...] = ("kube-apiserver-kubelet-client",)
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    preloaded_images: frozenset[str] = frozenset()
    """Full references that came with the node's software: the pull policy Always does not ask a registry for them."""
    containerd: ContainerdConfig | None = None
    """The instance's own containerd, which the kubelet starts again when it has died; None: the usual place of the
    data directory, if one was configured there."""
    instance: NodeInstance | None = None
    """None: the names that belong to the data directory, which is the parent of `root`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    networks_kubeconfig: Path | None = None
    """Whose user may read NetworkAttachmentDefinitions; without it, pods that ask for one do not start."""


async def run(config: KubeletConfig, *, ready: asyncio.Event | None = None) -> None:
    """Run the node's kubelet until cancelled; `ready` is set once the node is registered and its server listens."""
    client = HttpClient(load_config(config.kubeconfig), user_agent="kobune-kubelet")
    networks = None
    if config.networks_kubeconfig is not None:
        networks = HttpClient(load_config(config.networks_kubeconfig), user_agent="kobune-networks")
    try:
        await run_with_client(config, client, ready=ready, networks=networks)
    finally:
        await client.close()
        if networks is not None:
            await networks.close()


async def run_with_client(
    config: KubeletConfig, client: Client, *, ready: asyncio.Event | None = None, networks: Client | None = None
) -> None:
    """As `run`, with clients that the caller made; `networks` reads NetworkAttachmentDefinitions."""
    clock = SystemClock()
    instance = config.instance or NodeInstance.of(config.root.parent, config.pod_subnet)
    write_conflist(instance.network, instance.cni_conf_dir)
    cri = CriClient(config.containerd_socket)
    containerd = ContainerdClient(config.containerd_socket)
    paths = KubeletPaths(config.root, config.pod_logs)
    for directory in (paths.root, paths.pods, paths.pod_logs, config.run_dir / "exec"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    keeper = asyncio.create_task(_keep_containerd(config), name="containerd")
    try:
        runtime, version = await _wait_for_runtime(cri)
        machine = read_machine(config.root, runtime, version)
        address = config.node_ip or own_address()
        facts = NodeFacts(
            config.node_name, address, machine.memory_bytes, {"cpu": machine.cpus, "memory": machine.memory_bytes}
        )
        services = Informer(client, SERVICES)
        pods_informer: Informer[Pod] = Informer(client, PODS, field_selector=f"spec.nodeName={config.node_name}")
        context = _context(
            config,
            instance,
            facts,
            client=client,
            networks=networks,
            cri=cri,
            containerd=containerd,
            services=services,
            devices_changed=lambda: registration.wake(),
        )
        devices, events = context.devices, context.events
        pods = NodePods(context, pods_informer, containerd)
        server = KubeletServer(_server_config(config, address), pods, cri, containerd)
        port = await server.start()
        identity = NodeIdentity(config.node_name, address, port, instance.network.subnets, config.labels)
        registration: NodeRegistration = NodeRegistration(
            client, cri, devices, identity, machine, clock, lambda: read_pressure(config.root)
        )
        await devices.start()
        registered = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(services.run(), name="services")
                group.create_task(pods_informer.run(), name="pods")
                group.create_task(events.run(), name="events")
                group.create_task(registration.run(registered), name="node")
                group.create_task(pods.run(), name="pod workers")
                await registered.wait()
                _LOG.info("node %s is registered; kubelet server on port %d", config.node_name, port)
                if ready is not None:
                    ready.set()
        finally:
            await server.close()
            await devices.close()
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await cri.close()
        await containerd.close()


def _context(
    config: KubeletConfig,
    instance: NodeInstance,
    facts: NodeFacts,
    *,
    client: Client,
    networks: Client | None,
    cri: CriClient,
    containerd: ContainerdClient,
    services: Informer[Service],
    devices_changed: Callable[[], None],
) -> NodeContext:
    """What the pods' workers work with; `services` is run by the caller."""
    paths = KubeletPaths(config.root, config.pod_logs)
    images = Images(cri, config.preloaded_images)
    objects = PodObjects(client, services, facts)
    mounter = HostMounter()

    async def ensure_image(reference: str, policy: str, pod: Pod) -> None:
        await images.ensure(reference, policy, await objects.pull_secrets(pod))

    runner = HostRunner()
    plugins = CniPlugins(runner, CNI_BIN_DIR, instance.network.state_dir)
    devices = DevicePlugins(paths.device_plugins, devices_changed)
    events = EventRecorder(client, component="kubelet", instance=config.node_name)
    return NodeContext(
        client=client,
        events=events,
        clock=SystemClock(),
        cri=cri,
        images=images,
        volumes=PodVolumes(
            paths,
            mounter,
            ImageVolumes(cri, containerd, mounter, ensure_image),
            NodeClaims(client, LoopDevices(runner)),
        ),
        networks=PodAttachments(
            plugins,
            IpCommand(runner),
            Records(paths.networks),
            definitions(networks) if networks is not None else no_definitions,
            instance.network.name,
        ),
        cluster_network=ClusterNetwork(
            instance.network, plugins, runner, mounter, _containerd(config).network_namespaces
        ),
        objects=objects,
        devices=devices,
        cgroups=Cgroups(),
        paths=paths,
        facts=facts,
        cluster_dns=DnsConfig(config.cluster_dns, (config.cluster_domain,)),
        host_dns=read_host_dns,
        cgroup_root=instance.cgroup_root,
    )


def _server_config(config: KubeletConfig, address: str) -> ServerConfig:
    return ServerConfig(
        host=config.listen_host,
        port=config.listen_port,
        node_name=config.node_name,
        addresses=(address, "127.0.0.1"),
        tls_cert=config.tls_cert,
        tls_key=config.tls_key,
        pki_dir=config.root / "pki",
        client_ca=config.client_ca,
        allowed_clients=config.allowed_clients,
        run_dir=config.run_dir / "exec",
    )


def _containerd(config: KubeletConfig) -> ContainerdConfig:
    return config.containerd or ContainerdConfig.for_data_dir(config.root.parent)


async def _keep_containerd(config: KubeletConfig) -> None:
    """Pods survive containerd; what they need of it they must not miss for long."""
    own = _containerd(config)
    if own.socket != config.containerd_socket:
        return
    daemon = ContainerdDaemon(own)
    while True:
        await asyncio.sleep(CONTAINERD_LOOK_S)
        try:
            if await daemon.revive():
                _LOG.warning("containerd had ended and was started again")
        except KobuneError as error:
            _LOG.warning("containerd cannot be started, trying again: %s", error)


async def _wait_for_runtime(cri: CriClient) -> tuple[str, str]:
    try:
        async with asyncio.timeout(RUNTIME_TIMEOUT_S):
            while True:
                try:
                    return await cri.version()
                except CriError as error:
                    _LOG.warning("waiting for the container runtime: %s", error)
                    await asyncio.sleep(0.5)
    except TimeoutError:
        raise TimeoutError(f"the container runtime did not answer within {RUNTIME_TIMEOUT_S:g} s") from None
