"""Signatures, the checking: who signed which bytes, from the XML alone. Whether the signer may be believed is `certs`' affair.

Readers with one result. The quick one recognises the exact form `xades` writes, to the last byte that is not base64, and
needs no XML parser; anything else goes through `xades_read`. What differs from a document that held in nothing but the fields that
always differ is read by `xades_forms`.

What a signature that holds says does not depend on the message it came with, so it is remembered by the signature's very bytes: the
messages of a batch cost one public-key operation together. Whether the signature covers *this* message is checked each time.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509

from kerege.exchange import hashchain, xades, xades_forms
from kerege.exchange.batch import Batch
from kerege.exchange.errors import SignatureInvalid, SignatureMalformed
from kerege.exchange.hashchain import Digest, HashChain
from kerege.exchange.xades_read import (
    Parsed,
    certificate_digest,
    check_value,
    parse_full,
    plain_base64,
    remembered,
    signing_time,
)
from kerege.exchange.xades_read import SignatureFacts as SignatureFacts
from kerege.exchange.xades_read import certificate_from_base64 as certificate_from_base64


def _pattern() -> re.Pattern[bytes]:
    b64 = rb"[A-Za-z0-9+/]+={0,2}"

    def fill(template: bytes, *groups: bytes) -> bytes:
        pieces = re.escape(template).split(re.escape(b"%b"))
        assert len(pieces) == len(groups) + 1, template
        out = pieces[0]
        for group, piece in zip(groups, pieces[1:], strict=True):
            out += group + piece
        return out

    info = fill(
        xades.SIGNED_INFO,
        rb"(?P<method>[\w:/.#-]+)",
        rb"(?P<uri>/message\.xml|/sig-hashchainresult\.xml)",
        rb"(?P<digest>" + b64 + rb")",
        rb"(?P<properties_digest>" + b64 + rb")",
    )
    properties = fill(
        xades.SIGNED_PROPERTIES,
        rb"(?P<time>[0-9T:.\-]+Z)",
        rb"(?P<cert_digest>" + b64 + rb")",
        rb"(?P<issuer>[^<>\x00-\x1f]{1,2000})",
        rb"(?P<serial>[1-9][0-9]{0,59})",
        rb"(?:text/xml|application/hash-chain-result)",
    )
    whole = fill(
        xades.DOCUMENT,
        rb"(?P<info>" + info + rb")",
        rb"(?P<value>" + b64 + rb")",
        rb"(?P<cert>" + b64 + rb")",
        rb"(?P<properties>" + properties + rb")",
        rb"",
        rb"(?P<ocsp>(?:<xades:EncapsulatedOCSPValue Id=\"ocsp-response-[0-9]\">"
        + b64
        + rb"</xades:EncapsulatedOCSPValue>)+)",
    )
    return re.compile(whole)


_OURS: Final = _pattern()
_OCSP: Final = re.compile(rb"Id=\"ocsp-response-([0-9])\">([A-Za-z0-9+/=]+)<")


@remembered(1024, 16 * 1024)
def _ocsp_from_ours(text: bytes) -> tuple[bytes, ...] | None:
    """The answers, or None when they are not numbered as `xades` numbers them."""
    found = _OCSP.findall(text)
    if [int(number) for number, _ in found] != list(range(1, len(found) + 1)):
        return None
    try:
        return tuple(base64.b64decode(value, validate=True) for _, value in found)
    except ValueError:
        raise SignatureMalformed(reason="an OCSP answer is not base64") from None


@lru_cache(maxsize=1024)
def _issuer_and_serial(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """How `xades` writes them."""
    return escape(certificate.issuer.rfc4514_string()).encode(), str(certificate.serial_number).encode()


def _parse_ours(match: re.Match[bytes]) -> Parsed | None:
    """What a document of our form says; None when it only resembles it and the full reader must look."""
    certificate = certificate_from_base64(match["cert"])
    answers = _ocsp_from_ours(match["ocsp"])
    if answers is None or (match["issuer"], match["serial"]) != _issuer_and_serial(certificate):
        return None
    if plain_base64(match["cert_digest"]) != certificate_digest(certificate, hashchain.SHA512):
        raise SignatureInvalid(
            check="signing certificate", reason="the signed certificate digest is of another certificate"
        )
    found = hashlib.sha512(xades.PROPERTIES_START + match["properties"]).digest()
    if found != plain_base64(match["properties_digest"]):
        raise SignatureInvalid(check="signed properties", reason="the digest of the signed properties differs")
    method, value = match["method"].decode(), plain_base64(match["value"])
    check_value(certificate, method, xades.INFO_START + match["info"], value)
    facts = SignatureFacts(certificate, (), answers, signing_time(match["time"].decode()), value, method)
    return Parsed(((match["uri"].decode(), hashchain.SHA512, plain_base64(match["digest"])),), facts)


_FORMS: Final = xades_forms.Forms()


def _like_one_before(xml: bytes) -> Parsed | None:
    """What a document says that differs from one that held in the fields that must; None when it has to be read."""
    form = _FORMS.find(xml)
    return None if form is None else form.read(xml, check_value)


def _keep_form(xml: bytes, match: re.Match[bytes], parsed: Parsed) -> None:
    """Remember a document that held, for those that will be like it."""
    form = xades_forms.form_of(
        xml,
        parsed,
        digest=match.span("digest"),
        over=match.span("properties_digest"),
        value=match.span("value"),
        time=match.span("time"),
        info=match.span("info"),
        properties=match.span("properties"),
        info_start=xades.INFO_START,
        properties_start=xades.PROPERTIES_START,
    )
    if form is not None:
        _FORMS.keep(xml, form)


def verify(
    xml: bytes,
    message: bytes | Digest,
    attachments: tuple[bytes | Digest, ...] = (),
    chain: HashChain | None = None,
    *,
    attachments_kept: bool = True,
) -> SignatureFacts:
    """Check that `xml` signs exactly this message and these attachments, and return what it says about the signer.

    message, attachments   the exact bytes, or their digests when they were hashed on the way in
    chain                  the two hash chain files when the signature is over one

    attachments_kept       see `hashchain.verify`

    Raises SignatureMalformed, SignatureInvalid, HashChainMalformed or HashChainInvalid.
    """
    parsed = _read(xml)
    first_uri, algorithm, digest = parsed.references[0]
    if first_uri == hashchain.RESULT_URI:
        if len(parsed.references) != 1:
            raise SignatureInvalid(check="reference", reason="it covers a hash chain and something else")
        if chain is None:
            raise SignatureInvalid(check="reference", reason="the hash chain it covers did not come")
        _check_result(chain.result, algorithm, digest)
        if not _is_our_chain(chain, message, attachments):
            files = {hashchain.CHAIN_URI: chain.chain}
            hashchain.verify(chain.result, _inputs(message, attachments), files.get, attachments_kept=attachments_kept)
        return parsed.facts
    if chain is not None:
        raise SignatureInvalid(check="reference", reason="a hash chain came that the signature does not cover")
    _check_parts(parsed.references, _inputs(message, attachments))
    return parsed.facts


def verify_batch(xml: bytes, batch: Batch) -> SignatureFacts:
    """Check that `xml` signs every message of `batch`, a tree grown from the digests of the messages themselves.

    The same verdict as `verify` for each of them with `batch.hash_chain(i)`, in one step. A tree does not change: what held over it is
    remembered with it, so that asking again for its next message costs nothing.
    """
    held = batch.held
    if held is not None and held[0] is xml:
        assert isinstance(held[1], SignatureFacts)
        return held[1]
    parsed = _like_one_before(xml) or _read(xml)  # hardly ever the very same again: `held` has it then
    uri, algorithm, digest = parsed.references[0]
    if len(parsed.references) != 1 or uri != hashchain.RESULT_URI or batch.plain:
        raise SignatureInvalid(check="reference", reason="it does not cover a hash chain")
    _check_result(batch.result, algorithm, digest)
    batch.held = (xml, parsed.facts)
    return parsed.facts


@remembered(256, 32 * 1024)
def _read(xml: bytes) -> Parsed:
    """What a signature says, once it has been seen to hold; one that does not hold raises, and is not remembered."""
    known = _like_one_before(xml)
    if known is not None:
        return known
    match = _OURS.fullmatch(xml)
    parsed = None if match is None else _parse_ours(match)
    if match is None or parsed is None:
        return parse_full(xml)
    _keep_form(xml, match, parsed)
    return parsed


def _inputs(message: bytes | Digest, attachments: Sequence[bytes | Digest]) -> dict[str, bytes | Digest]:
    return {hashchain.MESSAGE_URI: message, **{f"/attachment{i}": part for i, part in enumerate(attachments, 1)}}


def _check_result(result: bytes, algorithm: str, digest: bytes) -> None:
    if hashchain.digest_with(algorithm, result) != digest:
        raise SignatureInvalid(check="hash chain result", reason="the digest of the hash chain result differs")


def _check_parts(references: Sequence[tuple[str, str, bytes]], inputs: Mapping[str, bytes | Digest]) -> None:
    """One reference per part, as the newer style has it (and a single message without attachments in every style)."""
    covered: set[str] = set()
    for uri, algorithm, digest in references:
        part = inputs.get(uri)
        if part is None or uri in covered:
            raise SignatureInvalid(check="reference", reason="it covers a part that did not come, or one twice")
        if _digest_of(part, algorithm) != digest:
            raise SignatureInvalid(check="message digest", reason=f"the digest of {uri} differs")
        covered.add(uri)
    if covered != set(inputs):
        raise SignatureInvalid(check="reference", reason="parts came that the signature does not cover")


def _digest_of(part: bytes | Digest, algorithm: str) -> bytes:
    if isinstance(part, Digest):
        if part.algorithm != algorithm:
            raise SignatureInvalid(check="algorithm", reason="a part was hashed with another algorithm")
        return part.value
    return hashchain.digest_with(algorithm, part)


def _is_our_chain(chain: HashChain, message: bytes | Digest, attachments: Sequence[bytes | Digest]) -> bool:
    """Whether the chain is in our own form and holds; then nothing needs parsing."""
    digests = []
    for part in (message, *attachments):
        if isinstance(part, Digest):
            if part.algorithm != hashchain.SHA512:
                return False
            digests.append(part.value)
        else:
            digests.append(hashlib.sha512(part).digest())
    return hashchain.quick(chain, digests[0], digests[1:])
