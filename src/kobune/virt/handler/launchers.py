"""The lines to the launchers of this node: kept open, opened again, and what they told last.

Owns: one `LauncherLink` per followed instance, its reconnecting and its one background task. Decides nothing: every
change calls `changed(key)`, and whoever decides looks at `view`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from kobune.base.clock import Clock
from kobune.base.errors import KobuneError, RetryableError, TerminalError
from kobune.kube.client.resource import Key
from kobune.virt.handler.bounds import bounded
from kobune.virt.handler.hotplug.dump import Dump
from kobune.virt.handler.instance.observed import LauncherView, Setback
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import ConnectionLost
from kobune.virt.launcherproto.messages import DomainState, DomainStatus
from kobune.virt.launcherproto.text import readable

__all__ = ["LauncherLink", "Launchers", "NoLauncher", "pod_volume"]

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 1.0
"""A connect to a socket that is not there costs microseconds; a launcher listens 0.3 s after its container started."""
STEADY_S: Final = 5.0
"""A connection that held this long is followed by a new one at once."""
START_RETRY_S: Final = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)


class NoLauncher(RetryableError):
    """The instance has no launcher that answers at the moment."""


def pod_volume(kubelet_root: Path, pod_uid: str, volume: str) -> Path:
    """An emptyDir of a pod on this node, in the kubelet's layout."""
    return kubelet_root / "pods" / pod_uid / "volumes" / "kubernetes.io~empty-dir" / volume


class LauncherLink:
    """The line to one launcher. `network_ready`, `capacities`, `dumps` and `shutdown_*` are set by whoever acts."""

    def __init__(self, pod_uid: str, vmi_uid: str, path: Path, clock: Clock, changed: Callable[[], None]) -> None:
        self.pod_uid = pod_uid
        self.vmi_uid = vmi_uid
        self.network_ready = False
        self.capacities: Mapping[str, str] | None = None
        self.pruned: frozenset[str] = frozenset()
        self.dumps: Mapping[str, Dump] = {}
        self.shutdown_grace_s: float | None = None
        self.shutdown_told = False
        self._path = path
        self._clock = clock
        self._changed = changed
        self._client: LauncherClient | None = None
        self._state: DomainState | None = None
        self._setback: Setback | None = None
        self._setbacks = 0
        self._busy: asyncio.Task[None] | None = None
        self._keeping = asyncio.create_task(self._keep(), name=f"launcher of pod {pod_uid}")

    @property
    def client(self) -> LauncherClient:
        """The open connection; raises NoLauncher."""
        if self._client is None or self._client.closed:
            raise NoLauncher("the launcher does not answer at the moment")
        return self._client

    @property
    def state(self) -> DomainState | None:
        """The newest state that was told."""
        return self._state

    def view(self) -> LauncherView:
        """What a decision may know."""
        return LauncherView(
            state=self._state,
            connected=self._client is not None and not self._client.closed,
            busy=self._busy is not None,
            network_ready=self.network_ready,
            capacities=self.capacities,
            pruned=self.pruned,
            dumps=self.dumps,
            shutdown_grace_s=self.shutdown_grace_s,
            shutdown_told=self.shutdown_told,
            setback=self._setback,
        )

    def tell(self) -> None:
        """What is known has changed, although nothing has ended."""
        self._changed()

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` in the background; its failure becomes a setback. Nothing happens while another one runs."""
        if self._busy is None:
            self._busy = asyncio.create_task(self._work(work))

    def close(self) -> None:
        """End the line and the background task."""
        self._keeping.cancel()
        if self._busy is not None:
            self._busy.cancel()

    async def _work(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            self._setback, self._setbacks = None, 0
        except Exception as error:
            if not isinstance(error, KobuneError | OSError | ValueError):
                log.exception("pod %s: a defect of this program", self.pod_uid)
            delay_s = START_RETRY_S[min(self._setbacks, len(START_RETRY_S) - 1)]
            self._setbacks += 1
            terminal = isinstance(error, TerminalError | ValueError)
            log.log(
                logging.WARNING if terminal or self._setbacks > 1 else logging.INFO,
                "pod %s: %s%s", self.pod_uid, error, "" if terminal else f"; again in {delay_s:g} s",
            )  # fmt: skip
            self._setback = Setback(str(error), terminal, self._clock.now() + timedelta(seconds=delay_s))
        finally:
            self._busy = None
            self._changed()

    async def _keep(self) -> None:
        """Connect, subscribe, wait for the end of the connection; again, until the domain has ended."""
        delay_s = FIRST_RETRY_S
        try:
            while self._state is None or self._state.status is not DomainStatus.ENDED:
                lost = asyncio.Event()
                try:
                    self._client = await LauncherClient.connect(self._path, on_state=self._on_state, on_close=lost.set)
                    if self._client.hello.uid != self.vmi_uid:
                        said = readable(self._client.hello.uid)
                        log.error("pod %s: its launcher says it is %s's", self.pod_uid, said)
                        return
                    await self._client.subscribe()
                except ConnectionLost as error:
                    log.debug("pod %s: %s", self.pod_uid, error)
                    await self._drop()
                    await self._clock.sleep(delay_s)
                    delay_s = min(delay_s * 1.5, LAST_RETRY_S)
                    continue
                began_s = self._clock.monotonic_s()
                await lost.wait()
                log.info("pod %s: the line to its launcher ended", self.pod_uid)
                self._client = None
                self._changed()
                if self._clock.monotonic_s() - began_s > STEADY_S:
                    delay_s = FIRST_RETRY_S
                else:
                    # A launcher that hangs up on us again and again must not keep us busy.
                    await self._clock.sleep(delay_s)
                    delay_s = min(delay_s * 1.5, LAST_RETRY_S)
        except KobuneError as error:
            # A protocol that we do not speak: another attempt can't help.
            log.error("pod %s: %s", self.pod_uid, error)
        finally:
            await self._drop()

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _on_state(self, state: DomainState) -> None:
        self._state = bounded(state)
        self._changed()


class Launchers:
    """All followed launchers, by instance."""

    def __init__(self, kubelet_root: Path, clock: Clock, changed: Callable[[Key], None]) -> None:
        self._kubelet_root = kubelet_root
        self._clock = clock
        self._changed = changed
        self._links: dict[Key, LauncherLink] = {}

    def follow(self, key: Key, pod_uid: str, vmi_uid: str) -> None:
        """Keep a line to that pod's launcher; one to another pod of the same instance's name ends."""
        link = self._links.get(key)
        if link is not None:
            if (link.pod_uid, link.vmi_uid) == (pod_uid, vmi_uid):
                return
            link.close()
        path = pod_volume(self._kubelet_root, pod_uid, "sockets") / "launcher.sock"
        self._links[key] = LauncherLink(pod_uid, vmi_uid, path, self._clock, lambda: self._changed(key))

    def forget(self, key: Key) -> None:
        """End the line; none is no error."""
        link = self._links.pop(key, None)
        if link is not None:
            link.close()

    def get(self, key: Key) -> LauncherLink | None:
        """The line of an instance, if it is followed."""
        return self._links.get(key)

    def link(self, key: Key) -> LauncherLink:
        """The line of an instance; raises NoLauncher."""
        link = self._links.get(key)
        if link is None:
            raise NoLauncher(f"VirtualMachineInstance {key} has no launcher on this node")
        return link

    def close(self) -> None:
        """End all lines; no guest notices."""
        for key in list(self._links):
            self.forget(key)
