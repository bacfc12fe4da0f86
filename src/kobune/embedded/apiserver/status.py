"""Failures as metav1.Status: one exception, and one constructor per reason with the API's wording.

Source: apimachinery's api/errors and recorded answers of a kube-apiserver.
"""

from collections.abc import Iterable
from typing import Any

from kobune.base.errors import KobuneError
from kobune.embedded.apiserver.schema.errors import FieldError, aggregate, causes

__all__ = [
    "StatusError",
    "UnknownPath",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "internal",
    "invalid",
    "invalid_patch",
    "method_not_allowed",
    "modified",
    "no_such_resource",
    "not_acceptable",
    "not_found",
    "success",
    "too_large",
    "unauthorized",
    "unavailable",
    "unknown_path",
    "unsupported_media_type",
]


class StatusError(KobuneError):
    """An answer that is a failure; `headers` go with it."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def success(details: dict[str, Any] | None = None) -> dict[str, Any]:
    """The Status of a deletion that is done."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        status["details"] = details
    return status


def _details(group: str, resource: str, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if resource:
        details["kind"] = resource
    return details


def _qualified(group: str, resource: str) -> str:
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> StatusError:
    """404 for an object."""
    message = f'{_qualified(group, resource)} "{name}" not found'
    return StatusError(404, "NotFound", message, _details(group, resource, name))


class UnknownPath(StatusError):
    """404 for a path or resource that is not served: plain text, as from Go's file-less HTTP server."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "the server could not find the requested resource", {})


def no_such_resource() -> StatusError:
    """404 below a group that is served."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def unknown_path() -> StatusError:
    """404 for a path or resource that is not served."""
    return UnknownPath()


def already_exists(group: str, resource: str, name: str) -> StatusError:
    """409 for a create."""
    message = f'{_qualified(group, resource)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(group, resource, name))


def conflict(group: str, resource: str, name: str, detail: str) -> StatusError:
    """409 for an update or delete."""
    message = f'Operation cannot be fulfilled on {_qualified(group, resource)} "{name}": {detail}'
    return StatusError(409, "Conflict", message, _details(group, resource, name))


def modified(group: str, resource: str, name: str) -> StatusError:
    """409 for a resourceVersion that is not the newest."""
    return conflict(
        group,
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def invalid_patch(patch: str, detail: str) -> StatusError:
    """422 for a patch (its text) whose result is no object of its kind."""
    cause = FieldError.invalid("patch", patch, detail)
    message = f' "" is invalid: patch: {cause.message}'
    return StatusError(422, "Invalid", message, {"causes": causes([cause])})


def invalid(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422 with causes."""
    errors = list(errors)
    message = f'{_qualified(group, kind)} "{name}" is invalid: {aggregate(errors)}'
    return StatusError(422, "Invalid", message, {**_details(group, kind, name), "causes": causes(errors)})


def forbidden(group: str, resource: str, name: str, detail: str) -> StatusError:
    """403 about an object."""
    qualified = _qualified(group, resource)
    message = f'{qualified} "{name}" is forbidden: {detail}' if name else f"{qualified} is forbidden: {detail}"
    return StatusError(403, "Forbidden", message, _details(group, resource, name))


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> StatusError:
    """410: a revision or continue token that is too old."""
    return StatusError(410, "Expired", message)


def method_not_allowed(message: str = "the server does not allow this method on the requested resource") -> StatusError:
    """405."""
    return StatusError(405, "MethodNotAllowed", message, {})


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406: no media type that we can send."""
    listed = ", ".join(accepted)
    message = f"406: Not Acceptable\n\nAvailable representations: {listed}"
    return StatusError(406, "NotAcceptable", message, {})


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """415: a body that we can't read."""
    listed = ", ".join(accepted)
    return StatusError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {listed}",
    )


def too_large(message: str) -> StatusError:
    """413."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def internal(message: str) -> StatusError:
    """500."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def unavailable(message: str) -> StatusError:
    """503."""
    return StatusError(503, "ServiceUnavailable", message)
