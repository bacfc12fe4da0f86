"""What every driver of loop devices keeps, and the one for this machine."""

import asyncio
import json
from pathlib import Path
from typing import Protocol

from kobune.host.run import Runner

__all__ = ["LoopDevices", "Loops"]

TIMEOUT_S = 10.0


class Loops(Protocol):
    """Loop devices by their backing files; one device per file. Raises CommandError."""

    async def find(self, file: Path) -> Path | None:
        """The device that shows a file, if there is one."""
        ...

    async def attach(self, file: Path) -> Path:
        """A device that shows the file; the one that does, if there is one. Raises CommandFailed when none is free."""
        ...

    async def refresh(self, file: Path) -> None:
        """Let the device, if there is one, notice that its file has grown."""
        ...

    async def detach(self, file: Path) -> None:
        """Give the device back; repeatable. One in use goes with its last user."""
        ...


class LoopDevices:
    """Those of this machine."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._attaching = asyncio.Lock()

    async def find(self, file: Path) -> Path | None:
        """The device that shows a file, if there is one."""
        done = await self._runner.run(
            ["losetup", "--json", "--output", "NAME,BACK-FILE", "--associated", str(file)], timeout_s=TIMEOUT_S
        )
        devices = json.loads(done.stdout or b"{}").get("loopdevices", [])
        return next((Path(device["name"]) for device in devices), None)

    async def attach(self, file: Path) -> Path:
        """The device of the file. Two pods that start together must get the same one."""
        async with self._attaching:
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
        """Give the device back; repeatable."""
        device = await self.find(file)
        if device is not None:
            await self._runner.run(["losetup", "--detach", str(device)], timeout_s=TIMEOUT_S)
