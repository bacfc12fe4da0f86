"""Labels of a node, and its heartbeat."""

import asyncio
from pathlib import Path

from kobune.host.run.fake import FakeRunner
from kobune.kube.client.core import NODES
from kobune.kube.testing import FakeApi, FakeClock, eventually
from kobune.virt.handler.heartbeat import heartbeat
from kobune.virt.handler.labels import node_labels, observe_labels

HELP = """Supported machines are:
microvm              microvm (i386)
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)
pc-q35-7.2           Standard PC (Q35 + ICH9, 2009)
pc-q35-4.0.1         Standard PC (Q35 + ICH9, 2009)
pc-q35-2.4           Standard PC (Q35 + ICH9, 2009) (deprecated)
"""


def test_machine_types_are_those_of_qemu_that_are_not_deprecated() -> None:
    assert node_labels(HELP, "vendor_id\t: GenuineIntel\n") == {
        "machine-type.node.kubevirt.io/pc-q35-4.0.1": "true",
        "machine-type.node.kubevirt.io/pc-q35-7.2": "true",
        "machine-type.node.kubevirt.io/q35": "true",
        "cpu-vendor.node.kubevirt.io/Intel": "true",
    }


async def test_without_qemu_on_the_node_the_default_machine_type_is_promised(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("vendor_id : SomebodyElse\n")
    assert await observe_labels(FakeRunner(), tmp_path) == {"machine-type.node.kubevirt.io/q35": "true"}


async def test_a_node_is_announced_as_soon_as_it_is_registered() -> None:
    api = FakeApi()
    beating = asyncio.create_task(heartbeat(api, "n1", "10.0.0.1:8186", {"a": "true"}, FakeClock()))
    try:
        await eventually(lambda: any(request.verb == "patch" for request in api.requests), "a first attempt")
        await api.create(NODES, {"metadata": {"name": "n1", "labels": {"kept": "yes"}}})
        async with asyncio.timeout(5):
            while not (node := await api.get(NODES, "n1")).metadata.annotations:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert node.metadata.labels == {"kept": "yes", "kubevirt.io/schedulable": "true", "a": "true"}
        assert node.metadata.annotations["kobune.io/virt-handler-address"] == "10.0.0.1:8186"
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
