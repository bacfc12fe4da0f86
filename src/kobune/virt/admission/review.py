"""AdmissionReview: what the API server asks, what a webhook answers.

Owns: the wire format and how problems become a Status. Pure. Source: admission.k8s.io/v1.
"""

import base64
from dataclasses import dataclass
from typing import Any, Final

import msgspec

__all__ = ["AdmissionRequest", "Problem", "Reason", "Verdict", "decode_review", "encode_verdict"]

Document = dict[str, Any]


class Reason:
    """Causes of refusals, metav1's words."""

    INVALID: Final = "FieldValueInvalid"
    REQUIRED: Final = "FieldValueRequired"
    DUPLICATE: Final = "FieldValueDuplicate"
    NOT_SUPPORTED: Final = "FieldValueNotSupported"
    NOT_FOUND: Final = "FieldValueNotFound"
    FORBIDDEN: Final = "FieldValueForbidden"


@dataclass(frozen=True, slots=True)
class Problem:
    """One cause of a refusal: the field's path, a reason and what to do about it."""

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """One admission question. Objects are decoded JSON in the version that was asked for."""

    uid: str
    operation: str
    version: str
    namespace: str
    name: str
    username: str
    obj: Document
    old: Document | None
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Allowed or not. `patched` are top-level fields of the object to be replaced.

    A refusal has either `problems` (422 Invalid) or a `message` with `code` (400 by default).
    """

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    patched: Document | None = None
    message: str = ""
    code: int = 400

    @property
    def allowed(self) -> bool:
        """Nothing speaks against it."""
        return not self.problems and not self.message


def decode_review(body: bytes) -> AdmissionRequest:
    """Raises ValueError when the body is no AdmissionReview of version v1."""
    try:
        review = msgspec.json.decode(body)
        request = review["request"]
        return AdmissionRequest(
            uid=request["uid"],
            operation=request["operation"],
            version=request["kind"]["version"],
            namespace=request.get("namespace") or "",
            name=request.get("name") or "",
            username=(request.get("userInfo") or {}).get("username") or "",
            obj=request.get("object") or {},
            old=request.get("oldObject"),
            dry_run=bool(request.get("dryRun")),
        )
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an AdmissionReview of admission.k8s.io/v1: {error}") from error


def encode_verdict(request: AdmissionRequest, verdict: Verdict) -> bytes:
    """The AdmissionReview that answers `request`."""
    response: Document = {"uid": request.uid, "allowed": verdict.allowed}
    if verdict.warnings and verdict.allowed:
        response["warnings"] = list(verdict.warnings)
    if not verdict.allowed:
        response["status"] = _status(verdict)
    elif verdict.patched and (operations := _operations(request.obj, verdict.patched)):
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(msgspec.json.encode(operations)).decode()
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


def _status(verdict: Verdict) -> Document:
    if not verdict.problems:
        return {"status": "Failure", "message": verdict.message, "code": verdict.code}
    causes = []
    for problem in verdict.problems:
        cause = {"message": problem.message}
        if problem.reason:
            cause["reason"] = problem.reason
        if problem.field:
            cause["field"] = problem.field
        causes.append(cause)
    return {
        "status": "Failure",
        "message": ", ".join(problem.message for problem in verdict.problems),
        "reason": "Invalid",
        "code": 422,
        "details": {"causes": causes},
    }


def _operations(obj: Document, patched: Document) -> list[Document]:
    return [
        {"op": "replace" if name in obj else "add", "path": f"/{name}", "value": value}
        for name, value in patched.items()
        if obj.get(name) != value
    ]
