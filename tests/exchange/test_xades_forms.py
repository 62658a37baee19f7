"""Documents like the one before: read by what is known of their signer's form, with the verdict of the readers that know nothing.

Also the making: what is prepared once for a signer gives the bytes that the templates give.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.exchange import xades, xades_forms, xades_verify
from kerege.exchange.batch import Batch
from kerege.exchange.errors import ExchangeError, RevocationUnknown, SignatureInvalid, SignerWrong
from kerege.exchange.globalconf import SharedParameters
from kerege.exchange.ids import MemberId
from kerege.exchange.pki import TestAuthority
from kerege.exchange.trust import Trust
from kerege.exchange.xades import Signer
from kerege.exchange.xades_read import Parsed, SignatureFacts, parse_full
from kerege.exchange.xades_verify import verify, verify_batch

from .conftest import NOW

EDU, POP = MemberId("KG", "GOV", "70000003"), MemberId("KG", "GOV", "70000002")
Verdict = tuple[object, ...]


def sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def tree(number: int) -> Batch:
    return Batch.of_leaves([sha(b"%d of %d" % (one, number)) for one in range(3)])


def made(authority: TestAuthority, member: MemberId, kind: str, *, pss: bool = False) -> Signer:
    pair = authority.sign_certificate(member, "A & B", "node-edu", NOW, kind)
    signer = Signer(pair.key, pair.certificate, pss=pss)
    signer.with_ocsp([authority.ocsp_response(pair.certificate, NOW)])
    return signer


@pytest.fixture(scope="module", params=["ec", "rsa", "pss"])
def signer(request: pytest.FixtureRequest, authority: TestAuthority) -> Signer:
    return made(authority, EDU, "ec" if request.param == "ec" else "rsa", pss=request.param == "pss")


@pytest.fixture(scope="module")
def quick_signer(authority: TestAuthority) -> Signer:
    return made(authority, EDU, "ec")


try:
    from kerege.exchange.lane import signatures as native
except (ImportError, ValueError):
    native = None  # type: ignore[assignment]
NOT_THERE = pytest.mark.skipif(native is None, reason="not there: make setup compiles the native modules")


@pytest.fixture(autouse=True, params=["python", pytest.param("native", marks=NOT_THERE)])
def forms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[xades_forms.Forms]:
    """Nothing is known at first. Everything is tried with the native code and without."""
    fresh = xades_forms.Forms()
    by_python = request.param == "python"
    monkeypatch.setattr(xades_forms, "_layout", xades_forms.Layout if by_python else native.Layout)
    monkeypatch.setattr(xades, "_pieces", xades.Pieces if by_python else native.Pieces)
    monkeypatch.setattr(xades_verify, "_FORMS", fresh)
    xades_verify._read.cache_clear()
    yield fresh
    xades_verify._read.cache_clear()


def verdict(reader: Callable[[bytes], Parsed | None], xml: bytes) -> Verdict:
    """What a reader says, in a form that compares: what it found, or which error it raised."""
    try:
        found = reader(xml)
    except ExchangeError as refused:
        return type(refused), refused.text
    return ("not mine",) if found is None else (found.references, found.facts)


def knowing_nothing(xml: bytes) -> Parsed:
    match = xades_verify._OURS.fullmatch(xml)
    return (None if match is None else xades_verify._parse_ours(match)) or parse_full(xml)


def hold_to_the_law(xml: bytes) -> bool:
    """Whether it was read by its form; then the readers that know nothing say the same."""
    found = verdict(xades_verify._like_one_before, xml)
    if found == ("not mine",):
        return False
    assert found == verdict(knowing_nothing, xml)
    return True


def field(xml: bytes, before: bytes, number: int = 0) -> tuple[int, int]:
    start = -1
    for _ in range(number + 1):
        start = xml.index(before, start + 1)
    return start + len(before), xml.index(b"</", start)


def fields(xml: bytes) -> dict[str, tuple[int, int]]:
    return {
        "digest": field(xml, b"<ds:DigestValue>"),
        "properties": field(xml, b"<ds:DigestValue>", 1),
        "value": field(xml, b'Id="signature-value">'),
        "time": field(xml, b"<xades:SigningTime>"),
    }


def known(signer: Signer) -> bytes:
    """A document of a signer whose form is known by then."""
    first, second = tree(1), tree(2)
    verify_batch(signer.sign_tree(first, NOW), first)
    xml = signer.sign_tree(second, NOW + timedelta(milliseconds=1234))
    assert hold_to_the_law(xml)
    return xml


# --- what is read by its form ---


def test_the_next_document_of_a_signer_is_read_by_its_form_and_says_the_same(
    signer: Signer, forms: xades_forms.Forms, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tree(0)
    verify_batch(signer.sign_tree(first, NOW), first)
    assert len(forms) == 1
    monkeypatch.setattr(xades_verify, "_OURS", None)  # would be an error
    for number in range(1, 5):
        here, when = tree(number), NOW + timedelta(milliseconds=777 * number)
        xml = signer.sign_tree(here, when)
        facts = verify_batch(xml, here)
        assert (facts.certificate, facts.signing_time) == (signer.certificate, when)
        assert facts == parse_full(xml).facts
        with pytest.raises(SignatureInvalid, match="chain result"):
            verify_batch(xml, tree(number + 1))
    assert len(forms) == 1


def test_a_message_alone_is_of_another_form_than_a_batch(signer: Signer, forms: xades_forms.Forms) -> None:
    known(signer)
    for text in (b"one", b"two", b"three"):
        xml = signer.sign(sha(text), (), NOW).xml
        assert verify(xml, text) == parse_full(xml).facts
        with pytest.raises(SignatureInvalid, match="message digest"):
            verify(xml, b"else")
        with pytest.raises(SignatureInvalid, match="does not cover a hash chain"):
            verify_batch(xml, tree(1))
        assert hold_to_the_law(xml)
    assert len(forms) == 2


def test_new_answers_are_a_form_of_their_own(authority: TestAuthority, forms: xades_forms.Forms) -> None:
    one = made(authority, EDU, "ec")
    known(one)
    newer = authority.ocsp_response(one.certificate, NOW + timedelta(seconds=1))
    one.with_ocsp([newer])
    here = tree(7)
    xml = one.sign_tree(here, NOW)
    assert verdict(xades_verify._like_one_before, xml) == ("not mine",)
    assert verify_batch(xml, here).ocsp_responses == (newer,)
    assert len(forms) == 2


def test_a_document_that_does_not_hold_leaves_no_form(signer: Signer, forms: xades_forms.Forms) -> None:
    here = tree(0)
    xml = signer.sign_tree(here, NOW)
    start, _ = fields(xml)["value"]
    with pytest.raises(SignatureInvalid, match="signature value"):
        verify_batch(xml[:start] + b"AAAA" + xml[start + 4 :], here)
    assert len(forms) == 0


# --- whatever is changed, the verdict stays ---


def test_every_changed_byte_gives_the_verdict_it_had(quick_signer: Signer) -> None:
    xml = known(quick_signer)
    mine = set()
    for at, byte in enumerate(xml):
        for other in {byte ^ 1, ord("A"), ord("0"), ord("=")} - {byte}:
            if hold_to_the_law(xml[:at] + bytes((other,)) + xml[at + 1 :]):
                mine.add(at)
    # only in the digest and the value is anything left to say, and that is a refusal; the last sign of a digest has bits that say nothing
    spans = fields(xml)
    mine.discard(spans["properties"][1] - len(b"?=="))
    assert mine <= {at for name in ("digest", "value") for at in range(*spans[name])}
    assert len(mine) > 160


def test_every_byte_left_out_or_put_in_is_not_read_by_the_form(quick_signer: Signer) -> None:
    xml = known(quick_signer)
    for at in range(0, len(xml), 3):
        assert not hold_to_the_law(xml[:at] + xml[at + 1 :])
        assert not hold_to_the_law(xml[:at] + b"A" + xml[at:])
        assert not hold_to_the_law(xml[:at])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pieces_moved_about_give_the_verdict_they_had(quick_signer: Signer, data: st.DataObject) -> None:
    xml = known(quick_signer)
    spans = sorted(fields(xml).values())
    places = st.one_of(st.integers(0, len(xml)), st.sampled_from([at for span in spans for at in span]))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(places)
        end = min(len(xml), start + data.draw(st.sampled_from([0, 1, 24, 88, 300])))
        to = data.draw(places)
        put = data.draw(st.sampled_from([xml[start:end], b"\n", b"=", b"==", b"\xff", b"2026-11-22T00:00:00.000Z"]))
        xml = xml[:to] + put + xml[to + (len(put) if data.draw(st.booleans()) else 0) :]
    hold_to_the_law(xml)


def checked(xml: bytes) -> object:
    """What `verify_batch` says of `xml` over the second tree."""
    try:
        return verify_batch(xml, tree(2))
    except ExchangeError as problem:
        return type(problem), problem.text


def test_fields_swapped_repeated_or_of_another_document_have_the_verdict_they_had(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml = known(signer)
    other = signer.sign_tree(tree(9), NOW + timedelta(seconds=9))
    spans = fields(xml)
    tried = []
    for name, (start, end) in spans.items():
        tried.append(xml[:start] + other[start:end] + xml[end:])  # of another document
        tried.append(xml[:start] + xml[start:end] * 2 + xml[end:])
        tried.append(xml[:start] + xml[end:])
        if name != "time":
            tried.append(xml[: end - 4] + xml[end - 4 : end - 2] + b"==" + xml[end:])
            tried.append(xml[: start + 4] + b"\n" + xml[start + 5 :])
            tried.append(xml[: end - 4] + b"====" + xml[end:])
    (a, b), (c, d) = spans["digest"], spans["properties"]
    tried.append(xml[:a] + xml[c:d] + xml[b:c] + xml[a:b] + xml[d:])  # swapped
    tried += [xml + xml, xml + b"\n", b"\n" + xml, xml[:-1]]
    refused = 0
    for one in tried:
        hold_to_the_law(one)
        by_form = checked(one)
        with monkeypatch.context() as blank:
            blank.setattr(xades_verify, "_FORMS", xades_forms.Forms())
            xades_verify._read.cache_clear()
            assert checked(one) == by_form
        refused += isinstance(by_form, tuple)
    assert refused >= len(tried) - 4  # all but the document itself and what the XML parser overlooks around it


def signed_anew(signer: Signer, xml: bytes, name: str, put: bytes) -> bytes:
    """`xml` with another field, and the digest of the properties and the value as they are with that."""

    def replaced(xml: bytes, name: str, put: bytes) -> bytes:
        start, end = fields(xml)[name]
        assert end - start == len(put)
        return xml[:start] + put + xml[end:]

    xml = replaced(xml, name, put)
    start, end = xml.index(b"<xades:SignedProperties") + 23, xml.index(b"<xades:UnsignedProperties")
    xml = replaced(xml, "properties", base64.b64encode(sha(xades.PROPERTIES_START + xml[start:end])))
    start, end = xml.index(b"<ds:SignedInfo") + 14, xml.index(b"<ds:SignatureValue")
    return replaced(xml, "value", base64.b64encode(signer.sign_bytes(xades.INFO_START + xml[start:end])))


@pytest.mark.parametrize(
    "time",
    [
        b"2026-11-22T10:00:00,000Z",
        b"2026-11-22 10:00:00.000Z",
        b"2026-13-22T10:00:00.000Z",
        b"2026-02-30T10:00:00.000Z",
        b"0000-00-00T00:00:00.000Z",
        b"2026-11-22T24:00:00.000Z",
        b"2026-W47-7T10:00:00.000Z",
        b"2026-11-22T10:00:00+06Z:",
        b"2026-11-22T10:00:00.00\xff\xff",
    ],
)
def test_a_signed_time_that_is_none_has_the_verdict_it_had(quick_signer: Signer, time: bytes) -> None:
    """Signed as it should be, so that nothing but the time is wrong."""
    known(quick_signer)
    xml = quick_signer.sign_tree(tree(3), NOW)
    changed = signed_anew(quick_signer, xml, "time", time)
    hold_to_the_law(changed)
    assert verdict(xades_verify._read, changed) == verdict(knowing_nothing, changed)


@pytest.mark.parametrize(
    "change",
    [lambda d: d[:85] + b"B==", lambda d: d[:84] + b"\n" * 4, lambda d: d[:84] + b"====", lambda d: b"=" * 88],
)
def test_a_signed_digest_written_otherwise_has_the_verdict_it_had(
    quick_signer: Signer, change: Callable[[bytes], bytes]
) -> None:
    """Signed as it stands; the first says the digest in base64 that nobody writes."""
    known(quick_signer)
    here = next(one for one in map(tree, range(100)) if base64.b64encode(sha(one.result))[85:86] == b"A")
    xml = quick_signer.sign_tree(here, NOW)
    start, end = fields(xml)["digest"]
    changed = signed_anew(quick_signer, xml, "digest", change(xml[start:end]))
    hold_to_the_law(changed)
    assert verdict(xades_verify._read, changed) == verdict(knowing_nothing, changed)


# --- whose it is, and until when ---


def alike(authority: TestAuthority) -> tuple[Signer, Signer]:
    """Two members whose documents are of one length."""
    signers: dict[int, Signer] = {}
    for attempt in range(400):
        one = made(authority, EDU if attempt % 2 else POP, "ec")
        size = len(one.sign_tree(tree(1), NOW))
        before = signers.setdefault(size, one)
        if before.certificate.subject != one.certificate.subject:
            return before, one
    raise AssertionError("no two documents of one length")


def test_documents_of_one_length_are_each_their_own_signers(
    authority: TestAuthority, shared: SharedParameters, forms: xades_forms.Forms
) -> None:
    one, other = alike(authority)
    members = {id(one): POP, id(other): EDU}
    if b"70000003" in one.certificate.subject.public_bytes():
        members = {id(one): EDU, id(other): POP}
    trust = Trust(shared)
    for number in range(4):
        for signer in (one, other):
            here = tree(number)
            xml = signer.sign_tree(here, NOW)
            assert trust.check_batch(xml, here, members[id(signer)], NOW).certificate == signer.certificate
            with pytest.raises(SignerWrong):
                trust.check_batch(xml, here, EDU if members[id(signer)] == POP else POP, NOW)
    assert len(forms) == 2
    here = tree(5)
    theirs, mine = one.sign_tree(here, NOW), other.sign_tree(here, NOW)
    for name in ("value", "time", "digest", "properties"):
        start, end = fields(theirs)[name]
        mixed = mine[:start] + theirs[start:end] + mine[end:]
        hold_to_the_law(mixed)
    start = theirs.index(b"<ds:KeyInfo>")
    end = theirs.index(b"</ds:KeyInfo>")
    for swapped in (
        theirs[:start] + mine[start:end] + theirs[end:],
        theirs[:start] + mine[start:],
        mine[:start] + theirs[start:end] + mine[end:],
    ):
        assert not hold_to_the_law(swapped)
        with pytest.raises(ExchangeError):
            trust.check_batch(swapped, here, EDU, NOW)


def test_what_is_known_of_a_signer_is_not_believed_longer_than_its_answer(
    authority: TestAuthority, shared: SharedParameters
) -> None:
    one = made(authority, EDU, "ec")
    trust = Trust(shared)
    last = NOW + timedelta(seconds=shared.ocsp_freshness_seconds)
    for number, moment in enumerate((NOW, NOW, NOW + timedelta(seconds=60), last)):
        here = tree(number)
        trust.check_batch(one.sign_tree(here, moment), here, EDU, moment)
    for late in (last + timedelta(seconds=1), last + timedelta(days=1)):
        here = tree(9)
        with pytest.raises(RevocationUnknown, match="too old"):
            trust.check_batch(one.sign_tree(here, late), here, EDU, late)
    here = tree(10)
    trust.check_batch(one.sign_tree(here, NOW), here, EDU, NOW)


def test_a_revocation_that_comes_with_the_next_document_counts(
    authority: TestAuthority, shared: SharedParameters
) -> None:
    one = made(authority, EDU, "ec")
    trust = Trust(shared)
    for number in range(2):
        here = tree(number)
        trust.check_batch(one.sign_tree(here, NOW), here, EDU, NOW)
    one.with_ocsp([authority.ocsp_response(one.certificate, NOW, NOW - timedelta(days=1))])
    here = tree(3)
    with pytest.raises(RevocationUnknown, match="revoked"):
        trust.check_batch(one.sign_tree(here, NOW), here, EDU, NOW)


def test_the_same_answers_under_another_certificate_are_not_believed(
    authority: TestAuthority, shared: SharedParameters, quick_signer: Signer
) -> None:
    here = tree(1)
    trust = Trust(shared)
    facts = trust.check_batch(quick_signer.sign_tree(here, NOW), here, EDU, NOW)
    assert trust.signer(facts, NOW) == EDU
    stranger = made(authority, POP, "ec").certificate
    with pytest.raises(RevocationUnknown, match="another certificate"):
        trust.signer(replace(facts, certificate=stranger), NOW)


# --- bounds ---


class Itself:
    """A layout of one document only."""

    def __init__(self, xml: bytes) -> None:
        self.xml = xml

    def matches(self, xml: bytes) -> bool:
        return xml == self.xml

    def fields(self, xml: bytes) -> None:
        return None


def a_form(xml: bytes, parsed: Parsed) -> xades_forms.Form:
    return xades_forms.Form(Itself(xml), parsed)


def test_what_is_remembered_has_a_bound(quick_signer: Signer) -> None:
    facts = SignatureFacts(quick_signer.certificate, (), (), datetime.now(UTC), b"", "")
    parsed = Parsed((("/", "", b""),), facts)
    forms = xades_forms.Forms()
    for number in range(20):  # of one length the latest eight
        xml = b"%020d" % number
        forms.keep(xml[::-1], a_form(xml[::-1], parsed))
        assert len(forms) == min(number + 1, 8)
    assert forms.find(b"%020d" % 19) is None
    assert forms.find((b"%020d" % 19)[::-1]) is not None
    assert forms.find((b"%020d" % 0)[::-1]) is None
    for size in range(30, 1000):
        forms.keep(bytes(size), a_form(bytes(size), parsed))
        assert len(forms) <= 256
    assert forms.find(bytes(999)) is not None
    before = len(forms)
    forms.keep(bytes(999), a_form(bytes(999), parsed))
    assert len(forms) == before


def test_a_document_that_is_long_leaves_no_form(authority: TestAuthority, forms: xades_forms.Forms) -> None:
    one = made(authority, EDU, "ec")
    one.with_ocsp([bytes(13 * 1024)])
    here = tree(1)
    verify_batch(one.sign_tree(here, NOW), here)
    assert len(forms) == 0


def test_the_form_used_last_stays(quick_signer: Signer) -> None:
    facts = SignatureFacts(quick_signer.certificate, (), (), datetime.now(UTC), b"", "")
    parsed = Parsed((("/", "", b""),), facts)
    forms = xades_forms.Forms()
    wanted = b"wanted" + bytes(20)
    forms.keep(wanted, a_form(wanted, parsed))
    for number in range(30):
        xml = (b"%026d" % number)[::-1]
        forms.keep(xml, a_form(xml, parsed))
        assert forms.find(wanted) is not None


# --- the making ---


def from_the_templates(signer: Signer, uri: bytes, digest: bytes, media_type: bytes, now: datetime) -> bytes:
    """The document as the templates say it, with nothing prepared."""
    time = now.strftime("%Y-%m-%dT%H:%M:%S.").encode() + b"%03dZ" % (now.microsecond // 1000)
    certificate_digest = base64.b64encode(sha(base64.b64decode(signer._certificate)))
    properties = xades.SIGNED_PROPERTIES % (time, certificate_digest, signer._issuer, signer._serial, media_type)
    over = base64.b64encode(sha(xades.PROPERTIES_START + properties))
    info = xades.SIGNED_INFO % (signer.method.encode(), uri, base64.b64encode(digest), over)
    value = base64.b64encode(signer.sign_bytes(xades.INFO_START + info))
    assert signer._ocsp is not None
    return xades.DOCUMENT % (info, value, signer._certificate, properties, b"", signer._ocsp)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(now=st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), text=st.binary(max_size=4), plain=st.booleans())
def test_what_is_prepared_gives_the_bytes_of_the_templates(
    authority: TestAuthority, now: datetime, text: bytes, plain: bool
) -> None:
    class Key:
        """Signs the same alike, as RSA does, and at once."""

        method = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"

        def sign_bytes(self, data: bytes) -> bytes:
            return sha(data) * 4

    certificate = authority.configuration.certificate
    signer = Signer(Key(), certificate)
    signer._issuer = b"CN=100%b of %s, %%"  # no template within a template
    signer.with_ocsp([b"first"])
    signer.sign(sha(b"before"), (), NOW)
    signer.with_ocsp([b"answer", b"other"])
    moment = now.replace(tzinfo=UTC)
    if plain:
        expected = from_the_templates(signer, b"/message.xml", sha(text), b"text/xml", moment)
        assert signer.sign(sha(text), (), moment).xml == expected
    else:
        grown = Batch.of_leaves([sha(text), sha(b"x")])
        digest = sha(grown.result)
        uri, media_type = b"/sig-hashchainresult.xml", b"application/hash-chain-result"
        assert signer.sign_tree(grown, moment) == from_the_templates(signer, uri, digest, media_type, moment)


def test_new_answers_are_in_the_next_document(authority: TestAuthority) -> None:
    here = tree(1)
    one = made(authority, EDU, "ec")
    first = one.sign_tree(here, NOW)
    one.with_ocsp([b"newer"])
    assert base64.b64encode(b"newer") in one.sign_tree(here, NOW)
    assert base64.b64encode(b"newer") not in first
    one.with_ocsp([])
    assert not one.ready
    with pytest.raises(ValueError, match="OCSP"):
        one.sign_tree(here, NOW)
