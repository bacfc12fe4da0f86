"""The chain of admission steps, in Kubernetes' order: built-in ones, then webhooks, quota last."""

from collections.abc import Sequence
from typing import Any, Protocol

from kobune.embedded.apiserver.rest.call import Call

__all__ = ["AdmissionChain", "Step"]


class Step(Protocol):
    """One plugin."""

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Change `obj`. Raises StatusError."""
        ...

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Refuse by raising StatusError."""
        ...


class AdmissionChain:
    """Runs the steps in order."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Step."""
        for step in self._steps:
            await step.mutate(call, operation, obj, old)

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """See Step."""
        for step in self._steps:
            await step.validate(call, operation, obj, old)
