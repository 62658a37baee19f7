"""Signatures, the making: XAdES in X-Road's form, written already canonical from a template.

Implements X-Road's signature profile (UG-SIGDOC; digest of a live 7.3.2 server's output): `asic:XAdESSignatures` with one
`ds:Signature`, inclusive C14N 1.0, one reference to `/message.xml` or `/sig-hashchainresult.xml` and one to the signed properties,
the policy identifier, the signing certificate and its OCSP answer. Messages that wait together share one signature over a Merkle
tree (`sign_batch`). The newer style, one reference per part and no hash chain, is `xades_parts`; it has no batches.

Canonical bytes of SignedInfo and SignedProperties are the template's own bytes with the namespaces in scope written out, so no XML
library is needed here. Keys are `signingkeys`; `xades_verify` reads.
"""

from __future__ import annotations

import base64
import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange.batch import Batch, HashChain, Parts, batch
from kerege.exchange.lane import NOT_THERE
from kerege.exchange.signingkeys import ECDSA_SHA512 as ECDSA_SHA512
from kerege.exchange.signingkeys import PSS_SHA512 as PSS_SHA512
from kerege.exchange.signingkeys import RSA_SHA512 as RSA_SHA512
from kerege.exchange.signingkeys import MethodKey, signing_key
from kerege.exchange.signingkeys import PrivateKey as PrivateKey
from kerege.exchange.signingkeys import SigningKey as SigningKey
from kerege.exchange.signingkeys import SoftKey as SoftKey
from kerege.exchange.xades_parts import PartsStyle

STYLES: Final = ("chain", "parts")

NAMESPACES: Final = (
    b' xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
    b' xmlns:xades="http://uri.etsi.org/01903/v1.3.2#"'
)
_SHA512: Final = b'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"></ds:DigestMethod>'

SIGNED_INFO: Final = (
    b">"
    b'<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></ds:CanonicalizationMethod>'
    b'<ds:SignatureMethod Algorithm="%b"></ds:SignatureMethod>'
    b'<ds:Reference Id="signature-reference-0" URI="%b">'
    + _SHA512
    + b"<ds:DigestValue>%b</ds:DigestValue></ds:Reference>"
    b'<ds:Reference Id="signature-reference-1" Type="http://uri.etsi.org/01903#SignedProperties" URI="#signed-properties">'
    + _SHA512
    + b"<ds:DigestValue>%b</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)
SIGNED_PROPERTIES: Final = (
    b' Id="signed-properties"><xades:SignedSignatureProperties><xades:SigningTime>%b</xades:SigningTime>'
    b"<xades:SigningCertificate><xades:Cert><xades:CertDigest>" + _SHA512 + b"<ds:DigestValue>%b</ds:DigestValue>"
    b"</xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>%b</ds:X509IssuerName>"
    b"<ds:X509SerialNumber>%b</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert></xades:SigningCertificate>"
    b"<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId>"
    b'<xades:Identifier Qualifier="OIDAsURN">urn:oid:1.3.6.1.4.1.3516.16.2</xades:Identifier>'
    b"<xades:Description>Profile for High Performance Digital Signatures (version 1.2)</xades:Description>"
    b"</xades:SigPolicyId><xades:SigPolicyHash>" + _SHA512 + b"<ds:DigestValue>"
    b"BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw==</ds:DigestValue>"
    b"</xades:SigPolicyHash><xades:SigPolicyQualifiers><xades:SigPolicyQualifier>"
    b"<xades:SPURI>https://repo.cyber.ee/dsig-profile-1.2.pdf</xades:SPURI></xades:SigPolicyQualifier>"
    b"</xades:SigPolicyQualifiers></xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>"
    b"</xades:SignedSignatureProperties><xades:SignedDataObjectProperties>"
    b'<xades:DataObjectFormat ObjectReference="#signature-reference-0"><xades:MimeType>%b</xades:MimeType>'
    b"</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
)
DOCUMENT: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="no"?><asic:XAdESSignatures' + NAMESPACES + b">"
    b'<ds:Signature Id="signature"><ds:SignedInfo%b<ds:SignatureValue Id="signature-value">%b</ds:SignatureValue>'
    b"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>%b</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    b'<ds:Object><xades:QualifyingProperties Target="#signature"><xades:SignedProperties%b'
    b"<xades:UnsignedProperties><xades:UnsignedSignatureProperties>%b<xades:RevocationValues><xades:OCSPValues>"
    b"%b</xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    b"</xades:QualifyingProperties></ds:Object></ds:Signature></asic:XAdESSignatures>"
)
OCSP_VALUE: Final = b'<xades:EncapsulatedOCSPValue Id="ocsp-response-%d">%b</xades:EncapsulatedOCSPValue>'
_CERTIFICATE_REF: Final = (
    b'<xades:Cert URI="#enc-cert-%d"><xades:CertDigest>' + _SHA512 + b"<ds:DigestValue>%b</ds:DigestValue>"
    b"</xades:CertDigest><xades:IssuerSerial><ds:X509IssuerName>%b</ds:X509IssuerName>"
    b"<ds:X509SerialNumber>%d</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert>"
)
_CERTIFICATE_VALUE: Final = (
    b'<xades:EncapsulatedX509Certificate Id="enc-cert-%d">%b</xades:EncapsulatedX509Certificate>'
)
_CERTIFICATE_VALUES: Final = (
    b"<xades:CompleteCertificateRefs><xades:CertRefs>%b</xades:CertRefs></xades:CompleteCertificateRefs>"
    b"<xades:CertificateValues>%b</xades:CertificateValues>"
)
INFO_START: Final = b"<ds:SignedInfo" + NAMESPACES
PROPERTIES_START: Final = b"<xades:SignedProperties" + NAMESPACES


