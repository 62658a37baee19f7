"""Signatures, the checking: who signed which bytes, from the XML alone. Whether the signer may be believed is `certs`' affair.

Two readers with one result. The quick one recognises the exact form `xades` writes, to the last byte that is not base64, and
needs no XML parser; anything else goes through lxml: X-Road's own writing, both the hash-chain style and the newer one (bare
ds:Signature, exclusive C14N, one reference per part). References are matched by position and meaning, identifiers must be unique,
no transforms, no DOCTYPE.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from kerege.exchange import certs, hashchain, xades
from kerege.exchange.errors import SignatureInvalid, SignatureMalformed
from kerege.exchange.hashchain import Digest, HashChain
from kerege.exchange.safexml import parse_xml

C14N: Final = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXC_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_XADES: Final = "{http://uri.etsi.org/01903/v1.3.2#}"
_ASIC: Final = ("{http://uri.etsi.org/02918/v1.2.1#}", "{http://uri.etsi.org/02918/v1.1.1#}")
_SIGNED_PROPERTIES_TYPE: Final = "http://uri.etsi.org/01903#SignedProperties"

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_METHOD: Final = re.compile(
    r"http://www\.w3\.org/(?:2001/04/xmldsig-more#(?P<kind>rsa|ecdsa)-sha(?P<size>256|384|512)"
    r"|2007/05/xmldsig-more#sha(?P<pss>256|384|512)-rsa-MGF1)\Z"
)


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What a signature that holds says; nothing here is trusted until `certs` and `ocsp` have agreed."""

    certificate: x509.Certificate
    extra_certificates: tuple[x509.Certificate, ...]
    ocsp_responses: tuple[bytes, ...]
    signing_time: datetime
    value: bytes
    method: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    references: tuple[tuple[str, str, bytes], ...]  # URI, digest algorithm, digest
    facts: SignatureFacts


