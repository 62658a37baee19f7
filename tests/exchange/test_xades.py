import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from kerege.exchange import xades_verify
from kerege.exchange.errors import ExchangeError, HashChainInvalid, SignatureInvalid, SignatureMalformed
from kerege.exchange.hashchain import SHA512, Digest, HashChain
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import TestAuthority
from kerege.exchange.xades import Signed, Signer
from kerege.exchange.xades_read import remembered
from kerege.exchange.xades_verify import verify

from .conftest import NOW

MEMBER = MemberId("KG", "GOV", "70000003")


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


@pytest.fixture(scope="module", params=["ec", "rsa", "pss"])
def signer(request: pytest.FixtureRequest, authority: TestAuthority) -> Signer:
    kind = "ec" if request.param == "ec" else "rsa"
    # names that need escaping in XML must not break the template
    pair = authority.sign_certificate(MEMBER, "A & B <C>", "node-edu", NOW, kind)
    made = Signer(pair.key, pair.certificate, pss=request.param == "pss")
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return made


def sign(signer: Signer, message: bytes, body: bytes | None) -> Signed:
    return signer.sign(sha(message), () if body is None else (sha(body),), NOW)


@pytest.mark.parametrize("body", [None, b"", b"body"])
def test_a_signature_verifies_and_says_who_and_when(signer: Signer, body: bytes | None) -> None:
    signed = sign(signer, b"message", body)
    facts = verify(signed.xml, b"message", () if body is None else (body,), signed.chain)
    assert facts.certificate == signer.certificate
    assert facts.signing_time == NOW
    assert len(facts.ocsp_responses) == 1


@pytest.mark.parametrize("body", [None, b"body"])
def test_the_quick_and_the_full_reader_agree(signer: Signer, body: bytes | None) -> None:
    signed = sign(signer, b"message", body)
    match = xades_verify._OURS.fullmatch(signed.xml)
    assert match is not None, "what is made here must be recognised by the quick reader"
    assert xades_verify._parse_ours(match) == xades_verify.parse_full(signed.xml)


class Odd(Signer):
    """Signs properly, but writes something else where the certificate's issuer and serial number stand."""

    def write(self, issuer: bytes | None = None, serial: bytes | None = None) -> bytes:
        self._issuer, self._serial = issuer or self._issuer, serial or self._serial
        return self.sign(sha(b"message"), (), NOW).xml


@pytest.fixture
def odd(authority: TestAuthority) -> Odd:
    pair = authority.sign_certificate(MEMBER, "x", "node-edu", NOW)
    made = Odd(pair.key, pair.certificate)
    made.with_ocsp([authority.ocsp_response(pair.certificate, NOW)] * 2)
    return made


@pytest.mark.parametrize("issuer", [b"CN=a\x00b", b"CN=\xff\xfe", b"CN=\x1b", b"CN=]]>&", b"CN=&nothing;"])
def test_a_signed_document_that_is_no_xml_is_refused(odd: Odd, issuer: bytes) -> None:
    with pytest.raises(SignatureMalformed):
        verify(odd.write(issuer), b"message")


@pytest.mark.parametrize("serial", [b"7", b"0%d", b"9" * 5000])
def test_a_signed_serial_number_that_is_not_the_certificates_is_refused(odd: Odd, serial: bytes) -> None:
    with pytest.raises(SignatureInvalid, match="serial number"):
        verify(odd.write(serial=serial.replace(b"%d", odd._serial)), b"message")


