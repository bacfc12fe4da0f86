"""Which sandboxes of the cluster's network the runtime has lost. Pure but for what it remembers.

A sandbox has an address and rules before the runtime lists it, and for a moment after it has forgotten it: one that the
runtime does not list is lost only when that stays so for longer than any call may take.
"""

from collections.abc import Collection
from typing import Final

__all__ = ["LostSandboxes"]

LOST_AFTER_S: Final = 330.0
"""Above the limit of a call that makes or removes a sandbox, and a minute for what the runtime does when it is over."""


class LostSandboxes:
    """Remembers since when a sandbox has been unknown to the runtime."""

    def __init__(self, after_s: float = LOST_AFTER_S) -> None:
        self._after_s = after_s
        self._unknown_since_s: dict[str, float] = {}

    def look(self, owners: Collection[str], listed: Collection[str], now_s: float) -> list[str]:
        """Those of `owners` that are lost, sorted; `listed` must have been asked for after `owners`, `now_s` of both.

        A lost one is named at each look until it owns nothing any more.
        """
        unknown = set(owners) - set(listed)
        self._unknown_since_s = {one: self._unknown_since_s.get(one, now_s) for one in unknown}
        return sorted(one for one, since_s in self._unknown_since_s.items() if now_s - since_s >= self._after_s)
