"""Loop devices: files as block devices of this machine, by losetup(8). Decides nothing about which."""

import json
from pathlib import Path

from kobune.host.run import Runner

__all__ = ["LoopDevices"]

TIMEOUT_S = 10.0


class LoopDevices:
    """Loop devices by their backing files; one device per file."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def find(self, file: Path) -> Path | None:
        """The device that shows a file, if there is one."""
        done = await self._runner.run(
            ["losetup", "--json", "--output", "NAME,BACK-FILE", "--associated", str(file)], timeout_s=TIMEOUT_S
        )
        devices = json.loads(done.stdout or b"{}").get("loopdevices", [])
        return next((Path(device["name"]) for device in devices), None)

    async def attach(self, file: Path) -> Path:
        """A device that shows the file; the one that does, if there is one. Raises CommandFailed when none is free."""
        known = await self.find(file)
        if known is not None:
            return known
        done = await self._runner.run(["losetup", "--find", "--show", str(file)], timeout_s=TIMEOUT_S)
        return Path(done.text.strip())

    async def refresh(self, file: Path) -> None:
        """Let the device notice that its file has grown."""
        device = await self.find(file)
        if device is not None:
            await self._runner.run(["losetup", "--set-capacity", str(device)], timeout_s=TIMEOUT_S)

    async def detach(self, file: Path) -> None:
        """Give the device back; repeatable. One in use goes with its last user."""
        device = await self.find(file)
        if device is not None:
            await self._runner.run(["losetup", "--detach", str(device)], timeout_s=TIMEOUT_S)
