"""Removes what this node still holds for launcher pods that have ended.

Owns: noticing (pods that finish or go while we watch, and whatever is left from before we started) and trying again.
Works by pod uid, not by instance: a pod's network ends with the pod, however its instance ended.
"""

import asyncio
import contextlib
import logging
from typing import Final

from kobune.api.core import Pod
from kobune.base.errors import KobuneError
from kobune.kube.informer import Informer
from kobune.virt.handler.instance.observe import launcher_pod
from kobune.virt.handler.network.setup import GuestNetworks

__all__ = ["Leftovers"]

log = logging.getLogger(__name__)

RETRY_S: Final = 5.0


class Leftovers:
    """Runs beside the controller."""

    def __init__(self, pods: Informer[Pod], networks: GuestNetworks) -> None:
        self._pods = pods
        self._networks = networks
        self._due: set[str] = set()
        self._wake = asyncio.Event()
        pods.add_handler(self._notice)

    async def run(self) -> None:
        """Clean up until cancelled."""
        await self._pods.wait_synced(300.0)
        alive = {pod.metadata.uid for pod in self._pods.list() if not launcher_pod(pod).finished}
        self._due |= await self._networks.known() - alive
        while True:
            for uid in sorted(self._due):
                try:
                    await self._networks.release(uid)
                    self._due.discard(uid)
                except (KobuneError, OSError) as error:
                    log.warning("the network of pod %s could not be released: %s", uid, error)
            if not self._due:
                self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._due else None):
                    await self._wake.wait()

    def _notice(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is not None and (new is None or launcher_pod(pod).finished):
            self._due.add(pod.metadata.uid)
            self._wake.set()