class AnyPieces(Protocol):
    """`Pieces`, or the native form of it."""

    def document(self, digest: bytes, now: datetime, sign: Callable[[bytes], bytes]) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Pieces:
    """What one signer's documents over one kind of file have in common: all but four fields.

    The canonical SignedInfo is `info`, a digest, `between`, the digest of the signed properties, `info_end`; the canonical
    SignedProperties are `properties`, the signing time, `properties_end`; the document is `head`, a digest, `between`, the other,
    `to_value`, the signature value, `to_time`, the signing time, `tail`.
    """

    info: bytes
    between: bytes
    info_end: bytes
    properties: bytes
    properties_end: bytes
    head: bytes
    to_value: bytes
    to_time: bytes
    tail: bytes

    def document(self, digest: bytes, now: datetime, sign: Callable[[bytes], bytes]) -> bytes:
        """The document over `digest`, signed at `now` by `sign`, which gives the signature value over bytes."""
        time = now.isoformat(timespec="milliseconds")[:23].encode() + b"Z"
        properties = hashlib.sha512(b"".join((self.properties, time, self.properties_end))).digest()
        written, over = b2a_base64(digest, newline=False), b2a_base64(properties, newline=False)
        value = sign(b"".join((self.info, written, self.between, over, self.info_end)))
        signed = b2a_base64(value, newline=False)
        return b"".join((self.head, written, self.between, over, self.to_value, signed, self.to_time, time, self.tail))


_pieces: Callable[..., AnyPieces]
try:
    from kerege.exchange.lane.signatures import Pieces as _pieces
except NOT_THERE:
    _pieces = Pieces


class Signed:
    """A signature over one message: the XML, and the hash chain when there is one (attachments, or a batch), made when looked at.

    batch, index   the tree this message is a leaf of and which, or None when the signature is over the message itself
    """

    __slots__ = ("batch", "index", "xml")

    def __init__(self, xml: bytes, batch: Batch | None = None, index: int = 0) -> None:
        self.xml, self.batch, self.index = xml, batch, index

    @property
    def chain(self) -> HashChain | None:
        return None if self.batch is None else self.batch.hash_chain(self.index)


