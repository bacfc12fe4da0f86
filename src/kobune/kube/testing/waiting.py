"""Waiting for a condition in a test, with a limit."""

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["eventually", "eventually_true"]


async def eventually(condition: Callable[[], bool], message: str, *, timeout_s: float = 20.0) -> None:
    """Give other tasks time until `condition` holds. Raises AssertionError with the message after `timeout_s`."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    pause_s = 0.0
    while not condition():
        if asyncio.get_running_loop().time() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {message}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s + 0.001, 0.02)


async def eventually_true(check: Callable[[], Awaitable[bool]], message: str, *, timeout_s: float = 30.0) -> None:
    """Ask `check` (which may ask a server) until it says yes. Raises AssertionError with the message."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        if await check():
            return
        if asyncio.get_running_loop().time() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {message}")
        await asyncio.sleep(0.02)
