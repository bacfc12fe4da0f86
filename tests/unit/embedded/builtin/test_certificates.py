"""Certificate requests: which are signed, which fail, when they go."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kobune.api.meta import ObjectMeta
from kobune.base.clock import format_time
from kobune.embedded.apiserver.pki import Pki
from kobune.embedded.builtin.certificates.decide import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    CertificateSigningRequest,
    Condition,
    Observed,
    Spec,
    Status,
    Subject,
    decide,
    problem,
    wants_signature,
)
from kobune.embedded.builtin.certificates.sign import RequestUnreadable, Signer, expires
from kobune.kube.runtime.decision import Delete

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NODE = Subject("system:node:n1", ("system:nodes",))


def request(*types: str, certificate: str = "", signer: str = CLIENT, age_h: float = 0) -> CertificateSigningRequest:
    then = format_time(NOW - timedelta(hours=age_h))
    return CertificateSigningRequest(
        metadata=ObjectMeta(name="r", uid="u", resource_version="5", creation_timestamp=then),
        spec=Spec(signer_name=signer, usages=["client auth"]),
        status=Status(
            conditions=[Condition(type=kind, status="True", last_update_time=then) for kind in types],
            certificate=certificate,
        ),
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (request("Approved"), True),
        (request(), False),
        (request("Approved", "Failed"), False),
        (request("Denied"), False),
        (request("Approved", certificate="x"), False),
        (request("Approved", signer="example.com/mine"), False),
        (request("Approved", signer=KUBELET_SERVING), True),
    ],
)
def test_only_approved_requests_for_our_signers_are_signed(given: CertificateSigningRequest, wanted: bool) -> None:
    assert wants_signature(given) is wanted


@pytest.mark.parametrize(
    ("signer", "usages", "subject", "expected"),
    [
        (CLIENT, ["client auth", "digital signature"], Subject("jane", ("devs",)), ""),
        (CLIENT, ["server auth"], Subject("jane", ()), "invalid usage for client certificate: server auth"),
        (
            CLIENT,
            ["digital signature"],
            Subject("jane", ()),
            "missing required usage for client certificate: client auth",
        ),
        (KUBELET_CLIENT, ["client auth", "digital signature", "key encipherment"], NODE, ""),
        (KUBELET_CLIENT, ["client auth", "digital signature"], NODE, ""),
        (
            KUBELET_CLIENT,
            ["client auth"],
            NODE,
            "usages did not match ['client auth', 'digital signature', 'key encipherment']",
        ),
        (
            KUBELET_CLIENT,
            ["client auth", "digital signature"],
            Subject("system:node:n1", ("system:nodes", "system:masters")),
            "subject organization is not system:nodes",
        ),
        (
            KUBELET_CLIENT,
            ["client auth", "digital signature"],
            Subject("jane", ("system:nodes",)),
            "subject common name does not begin with system:node:",
        ),
        (
            KUBELET_SERVING,
            ["server auth", "digital signature"],
            NODE,
            "DNS or IP subjectAltName is required",
        ),
        (
            KUBELET_SERVING,
            ["server auth", "digital signature"],
            Subject("system:node:n1", ("system:nodes",), addresses=("10.0.0.1",)),
            "",
        ),
    ],
)
def test_a_signer_says_why_it_does_not_sign(signer: str, usages: list[str], subject: Subject, expected: str) -> None:
    assert problem(Spec(signer_name=signer, usages=usages), subject) == expected


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        (request(age_h=23), False),
        (request(age_h=25), True),
        (request("Denied", age_h=0.9), False),
        (request("Denied", age_h=1.1), True),
        (request("Approved", "Failed", age_h=1.1), True),
        (request("Approved", age_h=2), False),
        (request("Approved", certificate="x", age_h=1.1), True),
    ],
)
def test_old_requests_go(given: CertificateSigningRequest, gone: bool) -> None:
    decision = decide(Observed(given, NOW))
    assert bool(decision.actions) is gone
    if gone:
        (action,) = decision.actions
        assert isinstance(action, Delete)
        assert action.uid == "u"
    else:
        assert decision.requeue_after is not None


def test_an_expired_certificate_takes_its_request_along() -> None:
    given = request("Approved", certificate="x")
    assert decide(Observed(given, NOW, expires=NOW - timedelta(seconds=1))).actions
    assert not decide(Observed(given, NOW, expires=NOW + timedelta(minutes=5))).actions


def test_answers_are_written_into_the_status() -> None:
    given = request("Approved")
    signed = decide(Observed(given, NOW, certificate="Y2VydA==")).status
    assert signed is not None
    assert signed.status["certificate"] == "Y2VydA=="
    assert [c["type"] for c in signed.status["conditions"]] == ["Approved"]
    failed = decide(Observed(given, NOW, failure="no")).status
    assert failed is not None
    assert [(c["type"], c.get("message", "")) for c in failed.status["conditions"]] == [
        ("Approved", ""),
        ("Failed", "no"),
    ]


def asked(*names: x509.NameAttribute[str], san: x509.SubjectAlternativeName | None = None) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(list(names)))
    if san is not None:
        builder = builder.add_extension(san, critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    Pki(tmp_path).prepare([])
    return Signer(tmp_path)


def certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(text))


@pytest.mark.parametrize(
    ("asked_s", "life"),
    [
        (None, timedelta(days=365)),
        (60, timedelta(minutes=10)),
        (7200, timedelta(hours=2)),
        (10**9, timedelta(days=365)),
    ],
)
def test_a_certificate_lives_as_asked_for_within_bounds(signer: Signer, asked_s: int | None, life: timedelta) -> None:
    text = asked(x509.NameAttribute(NameOID.COMMON_NAME, "jane"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "devs"))
    now = datetime.now(UTC).replace(microsecond=0)
    spec = Spec(signer_name=CLIENT, request=text, usages=["client auth"], expiration_seconds=asked_s)
    issued = certificate(signer.sign(spec, now))
    assert issued.not_valid_after_utc == now + life
    assert expires(signer.sign(spec, now)) == now + life
    assert now - timedelta(minutes=6) < issued.not_valid_before_utc < now
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate((signer.directory / "ca.crt").read_bytes()))
    constraints = issued.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is False
    assert signer.subject(spec) == Subject("jane", ("devs",))


def test_names_of_a_server_are_kept(signer: Signer) -> None:
    import ipaddress

    san = x509.SubjectAlternativeName([x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))])
    text = asked(x509.NameAttribute(NameOID.COMMON_NAME, "system:node:n1"), san=san)
    spec = Spec(signer_name=KUBELET_SERVING, request=text, usages=["server auth", "digital signature"])
    assert signer.subject(spec) == Subject("system:node:n1", (), ("n1",), ("10.0.0.1",))
    issued = certificate(signer.sign(spec, datetime.now(UTC)))
    assert issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == san
    assert issued.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature


@pytest.mark.parametrize("text", ["", "!", base64.b64encode(b"no PEM").decode()])
def test_what_is_no_request_is_told(signer: Signer, text: str) -> None:
    with pytest.raises(RequestUnreadable):
        signer.subject(Spec(request=text))
    wrong: Any = expires(text)
    assert wrong is None
