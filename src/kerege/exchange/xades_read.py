"""Signatures, the reading: any XAdES that X-Road's servers write, through an XML parser.

Implements X-Road's signature profile as its verifiers read it (UG-SIGDOC; ETSI TS 101 903, EN 319 132-1): the hash-chain style and the
newer one (bare ds:Signature, exclusive C14N, SigningCertificateV2, one reference per part), RSA PKCS#1 and PSS and ECDSA over SHA-256,
SHA-384 or SHA-512. References are matched by position and meaning, identifiers must be unique, no transforms on data, no DOCTYPE.
What is read here has held: the signed properties, the signing certificate's digest and the signature value are checked on the way.
Which data is covered is `xades_verify`'s, who signed is `certs`'.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from kerege.exchange import certs, hashchain
from kerege.exchange.errors import SignatureInvalid, SignatureMalformed
from kerege.exchange.safexml import parse_xml
from kerege.exchange.xades_parts import integer

MOST_OCSP: Final = 16  # OCSP answers a signature may bring
MOST_CERTIFICATES: Final = 16  # and certificates besides the signer's; `certs` walks along fewer
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
_PKCS1: Final = padding.PKCS1v15()
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
class Parsed:
    references: tuple[tuple[str, str, bytes], ...]  # URI, digest algorithm, digest
    facts: SignatureFacts


T = TypeVar("T")


class Remembered(Generic[T]):
    """A function that remembers what it made of the same bytes, unless they are long.

    They are a stranger's choice, often before anything in them has held: what is kept of them must have a bound.
    """

    __slots__ = ("_cached", "_function", "_largest", "cache_clear")

    def __init__(self, function: Callable[[bytes], T], size: int, largest: int) -> None:
        self._function, self._largest = function, largest
        self._cached = lru_cache(size)(function)
        self.cache_clear = self._cached.cache_clear

    def __call__(self, data: bytes) -> T:
        return self._cached(data) if len(data) <= self._largest else self._function(data)


def remembered(size: int, largest: int) -> Callable[[Callable[[bytes], T]], Remembered[T]]:
    """Remember the latest `size` results, none for more than `largest` bytes."""
    return lambda function: Remembered(function, size, largest)


@remembered(1024, 16 * 1024)
def certificate_from_base64(text: bytes) -> x509.Certificate:
    """A DER certificate in base64; remembered, because the same few sign nearly everything."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text))
    except certs.UNREADABLE:
        raise SignatureMalformed(reason="its certificate cannot be read") from None
    if not certs.readable(certificate):
        raise SignatureMalformed(reason="its certificate cannot be read")
    return certificate


@lru_cache(maxsize=1024)
def certificate_digest(certificate: x509.Certificate, algorithm: str) -> bytes:
    return hashchain.digest_with(algorithm, certificate.public_bytes(Encoding.DER))


def plain_base64(text: bytes | str) -> bytes:
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True)
    except ValueError:
        raise SignatureMalformed(reason="a value is not base64") from None


def signing_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SignatureMalformed(reason="its signing time cannot be read") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@lru_cache(maxsize=64)
def _method(method: str) -> tuple[str, hashes.HashAlgorithm]:
    """The kind of signature ("rsa", "pss" or "ecdsa") and its digest. Raises SignatureInvalid."""
    match = _METHOD.match(method)
    if match is None:
        raise SignatureInvalid(check="algorithm", reason="the signature method is not one that is accepted")
    return ("pss", _HASHES[match["pss"]]) if match["pss"] else (match["kind"], _HASHES[match["size"]])


def check_value(certificate: x509.Certificate, method: str, data: bytes, value: bytes) -> None:
    kind, algorithm = _method(method)
    key = certificate.public_key()
    try:
        if kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, _PKCS1, algorithm)
        elif kind == "pss" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            half = (key.curve.key_size + 7) // 8
            if len(value) != 2 * half:
                raise InvalidSignature
            pair = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
            key.verify(pair, data, ec.ECDSA(algorithm))
        else:
            raise SignatureInvalid(check="algorithm", reason="the signature method does not fit the certificate's key")
    except InvalidSignature:
        raise SignatureInvalid(
            check="signature value", reason="the value does not verify with the certificate"
        ) from None


