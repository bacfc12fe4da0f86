"""Keeps a node's Services and names as the API has them, until cancelled. Rules and names stay when it ends."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kobune.api.core import EndpointSlice, Service
from kobune.base.errors import KobuneError
from kobune.embedded.network.dns import ClusterDns, DnsConfig
from kobune.embedded.network.names import hosts_file, srv_lines
from kobune.embedded.network.services import Seen, service_table
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
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One node. `dns` None: no names are served. `table` is the nftables table of this instance."""

    kubeconfig: Path
    table: str = "kobune-services"
    dns: DnsConfig | None = None


async def run(config: NetworkConfig, *, ready: asyncio.Event | None = None) -> None:
    """Run until cancelled; `ready` is set once the first rules are in place."""
    client = HttpClient(load_config(config.kubeconfig), user_agent="kobune-network")
    runner = HostRunner()
    try:
        await run_with_client(config, client, NftCommand(runner), runner, ready=ready)
    finally:
        await client.close()


async def run_with_client(
    config: NetworkConfig, client: Client, nftables: Nftables, runner: Runner, *, ready: asyncio.Event | None = None
) -> None:
    """As `run`, with what the caller made."""
    services: Informer[Service] = Informer(client, SERVICES)
    slices: Informer[EndpointSlice] = Informer(client, ENDPOINT_SLICES)
    dns = ClusterDns(config.dns, runner) if config.dns is not None else None
    changed = asyncio.Event()

    def wake(old: Any, new: Any) -> None:
        changed.set()

    services.add_handler(wake)
    slices.add_handler(wake)
    async with asyncio.TaskGroup() as group:
        group.create_task(services.run(), name="services")
        group.create_task(slices.run(), name="endpoint slices")
        await services.wait_synced()
        await slices.wait_synced()
        while True:
            delay_s = VERIFY_S
            try:
                await _apply(config, services, slices, nftables, dns)
                if ready is not None:
                    ready.set()
            except KobuneError as error:
                _LOG.warning("Services are not as they should be, trying again: %s", error)
                delay_s = RETRY_S
            try:
                async with asyncio.timeout(delay_s):
                    await changed.wait()
                await asyncio.sleep(SETTLE_S)
                changed.clear()
            except TimeoutError:
                pass


async def _apply(
    config: NetworkConfig,
    services: Informer[Service],
    slices: Informer[EndpointSlice],
    nftables: Nftables,
    dns: ClusterDns | None,
) -> None:
    table = service_table(Seen(services.list(), slices.list(), config.table))
    if await nftables.digest(HOST, table.family, table.name) != table.digest:
        await nftables.replace(HOST, table)
    if dns is not None and config.dns is not None:
        domain = config.dns.domain
        await dns.update(hosts_file(services.list(), slices.list(), domain), srv_lines(services.list(), domain))
