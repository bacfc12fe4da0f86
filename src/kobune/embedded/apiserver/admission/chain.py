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
    """Runs the steps in order; `outer` are those that look at objects which are not stored as well."""

    def __init__(self, steps: Sequence[Step], outer: Sequence[Step] = ()) -> None:
        self._steps = steps
        self._outer = outer

    async def review(self, call: Call, operation: str, obj: dict[str, Any]) -> None:
        """Change and check the body of a subresource, or what is asked of a stream. Raises StatusError."""
        for step in self._outer:
            await step.mutate(call, operation, obj, None)
        for step in self._outer:
            await step.validate(call, operation, obj, None)

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
