"""Certificates: who may be believed, and when they are renewed."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from kobune.operator.certificates import (
    CertificateRequest,
    KeyPair,
    is_current,
    leaf_requests,
    new_ca,
    new_leaf,
    pair_of,
    tls_secret,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_leaves_are_signed_for_their_purpose() -> None:
    authority = new_ca(NOW)
    for request in leaf_requests("kobune"):
        leaf = new_leaf(authority, request, NOW)
        certificate = x509.load_pem_x509_certificate(leaf.certificate)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        expected = ExtendedKeyUsageOID.CLIENT_AUTH if request.client else ExtendedKeyUsageOID.SERVER_AUTH
        assert list(usage) == [expected]
        if request.dns_names:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == list(request.dns_names)


def test_the_api_server_finds_virt_api_under_its_service_s_name() -> None:
    names = {request.secret: request.dns_names for request in leaf_requests("kobune")}
    assert "kobune-virt-api.kobune.svc" in names["kobune-virt-api-certs"]


def test_certificates_are_renewed_when_a_third_of_their_life_is_left_or_the_authority_changed() -> None:
    authority = new_ca(NOW)
    leaf = new_leaf(authority, CertificateRequest("s", "n", ("n",)), NOW)
    assert is_current(leaf, NOW, signed_by=authority.certificate)
    assert is_current(leaf, NOW + timedelta(days=200), signed_by=authority.certificate)
    assert not is_current(leaf, NOW + timedelta(days=250), signed_by=authority.certificate)
    assert not is_current(leaf, NOW, signed_by=new_ca(NOW).certificate)
    assert not is_current(KeyPair(b"garbage", b""), NOW)


def test_a_secret_gives_its_pair_back_and_a_broken_one_none() -> None:
    authority = new_ca(NOW)
    secret = tls_secret("s", "ns", authority, authority.certificate)
    assert pair_of(secret["data"]) == authority
    assert pair_of({"tls.crt": "x"}) is None
