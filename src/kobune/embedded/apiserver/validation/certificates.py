"""CertificateSigningRequests: the request, its usages and signer, and how conditions and certificates may change.

Source: Kubernetes' rules of certificates.k8s.io. `cryptography` is imported with the first request.
"""

import base64
import binascii
import re
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_label, is_dns1123_subdomain

__all__ = ["approval_update", "request", "request_update", "status_update"]

_USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_LEGACY = "kubernetes.io/legacy-unknown"
_FINAL = ("Approved", "Denied", "Failed")
_SHORTEST_S = 600


def request(obj: dict[str, Any]) -> list[FieldError]:
    """A new request."""
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    text = spec.get("request") or ""
    if wrong := _csr_problem(text):
        errors.append(FieldError.invalid("spec.request", text, wrong))
    usages = spec.get("usages") or []
    if not usages:
        errors.append(FieldError.required("spec.usages"))
    for i, usage in enumerate(usages):
        if usage not in _USAGES:
            errors.append(FieldError.not_supported(f"spec.usages[{i}]", usage, _USAGES))
    errors += [
        FieldError.duplicate(f"spec.usages[{i}]", usage) for i, usage in enumerate(usages) if usage in usages[:i]
    ]
    errors += _signer(spec.get("signerName") or "", "spec.signerName")
    life = spec.get("expirationSeconds")
    if life is not None and life < _SHORTEST_S:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(FieldError.invalid("spec.expirationSeconds", life, detail))
    return errors + _conditions((obj.get("status") or {}).get("conditions") or [])


def _csr_problem(text: str) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        data = base64.b64decode(text)
    except binascii.Error as error:
        return str(error)
    if not re.search(rb"-----BEGIN CERTIFICATE REQUEST-----\s", data):
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        parsed = x509.load_pem_x509_csr(data)
        return "" if parsed.is_signature_valid else "x509: certificate request has a wrong signature"
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return f"asn1: structure error: {error}"


def _signer(name: str, path: str) -> list[FieldError]:
    if name == _LEGACY:
        return [FieldError.invalid(path, name, "the legacy signerName is not allowed via this API version")]
    if not name:
        return [FieldError.required(path)]
    segments = name.split("/")
    if len(segments) != 2:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [FieldError.invalid(path, name, detail)]
    domain, rest = segments
    errors: list[FieldError] = []
    if len(domain) > 253:
        errors.append(FieldError.too_long(path, 253))
    for label in domain.split("."):
        errors += [
            FieldError.invalid(path, domain, f'validating label "{label}": {m}') for m in is_dns1123_label(label)
        ]
    if "." not in domain:
        detail = "should be a domain with at least two segments separated by dots"
        errors.append(FieldError.invalid(path, domain, detail))
    for label in rest.split("."):
        errors += [
            FieldError.invalid(path, rest, f'validating label "{label}": {m}') for m in is_dns1123_subdomain(label)
        ]
    return errors


def _conditions(conditions: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: list[str] = []
    for i, condition in enumerate(conditions):
        at, kind, status = f"status.conditions[{i}]", condition.get("type", ""), condition.get("status", "")
        if not kind:
            errors.append(FieldError.required(f"{at}.type"))
        if kind in seen:
            errors.append(FieldError.duplicate(f"{at}.type", kind))
        if {"Approved": "Denied", "Denied": "Approved"}.get(kind) in seen:
            detail = "Approved and Denied conditions are mutually exclusive"
            errors.append(FieldError.invalid(f"{at}.type", kind, detail))
        seen.append(kind)
        allowed = ("True",) if kind in _FINAL else ("False", "True", "Unknown")
        if not status:
            errors.append(FieldError.required(f"{at}.status"))
        elif status not in allowed:
            errors.append(FieldError.not_supported(f"{at}.status", status, allowed))
    return errors


def _types(obj: dict[str, Any]) -> list[str]:
    return [c.get("type", "") for c in (obj.get("status") or {}).get("conditions") or ()]


def request_update(new: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Any change: what was decided stays decided."""
    after, before = _types(new), _types(old)
    return request(new) + [
        FieldError.forbidden("status.conditions", f'updates may not remove a condition of type "{kind}"')
        for kind in _FINAL
        if after.count(kind) < before.count(kind)
    ]


approval_update = request_update


def status_update(new: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """What a signer writes: it neither approves nor changes what was issued."""
    errors = request_update(new, old)
    after, before = _types(new), _types(old)
    errors += [
        FieldError.forbidden("status.conditions", f'updates may not add a condition of type "{kind}"')
        for kind in ("Approved", "Denied")
        if after.count(kind) > before.count(kind)
    ]
    issued = (old.get("status") or {}).get("certificate")
    given = (new.get("status") or {}).get("certificate")
    if issued and given != issued:
        detail = "updates may not modify existing certificate content"
        errors.append(FieldError.forbidden("status.certificate", detail))
    elif given and (wrong := _certificate_problem(given)):
        errors.append(FieldError.invalid("status.certificate", "<certificate data>", wrong))
    return errors


def _certificate_problem(text: str) -> str:
    from cryptography import x509

    try:
        data = base64.b64decode(text)
    except binascii.Error as error:
        return str(error)
    if not re.search(rb"-----BEGIN [A-Z ]+-----", data):
        return "must contain at least one certificate"
    if b"-----BEGIN CERTIFICATE-----" not in data:
        return "only CERTIFICATE PEM blocks are allowed, found another"
    try:
        x509.load_pem_x509_certificates(data)
    except ValueError as error:
        return str(error)
    return ""
