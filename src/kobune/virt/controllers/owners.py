"""The index of children by the object that controls them."""

from typing import Final

from kobune.kube.client.objects import controller_of

__all__ = ["BY_OWNER", "owner_uids"]

BY_OWNER: Final = "owner"


def owner_uids(obj: object) -> list[str]:
    """The uid of the controlling owner, none when nobody controls the object."""
    owner = controller_of(obj)
    return [owner.uid] if owner is not None else []
