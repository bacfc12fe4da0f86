"""Failures of subresource requests, as metav1.Status."""

from dataclasses import dataclass

import msgspec

from kobune.base.errors import KobuneError

__all__ = ["Failure", "bad_request", "conflict", "not_found"]


@dataclass(eq=False)
class Failure(KobuneError):
    """Ends a request with that status."""

    code: int
    reason: str
    message: str

    def __str__(self) -> str:
        return self.message

    def body(self) -> bytes:
        """The metav1.Status."""
        return msgspec.json.encode(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": self.message,
                "reason": self.reason,
                "code": self.code,
            }
        )


def not_found(kind: str, name: str) -> Failure:
    """`kind` in lower case, such as virtualmachine."""
    return Failure(404, "NotFound", f'{kind}.kubevirt.io "{name}" not found')


def conflict(kind: str, name: str, why: str) -> Failure:
    """The object's state does not allow it now."""
    return Failure(409, "Conflict", f'Operation cannot be fulfilled on {kind}.kubevirt.io "{name}": {why}')


def bad_request(message: str) -> Failure:
    """The request makes no sense, whatever the state."""
    return Failure(400, "BadRequest", message)
