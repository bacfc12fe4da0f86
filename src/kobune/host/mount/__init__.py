"""Mounts of this machine: making, finding and removing them; with a fake."""

from kobune.host.mount.mounter import FakeMounter, HostMounter, Mounter, mount_points_below

__all__ = ["FakeMounter", "HostMounter", "Mounter", "mount_points_below"]
