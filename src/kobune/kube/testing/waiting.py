"""Waiting for a condition in a test, with a limit."""

import asyncio
from collections.abc import Callable

__all__ = ["eventually"]


async def eventually(condition: Callable[[], bool], message: str, *, timeout_s: float = 5.0) -> None:
    """Give other tasks time until `condition` holds. Raises AssertionError with the message after `timeout_s`."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    pause_s = 0.0
    while not condition():
        if asyncio.get_running_loop().time() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {message}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s + 0.001, 0.02)
