"""What a stranger may send as certificates, and how little of it is looked at."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kerege.exchange import certs
from kerege.exchange.errors import CertificateInvalid
from kerege.exchange.globalconf import ApprovedAuthority, Authority
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import TestAuthority
from kerege.exchange.profiles import READERS

from .conftest import NOW

MEMBER = MemberId("KG", "GOV", "70000003")
KEY = ec.generate_private_key(ec.SECP256R1())
ONE_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the same name")])


def issue(
    subject: x509.Name,
    issuer: x509.Name = ONE_NAME,
    key: ec.EllipticCurvePrivateKey = KEY,
    *,
    ca: bool = True,
    until: timedelta = timedelta(days=9),
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(NOW + until)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


@pytest.fixture
def approved(authority: TestAuthority) -> ApprovedAuthority:
    return authority.approved("http://127.0.0.1:1/ocsp")


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time a certificate was held against an issuer."""
    counted: list[int] = []
    real = certs.issued_by

    def counting(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        counted.append(1)
        return real(certificate, issuer)

    monkeypatch.setattr(certs, "issued_by", counting)
    return counted


def test_eight_authorities_that_all_sign_each_other_cost_little(approved: ApprovedAuthority, checks: list[int]) -> None:
    circle = tuple(Authority(issue(ONE_NAME), ()) for _ in range(8))
    leaf = issue(ONE_NAME, ca=False)
    with pytest.raises(CertificateInvalid, match="no approved"):
        certs.chain_to_authority(leaf, (), [replace(approved, intermediates=circle)], "signing", NOW)
    assert len(checks) <= 9 + 8 * 9  # the leaf against each, and each once against each: never paths


def test_more_certificates_than_a_chain_needs_are_refused_unread(
    approved: ApprovedAuthority, checks: list[int]
) -> None:
    with pytest.raises(CertificateInvalid, match="8 more certificates"):
        certs.chain_to_authority(
            issue(ONE_NAME, ca=False), [issue(ONE_NAME) for _ in range(8)], [approved], "signing", NOW
        )
    assert not checks


def test_an_intermediate_that_came_along_leads_up_and_is_the_direct_issuer(
    authority: TestAuthority, approved: ApprovedAuthority
) -> None:
    top = authority.ca
    assert isinstance(top.key, ec.EllipticCurvePrivateKey)
    middle = issue(ONE_NAME, top.certificate.subject, top.key)
    leaf = issue(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]), ca=False)
    noise = [issue(ONE_NAME, key=ec.generate_private_key(ec.SECP256R1())) for _ in range(2)]
    noise.append(issue(leaf.subject))  # right key, another name
    assert certs.chain_to_authority(leaf, [*noise, middle], [approved], "signing", NOW) == (approved, middle)


@pytest.mark.parametrize(("ca", "until"), [(False, timedelta(days=9)), (True, timedelta(days=-1))])
def test_an_intermediate_that_is_no_authority_or_is_over_does_not_lead_up(
    authority: TestAuthority, approved: ApprovedAuthority, ca: bool, until: timedelta
) -> None:
    assert isinstance(authority.ca.key, ec.EllipticCurvePrivateKey)
    middle = issue(ONE_NAME, authority.ca.certificate.subject, authority.ca.key, ca=ca, until=until)
    with pytest.raises(CertificateInvalid, match="no approved"):
        certs.chain_to_authority(issue(ONE_NAME, ca=False), [middle], [approved], "signing", NOW)


def test_names_that_differ_are_not_an_issuer_whatever_the_key_says() -> None:
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another name")])
    assert certs.issued_by(issue(ONE_NAME), issue(ONE_NAME))
    assert not certs.issued_by(issue(ONE_NAME), issue(other))


@pytest.mark.parametrize(
    "profile",
    ["kg.example.LatestCertificateProfileInfoProvider", "ee.ria.Test", "Basic", *(known + "2" for known in READERS)],
)
def test_a_profile_that_only_resembles_a_known_one_is_not_known(
    authority: TestAuthority, approved: ApprovedAuthority, profile: str
) -> None:
    pair = authority.sign_certificate(MEMBER, "Education", "node-edu", NOW)
    with pytest.raises(CertificateInvalid, match="profile"):
        certs.signer_of(pair.certificate, replace(approved, profile=profile), "KG")


@pytest.mark.parametrize(
    ("purposes", "allowed"),
    [
        ((), True),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), True),
        ((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION), True),
        ((ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), True),
        ((ExtendedKeyUsageOID.EMAIL_PROTECTION,), False),
    ],
)
def test_an_authentication_certificate_that_lists_purposes_lists_tls(
    purposes: tuple[x509.ObjectIdentifier, ...], allowed: bool
) -> None:
    builder = (
        x509.CertificateBuilder()
        .subject_name(ONE_NAME)
        .issuer_name(ONE_NAME)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    certificate = builder.sign(KEY, hashes.SHA256())
    if allowed:
        certs.check_use(certificate, "authentication")
    else:
        with pytest.raises(CertificateInvalid, match="extended key usage"):
            certs.check_use(certificate, "authentication")


def test_a_subject_is_written_with_the_names_that_people_type() -> None:
    pair = TestAuthority.create("KG", NOW, "ec").sign_certificate(
        MemberId("KG", "GOV", "70000003"), "Education", "node-edu", NOW, "ec"
    )
    told = certs.subject(pair.certificate)
    assert "serialNumber=" in told
    assert "2.5.4" not in told