class Signer:
    """One member's signing key with its certificate; everything that does not change per message is prepared once.

    style           "chain", or "parts" for the newer style
    intermediates   authorities between the certificate and an approved one that the configuration does not list

    Give it the certificate's current OCSP answer with `with_ocsp`; signing without one raises ValueError, because no
    verifier would accept the result.
    """

    def __init__(
        self,
        key: PrivateKey | SigningKey | MethodKey,
        certificate: x509.Certificate,
        *,
        pss: bool = False,
        style: str = "chain",
        intermediates: Sequence[x509.Certificate] = (),
    ) -> None:
        if style not in STYLES:
            raise ValueError(f"a signature style is one of {', '.join(STYLES)}, not {style!r}")
        self.certificate = certificate
        self.style = style
        self._key = signing_key(key, certificate, pss=pss)
        self.method = self._key.method
        self.slow = bool(getattr(key, "slow", False) or getattr(key, "blocking", False))
        der = certificate.public_bytes(Encoding.DER)
        self._certificate = base64.b64encode(der)
        self._certificate_digest = base64.b64encode(hashlib.sha512(der).digest())
        self._issuer = escape(certificate.issuer.rfc4514_string()).encode()
        self._serial = str(certificate.serial_number).encode()
        self._intermediates = _certificate_values(intermediates)
        self._parts = PartsStyle(certificate) if style == "parts" else None
        self._ocsp: bytes | None = None
        self._pieces: dict[bytes, AnyPieces] = {}  # by what the signature covers; as long as the answers stay

    def with_ocsp(self, responses: Sequence[bytes]) -> None:
        """Use these DER OCSP answers from now on."""
        values = (OCSP_VALUE % (i, base64.b64encode(der)) for i, der in enumerate(responses, 1))
        self._ocsp, self._pieces = b"".join(values) or None, {}

    @property
    def ready(self) -> bool:
        return self._ocsp is not None

    def sign(self, message_digest: bytes, attachment_digests: Sequence[bytes], now: datetime) -> Signed:
        """Sign a message by the SHA-512 digests of its bytes and of its attachments' bytes."""
        if self._parts is not None:
            return Signed(self._parts_xml(self._parts, (message_digest, *attachment_digests), now))
        if not attachment_digests:
            return Signed(self._xml(b"/message.xml", message_digest, b"text/xml", now))
        alone = batch([(message_digest, attachment_digests)])
        return Signed(self._chain_xml(alone.result, now), alone)

    def sign_batch(self, parts: Sequence[Parts], now: datetime) -> list[Signed]:
        """Sign several messages, each given by (digest of its bytes, digests of its attachments' bytes), with one signature value.

        A batch of one is an ordinary signature; in the newer style every message has a signature of its own.
        """
        if len(parts) < 2 or self._parts is not None:
            return [self.sign(message, attachments, now) for message, attachments in parts]
        tree = batch(parts)
        xml = self._chain_xml(tree.result, now)
        return [Signed(xml, tree, index) for index in range(len(parts))]

    def sign_tree(self, tree: Batch, now: datetime) -> bytes:
        """The one signature over a batch, with hash chains (`style` "chain"): what `sign_batch` gives each of its messages."""
        if tree.plain:
            return self._xml(b"/message.xml", tree.root, b"text/xml", now)
        return self._chain_xml(tree.result, now)

    def _chain_xml(self, result: bytes, now: datetime) -> bytes:
        digest = hashlib.sha512(result).digest()
        return self._xml(b"/sig-hashchainresult.xml", digest, b"application/hash-chain-result", now)

    def _xml(self, uri: bytes, digest: bytes, media_type: bytes, now: datetime) -> bytes:
        own = self._pieces.get(uri) or self._prepare(uri, media_type)
        return own.document(digest, now, self._key.sign_bytes)

    def _prepare(self, uri: bytes, media_type: bytes) -> AnyPieces:
        """The templates taken apart, with all filled in but the digests, the signature value and the time."""
        kept, ocsp = self._pieces, self._answers()  # in this order: answers that come meanwhile begin another dict
        before_time, *names, last = SIGNED_PROPERTIES.split(b"%b")
        filled = (self._certificate_digest, self._issuer, self._serial, media_type)
        after_time = b"".join([piece + name for piece, name in zip(names, filled, strict=True)]) + last
        before_method, before_uri, before_digest, between, after_info = SIGNED_INFO.split(b"%b")
        before_digest = before_method + self.method.encode() + before_uri + uri + before_digest
        head, to_value, to_certificate, to_properties, to_more, to_ocsp, end = DOCUMENT.split(b"%b")
        made = _pieces(
            info=INFO_START + before_digest,
            between=between,
            info_end=after_info,
            properties=PROPERTIES_START + before_time,
            properties_end=after_time,
            head=head + before_digest,
            to_value=after_info + to_value,
            to_time=to_certificate + self._certificate + to_properties + before_time,
            tail=b"".join((after_time, to_more, self._intermediates, to_ocsp, ocsp, end)),
        )
        kept[uri] = made
        return made

    def _parts_xml(self, style: PartsStyle, digests: Sequence[bytes], now: datetime) -> bytes:
        ocsp = self._answers()
        info, properties = style.prepare(self.method, digests, now)
        value = base64.b64encode(self.sign_bytes(style.canonical(info)))
        return style.document(info, value, self._certificate, properties, self._intermediates, ocsp)

    def _answers(self) -> bytes:
        if self._ocsp is None:
            raise ValueError("a signer needs its certificate's OCSP answer before it signs")
        return self._ocsp

    def sign_bytes(self, data: bytes) -> bytes:
        """The raw signature value over `data` as XML signatures carry it (ECDSA as r||s)."""
        return self._key.sign_bytes(data)


def _certificate_values(intermediates: Sequence[x509.Certificate]) -> bytes:
    """CompleteCertificateRefs and CertificateValues, as they stand before the OCSP answers; nothing when there are none."""
    if not intermediates:
        return b""
    refs, values = [], []
    for number, certificate in enumerate(intermediates, 1):
        der = certificate.public_bytes(Encoding.DER)
        issuer = escape(certificate.issuer.rfc4514_string()).encode()
        digest = base64.b64encode(hashlib.sha512(der).digest())
        refs.append(_CERTIFICATE_REF % (number, digest, issuer, certificate.serial_number))
        values.append(_CERTIFICATE_VALUE % (number, base64.b64encode(der)))
    return _CERTIFICATE_VALUES % (b"".join(refs), b"".join(values))
