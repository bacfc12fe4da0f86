"""Instances with a volume that is plugged in, for tests of every component that has a part in it."""

from typing import Any

__all__ = ["plugged_disk", "plugged_volume"]


def plugged_volume(name: str = "data", claim: str = "c") -> dict[str, Any]:
    """A claim that may come and go."""
    return {"name": name, "persistentVolumeClaim": {"claimName": claim, "hotpluggable": True}}


def plugged_disk(name: str = "data", bus: str = "scsi", **changes: Any) -> dict[str, Any]:
    """Its disk."""
    return {"name": name, "disk": {"bus": bus}, **changes}