@lru_cache(maxsize=1024)
def certificate_from_base64(text: bytes) -> x509.Certificate:
    """A DER certificate in base64; remembered, because the same few sign nearly everything."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text))
    except certs.UNREADABLE:
        raise SignatureMalformed(reason="its certificate cannot be read") from None
    if not certs.readable(certificate):
        raise SignatureMalformed(reason="its certificate cannot be read")
    return certificate


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
        rb"(?P<ocsp>(?:<xades:EncapsulatedOCSPValue Id=\"ocsp-response-[0-9]\">"
        + b64
        + rb"</xades:EncapsulatedOCSPValue>)+)",
    )
    return re.compile(whole)


_OURS: Final = _pattern()
_OCSP: Final = re.compile(rb"Id=\"ocsp-response-([0-9])\">([A-Za-z0-9+/=]+)<")
MOST_OCSP: Final = 16  # OCSP answers a signature may bring


@lru_cache(maxsize=1024)
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


@lru_cache(maxsize=1024)
def _certificate_digest(certificate: x509.Certificate, algorithm: str) -> bytes:
    return hashchain.digest_with(algorithm, certificate.public_bytes(Encoding.DER))


def _parse_ours(match: re.Match[bytes]) -> _Parsed | None:
    """What a document of our form says; None when it only resembles it and the full reader must look."""
    certificate = certificate_from_base64(match["cert"])
    answers = _ocsp_from_ours(match["ocsp"])
    if answers is None or (match["issuer"], match["serial"]) != _issuer_and_serial(certificate):
        return None
    if _b64(match["cert_digest"]) != _certificate_digest(certificate, hashchain.SHA512):
        raise SignatureInvalid(
            check="signing certificate", reason="the signed certificate digest is of another certificate"
        )
    found = hashlib.sha512(xades.PROPERTIES_START + match["properties"]).digest()
    if found != _b64(match["properties_digest"]):
        raise SignatureInvalid(check="signed properties", reason="the digest of the signed properties differs")
    method, value = match["method"].decode(), _b64(match["value"])
    _check_value(certificate, method, xades.INFO_START + match["info"], value)
    facts = SignatureFacts(certificate, (), answers, _time(match["time"].decode()), value, method)
    return _Parsed(((match["uri"].decode(), hashchain.SHA512, _b64(match["digest"])),), facts)


def _b64(text: bytes | str) -> bytes:
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True)
    except ValueError:
        raise SignatureMalformed(reason="a value is not base64") from None


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SignatureMalformed(reason="its signing time cannot be read") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_value(certificate: x509.Certificate, method: str, data: bytes, value: bytes) -> None:
    match = _METHOD.match(method)
    if match is None:
        raise SignatureInvalid(check="algorithm", reason="the signature method is not one that is accepted")
    key = certificate.public_key()
    try:
        if match["pss"] and isinstance(key, rsa.RSAPublicKey):
            algorithm = _HASHES[match["pss"]]
            key.verify(value, data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
        elif match["kind"] == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, padding.PKCS1v15(), _HASHES[match["size"]])
        elif match["kind"] == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            half = (key.curve.key_size + 7) // 8
            if len(value) != 2 * half:
                raise InvalidSignature
            pair = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
            key.verify(pair, data, ec.ECDSA(_HASHES[match["size"]]))
        else:
            raise SignatureInvalid(check="algorithm", reason="the signature method does not fit the certificate's key")
    except InvalidSignature:
        raise SignatureInvalid(
            check="signature value", reason="the value does not verify with the certificate"
        ) from None


# --- the full reader -------------------------------------------------------------------------------------------------


def _need(node: etree._Element | None, what: str) -> etree._Element:
    if node is None:
        raise SignatureMalformed(reason=f"{what} is missing")
    return node


def _content(node: etree._Element | None, what: str) -> bytes:
    return _b64("".join(str(t) for t in _need(node, what).itertext()))


def _canonical(node: etree._Element, algorithm: str) -> bytes:
    exclusive = algorithm.startswith(EXC_C14N)
    if not exclusive and algorithm != C14N:
        raise SignatureMalformed(reason="its canonicalisation method is not one that is accepted")
    return etree.tostring(node, method="c14n", exclusive=exclusive, with_comments=False)


def _parse_full(xml: bytes) -> _Parsed:
    try:
        root = parse_xml(xml)
    except ValueError as problem:
        raise SignatureMalformed(reason=str(problem)) from None
    if root.tag == _DS + "Signature":
        signature = root
    elif root.tag in {ns + "XAdESSignatures" for ns in _ASIC}:
        children = [child for child in root if isinstance(child.tag, str)]
        if len(children) != 1 or children[0].tag != _DS + "Signature":
            raise SignatureMalformed(reason="it does not hold exactly one signature")
        signature = children[0]
    else:
        raise SignatureMalformed(reason="its root is neither XAdESSignatures nor Signature")
    ids = [str(node.get("Id")) for node in root.iter() if isinstance(node.tag, str) and node.get("Id")]
    if len(ids) != len(set(ids)):
        raise SignatureMalformed(reason="an Id occurs more than once")

    info = _need(signature.find(_DS + "SignedInfo"), "SignedInfo")
    c14n = str(_need(info.find(_DS + "CanonicalizationMethod"), "CanonicalizationMethod").get("Algorithm"))
    method = str(_need(info.find(_DS + "SignatureMethod"), "SignatureMethod").get("Algorithm"))
    value = _content(signature.find(_DS + "SignatureValue"), "SignatureValue")
    encoded = _need(signature.find(f"{_DS}KeyInfo/{_DS}X509Data/{_DS}X509Certificate"), "the signing certificate")
    certificate = certificate_from_base64("".join((encoded.text or "").split()).encode())
    qualifying = _need(signature.find(f"{_DS}Object/{_XADES}QualifyingProperties"), "QualifyingProperties")
    properties = _need(qualifying.find(_XADES + "SignedProperties"), "SignedProperties")

    references: list[tuple[str, str, bytes]] = []
    properties_covered = False
    for reference in info.findall(_DS + "Reference"):
        algorithm = str(_need(reference.find(_DS + "DigestMethod"), "DigestMethod").get("Algorithm"))
        digest = _content(reference.find(_DS + "DigestValue"), "DigestValue")
        transforms = [str(t.get("Algorithm")) for t in reference.findall(f"{_DS}Transforms/{_DS}Transform")]
        uri = str(reference.get("URI") or "")
        if reference.get("Type") == _SIGNED_PROPERTIES_TYPE:
            if uri != f"#{properties.get('Id')}" or not properties.get("Id"):
                raise SignatureInvalid(check="signed properties", reason="the reference points elsewhere")
            if len(transforms) > 1:
                raise SignatureMalformed(reason="the signed properties have more than one transform")
            canonical = _canonical(properties, transforms[0] if transforms else C14N)
            if hashchain.digest_with(algorithm, canonical) != digest:
                raise SignatureInvalid(check="signed properties", reason="the digest of the signed properties differs")
            properties_covered = True
        else:
            if transforms:
                raise SignatureMalformed(reason="a data reference has transforms")
            references.append((uri, algorithm, digest))
    if not properties_covered:
        raise SignatureInvalid(check="signed properties", reason="the signature does not cover them")
    if not references:
        raise SignatureInvalid(check="reference", reason="the signature covers no data")

    _check_signing_certificate(properties, certificate)
    _check_value(certificate, method, _canonical(info, c14n), value)

    time_node = properties.find(f"{_XADES}SignedSignatureProperties/{_XADES}SigningTime")
    unsigned = qualifying.find(f"{_XADES}UnsignedProperties/{_XADES}UnsignedSignatureProperties")
    ocsp: tuple[bytes, ...] = ()
    extra: tuple[x509.Certificate, ...] = ()
    if unsigned is not None:
        ocsp = tuple(
            _content(node, "an OCSP answer")
            for node in unsigned.findall(f"{_XADES}RevocationValues/{_XADES}OCSPValues/{_XADES}EncapsulatedOCSPValue")
        )
        if len(ocsp) > MOST_OCSP:
            raise SignatureMalformed(reason=f"it holds more than {MOST_OCSP} OCSP answers")
        extra = tuple(
            certificate_from_base64("".join((node.text or "").split()).encode())
            for node in unsigned.findall(f"{_XADES}CertificateValues/{_XADES}EncapsulatedX509Certificate")
        )
    when = _time((_need(time_node, "SigningTime").text or "").strip())
    return _Parsed(tuple(references), SignatureFacts(certificate, extra, ocsp, when, value, method))


def _check_signing_certificate(properties: etree._Element, certificate: x509.Certificate) -> None:
    base = f"{_XADES}SignedSignatureProperties/{_XADES}"
    for tag in ("SigningCertificate", "SigningCertificateV2"):
        node = properties.find(f"{base}{tag}/{_XADES}Cert")
        if node is None:
            continue
        digest = _need(node.find(_XADES + "CertDigest"), "CertDigest")
        algorithm = str(_need(digest.find(_DS + "DigestMethod"), "DigestMethod").get("Algorithm"))
        stated = _content(digest.find(_DS + "DigestValue"), "DigestValue")
        if stated != _certificate_digest(certificate, algorithm):
            raise SignatureInvalid(
                check="signing certificate", reason="the signed certificate digest is of another certificate"
            )
        serial = node.findtext(f"{_XADES}IssuerSerial/{_DS}X509SerialNumber")
        if serial is not None and serial.strip() != str(certificate.serial_number):
            raise SignatureInvalid(
                check="signing certificate", reason="the signed serial number is of another certificate"
            )
        return
    raise SignatureInvalid(check="signing certificate", reason="the signing certificate is not under the signature")


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
    match = _OURS.fullmatch(xml)
    parsed = (_parse_ours(match) if match else None) or _parse_full(xml)
    inputs: dict[str, bytes | Digest] = {hashchain.MESSAGE_URI: message}
    inputs.update({f"/attachment{i}": part for i, part in enumerate(attachments, 1)})

    first_uri, algorithm, digest = parsed.references[0]
    if first_uri == hashchain.RESULT_URI:
        if len(parsed.references) != 1:
            raise SignatureInvalid(check="reference", reason="it covers a hash chain and something else")
        if chain is None:
            raise SignatureInvalid(check="reference", reason="the hash chain it covers did not come")
        if hashchain.digest_with(algorithm, chain.result) != digest:
            raise SignatureInvalid(check="hash chain result", reason="the digest of the hash chain result differs")
        if not _is_plain_chain(chain, inputs):
            files = {hashchain.CHAIN_URI: chain.chain}
            hashchain.verify(chain.result, inputs, files.get, attachments_kept=attachments_kept)
        return parsed.facts
    if chain is not None:
        raise SignatureInvalid(check="reference", reason="a hash chain came that the signature does not cover")
    covered: set[str] = set()
    for uri, algorithm, digest in parsed.references:
        part = inputs.get(uri)
        if part is None or uri in covered:
            raise SignatureInvalid(check="reference", reason="it covers a part that did not come, or one twice")
        if _digest_of(part, algorithm) != digest:
            raise SignatureInvalid(check="message digest", reason=f"the digest of {uri} differs")
        covered.add(uri)
    if covered != set(inputs):
        raise SignatureInvalid(check="reference", reason="parts came that the signature does not cover")
    return parsed.facts


def _digest_of(part: bytes | Digest, algorithm: str) -> bytes:
    if isinstance(part, Digest):
        if part.algorithm != algorithm:
            raise SignatureInvalid(check="algorithm", reason="a part was hashed with another algorithm")
        return part.value
    return hashchain.digest_with(algorithm, part)


def _is_plain_chain(chain: HashChain, inputs: Mapping[str, bytes | Digest]) -> bool:
    """Whether the chain is, byte for byte, the one a single message with these parts has; then nothing needs parsing."""
    if any(isinstance(part, Digest) and part.algorithm != hashchain.SHA512 for part in inputs.values()):
        return False
    message, *rest = (_digest_of(part, hashchain.SHA512) for part in inputs.values())
    return hashchain.of_message(message, rest) == chain
