"""From an HTTP failure to the error type that callers act on. Pure.

Source: metav1.Status. The reason decides; the code decides where a proxy or an old server gave no reason.
"""

import os
import ssl
from typing import Any, Final

import msgspec

from kobune.kube.client.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    StatusCause,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedStatus,
)

__all__ = ["connection_error", "error_from_response", "error_from_status", "timeout_error"]

_BY_REASON: Final[dict[str, type[ApiError]]] = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Expired": Expired,
    "Gone": Expired,
    "Invalid": Invalid,
    "BadRequest": Invalid,
    "Forbidden": Forbidden,
    "Unauthorized": Unauthorized,
    "TooManyRequests": TooManyRequests,
    "ServerTimeout": Unavailable,
    "Timeout": Unavailable,
    "InternalError": Unavailable,
    "ServiceUnavailable": Unavailable,
}
_BY_CODE: Final[dict[int, type[ApiError]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}
_MESSAGE_LIMIT: Final = 2000


def _error_type(code: int, reason: str) -> type[ApiError]:
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    if code >= 500:
        return Unavailable
    return _BY_CODE.get(code, UnexpectedStatus)


def error_from_status(status: dict[str, Any], code: int = 0, retry_after_s: float | None = None) -> ApiError:
    """The error that a decoded metav1.Status stands for; `code` is used when the Status has none."""
    details = status.get("details") or {}
    code = int(status.get("code") or code)
    reason = str(status.get("reason") or "")
    if retry_after_s is None and details.get("retryAfterSeconds"):
        retry_after_s = float(details["retryAfterSeconds"])
    causes = tuple(
        StatusCause(cause.get("field", ""), cause.get("reason", ""), cause.get("message", ""))
        for cause in details.get("causes") or ()
    )
    message = str(status.get("message") or "")
    return _error_type(code, reason)(code, reason, message, causes, retry_after_s)


def error_from_response(code: int, body: bytes, retry_after: str | None, request: str) -> ApiError:
    """The error of a response with status `code` >= 400; `request` ("GET /path") names it when the body does not."""
    retry_after_s = float(retry_after) if retry_after and retry_after.strip().isdigit() else None
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return error_from_status(status, code, retry_after_s)
    text = body[:_MESSAGE_LIMIT].decode("utf-8", "replace").strip()
    return _error_type(code, "")(code, "", f"{request}: HTTP {code}: {text or 'no message'}", (), retry_after_s)


def connection_error(request: str, cause: BaseException) -> Unavailable:
    """No answer because there is no connection."""
    # The HTTP library puts addresses of objects into its texts; what the system said is inside.
    inner = getattr(cause, "os_error", None) or getattr(cause, "certificate_error", None) or cause
    number = inner.errno if isinstance(inner, OSError) and not isinstance(inner, ssl.SSLError) else None
    text = os.strerror(number) if number else str(inner) or type(inner).__name__
    host, port = getattr(cause, "host", None), getattr(cause, "port", None)
    where = f" at {host}:{port}" if host is not None else ""
    return Unavailable(0, "ConnectionFailed", f"{request}: no connection{where}: {text}")


def timeout_error(request: str, timeout_s: float | None) -> Unavailable:
    """No answer in time; whether a write happened is unknown."""
    return Unavailable(0, "Timeout", f"{request}: no answer within {timeout_s} s")
