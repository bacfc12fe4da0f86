"""Loop devices: files as block devices of this machine, by losetup(8); with a fake. Decides nothing about which."""

from kobune.host.loop.devices import LoopDevices, Loops
from kobune.host.loop.fake import FakeLoopDevices

__all__ = ["FakeLoopDevices", "LoopDevices", "Loops"]
