"""Errors of a Kubernetes API, one type per reason that callers act on.

Source: metav1.Status and its reasons. Retryable and terminal are types (`kobune.base.errors`): the controller runtime
backs off on the first and reports the second.
"""

from dataclasses import dataclass, field

from kobune.base.errors import KobuneError, RetryableError, TerminalError

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Conflict",
    "Expired",
    "Forbidden",
    "Invalid",
    "NotFound",
    "StatusCause",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnexpectedStatus",
]


@dataclass(frozen=True, slots=True)
class StatusCause:
    """One entry of `status.details.causes`."""

    field: str = ""
    reason: str = ""
    message: str = ""


@dataclass(eq=False)
class ApiError(KobuneError):
    """The server answered with a failure. `code` is the HTTP status, `reason` the machine-readable word."""

    code: int
    reason: str
    message: str
    causes: tuple[StatusCause, ...] = ()
    retry_after_s: float | None = field(default=None)

    def __str__(self) -> str:
        return self.message or f"{self.reason} ({self.code})"


class NotFound(ApiError, TerminalError):
    """404: no such object, or no such resource."""


class AlreadyExists(ApiError, TerminalError):
    """409 AlreadyExists: a create met an object of that name."""


class Conflict(ApiError, RetryableError):
    """409 Conflict: the resourceVersion or uid precondition failed, or another field manager owns a field."""


class Invalid(ApiError, TerminalError):
    """422 or 400: the object or request was refused; `causes` name the fields."""


class Forbidden(ApiError, TerminalError):
    """403: no right, or an admission check refused."""

    @property
    def namespace_ends(self) -> bool:
        """Nothing new is made in a namespace that is being deleted; whoever wants to learns it this way."""
        return any(cause.reason == "NamespaceTerminating" for cause in self.causes)


class Unauthorized(ApiError, TerminalError):
    """401: the credentials are missing, wrong or expired."""


class Expired(ApiError, RetryableError):
    """410: the revision asked for is compacted; list again."""


class TooManyRequests(ApiError, RetryableError):
    """429: wait `retry_after_s`; also an eviction that a disruption budget forbids."""


class Unavailable(ApiError, RetryableError):
    """5xx, or no connection (code 0, reason `ConnectionFailed`) or no answer in time (code 0, reason `Timeout`)."""


class UnexpectedStatus(ApiError, TerminalError):
    """Any other failure status."""
