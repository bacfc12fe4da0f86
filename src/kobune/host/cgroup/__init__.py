"""Control groups of this machine, version 1, 2 or both: finding and removing the ones that Kobune made."""

from kobune.host.cgroup.tree import Cgroups

__all__ = ["Cgroups"]
