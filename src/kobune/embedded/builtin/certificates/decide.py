"""What becomes of a CertificateSigningRequest: signed, marked as failed, or removed when it is old. Pure.

Source: the Kubernetes documentation of certificate signing requests (signers of kubernetes.io, life of requests).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kobune.api.meta import Object, ObjectMeta
from kobune.base.clock import format_time, parse_time
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.resource import Key, Resource
from kobune.kube.runtime.decision import Action, Decision, Delete, StatusPatch

__all__ = [
    "CLIENT",
    "KUBELET_CLIENT",
    "KUBELET_SERVING",
    "REQUESTS",
    "CertificateSigningRequest",
    "Observed",
    "Subject",
    "decide",
    "problem",
    "wants_signature",
]

CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
_DONE_FOR: Final = timedelta(hours=1)
"""How long an answered request is kept."""
_PENDING_FOR: Final = timedelta(hours=24)


class Spec(Object, frozen=True, kw_only=True):
    """What is asked for. `request` is PEM, base64."""

    signer_name: str = ""
    request: str = ""
    usages: list[str] | None = None
    expiration_seconds: int | None = None


class Condition(Object, frozen=True, kw_only=True):
    """Approved, Denied or Failed."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_update_time: str | None = None
    last_transition_time: str | None = None


class Status(Object, frozen=True, kw_only=True):
    """What was answered. `certificate` is PEM, base64."""

    conditions: list[Condition] | None = None
    certificate: str = ""


class CertificateSigningRequest(Object, frozen=True, kw_only=True):
    """certificates.k8s.io/v1."""

    metadata: ObjectMeta = ObjectMeta()
    spec: Spec = Spec()
    status: Status = Status()


REQUESTS: Final = Resource(
    "certificates.k8s.io",
    "v1",
    "certificatesigningrequests",
    "CertificateSigningRequest",
    False,
    CertificateSigningRequest,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a PKCS#10 request says of its subject."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """A request, and what signing it gave: a certificate (PEM, base64) or why there can't be one."""

    request: CertificateSigningRequest
    now: datetime
    certificate: str = ""
    failure: str = ""
    expires: datetime | None = None
    """When the certificate that was issued ends."""


def wants_signature(request: CertificateSigningRequest) -> bool:
    """Approved, for a signer of ours, and without an answer."""
    states = {condition.type for condition in request.status.conditions or () if condition.status == "True"}
    ours = request.spec.signer_name in (CLIENT, KUBELET_CLIENT, KUBELET_SERVING)
    return ours and not request.status.certificate and "Approved" in states and not states & {"Denied", "Failed"}


def problem(spec: Spec, subject: Subject) -> str:
    """Why a signer does not sign this; empty when it does."""
    usages = set(spec.usages or ())
    if spec.signer_name == CLIENT:
        for usage in spec.usages or ():
            if usage not in ("digital signature", "key encipherment", "client auth"):
                return f"invalid usage for client certificate: {usage}"
        return "" if "client auth" in usages else "missing required usage for client certificate: client auth"
    purpose = "client auth" if spec.signer_name == KUBELET_CLIENT else "server auth"
    if subject.organizations != ("system:nodes",):
        return "subject organization is not system:nodes"
    if spec.signer_name == KUBELET_SERVING:
        if not subject.dns_names and not subject.addresses:
            return "DNS or IP subjectAltName is required"
    elif subject.dns_names:
        return "DNS subjectAltNames are not allowed"
    elif subject.addresses:
        return "IP subjectAltNames are not allowed"
    if subject.emails:
        return "Email subjectAltNames are not allowed"
    if subject.uris:
        return "URI subjectAltNames are not allowed"
    if usages - {"key encipherment"} != {"digital signature", purpose}:
        return f"usages did not match {sorted(('digital signature', 'key encipherment', purpose))}"
    if not subject.common_name.startswith("system:node:"):
        return "subject common name does not begin with system:node:"
    return ""


def decide(seen: Observed) -> Decision[Action]:
    """Answer a request once; remove it when its time is over."""
    request, metadata = seen.request, seen.request.metadata
    key = Key("", metadata.name)
    end = _end(seen)
    if seen.now >= end:
        return Decision((Delete(REQUESTS, key, metadata.uid),))
    observed = to_builtins(request.status)
    status: dict[str, Any] | None = None
    if seen.certificate:
        status = {**observed, "certificate": seen.certificate}
    elif seen.failure:
        now = format_time(seen.now)
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": "SignerValidationFailure",
            "message": seen.failure,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = {**observed, "conditions": [*(observed.get("conditions") or ()), failed]}
    if status is not None:
        return Decision((), StatusPatch(REQUESTS, key, status, observed, metadata.resource_version))
    return Decision(requeue_after=end - seen.now)


def _end(seen: Observed) -> datetime:
    """When a request goes."""
    created = seen.request.metadata.creation_timestamp
    end = (parse_time(created) if created else seen.now) + _PENDING_FOR
    for condition in seen.request.status.conditions or ():
        answered = condition.type in ("Denied", "Failed") or bool(seen.request.status.certificate)
        since = condition.last_update_time
        if answered and since:
            end = min(end, parse_time(since) + _DONE_FOR)
    return min(end, seen.expires) if seen.expires else end
