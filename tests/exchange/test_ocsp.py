"""Answers about revocation that a stranger damaged, or that are signed in a way nobody should believe any more."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as form

from kerege.exchange import ocsp
from kerege.exchange.errors import RevocationUnknown
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import KeyPair, TestAuthority

from .conftest import NOW

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def pair(authority: TestAuthority) -> KeyPair:
    return authority.sign_certificate(MemberId("KG", "GOV", "70000003"), "Education", "node-edu", NOW)


def check(authority: TestAuthority, pair: KeyPair, answer: bytes) -> None:
    ocsp.check(answer, pair.certificate, authority.ca.certificate, [], NOW, HOUR)


def test_a_damaged_answer_is_refused_and_never_breaks_the_reader(authority: TestAuthority, pair: KeyPair) -> None:
    answer = authority.ocsp_response(pair.certificate, NOW)
    check(authority, pair, answer)
    chance = random.Random(3)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(answer)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            check(authority, pair, bytes(damaged))
        except RevocationUnknown:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize("problem", [ValueError(), TypeError(), UnsupportedAlgorithm("x")])
def test_whatever_the_library_raises_late_is_an_answer_not_accepted(
    authority: TestAuthority, pair: KeyPair, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def broken(*_: object) -> bool:
        raise problem

    monkeypatch.setattr(ocsp, "_signed_by_entitled", broken)
    with pytest.raises(RevocationUnknown, match="cannot be read"):
        check(authority, pair, authority.ocsp_response(pair.certificate, NOW))


@pytest.mark.parametrize("data", [b"", b"no answer", b"0\x03\n\x01\x00", form.OCSPResponseBuilder.build_unsuccessful(
    form.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER)])  # fmt: skip
def test_an_answer_without_a_status_has_no_moment(data: bytes) -> None:
    with pytest.raises(RevocationUnknown, match="cannot be read"):
        ocsp.this_update(data)


def test_an_answer_signed_over_sha_1_is_refused(
    authority: TestAuthority, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[bytes], form.OCSPResponse] = form.load_der_ocsp_response

    class Old:
        """The answer as it would be, had the responder signed over SHA-1 (the library signs no such answer)."""

        signature_hash_algorithm = hashes.SHA1()

        def __init__(self, answer: form.OCSPResponse) -> None:
            self._answer = answer

        def __getattr__(self, name: str) -> object:
            return getattr(self._answer, name)

    monkeypatch.setattr(ocsp.ocsp, "load_der_ocsp_response", lambda data: Old(real(data)))
    monkeypatch.setattr(ocsp, "_signed_by_entitled", lambda *_: True)
    with pytest.raises(RevocationUnknown, match="digest"):
        check(authority, pair, authority.ocsp_response(pair.certificate, NOW))


def test_only_a_few_of_the_certificates_in_an_answer_are_looked_at(
    authority: TestAuthority, pair: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[x509.Certificate] = []
    monkeypatch.setattr(ocsp, "_may_sign_ocsp", lambda one: bool(looked.append(one)))
    monkeypatch.setattr(ocsp, "_verifies", lambda *_: False)

    class Many:
        certificates = (pair.certificate,) * 100

    assert not ocsp._signed_by_entitled(Many(), authority.ca.certificate, [], NOW)  # type: ignore[arg-type]
    assert len(looked) == ocsp.MOST_RESPONDERS
