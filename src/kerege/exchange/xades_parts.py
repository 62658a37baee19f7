"""Signatures in the newer style: no hash chain, one reference per part. What X-Road 8 writes when batch signatures are off.

Implements the form of that server's containers (vectors `signatures/non-batch-sig`, `asic/valid-non-batch-*`; ETSI EN 319 132-1 for
SigningCertificateV2): a bare `ds:Signature`, exclusive C14N, no policy, a reference to `/message.xml` and to every `/attachmentN`,
the signed properties with an exclusive C14N transform. Verifiers before 7.5 refuse it, so `xades` makes it only by a switch.

Exclusive C14N writes a namespace where it is first used; inside the signed properties that is on every `ds:` element, so the
document simply carries those declarations and is its own canonical form there.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kerege.exchange.batch import der, part_uri

_DS: Final = b' xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
_XADES: Final = b' xmlns:xades="http://uri.etsi.org/01903/v1.3.2#"'
_EXCLUSIVE: Final = b"http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA512: Final = b"http://www.w3.org/2001/04/xmlenc#sha512"
_DIGEST: Final = b'<ds:DigestMethod Algorithm="' + _SHA512 + b'"></ds:DigestMethod><ds:DigestValue>%b</ds:DigestValue>'

_REFERENCE: Final = b'<ds:Reference Id="signature-reference-%d" URI="%b">' + _DIGEST + b"</ds:Reference>"
_FORMAT: Final = (
    b'<xades:DataObjectFormat ObjectReference="#signature-reference-%d">'
    b"<xades:MimeType>application/octet-stream</xades:MimeType></xades:DataObjectFormat>"
)
_INFO: Final = (
    b'><ds:CanonicalizationMethod Algorithm="' + _EXCLUSIVE + b'"></ds:CanonicalizationMethod>'
    b'<ds:SignatureMethod Algorithm="%b"></ds:SignatureMethod>%b'
    b'<ds:Reference Type="http://uri.etsi.org/01903#SignedProperties" URI="#signed-properties">'
    b'<ds:Transforms><ds:Transform Algorithm="'
    + _EXCLUSIVE
    + b'"></ds:Transform></ds:Transforms>'
    + _DIGEST
    + b"</ds:Reference></ds:SignedInfo>"
)
_PROPERTIES: Final = (
    b' Id="signed-properties"><xades:SignedSignatureProperties><xades:SigningTime>%b</xades:SigningTime>'
    b"<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
    b"<ds:DigestMethod" + _DS + b' Algorithm="' + _SHA512 + b'"></ds:DigestMethod>'
    b"<ds:DigestValue" + _DS + b">%b</ds:DigestValue></xades:CertDigest>"
    b"<xades:IssuerSerialV2>%b</xades:IssuerSerialV2></xades:Cert></xades:SigningCertificateV2>"
    b"</xades:SignedSignatureProperties><xades:SignedDataObjectProperties>%b</xades:SignedDataObjectProperties>"
    b"</xades:SignedProperties>"
)
_DOCUMENT: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="no"?><ds:Signature' + _DS + b' Id="signature"><ds:SignedInfo%b'
    b'<ds:SignatureValue Id="signature-value">%b</ds:SignatureValue>'
    b"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>%b</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    b"<ds:Object><xades:QualifyingProperties" + _XADES + b' Target="#signature"><xades:SignedProperties%b'
    b"<xades:UnsignedProperties><xades:UnsignedSignatureProperties>%b<xades:RevocationValues><xades:OCSPValues>"
    b"%b</xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties>"
    b"</xades:UnsignedProperties></xades:QualifyingProperties></ds:Object></ds:Signature>"
)


def integer(value: int) -> bytes:
    """A DER INTEGER, not negative."""
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def issuer_serial(certificate: x509.Certificate) -> bytes:
    """The DER IssuerSerial of a certificate (RFC 5035): what IssuerSerialV2 holds."""
    issuer = der(0x30, der(0xA4, certificate.issuer.public_bytes()))
    return der(0x30, issuer + integer(certificate.serial_number))


class PartsStyle:
    """What does not change from one signature of a certificate to the next."""

    __slots__ = ("_digest", "_issuer_serial")

    def __init__(self, certificate: x509.Certificate) -> None:
        self._digest = base64.b64encode(hashlib.sha512(certificate.public_bytes(Encoding.DER)).digest())
        self._issuer_serial = base64.b64encode(issuer_serial(certificate))

    def prepare(self, method: str, digests: Sequence[bytes], now: datetime) -> tuple[bytes, bytes]:
        """SignedInfo and SignedProperties (without their start) over the digests of a message and its attachments."""
        formats = b"".join([_FORMAT % number for number in range(len(digests))])
        time = now.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        properties = _PROPERTIES % (time, self._digest, self._issuer_serial, formats)
        canonical = b"<xades:SignedProperties" + _XADES + properties
        references = b"".join(
            [_REFERENCE % (n, part_uri(n), base64.b64encode(digest)) for n, digest in enumerate(digests)]
        )
        digest = base64.b64encode(hashlib.sha512(canonical).digest())
        return _INFO % (method.encode(), references, digest), properties

    @staticmethod
    def canonical(info: bytes) -> bytes:
        """The bytes of SignedInfo that are signed."""
        return b"<ds:SignedInfo" + _DS + info

    @staticmethod
    def document(
        info: bytes, value: bytes, certificate: bytes, properties: bytes, intermediates: bytes, ocsp: bytes
    ) -> bytes:
        """The whole signature, with the elements for intermediate certificates and OCSP answers."""
        return _DOCUMENT % (info, value, certificate, properties, intermediates, ocsp)
