"""A self-signed certificate for the kubelet's server, where nobody gives it one."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kobune.host.files import write_file

__all__ = ["ensure_serving_certificate"]

LIFE = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)


def ensure_serving_certificate(directory: Path, node_name: str, addresses: tuple[str, ...]) -> tuple[Path, Path]:
    """(certificate, key) in PEM files; made anew when there is none, or it ends soon. The key is 0600."""
    cert_file, key_file = directory / "kubelet.crt", directory / "kubelet.key"
    now = datetime.datetime.now(datetime.UTC)
    try:
        known = x509.load_pem_x509_certificate(cert_file.read_bytes())
        if key_file.exists() and known.not_valid_after_utc - now > RENEW_BEFORE:
            return cert_file, key_file
    except (OSError, ValueError):
        pass
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node_name}"[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(node_name)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_file(key_file, pem)
    write_file(cert_file, certificate.public_bytes(serialization.Encoding.PEM))
    return cert_file, key_file
