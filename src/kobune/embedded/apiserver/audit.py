"""The audit log: one line for each request that may change something, as audit.k8s.io/v1 Events.

Owns: which requests are told, and what of them. Bodies are told except of those kinds that hold secrets, of which only
the metadata is. A line is written when the answer is complete; a log that can't be written never fails a request. The
file is moved aside at `MAX_BYTES`, and one older file is kept.
"""

import logging
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from kobune.base.clock import format_micro_time
from kobune.embedded.apiserver.auth.authenticator import Authenticator
from kobune.embedded.apiserver.http.message import AnyResponse, Handler, Request, TunnelResponse
from kobune.embedded.apiserver.rest.route import RequestInfo, resolve
from kobune.embedded.apiserver.status import StatusError

__all__ = ["AuditLog", "entry"]

log = logging.getLogger(__name__)

MAX_BYTES = 100 << 20
_READING = frozenset({"get", "list", "watch", "head", "options"})
_CONFIDENTIAL = frozenset({"secrets", "configmaps", "tokenreviews", "certificatesigningrequests"})


class AuditLog:
    """A handler around the application."""

    def __init__(self, inner: Handler, authenticator: Authenticator, path: Path) -> None:
        self._inner = inner
        self._authenticator = authenticator
        self._path = path
        self._told_failure = False

    async def __call__(self, request: Request) -> AnyResponse:
        """Answer, then write the line; see Handler."""
        info = resolve(request)
        if info.verb in _READING:
            return await self._inner(request)
        received = datetime.now(UTC)
        response = await self._inner(request)
        self._append(entry(request, info, self._who(request), response, received, datetime.now(UTC)))
        return response

    def _who(self, request: Request) -> dict[str, Any]:
        try:
            user = self._authenticator.authenticate(request)
        except StatusError:
            return {}
        return user.info()

    def _append(self, line: dict[str, Any]) -> None:
        try:
            if self._path.exists() and self._path.stat().st_size > MAX_BYTES:
                os.replace(self._path, self._path.with_name(self._path.name + ".1"))
            with open(self._path, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            log.log(logging.DEBUG if self._told_failure else logging.ERROR, "the audit log is not written: %s", error)
            self._told_failure = True
        else:
            self._told_failure = False


def entry(
    request: Request,
    info: RequestInfo,
    user: dict[str, Any],
    response: AnyResponse,
    received: datetime,
    completed: datetime,
) -> dict[str, Any]:
    """The audit.k8s.io/v1 Event of one request. Pure but for its random auditID."""
    body = _body(request, info)
    line: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata" if body is None else "Request",
        "auditID": secrets.token_hex(16),
        "stage": "ResponseComplete",
        "requestURI": request.raw_path + (f"?{request.raw_query}" if request.raw_query else ""),
        "verb": info.verb,
        "user": user,
        "sourceIPs": [request.peer.address],
        "userAgent": request.headers.get("user-agent", ""),
        "objectRef": _object(info, body),
        "responseStatus": {"metadata": {}, "code": 101 if isinstance(response, TunnelResponse) else response.status},
        "requestObject": body,
        "annotations": request.annotations,
        "requestReceivedTimestamp": format_micro_time(received),
        "stageTimestamp": format_micro_time(completed),
    }
    return {name: value for name, value in line.items() if value not in (None, {}, "")}


def _body(request: Request, info: RequestInfo) -> Any:
    """The request's object; None when it is confidential, absent, or no JSON."""
    confidential = info.resource in _CONFIDENTIAL or info.subresource == "token"
    if confidential or not info.is_resource or not request.body:
        return None
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _object(info: RequestInfo, body: Any) -> dict[str, str]:
    if not info.is_resource:
        return {}
    metadata = body.get("metadata") if isinstance(body, dict) else None
    name = info.name or (metadata.get("name") if isinstance(metadata, dict) else None)
    fields = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": name if isinstance(name, str) else "",
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {key: value for key, value in fields.items() if value}