def _need(node: etree._Element | None, what: str) -> etree._Element:
    if node is None:
        raise SignatureMalformed(reason=f"{what} is missing")
    return node


def _content(node: etree._Element | None, what: str) -> bytes:
    return plain_base64("".join(str(t) for t in _need(node, what).itertext()))


def _canonical(node: etree._Element, algorithm: str) -> bytes:
    exclusive = algorithm.startswith(EXC_C14N)
    if not exclusive and algorithm != C14N:
        raise SignatureMalformed(reason="its canonicalisation method is not one that is accepted")
    return etree.tostring(node, method="c14n", exclusive=exclusive, with_comments=False)


def parse_full(xml: bytes) -> Parsed:
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
        extra = _extra_certificates(unsigned)

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
    check_value(certificate, method, _canonical(info, c14n), value)

    when = signing_time((_need(time_node, "SigningTime").text or "").strip())
    return Parsed(tuple(references), SignatureFacts(certificate, extra, ocsp, when, value, method))


def _extra_certificates(unsigned: etree._Element) -> tuple[x509.Certificate, ...]:
    """The certificates that came along; each that CompleteCertificateRefs names must be there and be the one named."""
    values = unsigned.findall(f"{_XADES}CertificateValues/{_XADES}EncapsulatedX509Certificate")
    refs = unsigned.findall(f"{_XADES}CompleteCertificateRefs/{_XADES}CertRefs/{_XADES}Cert")
    if max(len(values), len(refs)) > MOST_CERTIFICATES:
        raise SignatureMalformed(reason=f"it holds more than {MOST_CERTIFICATES} certificates")
    found = [certificate_from_base64("".join((node.text or "").split()).encode()) for node in values]
    by_id = {f"#{node.get('Id')}": one for node, one in zip(values, found, strict=True) if node.get("Id")}
    for ref in refs:
        uri = ref.get("URI")
        if uri is None and not values:
            continue  # the reference alone: the verifier is to know the certificate from elsewhere
        if uri is None:
            raise SignatureMalformed(reason="a certificate reference does not say which certificate it is about")
        named = by_id.get(str(uri))
        if named is None:
            raise SignatureMalformed(reason="a certificate it refers to is missing")
        if not _is_named(ref, named):
            raise SignatureInvalid(
                check="extra certificates", reason="the digest of a certificate it refers to is of another one"
            )
    return tuple(found)


def _is_named(node: etree._Element, certificate: x509.Certificate) -> bool:
    """Whether the CertDigest under `node` is `certificate`'s."""
    digest = _need(node.find(_XADES + "CertDigest"), "CertDigest")
    algorithm = str(_need(digest.find(_DS + "DigestMethod"), "DigestMethod").get("Algorithm"))
    return _content(digest.find(_DS + "DigestValue"), "DigestValue") == certificate_digest(certificate, algorithm)


def _check_signing_certificate(properties: etree._Element, certificate: x509.Certificate) -> None:
    base = f"{_XADES}SignedSignatureProperties/{_XADES}"
    for tag in ("SigningCertificate", "SigningCertificateV2"):
        node = properties.find(f"{base}{tag}/{_XADES}Cert")
        if node is None:
            continue
        if not _is_named(node, certificate):
            raise SignatureInvalid(
                check="signing certificate", reason="the signed certificate digest is of another certificate"
            )
        serial = node.findtext(f"{_XADES}IssuerSerial/{_DS}X509SerialNumber")
        if serial is not None and serial.strip() != str(certificate.serial_number):
            raise SignatureInvalid(
                check="signing certificate", reason="the signed serial number is of another certificate"
            )
        both = node.find(_XADES + "IssuerSerialV2")
        # the issuer's name may be encoded anew by whoever wrote it, the serial number stands at the end in one form only
        if both is not None and not _content(both, "IssuerSerialV2").endswith(integer(certificate.serial_number)):
            raise SignatureInvalid(
                check="signing certificate", reason="the signed serial number is of another certificate"
            )
        return
    raise SignatureInvalid(check="signing certificate", reason="the signing certificate is not under the signature")
