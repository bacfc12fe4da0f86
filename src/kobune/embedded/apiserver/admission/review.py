"""AdmissionReview: building the request, calling the webhook, reading the answer.

Owns: the wire format of admission.k8s.io/v1 (and v1beta1, which differs in apiVersion alone) and its failures.
"""

import base64
import binascii
import ssl
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kobune.base.errors import RetryableError
from kobune.embedded.apiserver.registry.registry import Resource
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.services_map import ServiceMap, ServiceUnresolved
from kobune.embedded.apiserver.upstream import Target, UpstreamError, call

__all__ = ["Verdict", "WebhookClient", "WebhookFailed", "admission_request"]


class WebhookFailed(RetryableError):
    """The webhook could not be asked or gave no proper answer; failurePolicy decides what that means."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A webhook's answer. `patch` is a list of JSON patch operations."""

    allowed: bool
    code: int
    reason: str
    message: str
    patch: list[dict[str, Any]] | None
    warnings: tuple[str, ...]
    details: dict[str, Any] | None = None


def admission_request(
    request_call: Call,
    operation: str,
    resource: Resource,
    obj: dict[str, Any] | None,
    old: dict[str, Any] | None,
) -> dict[str, Any]:
    """The AdmissionRequest; `resource` is the version that the hook asked for."""
    info, own = resource.info, request_call.resource.info
    subresource = request_call.info.subresource
    request: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "kind": _kind(request_call.body_kind or (info.group, info.version, info.kind)),
        "resource": {"group": info.group, "version": info.version, "resource": info.plural},
        "requestKind": _kind(request_call.body_kind or (own.group, own.version, own.kind)),
        "requestResource": {"group": own.group, "version": own.version, "resource": own.plural},
        "operation": operation,
        "userInfo": request_call.user.info(),
        "object": obj,
        "oldObject": old,
        "dryRun": request_call.dry_run,
        "options": _options(request_call, operation),
    }
    if subresource:
        request["subResource"] = request["requestSubResource"] = subresource
    name = request_call.info.name or ((obj or old or {}).get("metadata") or {}).get("name")
    if name:
        request["name"] = name
    if request_call.resource.info.namespaced:
        request["namespace"] = request_call.info.namespace
    elif own.plural == "namespaces" and not own.group and name:
        request["namespace"] = name
    return request


def _kind(kind: tuple[str, str, str]) -> dict[str, Any]:
    return {"group": kind[0], "version": kind[1], "kind": kind[2]}


def _options(request_call: Call, operation: str) -> dict[str, Any] | None:
    if operation == "CONNECT":
        return None
    options = dict(request_call.options or {})
    kind = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}[operation]
    options["kind"], options["apiVersion"] = kind, "meta.k8s.io/v1"
    options.pop("force", None)
    return options


class WebhookClient:
    """Calls webhooks by URL or by Service."""

    def __init__(self, services: ServiceMap) -> None:
        self._services = services
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def review(self, hook: dict[str, Any], request: dict[str, Any], *, mutating: bool) -> Verdict:
        """Ask one webhook. Raises WebhookFailed."""
        timeout_s = float(hook.get("timeoutSeconds", 10))
        versions = hook.get("admissionReviewVersions") or ["v1"]
        version = "v1" if "v1" in versions else "v1beta1"
        review = {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "request": request}
        answer = await self.post(hook["clientConfig"], review, timeout_s, f"?timeout={int(timeout_s)}s")
        return _read(answer, request["uid"], version, mutating)

    async def post(self, client: dict[str, Any], body: dict[str, Any], timeout_s: float, query: str) -> Any:
        """POST a document as JSON; the decoded answer. Raises WebhookFailed."""
        url, target, path = self._target(client)
        try:
            status, _, data = await call(
                target,
                "POST",
                path + query,
                [
                    ("Content-Type", "application/json"),
                    ("Accept", "application/json"),
                    ("User-Agent", "kobune-apiserver"),
                ],
                msgspec.json.encode(body),
                timeout_s=timeout_s,
            )
        except UpstreamError as error:
            raise WebhookFailed(f'failed to call webhook: Post "{url}{query}": {error}') from error
        if not 200 <= status < 300:
            text = data.decode("utf-8", "replace").strip()
            detail = text or "an error on the server has prevented the request from succeeding"
            raise WebhookFailed(f"failed to call webhook: {detail}")
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WebhookFailed(
                f"failed to call webhook: couldn't get version/kind; json parse error: {error}"
            ) from error

    def _target(self, client: dict[str, Any]) -> tuple[str, Target, str]:
        tls = self._context(client.get("caBundle") or "")
        if client.get("url"):
            parts = urlsplit(client["url"])
            host, port = parts.hostname or "", parts.port or 443
            return client["url"], Target(host, port, tls, host, parts.netloc), parts.path or "/"
        service = client["service"]
        namespace, name, port = service["namespace"], service["name"], service.get("port", 443)
        path = service.get("path") or "/"
        path = path if path.startswith("/") else "/" + path
        url = f"https://{name}.{namespace}.svc:{port}{path}"
        try:
            host, real = self._services.resolve(namespace, name, port)
        except ServiceUnresolved as error:
            raise WebhookFailed(f'failed to call webhook: Post "{url}": {error}') from error
        return url, Target(host, real, tls, f"{name}.{namespace}.svc"), path

    def _context(self, bundle: str) -> ssl.SSLContext:
        context = self._contexts.get(bundle)
        if context is None:
            try:
                data = base64.b64decode(bundle).decode() if bundle else None
                context = ssl.create_default_context(cadata=data)
            except (binascii.Error, ssl.SSLError, ValueError) as error:
                raise WebhookFailed(f"unable to load root certificates: {error}") from error
            if len(self._contexts) > 64:
                self._contexts.clear()
            self._contexts[bundle] = context
        return context


def _read(answer: Any, uid: str, version: str, mutating: bool) -> Verdict:
    if not isinstance(answer, dict) or answer.get("kind") != "AdmissionReview":
        raise WebhookFailed("received invalid webhook response: expected an AdmissionReview")
    if answer.get("apiVersion") != f"admission.k8s.io/{version}":
        raise WebhookFailed(
            f"received invalid webhook response: expected webhook response of admission.k8s.io/{version},"
            f" Kind=AdmissionReview, got {answer.get('apiVersion')}, Kind={answer.get('kind')}"
        )
    response = answer.get("response")
    if not isinstance(response, dict):
        raise WebhookFailed("received invalid webhook response: webhook response was absent")
    if response.get("uid") != uid:
        raise WebhookFailed(
            f'received invalid webhook response: expected response.uid="{uid}", got "{response.get("uid", "")}"'
        )
    status = response.get("status") or {}
    warnings = tuple(text for text in response.get("warnings") or () if isinstance(text, str))
    patch = None
    if response.get("patch"):
        if not mutating:
            raise WebhookFailed("received invalid webhook response: a validating webhook may not patch")
        if response.get("patchType") != "JSONPatch":
            raise WebhookFailed(
                "received invalid webhook response: webhook returned response.patch but not response.patchType"
            )
        try:
            patch = msgspec.json.decode(base64.b64decode(response["patch"]), type=list[dict[str, Any]])
        except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError, TypeError) as error:
            raise WebhookFailed(f"the patch is no JSON patch: {error}") from error
    return Verdict(
        response.get("allowed") is True,
        int(status.get("code") or 0),
        str(status.get("reason") or ""),
        str(status.get("message") or ""),
        patch,
        warnings,
        status.get("details") if isinstance(status.get("details"), dict) else None,
    )
