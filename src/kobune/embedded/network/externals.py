"""Addresses of the names that ExternalName Services point to beyond the cluster.

dnsmasq answers such a name with an alias alone, which stub resolvers take for no answer: the addresses are looked up
here and served in its place. Owns the looking up and how long an answer is kept; which names, says `names`.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping

__all__ = ["Externals"]

_LOG = logging.getLogger(__name__)
KEEP_S = 30.0
RETRY_S = 5.0
LOOKUP_S = 3.0
AT_A_TIME = 8

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]


async def host_addresses(name: str) -> tuple[str, ...]:
    """By the node's own resolver. Raises OSError, TimeoutError."""
    async with asyncio.timeout(LOOKUP_S):
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Externals:
    """What is known of each name; `changed` is called when that is something new.

    A name that cannot be looked up any more keeps its last addresses.
    """

    def __init__(self, changed: Callable[[], None], resolve: Resolve = host_addresses) -> None:
        self._changed = changed
        self._resolve = resolve
        self._known: dict[str, tuple[str, ...]] = {}
        self._due_s: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def addresses(self, names: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """What is known now of these names; those that are due are looked up in the background."""
        wanted = set(names)
        for name in self._due_s.keys() - wanted:
            del self._due_s[name]
            self._known.pop(name, None)
        now_s = asyncio.get_running_loop().time()
        for name in sorted(wanted):
            if len(self._asking) < AT_A_TIME and name not in self._asking and self._due_s.get(name, 0) <= now_s:
                self._asking[name] = asyncio.create_task(self._look_up(name))
        return {name: self._known[name] for name in wanted if self._known.get(name)}

    async def close(self) -> None:
        """End what is being looked up."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, name: str) -> None:
        keep_s = KEEP_S
        try:
            found = await self._resolve(name)
            if found != self._known.get(name):
                self._known[name] = found
                self._changed()
        except (OSError, TimeoutError, UnicodeError) as error:
            _LOG.info("external name %s: %s", name, error)
            keep_s = RETRY_S
        finally:
            del self._asking[name]
            self._due_s[name] = asyncio.get_running_loop().time() + keep_s
