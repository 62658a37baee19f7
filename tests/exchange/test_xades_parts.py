"""The newer signature style: one reference per part, no hash chain. X-Road's own are in `test_xades`, xmlsec1 in `test_outside_checks`."""

import hashlib

import pytest

from kerege.exchange.errors import ExchangeError, SignatureInvalid
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import TestAuthority
from kerege.exchange.xades import Signer
from kerege.exchange.xades_parts import integer
from kerege.exchange.xades_verify import verify

from .conftest import NOW

MEMBER = MemberId("KG", "GOV", "70000003")


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def parts_signer(authority: TestAuthority, kind: str = "ec") -> Signer:
    pair = authority.sign_certificate(MEMBER, "A & B", "node-edu", NOW, kind)
    made = Signer(pair.key, pair.certificate, style="parts", intermediates=[authority.ca.certificate])
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


@pytest.mark.parametrize("kind", ["ec", "rsa"])
@pytest.mark.parametrize("bodies", [(), (b"body",), (b"one", b"", b"three")])
def test_the_newer_style_covers_every_part_by_itself(
    authority: TestAuthority, kind: str, bodies: tuple[bytes, ...]
) -> None:
    made = parts_signer(authority, kind)
    signed = made.sign(sha(b"message"), [sha(body) for body in bodies], NOW)
    assert signed.chain is None
    assert signed.xml.count(b"<ds:Reference ") == len(bodies) + 2
    facts = verify(signed.xml, b"message", bodies)
    assert (facts.certificate, facts.signing_time) == (made.certificate, NOW)
    assert facts.extra_certificates == (authority.ca.certificate,)
    with pytest.raises(SignatureInvalid, match="message digest"):
        verify(signed.xml, b"Message", bodies)
    with pytest.raises(SignatureInvalid, match="does not cover"):
        verify(signed.xml, b"message", (*bodies, b"more"))
    for at in range(len(bodies)):
        with pytest.raises(SignatureInvalid, match=f"attachment{at + 1}"):
            verify(signed.xml, b"message", (*bodies[:at], b"other", *bodies[at + 1 :]))


def test_every_changed_byte_of_what_is_signed_is_noticed_in_the_newer_style_too(authority: TestAuthority) -> None:
    xml = parts_signer(authority).sign(sha(b"message"), (), NOW).xml
    spans = [(xml.index(b"<" + tag), xml.index(b"</" + tag)) for tag in (b"ds:SignedInfo", b"xades:SignedProperties")]
    for at in [at for start, end in spans for at in range(start + 1, end, 29)]:
        with pytest.raises(ExchangeError):
            verify(xml[:at] + bytes((xml[at] ^ 1,)) + xml[at + 1 :], b"message")


def test_the_newer_style_names_another_serial_number_in_vain(authority: TestAuthority) -> None:
    made, other = parts_signer(authority), parts_signer(authority)
    assert made._parts is not None
    assert other._parts is not None
    made._parts._issuer_serial = other._parts._issuer_serial
    with pytest.raises(SignatureInvalid, match="serial number"):
        verify(made.sign(sha(b"message"), (), NOW).xml, b"message")


def test_in_the_newer_style_a_body_is_never_a_message_nor_a_message_a_body(authority: TestAuthority) -> None:
    made = parts_signer(authority)
    signed = made.sign(sha(b"message"), [sha(b"body")], NOW)
    with pytest.raises(SignatureInvalid):
        verify(signed.xml, b"body")
    with pytest.raises(SignatureInvalid):
        verify(signed.xml, b"body", (b"message",))
    one, _ = made.sign_batch([(sha(b"one"), ()), (sha(b"two"), ())], NOW)
    with pytest.raises(SignatureInvalid):
        verify(one.xml, b"one", (b"two",))


def test_the_newer_style_has_no_batches(authority: TestAuthority) -> None:
    signed = parts_signer(authority).sign_batch([(sha(b"one"), ()), (sha(b"two"), (sha(b"body"),))], NOW)
    assert [one.chain for one in signed] == [None, None]
    verify(signed[0].xml, b"one")
    verify(signed[1].xml, b"two", (b"body",))


def test_a_style_nobody_knows_is_refused(authority: TestAuthority) -> None:
    pair = authority.sign_certificate(MEMBER, "x", "s", NOW)
    with pytest.raises(ValueError, match="chain, parts"):
        Signer(pair.key, pair.certificate, style="pdf")


@pytest.mark.parametrize(
    ("value", "der"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (2**64, "0209010000000000000000")]
)
def test_a_serial_number_is_a_der_integer_that_is_never_negative(value: int, der: str) -> None:
    assert integer(value).hex() == der
