"""Follows the guest through its agent: what it says of itself, and the credentials that the agent sets.

Nothing in a guest notifies of a new address, so that the agent is asked: often right after it came, then rarely.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.base.errors import KobuneError
from kobune.host.guestagent.agent import GuestAgent
from kobune.host.libvirt.types import LibvirtUnavailable
from kobune.virt.launcher.credentials import by_agent, fingerprint, propagate
from kobune.virt.launcher.guest import GuestView, look_inside
from kobune.virt.launcherproto.text import MAX_MESSAGE, readable

__all__ = ["GuestWatch"]

DELAYS_S = (1.0, 1.0, 2.0, 2.0, 5.0, 10.0, 15.0)

log = logging.getLogger(__name__)


class GuestWatch:
    """`run` follows the guest. `view` is what it said last, None while its agent is away.

    `credentials` is (None, "") when there are none for the agent, else whether the last attempt to set them went well
    and why not. `vmi` is whose credentials are meant. `agent` gives the agent or raises while it cannot be asked;
    `on_change` is called after every look.
    """

    def __init__(self, secrets: Path, *, agent: Callable[[], GuestAgent], on_change: Callable[[], None]) -> None:
        self.view: GuestView | None = None
        self.credentials: tuple[bool | None, str] = (None, "")
        self.vmi: VirtualMachineInstance | None = None
        self._secrets = secrets
        self._agent = agent
        self._on_change = on_change
        self._connected = False
        self._wake = asyncio.Event()

    def tell(self, *, connected: bool) -> None:
        """The agent came or went."""
        if connected != self._connected:
            self._connected = connected
            if not connected:
                self.view = None
            self._wake.set()

    def wake(self) -> None:
        """Look now, not at the end of the pause."""
        self._wake.set()

    async def look(self) -> None:
        """Ask the agent. Raises what it raises."""
        self.view = await look_inside(self._agent(), self.view)
        self._on_change()

    async def run(self) -> None:
        """Follow the guest until cancelled."""
        attempt, given = 0, ""
        while True:
            self._wake.clear()
            if not self._connected:
                await self._wake.wait()
                # A guest that was reset or restored may have forgotten its credentials.
                attempt, given = 0, ""
                continue
            try:
                given = await self._give_credentials(given)
                await self.look()
            except KobuneError as error:
                log.debug("guest agent: %s", error)
            except Exception:
                # Whatever a guest says must not end this process, and with it the line to virt-handler.
                log.exception("the guest's answer was not handled")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DELAYS_S[min(attempt, len(DELAYS_S) - 1)]):
                    await self._wake.wait()
            attempt += 1

    async def _give_credentials(self, given: str) -> str:
        """Set ssh keys and passwords by the agent when they differ from those `given`; returns what is set now."""
        if self.vmi is None or not by_agent(self.vmi):
            self.credentials = (None, "")
            return ""
        now = fingerprint(self.vmi, self._secrets)
        if now == given:
            return given
        try:
            await propagate(self.vmi, self._secrets, self._agent())
        except LibvirtUnavailable:
            raise
        except KobuneError as error:
            self.credentials = (False, readable(str(error), MAX_MESSAGE))
            return ""
        self.credentials = (True, "")
        return now
