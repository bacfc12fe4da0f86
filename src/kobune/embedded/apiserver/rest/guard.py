"""Open streams end with the right they were opened with: logs, exec, attach, port-forward, proxies, aggregated APIs.

Owns: looking again, every few seconds, whether the credentials of a running answer are still good and its right is
there. Watches look themselves (`rest.watch`): they end properly, while what passes through here is cut, so that its
reader sees that it is incomplete.
"""

import asyncio
from collections.abc import Callable

from kobune.embedded.apiserver.http.message import (
    AnyResponse,
    Stream,
    StreamingResponse,
    Transport,
    Tunnel,
    TunnelResponse,
)

__all__ = ["CHECK_EVERY_S", "guarded"]

CHECK_EVERY_S = 5.0


def guarded(response: AnyResponse, allowed: Callable[[], bool]) -> AnyResponse:
    """The same answer; one that goes on for a while is cut soon after `allowed` says no."""
    if isinstance(response, StreamingResponse):
        begin = response.start

        def start_stream(stream: Stream) -> None:
            check = _Check(allowed, stream.abort)
            stream.on_close(check.stop)
            begin(stream)

        response.start = start_stream
    elif isinstance(response, TunnelResponse):
        open_tunnel = response.start
        response.start = lambda transport: _GuardedTunnel(open_tunnel(transport), transport, allowed)
    return response


class _Check:
    """Asks again and again until stopped or denied; then `end` is called once."""

    def __init__(self, allowed: Callable[[], bool], end: Callable[[], None]) -> None:
        self._allowed = allowed
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def _arm(self) -> None:
        self._timer = self._loop.call_later(CHECK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        allowed = False
        try:
            allowed = self._allowed()
        finally:
            # Also when that could not be found out.
            if not allowed:
                self._end()
        if allowed:
            self._arm()

    def stop(self) -> None:
        """The answer is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _GuardedTunnel:
    """A tunnel whose connection is closed when its right is gone."""

    def __init__(self, inner: Tunnel, transport: Transport, allowed: Callable[[], bool]) -> None:
        self._inner = inner
        # A reader that takes nothing must not keep the connection open: no waiting for what is pending.
        self._check = _Check(allowed, transport.abort)

    def on_data(self, data: bytes) -> None:
        self._inner.on_data(data)

    def on_pause(self, paused: bool) -> None:
        self._inner.on_pause(paused)

    def on_lost(self) -> None:
        self._check.stop()
        self._inner.on_lost()
