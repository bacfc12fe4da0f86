"""Kobune's own certificate authority and the certificates it signs.

Owns: which certificates exist, for whom, for how long, and when they are renewed. Must not: store them (see `install`).
Keys are ECDSA P-256: small and quick to make. The CA lives ten years and is renewed when less than a third is left; the
others live one year. All are PEM.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kobune.operator.names import (
    HANDLER_CLIENT_NAME,
    HANDLER_CLIENT_SECRET,
    HANDLER_SERVER_NAME,
    HANDLER_SERVER_SECRET,
    PART_OF,
    VIRT_API_SECRET,
    VIRT_API_SERVICE,
)

__all__ = ["CertificateRequest", "KeyPair", "is_current", "leaf_requests", "new_ca", "new_leaf", "tls_secret"]

CA_LIFE: Final = timedelta(days=3650)
LEAF_LIFE: Final = timedelta(days=365)
RENEW_BELOW: Final = 1 / 3
CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """One certificate that a component needs, and the Secret it is kept in."""

    secret: str
    common_name: str
    dns_names: tuple[str, ...] = ()
    client: bool = False


def leaf_requests(namespace: str) -> tuple[CertificateRequest, ...]:
    """All certificates but the CA."""
    service = f"{VIRT_API_SERVICE}.{namespace}"
    return (
        CertificateRequest(VIRT_API_SECRET, f"{service}.svc", (f"{service}.svc", service, VIRT_API_SERVICE)),
        CertificateRequest(HANDLER_SERVER_SECRET, HANDLER_SERVER_NAME, (HANDLER_SERVER_NAME,)),
        CertificateRequest(HANDLER_CLIENT_SECRET, HANDLER_CLIENT_NAME, client=True),
    )


def new_ca(now: datetime) -> KeyPair:
    """A new certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("kobune-ca")
    builder = (
        _builder(name, name, key, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
    )
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def new_leaf(ca: KeyPair, request: CertificateRequest, now: datetime) -> KeyPair:
    """A new certificate signed by `ca`."""
    authority = x509.load_pem_x509_certificate(ca.certificate)
    ca_key = serialization.load_pem_private_key(ca.key, password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.CLIENT_AUTH if request.client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = (
        _builder(_name(request.common_name), authority.subject, key, now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
    )
    if request.dns_names:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in request.dns_names]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return KeyPair(_pem(builder.sign(ca_key, hashes.SHA256())), _key_pem(key))


def is_current(pair: KeyPair, now: datetime, *, signed_by: bytes | None = None) -> bool:
    """Whether the certificate has more than a third of its life left and comes from that CA (PEM)."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        if signed_by is not None:
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(signed_by))
    except Exception:  # the library has no common base for unreadable, foreign and badly signed certificates
        return False
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now > life * RENEW_BELOW


def tls_secret(name: str, namespace: str, pair: KeyPair, ca_certificate: bytes) -> dict[str, Any]:
    """A Secret of type kubernetes.io/tls with `ca.crt` beside the pair."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(PART_OF)},
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": _base64(pair.certificate),
            "tls.key": _base64(pair.key),
            "ca.crt": _base64(ca_certificate),
        },
    }


def pair_of(data: Mapping[str, str]) -> KeyPair | None:
    """The pair in a Secret's `data`, if it is complete."""
    try:
        return KeyPair(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))
    except (KeyError, ValueError):
        return None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
