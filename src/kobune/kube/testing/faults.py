"""What can go wrong with an API, on demand."""

import asyncio
from dataclasses import dataclass, field

from kobune.kube.client.errors import ApiError

__all__ = ["Fault", "Faults"]


@dataclass(slots=True)
class Fault:
    """Applies to the next `times` calls of `verb` on `plural` ("*" for any).

    `after` raises only once the write is done: the answer is lost, as when a connection breaks.
    """

    verb: str = "*"
    plural: str = "*"
    error: ApiError | None = None
    latency_s: float = 0.0
    times: int = 1
    after: bool = False

    def matches(self, verb: str, plural: str) -> bool:
        """Whether the fault has to do with such a call and has not been used up."""
        return self.times > 0 and self.verb in ("*", verb) and self.plural in ("*", plural)


@dataclass
class Faults:
    """The faults of one in-memory API, tried in order; the first that matches is used."""

    planned: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Plan a fault."""
        self.planned.append(fault)

    async def strike(self, verb: str, plural: str, *, after: bool) -> None:
        """Let the next matching fault happen."""
        for fault in self.planned:
            if fault.after is after and fault.matches(verb, plural):
                fault.times -= 1
                if fault.latency_s:
                    await asyncio.sleep(fault.latency_s)
                if fault.error is not None:
                    raise fault.error
                return
