"""How much all expressions of one request may cost: no rule may hold up a server that everybody shares.

Owns: the limit and the counting. A real server counts steps of evaluation (ten million a request); the library here
counts turns of loops for one expression by itself, and what all of them take together is counted in time.
"""

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["EXHAUSTED", "REQUEST_LIMIT_S", "Budget", "limited", "spend"]

REQUEST_LIMIT_S = 1.0
EXHAUSTED = "validation failed due to running out of cost budget, no further validation rules will be run"


class Budget:
    """Seconds that are left."""

    __slots__ = ("left_s",)

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """What is evaluated inside shares one budget."""
    token = _current.set(Budget(REQUEST_LIMIT_S))
    try:
        yield
    finally:
        _current.reset(token)


@contextlib.contextmanager
def spend() -> Iterator[bool]:
    """Around one evaluation; False when nothing is left for it."""
    budget = _current.get()
    if budget is None:
        yield True
        return
    started = time.perf_counter()
    try:
        yield budget.left_s > 0
    finally:
        budget.left_s -= time.perf_counter() - started
