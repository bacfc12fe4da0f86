"""How many pods each version may have on the way to the new one. Pure.

Source: apps/v1 Deployment, strategies RollingUpdate (maxSurge rounded up, maxUnavailable rounded down) and Recreate.
"""

import math
from dataclasses import dataclass

from kobune.api.meta import IntOrString

__all__ = ["Version", "amount", "limits", "next_replicas"]


@dataclass(frozen=True, slots=True)
class Version:
    """A ReplicaSet as the rollout sees it: what it was told, what it has, and what of that is available."""

    wanted: int
    existing: int
    available: int


def amount(value: IntOrString, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total`."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total / 100
    return math.ceil(exact) if up else math.floor(exact)


def limits(surge: IntOrString, unavailable: IntOrString, replicas: int) -> tuple[int, int]:
    """(pods more than wanted, pods fewer than wanted); never both zero, or nothing would ever move."""
    more, fewer = amount(surge, replicas, up=True), amount(unavailable, replicas, up=False)
    return more, 1 if more == 0 and fewer == 0 else fewer


def next_replicas(
    replicas: int, new: Version, old: tuple[Version, ...], *, surge: int, unavailable: int, recreate: bool
) -> tuple[int, tuple[int, ...]]:
    """What the new and each old version (oldest first) should be told now."""
    if recreate:
        gone = all(version.existing == 0 for version in old)
        return (replicas if gone else new.wanted), tuple(0 for _ in old)
    total = new.wanted + sum(version.wanted for version in old)
    grown = new.wanted
    if new.wanted > replicas:
        grown = replicas
    elif new.wanted < replicas:
        grown = min(replicas, new.wanted + max(0, replicas + surge - total))
    # Old pods may go as far as enough others are available; those that are not available go first.
    spare = new.available + sum(version.available for version in old) - (replicas - unavailable)
    shrunk: list[int] = []
    for version in old:
        useless = min(version.wanted, max(0, version.wanted - version.available))
        left = version.wanted - useless
        taken = max(0, min(left, spare))
        spare -= taken
        shrunk.append(left - taken)
    return grown, tuple(shrunk)
