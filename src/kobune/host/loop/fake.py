"""Loop devices in memory, for tests: keeps `Loops`."""

from pathlib import Path

from kobune.host.run import CommandFailed

__all__ = ["FakeLoopDevices"]


class FakeLoopDevices:
    """`sizes` has what each device shows; a device notices growth only when refreshed. At most `limit` at once."""

    def __init__(self, limit: int = 8) -> None:
        self.sizes: dict[Path, int] = {}
        self._devices: dict[Path, Path] = {}
        self._limit = limit

    async def find(self, file: Path) -> Path | None:
        """The device that shows a file, if there is one."""
        return self._devices.get(file)

    async def attach(self, file: Path) -> Path:
        """A device that shows the file."""
        if file in self._devices:
            return self._devices[file]
        free = [Path(f"/dev/loop{number}") for number in range(self._limit)]
        device = next((own for own in free if own not in self._devices.values()), None)
        if device is None:
            args = ("losetup", "--find", "--show", str(file))
            raise CommandFailed(args, 1, b"losetup: cannot find an unused loop device")
        self.sizes[device] = _size(file)
        self._devices[file] = device
        return device

    async def refresh(self, file: Path) -> None:
        """Let the device notice that its file has grown."""
        device = self._devices.get(file)
        if device is not None:
            self.sizes[device] = _size(file)

    async def detach(self, file: Path) -> None:
        """Give the device back; repeatable."""
        device = self._devices.pop(file, None)
        if device is not None:
            del self.sizes[device]


def _size(file: Path) -> int:
    return file.stat().st_size
