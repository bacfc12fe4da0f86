"""Keeps a node's Services and names as the API has them, until cancelled. Rules and names stay when it ends."""

import asyncio
import ipaddress
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kobune.api.core import EndpointSlice, Service
from kobune.base.errors import KobuneError
from kobune.embedded.network.apiproxy import ApiProxy
from kobune.embedded.network.dns import ClusterDns, DnsConfig
from kobune.embedded.network.externals import Externals
from kobune.embedded.network.names import external_names, hosts_file, srv_lines
from kobune.embedded.network.services import Guard, Seen, service_table
from kobune.host.netns import HOST
from kobune.host.nftables import Nftables, NftCommand
from kobune.host.run import HostRunner, Runner
from kobune.kube.client.config import load_config
from kobune.kube.client.core import ENDPOINT_SLICES, SERVICES
from kobune.kube.client.http import HttpClient
from kobune.kube.client.protocol import Client
from kobune.kube.informer import Informer

__all__ = ["NetworkConfig", "run", "run_with_client"]

_LOG = logging.getLogger(__name__)
SETTLE_S = 0.03
"""Changes come in groups: a Service, its slice, its pods."""
VERIFY_S = 10.0
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One node. `dns` None: no names are served. `table` is the nftables table of this instance."""

    kubeconfig: Path
    table: str = "kobune-services"
    dns: DnsConfig | None = None
    api_gateway: str = ""
    """The bridge's address; with it, pods reach an API server of the loopback address through that."""
    guard: Guard | None = None


async def run(config: NetworkConfig, *, ready: asyncio.Event | None = None) -> None:
    """Run until cancelled; `ready` is set once the first rules are in place."""
    connection = load_config(config.kubeconfig)
    client = HttpClient(connection, user_agent="kobune-network")
    runner = HostRunner()
    proxy = _api_proxy(config, connection.server)
    try:
        await run_with_client(config, client, NftCommand(runner), runner, ready=ready, proxy=proxy)
    finally:
        if proxy is not None:
            await proxy.close()
        await client.close()


def _api_proxy(config: NetworkConfig, server: str) -> ApiProxy | None:
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or 443
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return ApiProxy(config.api_gateway, port, host, port) if loopback and config.api_gateway else None


async def run_with_client(
    config: NetworkConfig,
    client: Client,
    nftables: Nftables,
    runner: Runner,
    *,
    ready: asyncio.Event | None = None,
    proxy: ApiProxy | None = None,
) -> None:
    """As `run`, with what the caller made."""
    services: Informer[Service] = Informer(client, SERVICES)
    slices: Informer[EndpointSlice] = Informer(client, ENDPOINT_SLICES)
    dns = ClusterDns(config.dns, runner) if config.dns is not None else None
    changed = asyncio.Event()
    externals = Externals(changed.set)

    def wake(old: Any, new: Any) -> None:
        changed.set()

    services.add_handler(wake)
    slices.add_handler(wake)
    async with asyncio.TaskGroup() as group:
        group.create_task(services.run(), name="services")
        group.create_task(slices.run(), name="endpoint slices")
        await services.wait_synced()
        await slices.wait_synced()
        try:
            while True:
                try:
                    complete = await _apply(config, services, slices, nftables, dns, proxy, externals)
                    if ready is not None:
                        ready.set()
                except KobuneError as error:
                    _LOG.warning("Services are not as they should be, trying again: %s", error)
                    complete = False
                delay_s = VERIFY_S if complete else RETRY_S
                try:
                    async with asyncio.timeout(delay_s):
                        await changed.wait()
                    await asyncio.sleep(SETTLE_S)
                    changed.clear()
                except TimeoutError:
                    pass
        finally:
            await externals.close()


async def _apply(
    config: NetworkConfig,
    services: Informer[Service],
    slices: Informer[EndpointSlice],
    nftables: Nftables,
    dns: ClusterDns | None,
    proxy: ApiProxy | None,
    externals: Externals,
) -> bool:
    """One pass; False when something that the others do without has failed. Raises KobuneError."""
    complete = True
    if dns is not None:
        # First, because it makes the bridge when no pod has.
        complete = await _serve_names(config, services, slices, dns, externals)
    backend = None
    if proxy is not None:
        try:
            await proxy.start()
            backend = (proxy.host, proxy.port)
        except OSError as error:
            _LOG.warning("pods cannot reach the API, trying again: %s", error)
            complete = False
    table = service_table(Seen(services.list(), slices.list(), config.table, backend, config.guard))
    if await nftables.digest(HOST, table.family, table.name) != table.digest:
        await nftables.replace(HOST, table)
    return complete


async def _serve_names(
    config: NetworkConfig,
    services: Informer[Service],
    slices: Informer[EndpointSlice],
    dns: ClusterDns,
    externals: Externals,
) -> bool:
    assert config.dns is not None
    domain = config.dns.domain
    try:
        found = externals.addresses(external_names(services.list(), domain))
        hosts = hosts_file(services.list(), slices.list(), domain, found)
        await dns.update(hosts, srv_lines(services.list(), domain))
    except KobuneError as error:
        # Services work without names; both are tried again.
        _LOG.warning("names are not served, trying again: %s", error)
        return False
    return True
