"""Signs certificate requests with the instance's authority. The only holder of its key in this process.

Owns: reading requests and certificates, and the form of what is issued. `cryptography` is imported with the first one.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from kobune.base.errors import TerminalError
from kobune.embedded.builtin.certificates.decide import Spec, Subject

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["RequestUnreadable", "Signer", "expires"]

_LIFE = timedelta(days=365)
_SHORTEST = timedelta(minutes=10)
_BACKDATED = timedelta(minutes=5)
_SHORT = timedelta(hours=8)
"""Certificates of less are not backdated beyond their own life's hundredth."""


class RequestUnreadable(TerminalError):
    """The text is no certificate request."""


@dataclass(frozen=True, slots=True)
class Signer:
    """`directory` has ca.crt and ca.key."""

    directory: Path

    def subject(self, spec: Spec) -> Subject:
        """Who a certificate would be for. Raises RequestUnreadable."""
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        request = _read(spec.request)
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        organizations = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        alternatives = _alternatives(request)

        def of(kind: type[x509.DNSName | x509.RFC822Name | x509.UniformResourceIdentifier]) -> tuple[str, ...]:
            return tuple(alternatives.get_values_for_type(kind)) if alternatives else ()

        addresses = alternatives.get_values_for_type(x509.IPAddress) if alternatives else ()
        return Subject(
            str(names[0].value) if names else "",
            tuple(str(name.value) for name in organizations),
            of(x509.DNSName),
            tuple(str(address) for address in addresses),
            of(x509.RFC822Name),
            of(x509.UniformResourceIdentifier),
        )

    def sign(self, spec: Spec, now: datetime) -> str:
        """The certificate, PEM in base64; it never lives longer than the authority. Raises RequestUnreadable."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        request = _read(spec.request)
        key = serialization.load_pem_private_key((self.directory / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.directory / 'ca.key'} is no elliptic curve key")
        authority = x509.load_pem_x509_certificate((self.directory / "ca.crt").read_bytes())
        asked = _LIFE if spec.expiration_seconds is None else timedelta(seconds=spec.expiration_seconds)
        life = min(max(asked, _SHORTEST), _LIFE)
        usages = set(spec.usages or ())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] if "client auth" in usages else []
        purposes += [ExtendedKeyUsageOID.SERVER_AUTH] if "server auth" in usages else []
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(authority.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - (_BACKDATED if life >= _SHORT else life / 100))
            .not_valid_after(min(now + life, authority.not_valid_after_utc))
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        )
        if usages & {"digital signature", "key encipherment"}:
            # An empty one would be refused by those who verify.
            builder = builder.add_extension(_key_usage(usages), critical=True)
        alternatives = _alternatives(request)
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        return base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode()


def expires(certificate: str) -> datetime | None:
    """When a certificate (PEM, base64) ends; None when it can't be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc
    except (ValueError, binascii.Error):
        return None


def _read(text: str) -> "x509.CertificateSigningRequest":
    from cryptography import x509

    try:
        return x509.load_pem_x509_csr(base64.b64decode(text))
    except (ValueError, binascii.Error) as error:
        raise RequestUnreadable(str(error)) from error


def _alternatives(request: "x509.CertificateSigningRequest") -> "x509.SubjectAlternativeName | None":
    from cryptography import x509

    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except ValueError as error:
        raise RequestUnreadable(str(error)) from error


def _key_usage(usages: set[str]) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature="digital signature" in usages,
        key_encipherment="key encipherment" in usages,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
