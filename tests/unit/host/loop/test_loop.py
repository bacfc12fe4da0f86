"""Loop devices: the fake keeps the contract; the driver's commands."""

import asyncio
import json
from pathlib import Path

import pytest

from kobune.host.loop import FakeLoopDevices, LoopDevices
from kobune.host.run import CommandFailed
from kobune.host.run.fake import FakeRunner
from support.loop_contract import LOOP_RULES


@pytest.mark.parametrize("rule", LOOP_RULES, ids=lambda rule: rule.__name__)
async def test_the_fake_keeps_the_contract(rule, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    await rule(FakeLoopDevices(), tmp_path)


async def test_the_fake_has_no_more_than_its_limit(tmp_path: Path) -> None:
    loops = FakeLoopDevices(limit=1)
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    await loops.attach(tmp_path / "a")
    with pytest.raises(CommandFailed, match="cannot find an unused loop device"):
        await loops.attach(tmp_path / "b")


def losetup(runner: FakeRunner, *devices: str) -> None:
    listed = {"loopdevices": [{"name": name, "back-file": "x"} for name in devices]}
    runner.on("losetup", "--json", stdout=json.dumps(listed).encode() if devices else b"")
    runner.on("losetup", "--find", stdout=b"/dev/loop7\n")
    runner.on("losetup", "--set-capacity")
    runner.on("losetup", "--detach")


async def test_a_device_that_exists_is_used(tmp_path: Path) -> None:
    runner = FakeRunner()
    losetup(runner)
    loops = LoopDevices(runner)
    assert await loops.attach(tmp_path / "f") == Path("/dev/loop7")
    losetup(runner, "/dev/loop3")
    assert await loops.attach(tmp_path / "f") == Path("/dev/loop3")
    await asyncio.gather(loops.refresh(tmp_path / "f"), loops.detach(tmp_path / "f"))
    told = [call.args for call in runner.calls]
    assert ("losetup", "--set-capacity", "/dev/loop3") in told
    assert ("losetup", "--detach", "/dev/loop3") in told