def test_the_quick_reader_takes_nothing_but_our_own_form(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    full: list[bytes] = []
    real = xades_verify.parse_full
    monkeypatch.setattr(xades_verify, "parse_full", lambda xml: (full.append(xml), real(xml))[1])
    xml = odd.write()
    verify(xml, b"message")
    assert not full
    with pytest.raises(SignatureMalformed, match="more than once"):  # two answers with one Id
        verify(xml.replace(b"ocsp-response-2", b"ocsp-response-1"), b"message")
    verify(xml.replace(b"ocsp-response-2", b"ocsp-response-7"), b"message")
    assert len(full) == 2


def test_a_signature_does_not_bring_answers_without_end(odd: Odd) -> None:
    odd.with_ocsp([b"x"] * 17)
    with pytest.raises(SignatureMalformed, match="16 OCSP"):
        verify(odd.write(), b"message")


def test_digests_do_in_place_of_bytes(signer: Signer) -> None:
    signed = sign(signer, b"message", b"body")
    verify(signed.xml, Digest(SHA512, sha(b"message")), (Digest(SHA512, sha(b"body")),), signed.chain)


def test_a_changed_message_body_or_chain_is_refused(signer: Signer) -> None:
    signed = sign(signer, b"message", b"body")
    assert signed.chain is not None
    with pytest.raises(HashChainInvalid):
        verify(signed.xml, b"Message", (b"body",), signed.chain)
    with pytest.raises(HashChainInvalid):
        verify(signed.xml, b"message", (b"Body",), signed.chain)
    other = sign(signer, b"message", b"Body").chain
    with pytest.raises(SignatureInvalid, match="hash chain result"):
        verify(signed.xml, b"message", (b"Body",), other)
    with pytest.raises(SignatureInvalid, match="did not come"):
        verify(signed.xml, b"message", (b"body",), None)


def test_parts_the_signature_does_not_cover_are_refused(signer: Signer) -> None:
    signed = sign(signer, b"message", None)
    with pytest.raises(SignatureInvalid, match="does not cover"):
        verify(signed.xml, b"message", (b"added",), None)
    with pytest.raises(SignatureInvalid, match="does not cover"):
        verify(signed.xml, b"message", (), HashChain(b"<a/>", b"<b/>"))


def test_every_changed_byte_of_what_is_signed_is_noticed(signer: Signer) -> None:
    xml = sign(signer, b"message", None).xml
    spans = [(xml.index(b"<" + tag), xml.index(b"</" + tag)) for tag in (b"ds:SignedInfo", b"xades:SignedProperties")]
    for at in [at for start, end in spans for at in range(start + 1, end, 23)]:
        changed = xml[:at] + bytes((xml[at] ^ 1,)) + xml[at + 1 :]
        with pytest.raises(ExchangeError):
            verify(changed, b"message")


def test_a_second_element_with_the_same_id_is_refused(signer: Signer) -> None:
    xml = sign(signer, b"message", None).xml
    wrapped = xml.replace(b"</ds:Signature>", b'<ds:Object Id="signed-properties"/></ds:Signature>')
    with pytest.raises(SignatureMalformed, match="more than once"):
        verify(wrapped, b"message")


def test_a_doctype_is_refused(signer: Signer) -> None:
    xml = sign(signer, b"message", None).xml
    bomb = xml.replace(b"?><asic", b'?><!DOCTYPE a [<!ENTITY b "c">]><asic')
    with pytest.raises(SignatureMalformed, match="DOCTYPE"):
        verify(bomb, b"message")


def test_signing_without_an_ocsp_answer_is_a_bug_that_shows(authority: TestAuthority) -> None:
    pair = authority.sign_certificate(MEMBER, "x", "s", NOW)
    with pytest.raises(ValueError, match="OCSP"):
        Signer(pair.key, pair.certificate).sign(sha(b"m"), (), NOW)


def test_milliseconds_of_the_signing_time_are_kept(signer: Signer) -> None:
    moment = NOW + timedelta(milliseconds=7)
    assert verify(signer.sign(sha(b"m"), (), moment).xml, b"m").signing_time == moment


def test_what_is_remembered_is_short_and_not_much_of_it() -> None:
    made: list[bytes] = []

    @remembered(2, 10)
    def length(data: bytes) -> int:
        made.append(data)
        return len(data)

    assert [length(b"a"), length(b"a"), length(b"b"), length(bytes(11)), length(bytes(11))] == [1, 1, 1, 11, 11]
    assert made == [b"a", b"b", bytes(11), bytes(11)]
    length(b"c")
    length(b"a")
    assert made[-2:] == [b"c", b"a"]


# --- X-Road's own signatures ---


def read(folder: Path, name: str) -> bytes:
    return (folder / "signatures" / name).read_bytes()


@pytest.mark.vectors
def test_x_roads_signature_holds(vectors: Path) -> None:
    facts = verify(read(vectors, "sign-0.xml"), read(vectors, "message-0.xml"))
    assert facts.signing_time.year == 2017
    with pytest.raises(SignatureInvalid, match="message digest"):
        verify(read(vectors, "sign-0.xml"), read(vectors, "message-1.xml"))


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("sign-0-invalid-signature-value.xml", SignatureInvalid, "signature value"),
        ("sign-0-malformed-xml.xml", SignatureMalformed, "well-formed"),
        ("sign-0-no-objectcontainer.xml", SignatureMalformed, "QualifyingProperties"),
        ("sign-0-no-signature.xml", SignatureMalformed, "exactly one signature"),
        ("sign-0-no-signing-cert.xml", SignatureMalformed, "signing certificate"),
        ("sign-0-schema-fail.xml", SignatureMalformed, "CanonicalizationMethod"),
        ("empty.xml", SignatureMalformed, "well-formed"),
        (
            "xades.signature.ts.xml",
            SignatureInvalid,
            "signed properties",
        ),  # of 2012, over a manifest that no server writes now
        ("batch-sig.xml", SignatureInvalid, "did not come"),  # its chain is missing here; with it: test_batch
        ("extra-certs-digest-invalid.xml", SignatureInvalid, "digest of a certificate it refers to"),
        ("extra-certs-missing-cert.xml", SignatureMalformed, "refers to is missing"),
        ("extra-certs-missing-id.xml", SignatureMalformed, "does not say which"),
    ],
)
def test_x_roads_faulty_signatures_are_refused_for_the_right_reason(
    vectors: Path, name: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        verify(read(vectors, name), read(vectors, "message-0.xml"))


@pytest.mark.vectors
def test_x_roads_signature_in_the_older_envelope_holds(vectors: Path) -> None:
    facts = verify(read(vectors, "sign-0-old-format.xml"), read(vectors, "message-0.xml"))
    assert facts.signing_time.year == 2015
    assert len(facts.ocsp_responses) == 1


@pytest.mark.vectors
def test_x_roads_signature_without_ocsp_answers_holds_but_brings_no_reason_to_believe_the_signer(vectors: Path) -> None:
    """The value is right; `trust` refuses the signer (test_a_signature_without_an_ocsp_answer_is_not_believed)."""
    assert verify(read(vectors, "sign-0-ocsp-no-responses.xml"), read(vectors, "message-0.xml")).ocsp_responses == ()


@pytest.mark.vectors
def test_x_roads_batch_signature_holds_for_its_message(vectors: Path) -> None:
    import base64
    import re

    chain = HashChain(read(vectors, "hash-chain-result.xml"), read(vectors, "hash-chain-1.xml"))
    digests = re.findall(rb"<DigestValue>([^<]+)<", chain.chain)
    attachment = Digest(SHA512, base64.b64decode(digests[1]))
    verify(read(vectors, "batch-sig.xml"), read(vectors, "message-1.xml"), (attachment,), chain)
    with pytest.raises(HashChainInvalid):
        verify(read(vectors, "batch-sig.xml"), read(vectors, "message-0.xml"), (attachment,), chain)


@pytest.mark.vectors
def test_the_newer_style_with_one_reference_per_part_holds(vectors: Path) -> None:
    folder = "non-batch-sig/"
    parts = [read(vectors, folder + name) for name in ("signatures.xml", "message.xml", "attachment1")]
    verify(parts[0], parts[1], (parts[2],))
    with pytest.raises(SignatureInvalid, match="did not come"):
        verify(parts[0], parts[1])
    with pytest.raises(SignatureInvalid, match="attachment1"):
        verify(parts[0], parts[1], (parts[2] + b" ",))


@pytest.mark.vectors
def test_every_signature_vector_is_named_in_a_test(vectors: Path) -> None:
    here = Path(__file__).parent
    said = "".join((here / name).read_text() for name in ("test_xades.py", "test_batch.py"))
    assert [path.name for path in (vectors / "signatures").glob("*.xml") if path.stem not in said] == []
