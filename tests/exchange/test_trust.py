"""Chains, OCSP answers and signers, on a test authority and on a live X-Road 7.3.2 pair's messages."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import cryptography.x509.ocsp  # noqa: F401 - used as x509.ocsp
import httptools
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kerege.exchange import certs, globalconf, multipart, ocsp, rest
from kerege.exchange.batch import batch
from kerege.exchange.errors import CertificateInvalid, ExchangeError, RevocationUnknown, SignerWrong
from kerege.exchange.federation import FederatedParameters, FederatedTrust
from kerege.exchange.globalconf import Authority, SharedParameters
from kerege.exchange.ids import MemberId, ServerId
from kerege.exchange.pki import KeyPair, TestAuthority, new_key
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.exchange.xades_verify import verify

from .conftest import NOW

EDU, POP = MemberId("KG", "GOV", "70000003"), MemberId("KG", "GOV", "70000002")


@pytest.fixture(scope="module")
def pair(authority: TestAuthority) -> KeyPair:
    return authority.sign_certificate(EDU, "Education", "node-edu", NOW)


def signed(pair: KeyPair, answers: list[bytes]) -> bytes:
    signer = Signer(pair.key, pair.certificate)
    signer.with_ocsp(answers)
    return signer.sign(hashlib.sha512(b"m").digest(), (), NOW).xml


def test_a_member_with_a_good_certificate_is_believed(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    xml = signed(pair, [authority.ocsp_response(pair.certificate, NOW)])
    Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


def test_a_member_may_not_sign_for_another(authority: TestAuthority, shared: SharedParameters, pair: KeyPair) -> None:
    xml = signed(pair, [authority.ocsp_response(pair.certificate, NOW)])
    with pytest.raises(SignerWrong, match="70000002"):
        Trust(shared).check_signature(xml, b"m", (), None, POP, NOW)


def test_what_was_believed_once_is_not_believed_for_ever(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    xml = signed(pair, [authority.ocsp_response(pair.certificate, NOW)])
    trust = Trust(shared)
    trust.check_signature(xml, b"m", (), None, EDU, NOW)
    last = NOW + timedelta(seconds=shared.ocsp_freshness_seconds)
    trust.check_signature(xml, b"m", (), None, EDU, last)
    with pytest.raises(RevocationUnknown, match="too old"):
        trust.check_signature(xml, b"m", (), None, EDU, last + timedelta(seconds=1))


def test_a_revoked_certificate_is_refused(authority: TestAuthority, shared: SharedParameters, pair: KeyPair) -> None:
    xml = signed(pair, [authority.ocsp_response(pair.certificate, NOW, NOW - timedelta(days=1))])
    with pytest.raises(RevocationUnknown, match=f"revoked since {NOW - timedelta(days=1):%Y-%m-%d}"):
        Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


def test_an_answer_about_another_certificate_does_not_help(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    other = authority.sign_certificate(EDU, "Education", "node-edu", NOW)
    xml = signed(pair, [authority.ocsp_response(other.certificate, NOW)])
    with pytest.raises(RevocationUnknown, match="another certificate"):
        Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


def test_an_answer_from_the_future_is_refused(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    answer = authority.ocsp_response(pair.certificate, NOW)
    trust = Trust(shared)
    producible = ocsp.this_update(answer)
    with pytest.raises(RevocationUnknown, match="future"):
        trust.check_own_ocsp(pair.certificate, "signing", answer, producible - timedelta(hours=12))


def test_a_strangers_authority_is_not_believed(shared: SharedParameters) -> None:
    stranger = TestAuthority.create("KG", NOW)  # the very same names, other keys
    pair = stranger.sign_certificate(EDU, "Education", "node-edu", NOW)
    xml = signed(pair, [stranger.ocsp_response(pair.certificate, NOW)])
    with pytest.raises(CertificateInvalid, match="no approved"):
        Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


def test_a_strangers_responder_is_not_believed(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    stranger = replace(authority, responder=TestAuthority.create("KG", NOW).responder)
    xml = signed(pair, [stranger.ocsp_response(pair.certificate, NOW)])
    with pytest.raises(RevocationUnknown, match="entitled"):
        Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


def test_an_authentication_certificate_does_not_sign_and_a_signing_one_does_not_authenticate(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    auth = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", NOW)
    xml = signed(auth, [authority.ocsp_response(auth.certificate, NOW)])
    with pytest.raises(CertificateInvalid, match="not for signing"):
        Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)
    with pytest.raises(CertificateInvalid, match="not for authentication"):
        Trust(shared).check_auth(pair.certificate, (authority.ocsp_response(pair.certificate, NOW),), NOW)


def test_an_authority_for_authentication_only_does_not_stand_behind_signatures(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    only = replace(shared, authorities=(replace(shared.authorities[0], authentication_only=True),))
    xml = signed(pair, [authority.ocsp_response(pair.certificate, NOW)])
    with pytest.raises(CertificateInvalid):
        Trust(only).check_signature(xml, b"m", (), None, EDU, NOW)


def test_a_certificate_counts_only_while_it_is_valid(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    with pytest.raises(CertificateInvalid, match="valid from"):
        certs.check_validity(pair.certificate, "signing", NOW + timedelta(days=4000))


def test_a_signature_without_an_ocsp_answer_is_not_believed(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    facts = verify(signed(pair, [authority.ocsp_response(pair.certificate, NOW)]), b"m")
    with pytest.raises(RevocationUnknown, match="no OCSP answer"):
        Trust(shared).signer(replace(facts, ocsp_responses=()), NOW)


def test_a_batch_of_another_member_is_refused_and_ones_own_believed(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    signer = Signer(pair.key, pair.certificate)
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    tree = batch([(hashlib.sha512(bytes([n])).digest(), ()) for n in range(5)])
    xml = signer.sign_batch([(leaf, ()) for leaf in tree.leaves], NOW)[0].xml
    assert Trust(shared).check_batch(xml, tree, EDU, NOW).certificate == pair.certificate
    with pytest.raises(SignerWrong):
        Trust(shared).check_batch(xml, tree, POP, NOW)


# --- nextUpdate, and authorities that only the signature brings ---


def answer(
    about: x509.Certificate, issuer: KeyPair, responder: KeyPair, until: datetime | None, *, revoked: bool = False
) -> bytes:
    builder = x509.ocsp.OCSPResponseBuilder().add_response(
        about,
        issuer.certificate,
        hashes.SHA1(),
        x509.ocsp.OCSPCertStatus.REVOKED if revoked else x509.ocsp.OCSPCertStatus.GOOD,
        NOW,
        until,
        NOW - timedelta(days=1) if revoked else None,
        None,
    )
    builder = builder.responder_id(x509.ocsp.OCSPResponderEncoding.NAME, responder.certificate)
    return builder.sign(responder.key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_an_answer_that_was_to_be_replaced_is_not_believed_unless_the_configuration_says_so(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    due = NOW + timedelta(minutes=5)
    xml = signed(pair, [answer(pair.certificate, authority.ca, authority.responder, due)])
    trust = Trust(shared)
    trust.check_signature(xml, b"m", (), None, EDU, due)
    late = due + timedelta(seconds=1)
    with pytest.raises(RevocationUnknown, match="replaced by"):
        trust.check_signature(xml, b"m", (), None, EDU, late)
    Trust(shared, verify_next_update=False).check_signature(xml, b"m", (), None, EDU, late)


def test_whether_nextupdate_counts_is_one_setting_for_a_whole_federation(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    due = NOW + timedelta(minutes=5)
    own_answer = answer(pair.certificate, authority.ca, authority.responder, due)
    xml, late = signed(pair, [own_answer]), due + timedelta(seconds=1)
    federated = FederatedParameters.of(shared, {}, {})
    lax = FederatedTrust.of(federated, {}, verify_next_update=False)
    lax.check_signature(xml, b"m", (), None, EDU, late)
    lax.check_own_ocsp(pair.certificate, "signing", own_answer, late)
    strict = FederatedTrust.of(federated, lax.trusts)  # what the lax one remembers does not count
    with pytest.raises(RevocationUnknown, match="replaced by"):
        strict.check_signature(xml, b"m", (), None, EDU, late)
    with pytest.raises(RevocationUnknown, match="replaced by"):
        strict.check_own_ocsp(pair.certificate, "signing", own_answer, late)


def test_an_answer_need_not_say_when_it_is_replaced(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    xml = signed(pair, [answer(pair.certificate, authority.ca, authority.responder, None)])
    Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


@pytest.fixture(scope="module")
def branch(authority: TestAuthority) -> tuple[KeyPair, KeyPair]:
    """An authority under the approved one that the configuration does not list, and a signing certificate of its making."""

    def issue(subject: x509.Name, issuer: KeyPair, *, ca: bool) -> KeyPair:
        key = new_key()
        usage = dict.fromkeys(KEY_USAGES, False) | {"key_cert_sign": ca, "content_commitment": not ca}
        builder = x509.CertificateBuilder(
            issuer.certificate.subject, subject, key.public_key(), x509.random_serial_number(),
            NOW - timedelta(days=1), NOW + timedelta(days=9),
        )  # fmt: skip
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        return KeyPair(key, builder.sign(issuer.key, hashes.SHA256()))

    middle = issue(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "branch")]), authority.ca, ca=True)
    subject = authority.sign_certificate(EDU, "Education", "node-edu", NOW).certificate.subject
    return middle, issue(subject, middle, ca=False)


KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def signed_in_the_branch(branch: tuple[KeyPair, KeyPair], answers: list[bytes], *, bring: bool = True) -> bytes:
    middle, own = branch
    signer = Signer(own.key, own.certificate, intermediates=[middle.certificate] if bring else [])
    signer.with_ocsp(answers)
    return signer.sign(hashlib.sha512(b"m").digest(), (), NOW).xml


def test_an_authority_the_signature_brings_is_believed_with_an_answer_about_itself(
    authority: TestAuthority, shared: SharedParameters, branch: tuple[KeyPair, KeyPair]
) -> None:
    middle, own = branch
    about_own = answer(own.certificate, middle, middle, None)
    about_middle = answer(middle.certificate, authority.ca, authority.responder, None)
    xml = signed_in_the_branch(branch, [about_own, about_middle])
    Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)
    xml = signed_in_the_branch(branch, [about_own, about_middle], bring=False)
    with pytest.raises(CertificateInvalid, match="no approved"):
        Trust(shared).check_signature(xml, b"m", (), None, EDU, NOW)


def test_an_authority_the_signature_brings_is_not_believed_without_an_answer_or_when_revoked(
    authority: TestAuthority, shared: SharedParameters, branch: tuple[KeyPair, KeyPair]
) -> None:
    middle, own = branch
    about_own = answer(own.certificate, middle, middle, None)
    with pytest.raises(RevocationUnknown, match="another certificate"):
        Trust(shared).check_signature(signed_in_the_branch(branch, [about_own]), b"m", (), None, EDU, NOW)
    revoked = answer(middle.certificate, authority.ca, authority.responder, None, revoked=True)
    with pytest.raises(RevocationUnknown, match="revoked"):
        Trust(shared).check_signature(signed_in_the_branch(branch, [about_own, revoked]), b"m", (), None, EDU, NOW)


def test_a_listed_intermediate_needs_no_answer_about_itself(
    shared: SharedParameters, branch: tuple[KeyPair, KeyPair]
) -> None:
    middle, own = branch
    listed = replace(shared.authorities[0], intermediates=(Authority(middle.certificate, ()),))
    xml = signed_in_the_branch(branch, [answer(own.certificate, middle, middle, None)], bring=False)
    Trust(replace(shared, authorities=(listed,))).check_signature(xml, b"m", (), None, EDU, NOW)


# --- a live X-Road 7.3.2 pair ---


class _Message:
    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, data: bytes) -> None:
        self.body += data


def wire(folder: Path, name: str) -> _Message:
    found = _Message()
    parser = httptools.HttpRequestParser if name.endswith("req") else httptools.HttpResponseParser
    parser(found).feed_data((folder / "live-7.3.2/wire" / name).read_bytes())
    return found


def message(found: _Message) -> multipart.TransportMessage:
    decoder = multipart.Decoder(multipart.boundary_of(found.headers[b"content-type"].decode()))
    decoder.feed(found.body)
    return decoder.finish()


@pytest.mark.vectors
@pytest.mark.parametrize("number", ["001", "002", "003", "004"])
def test_a_live_exchange_verifies_to_the_last_check(vectors: Path, number: str) -> None:
    shared = globalconf.parse_shared((vectors / "live-7.3.2/globalconf/EE/shared-params.xml").read_bytes())
    trust = Trust(shared)
    sent, answered = message(wire(vectors, f"{number}.req")), message(wire(vectors, f"{number}.resp"))
    request, response = rest.decode_request(sent.message), rest.decode_response(answered.message)
    assert request.encode() == sent.message
    assert response.encode() == answered.message
    for found, expected in ((sent, request.client.member), (answered, request.service.provider.member)):
        attachments = () if found.body is None else (found.body,)
        when = verify(found.signature, found.message, attachments, found.hash_chain).signing_time + timedelta(seconds=1)
        trust.check_signature(found.signature, found.message, attachments, found.hash_chain, expected, when)
        with pytest.raises(ExchangeError):
            trust.check_signature(found.signature, found.message + b" ", attachments, found.hash_chain, expected, when)
    body_digest = None if sent.body is None else hashlib.sha512(sent.body).digest()
    rest.check_consistent(request, rest.request_hash(hashlib.sha512(sent.message).digest(), body_digest), response)
    assert (response.status == 404) == (number == "004")
    assert (answered.body is None) == (number == "003")  # a 204 has no body part, an empty entity has an empty one


def test_answers_that_nobody_needs_are_not_remembered_beside_the_one_that_holds(
    authority: TestAuthority, shared: SharedParameters, pair: KeyPair
) -> None:
    """Whoever sends them chooses how many, and others each time."""
    trust = Trust(shared)
    auth = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", NOW)
    good = authority.ocsp_response(auth.certificate, NOW)
    for number in range(3):
        trust.check_auth(auth.certificate, (good, bytes([number]) * 40_000), NOW)
    answer = authority.ocsp_response(pair.certificate, NOW)
    for number in range(3):
        other = authority.sign_certificate(POP, "Other", f"other-{number}", NOW)
        xml = signed(pair, [answer, *[authority.ocsp_response(other.certificate, NOW)] * 15])
        trust.check_signature(xml, b"m", (), None, EDU, NOW)
    assert sum(len(answers) for _, answers in trust._auth) == 3 * 32
    kept = sum(len(one) for _, answers in trust._signers for one in answers)
    assert kept <= 3 * 32 * 1024
    trust.check_auth(auth.certificate, (good,), NOW)
    assert len(trust._auth) == 4


def test_many_answers_about_a_server_are_looked_at_once(
    authority: TestAuthority, shared: SharedParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the Kerege link they count for every frame, and whoever sends a frame chose how many there are."""
    auth = authority.auth_certificate(ServerId.parse("KG/GOV/70000003/node-edu"), "Education", NOW)
    times = (NOW - timedelta(days=2, seconds=number) for number in range(80))
    old = [authority.ocsp_response(auth.certificate, time) for time in times]
    answers = (*old, authority.ocsp_response(auth.certificate, NOW))
    assert sum(map(len, answers)) > 32 * 1024
    trust, looked = Trust(shared), Mock(wraps=ocsp.check)
    monkeypatch.setattr(ocsp, "check", looked)
    for _ in range(3):
        trust.check_auth(auth.certificate, answers, NOW)
    assert looked.call_count == 81
