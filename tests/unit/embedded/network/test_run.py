"""Keeping rules and names: what is written when, with nftables and dnsmasq in memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.embedded.network.apiproxy import ApiProxy
from kobune.embedded.network.dns import ClusterDns, DnsConfig
from kobune.embedded.network.run import NetworkConfig, run_with_client
from kobune.host.netns import HOST
from kobune.host.nftables.fake import FakeNftables
from kobune.host.run.fake import FakeProcess, FakeRunner
from kobune.kube.client.core import SERVICES
from kobune.kube.testing import FakeApi, eventually


class World:
    def __init__(self, directory: Path) -> None:
        self.api = FakeApi()
        self.nftables = FakeNftables()
        self.runner = FakeRunner()
        config = NetworkConfig(Path("unused"), "test", DnsConfig(directory, "br0"))
        self.task = asyncio.create_task(run_with_client(config, self.api, self.nftables, self.runner))

    def dnsmasq(self) -> FakeProcess:
        return self.runner.processes[-1]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


async def test_rules_and_names_follow_the_services(world: World, tmp_path: Path) -> None:
    await eventually(lambda: world.nftables.writes == 1, "the first rules")
    first = await world.nftables.digest(HOST, "ip", "test")
    assert first
    spec = {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}
    await world.api.create(SERVICES, {"metadata": {"name": "web"}, "spec": spec}, "default")
    await eventually(lambda: "web.default.svc" in (tmp_path / "hosts").read_text(), "the new name")
    await eventually(lambda: world.nftables.writes == 2, "the new rules")
    assert await world.nftables.digest(HOST, "ip", "test") != first
    # Only names have changed: the server reads them again and goes on.
    assert len(world.runner.processes) == 1
    assert world.dnsmasq().signals == [1]


async def test_a_server_that_ended_is_started_again(tmp_path: Path) -> None:
    runner = FakeRunner()
    dns = ClusterDns(DnsConfig(tmp_path, "br0"), runner)
    await dns.update("10.0.0.1 a\n", [])
    runner.processes[-1].end(2)
    await dns.update("10.0.0.1 a\n", [])
    await dns.update("10.0.0.1 a\n", [])
    assert [process.returncode for process in runner.processes] == [2, None]


async def test_settings_restart_the_server(tmp_path: Path) -> None:
    runner = FakeRunner()
    dns = ClusterDns(DnsConfig(tmp_path, "br0"), runner)
    await dns.update("", [])
    await dns.update("", ["srv-host=_a._tcp.b,b,1"])
    assert [process.signals for process in runner.processes] == [[15], []]
    settings = (tmp_path / "dnsmasq.conf").read_text().splitlines()
    assert "srv-host=_a._tcp.b,b,1" in settings
    assert "interface=br0" in settings
    assert "local=/cluster.local/" in settings


async def test_bytes_pass_both_ways_and_ends_are_passed_on() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    target = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = target.sockets[0].getsockname()[1]
    proxy = ApiProxy("127.0.0.1", 0, "127.0.0.1", port)
    await proxy.start()
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"x" * 300_000)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b"X" * 300_000
    writer.close()
    target.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await proxy.close()
