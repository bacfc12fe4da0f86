"""Keeps this process connected to libvirtd, which may be restarted at any moment; the guest does not notice.

Owns: when to connect again, and telling how long libvirt has been away. It knows nothing of domains.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from kobune.host.libvirt.types import ClosedCallback, DomainEvent, EventCallback, Hypervisor, LibvirtUnavailable

__all__ = ["Connect", "LibvirtLine"]

FIRST_TIMEOUT_S = 20.0
AWAY_AFTER_S = 10.0
FAST_ATTEMPTS, FAST_DELAY_S, SLOW_DELAY_S = 100, 0.02, 1.0

log = logging.getLogger(__name__)

Connect = Callable[[EventCallback, ClosedCallback], Awaitable[Hypervisor]]
"""Opens a connection to libvirt; raises LibvirtUnavailable."""


class LibvirtLine:
    """`run` keeps the connection; `live` gives it.

    `on_up` is called with libvirt's and QEMU's version after each connect, `on_event` with every event, `on_away` with
    the reason when libvirt did not answer for `AWAY_AFTER_S` seconds, and again with every further attempt.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        on_up: Callable[[str, str], None],
        on_event: Callable[[DomainEvent], None],
        on_away: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._on_up = on_up
        self._on_event = on_event
        self._on_away = on_away
        self._hypervisor: Hypervisor | None = None
        self._connected = asyncio.Event()  # set exactly while `_hypervisor` is there
        self._lost = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether there is a connection."""
        return self._hypervisor is not None

    def live(self) -> Hypervisor:
        """The connection; raises LibvirtUnavailable while there is none."""
        if self._hypervisor is None:
            raise LibvirtUnavailable("libvirt is being started")
        return self._hypervisor

    async def wait(self) -> None:
        """Wait until there is a connection: the daemon starts beside this process, and virt-handler may be earlier.

        Raises LibvirtUnavailable after `FIRST_TIMEOUT_S`.
        """
        try:
            async with asyncio.timeout(FIRST_TIMEOUT_S):
                await self._connected.wait()
        except TimeoutError as error:
            raise LibvirtUnavailable(f"libvirt did not come up within {FIRST_TIMEOUT_S:g} s") from error

    async def run(self) -> None:
        """Connect, and again whenever the connection breaks, until cancelled."""
        attempt, away_since = 0, time.monotonic()
        while True:
            self._lost.clear()
            try:
                hypervisor = await self._connect(self._on_event, self._lost.set)
                versions = await hypervisor.versions()
            except LibvirtUnavailable as error:
                log.log(logging.DEBUG if attempt < FAST_ATTEMPTS else logging.WARNING, "libvirt: %s", error)
                if time.monotonic() - away_since > AWAY_AFTER_S:
                    self._on_away(str(error))
                await asyncio.sleep(FAST_DELAY_S if attempt < FAST_ATTEMPTS else SLOW_DELAY_S)
                attempt += 1
                continue
            self._hypervisor = hypervisor
            self._connected.set()
            self._on_up(*versions)
            await self._lost.wait()
            log.warning("the connection to libvirt is gone; connecting again")
            attempt, away_since = 0, time.monotonic()
            self._hypervisor = None
            self._connected.clear()
            await hypervisor.close()

    async def close(self) -> None:
        """End the connection; call it after `run` was cancelled."""
        hypervisor, self._hypervisor = self._hypervisor, None
        if hypervisor is not None:
            await hypervisor.close()
