"""Certificate requests: who asks is recorded, and approving and signing need a right on the signer.

Source: Kubernetes' admission plugins CertificateApproval, CertificateSigning and CertificateSubjectRestriction.
"""

import base64
import binascii
from typing import Any

from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import forbidden
from kobune.embedded.apiserver.user import MASTERS

__all__ = ["CertificateRequests"]

_GROUP, _PLURAL = "certificates.k8s.io", "certificatesigningrequests"
_CLIENT = "kubernetes.io/kube-apiserver-client"


class CertificateRequests:
    """Admission step, the last one: no webhook changes who asked."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Write down who asks."""
        if operation != "CREATE" or obj is None or not _concerned(call):
            return
        spec = obj.setdefault("spec", {})
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        spec |= call.user.info()

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Refuse what the user may not approve, sign or ask for. Raises StatusError 403."""
        if obj is None or not _concerned(call):
            return
        if operation == "CREATE":
            spec = obj.get("spec") or {}
            if spec.get("signerName") == _CLIENT and MASTERS in _organizations(spec.get("request") or ""):
                raise self._refusal(call, f"use of {_CLIENT} signer with {MASTERS} group is not allowed", obj)
            return
        if old is None:
            return
        signer = (old.get("spec") or {}).get("signerName", "")
        if call.info.subresource == "approval":
            self._require(call, "approve", signer, obj)
        elif call.info.subresource == "status" and _answer(obj) != _answer(old):
            self._require(call, "sign", signer, obj)

    def _require(self, call: Call, verb: str, signer: str, obj: dict[str, Any]) -> None:
        for name in (signer, signer.partition("/")[0] + "/*"):
            if self._authorizer.allowed(Attributes(call.user, verb, _GROUP, "*", "", "signers", "", name)):
                return
        raise self._refusal(call, f'user not permitted to {verb} requests with signerName "{signer}"', obj)

    @staticmethod
    def _refusal(call: Call, detail: str, obj: dict[str, Any]) -> Exception:
        return forbidden(_GROUP, _PLURAL, call.info.name or obj["metadata"].get("name", ""), detail)


def _concerned(call: Call) -> bool:
    info = call.resource.info
    return info.group == _GROUP and info.plural == _PLURAL


def _answer(obj: dict[str, Any]) -> Any:
    status = obj.get("status") or {}
    return status.get("certificate"), [c for c in status.get("conditions") or () if c.get("type") == "Failed"]


def _organizations(text: str) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_csr(base64.b64decode(text)).subject
    except (ValueError, binascii.Error):
        return []  # validation says what is wrong with it
    return [str(name.value) for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
