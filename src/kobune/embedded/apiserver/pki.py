"""The instance's own PKI under DATA/pki: authorities, serving and client certificates, the ServiceAccount key.

Owns: which certificates exist, their lives and names. Keys are P-256 and mode 0600. Files (all PEM):
ca (clients and server), front-proxy-ca and front-proxy-client (aggregation), kubelet-client, server, sa.key.
"""

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kobune.host.files import write_file

__all__ = ["Pki", "issue_client_certificate", "issue_server_certificate"]

_AUTHORITY_LIFE = datetime.timedelta(days=3650)
_CERTIFICATE_LIFE = datetime.timedelta(days=365)
_RENEW_BEFORE = datetime.timedelta(days=90)
_CLOCK_SKEW = datetime.timedelta(minutes=5)
SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


class Pki:
    """The files under `directory`; made when missing, certificates renewed when near their end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca_file = directory / "ca.crt"
        self.server_cert_file = directory / "server.crt"
        self.server_key_file = directory / "server.key"
        self.front_proxy_ca_file = directory / "front-proxy-ca.crt"
        self.front_proxy_cert_file = directory / "front-proxy-client.crt"
        self.front_proxy_key_file = directory / "front-proxy-client.key"
        self.kubelet_client_cert_file = directory / "kubelet-client.crt"
        self.kubelet_client_key_file = directory / "kubelet-client.key"
        self.service_account_key_file = directory / "sa.key"

    def prepare(self, hosts: Iterable[str]) -> None:
        """Make everything that a server listening for `hosts` (names and addresses) needs."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._authority("ca", "kobune-ca")
        self._authority("front-proxy-ca", "kobune-front-proxy-ca")
        if not self.service_account_key_file.exists():
            write_file(self.service_account_key_file, _key_pem(ec.generate_private_key(ec.SECP256R1())))
        names = sorted({*SERVER_NAMES, "127.0.0.1", "::1", "10.96.0.1", *hosts})
        if self._stale("server", names):
            certificate, key = self._issue("ca", "kube-apiserver", [], names=names)
            write_file(self.server_key_file, key)
            write_file(self.server_cert_file, certificate, 0o644)
        for name, authority, common_name, organizations in (
            ("front-proxy-client", "front-proxy-ca", "front-proxy-client", []),
            ("kubelet-client", "ca", "kube-apiserver-kubelet-client", ["system:masters"]),
        ):
            if self._stale(name, []):
                certificate, key = self._issue(authority, common_name, organizations)
                write_file(self.directory / f"{name}.key", key)
                write_file(self.directory / f"{name}.crt", certificate, 0o644)

    @property
    def ca_pem(self) -> bytes:
        """The authority's certificate, as kubeconfigs and kube-root-ca.crt carry it."""
        return self.ca_file.read_bytes()

    def client(self, common_name: str, organizations: Iterable[str]) -> tuple[bytes, bytes]:
        """(certificate, key) of a user and groups, valid for a year."""
        return self._issue("ca", common_name, list(organizations))

    def server(self, common_name: str, names: Iterable[str]) -> tuple[bytes, bytes]:
        """(certificate, key) of a server reached by `names` (DNS names and addresses)."""
        return self._issue("ca", common_name, [], names=list(names))

    def _authority(self, name: str, common_name: str) -> None:
        if (self.directory / f"{name}.crt").exists() and (self.directory / f"{name}.key").exists():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_file(self.directory / f"{name}.key", _key_pem(key))
        write_file(self.directory / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def _stale(self, name: str, names: list[str]) -> bool:
        path = self.directory / f"{name}.crt"
        if not path.exists() or not (self.directory / f"{name}.key").exists():
            return True
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        if certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) < _RENEW_BEFORE:
            return True
        if not names:
            return False
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        present = {str(entry.value) for entry in extension}
        return not set(names) <= present

    def _issue(
        self, authority: str, common_name: str, organizations: list[str], names: list[str] | None = None
    ) -> tuple[bytes, bytes]:
        ca_key = serialization.load_pem_private_key((self.directory / f"{authority}.key").read_bytes(), None)
        ca = x509.load_pem_x509_certificate((self.directory / f"{authority}.crt").read_bytes())
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self.directory / authority}.key is no elliptic curve key")
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.datetime.now(datetime.UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _CERTIFICATE_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
        certificate = builder.sign(ca_key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key)


def issue_client_certificate(data_dir: Path, common_name: str, organizations: Iterable[str]) -> tuple[bytes, bytes]:
    """(certificate, key) in PEM for a client of the API server of `data_dir`, whose PKI must exist already."""
    return Pki(data_dir / "pki").client(common_name, organizations)


def issue_server_certificate(data_dir: Path, common_name: str, names: Iterable[str]) -> tuple[bytes, bytes]:
    """(certificate, key) in PEM for a server that clients of this instance verify by its authority (a kubelet)."""
    return Pki(data_dir / "pki").server(common_name, names)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
