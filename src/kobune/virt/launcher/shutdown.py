"""The end of a guest: the power button until the deadline, then destroy.

What was asked for is in the journal, so that a launcher process that is started anew goes on with it. Owns: when the
button is pressed and when the grace period is over.
"""

import asyncio
import logging
import time

import msgspec

from kobune.host.libvirt.types import LibvirtError
from kobune.virt.launcher.record import DomainRecord
from kobune.virt.launcherproto.messages import DomainStatus, PauseReason

__all__ = ["Pursuit"]

POWER_BUTTON_EVERY_S = 10.0

log = logging.getLogger(__name__)
S = DomainStatus


class Pursuit:
    """`run` carries out the shutdown that the journal asks for, now or later."""

    def __init__(self, record: DomainRecord) -> None:
        self._record = record
        self._pressed_at_s = float("-inf")

    async def run(self) -> None:
        """Carry out a shutdown that was asked for: the power button until the deadline, then destroy."""
        changed = asyncio.Event()
        unwatch = self._record.watch(changed.set)
        try:
            while True:
                changed.clear()
                wait_s = await self._once()
                try:
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
                        await asyncio.sleep(0.01)  # many changes come at once
                except TimeoutError:
                    pass
        finally:
            unwatch()

    async def _once(self) -> float | None:
        """One step; how long to wait for the next, None until something changes."""
        record = self._record
        deadline = record.journal.shutdown_deadline_s
        if deadline is None or record.starting or record.ended.is_set():
            return None if deadline is None else 0.2
        if not record.line.up:
            return 0.2
        try:
            state = await record.look()
            left_s = deadline - time.time()
            if state.status is S.ENDED:
                return None
            if left_s <= 0:
                record.keep(msgspec.structs.replace(record.journal, killed=True))
                await record.line.live().destroy(record.domain)
                await record.look()
                return 1.0
            since_pressed_s = time.monotonic() - self._pressed_at_s
            if since_pressed_s < POWER_BUTTON_EVERY_S:
                return min(left_s, POWER_BUTTON_EVERY_S - since_pressed_s)
            if state.status is S.PAUSED and state.pause_reason is PauseReason.USER:
                await record.line.live().resume(record.domain)
            await record.line.live().shutdown(record.domain)
            # A guest that is still booting misses the button: press it again after a while.
            self._pressed_at_s = time.monotonic()
            return min(left_s, POWER_BUTTON_EVERY_S)
        except LibvirtError as error:
            log.warning("shutting down: %s", error)
            return 0.5
