"""Loop devices of this machine."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.host.loop import LoopDevices
from kobune.host.run import HostRunner
from support.loop_contract import LOOP_RULES, backing

pytestmark = pytest.mark.node


@pytest.fixture
async def loops(tmp_path: Path) -> AsyncIterator[LoopDevices]:
    driver = LoopDevices(HostRunner())
    yield driver
    for name in os.listdir(tmp_path):
        await driver.detach(tmp_path / name)


@pytest.mark.parametrize("rule", LOOP_RULES, ids=lambda rule: rule.__name__)
async def test_contract(rule, loops: LoopDevices, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    await rule(loops, tmp_path)


async def test_a_device_shows_its_file_and_grows_with_it(loops: LoopDevices, tmp_path: Path) -> None:
    file = backing(tmp_path, "f")
    device = await loops.attach(file)
    with device.open("rb") as opened:
        assert opened.seek(0, 2) == 1 << 20
        with file.open("r+b") as grown:
            grown.truncate(2 << 20)
        assert opened.seek(0, 2) == 1 << 20
        await loops.refresh(file)
        assert opened.seek(0, 2) == 2 << 20
