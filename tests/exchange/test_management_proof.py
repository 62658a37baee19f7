"""Management requests: what is built reads back and verifies; whoever else signs, or signs nothing, is refused for that reason."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange import certs, management, management_proof, management_wire
from kerege.exchange.errors import CertificateInvalid, ExchangeError, ManagementRequestInvalid, RevocationUnknown
from kerege.exchange.management import Kind
from kerege.exchange.management_proof import Submission
from kerege.exchange.pki import KeyPair, TestAuthority
from kerege.exchange.trust import Trust

from .conftest import NOW
from .management_samples import OWNER, PROVIDER, SERVER, asked, keys, submitted, trust

__all__ = ["keys", "trust"]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_request_reads_back_and_verifies_with_its_signer(
    kind: Kind, keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    request = asked(kind, certs.der(keys["auth"].certificate))
    submission = submitted(request, keys, authority)
    assert management_wire.split(*management_wire.join(submission)) == submission
    proof = management_proof.verify(submission, trust, NOW)
    assert proof.envelope == management.Envelope(request, OWNER, PROVIDER, "id-1")
    assert proof.signer == SERVER.owner
    assert (proof.auth_certificate == keys["auth"].certificate) == (kind is Kind.AUTH_CERT_REG)


@pytest.mark.parametrize("kind", list(Kind))
def test_only_deletions_may_come_unsigned_and_then_nobody_is_named_as_signer(
    kind: Kind, keys: dict[str, KeyPair], trust: Trust
) -> None:
    plain = Submission(management.build(asked(kind, certs.der(keys["auth"].certificate)), OWNER, PROVIDER))
    assert management_wire.split(*management_wire.join(plain)) == plain
    if kind in management.PLAIN:
        assert management_proof.verify(plain, trust, NOW).signer is None
    else:
        with pytest.raises(ManagementRequestInvalid, match="must be signed"):
            management_proof.verify(plain, trust, NOW)


@pytest.mark.parametrize("kind", list(Kind))
def test_another_members_signature_is_refused(
    kind: Kind, keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    request = asked(kind, certs.der(keys["auth"].certificate))
    with pytest.raises(ManagementRequestInvalid, match="signed by KG/GOV/70000002"):
        management_proof.verify(submitted(request, keys, authority, "other"), trust, NOW)


def test_a_signature_over_other_bytes_is_refused(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.CLIENT_REG), keys, authority)
    with pytest.raises(ManagementRequestInvalid, match="does not hold"):
        management_proof.verify(replace(good, soap=good.soap.replace(b"emis", b"emis2")), trust, NOW)


def test_the_named_algorithm_is_the_one_that_is_checked(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.CLIENT_REG), keys, authority)
    assert good.owner is not None
    for name, reason in (
        (good.owner.algorithm.replace("512", "256"), "does not hold"),
        ("SHA1withRSA", "not known"),
        ("MD5withRSA", "not known"),
        ("SHA512withDSA", "does not go with"),
        ("", "not known"),
    ):
        with pytest.raises(ManagementRequestInvalid, match=reason):
            management_proof.verify(replace(good, owner=replace(good.owner, algorithm=name)), trust, NOW)


def test_a_certificate_that_is_revoked_unknown_or_for_other_use_is_refused(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.ADDRESS_CHANGE), keys, authority)
    certificate = keys["owner"].certificate
    with pytest.raises(RevocationUnknown, match="revoked"):
        management_proof.verify(replace(good, ocsp=authority.ocsp_response(certificate, NOW, NOW)), trust, NOW)
    with pytest.raises(ManagementRequestInvalid, match="OCSP"):
        management_proof.verify(replace(good, ocsp=None), trust, NOW)
    stranger = TestAuthority.create("KG", NOW)
    pair = stranger.sign_certificate(SERVER.owner, "Edu", "node-edu", NOW)
    forged = replace(good, owner=management_proof.sign(good.soap, pair.key, pair.certificate))
    with pytest.raises(CertificateInvalid, match="no approved"):
        management_proof.verify(forged, trust, NOW)
    auth = management_proof.sign(good.soap, keys["auth"].key, keys["auth"].certificate)
    with pytest.raises(CertificateInvalid, match="not for signing"):
        management_proof.verify(replace(good, owner=auth), trust, NOW)


def test_an_auth_cert_reg_needs_the_key_of_the_certificate_in_it(
    keys: dict[str, KeyPair], authority: TestAuthority, trust: Trust
) -> None:
    good = submitted(asked(Kind.AUTH_CERT_REG, certs.der(keys["auth"].certificate)), keys, authority)
    with pytest.raises(ManagementRequestInvalid, match="authentication key"):
        management_proof.verify(replace(good, auth=None), trust, NOW)
    other = authority.auth_certificate(SERVER, "Edu", NOW)
    with pytest.raises(ManagementRequestInvalid, match="not the one in it"):
        management_proof.verify(
            replace(good, auth=management_proof.sign(good.soap, other.key, other.certificate)), trust, NOW
        )


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_submission_is_refused_or_proves_the_same(
    authority: TestAuthority, trust: Trust, data: st.DataObject
) -> None:
    pair = _pair(authority)
    soap = management.build(asked(Kind.CLIENT_REG), OWNER, PROVIDER, "id-1")
    whole = Submission(
        soap, management_proof.sign(soap, pair.key, pair.certificate), authority.ocsp_response(pair.certificate, NOW)
    )
    kind, body = management_wire.join(whole)
    at, cut = data.draw(st.integers(0, 3000)) % len(body), data.draw(st.integers(0, 20))
    damaged = body[:at] + data.draw(st.binary(max_size=5)) + body[at + cut :]
    try:
        proof = management_proof.verify(management_wire.split(kind, damaged), trust, NOW)
    except ExchangeError:
        return
    assert proof.envelope.request == asked(Kind.CLIENT_REG)
    assert proof.signer == SERVER.owner


_PAIRS: dict[int, KeyPair] = {}


def _pair(authority: TestAuthority) -> KeyPair:
    return _PAIRS.setdefault(id(authority), authority.sign_certificate(SERVER.owner, "Edu", "node-edu", NOW))
