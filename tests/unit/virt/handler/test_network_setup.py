"""Setting up a guest's network: what must never be touched."""

import os
from pathlib import Path

import pytest
from msgspec import convert

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.host.netlink.fake import FakeNetlink
from kobune.host.nftables.fake import FakeNftables
from kobune.host.procroot import ForeignProcess, HeldProcess
from kobune.host.run.fake import FakeRunner
from kobune.virt.handler.network.setup import ForeignNamespace, PodNetworks


class NoServers:
    """DHCP servers that nobody may start."""

    async def digest(self, name: str) -> str | None:
        return None

    async def start(self, name: str, namespace: object, config: object) -> None:
        raise AssertionError("started")

    async def stop(self, name: str) -> None:
        return

    async def names(self) -> frozenset[str]:
        return frozenset()


async def test_this_machine_s_own_network_is_never_changed(tmp_path: Path) -> None:
    kernel, rules = FakeNetlink(), FakeNftables()
    networks = PodNetworks(FakeRunner(), kernel, rules, NoServers(), tmp_path, lambda pid, pod: HeldProcess(pid))
    spec = {
        "domain": {"devices": {"interfaces": [{"name": "default", "masquerade": {}}]}},
        "networks": [{"name": "default", "pod": {}}],
    }
    vmi = convert({"metadata": {"namespace": "ns", "name": "vm"}, "spec": spec}, VirtualMachineInstance)
    with pytest.raises(ForeignNamespace):
        await networks.ensure("pod-1", os.getpid(), vmi)
    assert (kernel.changes, rules.writes) == ([], 0)


async def test_a_process_of_no_pod_is_never_touched(tmp_path: Path) -> None:
    kernel, rules = FakeNetlink(), FakeNftables()
    networks = PodNetworks(FakeRunner(), kernel, rules, NoServers(), tmp_path)
    vmi = convert({"spec": {"domain": {"devices": {"interfaces": [{"name": "default"}]}}}}, VirtualMachineInstance)
    with pytest.raises(ForeignProcess):
        await networks.ensure("0b1f1a5e-8a3c-4f6e-9a52-6d7d3c9e1f00", os.getpid(), vmi)
    assert (kernel.changes, rules.writes) == ([], 0)


async def test_without_interfaces_nothing_is_looked_at(tmp_path: Path) -> None:
    networks = PodNetworks(FakeRunner(), FakeNetlink(), FakeNftables(), NoServers(), tmp_path)
    vmi = convert({"spec": {"domain": {"devices": {}}}}, VirtualMachineInstance)
    assert await networks.ensure("pod-1", os.getpid(), vmi) == []
