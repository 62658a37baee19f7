"""Signatures, the making: XAdES in X-Road's form, written already canonical from a template.

Implements X-Road's signature profile (UG-SIGDOC; digest of a live 7.3.2 server's output): `asic:XAdESSignatures` with one
`ds:Signature`, inclusive C14N 1.0, one reference to `/message.xml` or `/sig-hashchainresult.xml` and one to the signed properties,
the policy identifier, the signing certificate and its OCSP answer. Canonical bytes of SignedInfo and SignedProperties are the
template's own bytes with the namespaces in scope written out, so no XML library is needed here. `xades_verify` reads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from kerege.exchange import hashchain

RSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
PSS_SHA512: Final = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"
ECDSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"

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
    b"<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:RevocationValues><xades:OCSPValues>"
    b"%b</xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    b"</xades:QualifyingProperties></ds:Object></ds:Signature></asic:XAdESSignatures>"
)
OCSP_VALUE: Final = b'<xades:EncapsulatedOCSPValue Id="ocsp-response-%d">%b</xades:EncapsulatedOCSPValue>'
INFO_START: Final = b"<ds:SignedInfo" + NAMESPACES
PROPERTIES_START: Final = b"<xades:SignedProperties" + NAMESPACES

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature over one message: the XML, and the hash chain when the message had attachments."""

    xml: bytes
    chain: hashchain.HashChain | None


class Signer:
    """One member's signing key with its certificate; everything that does not change per message is prepared once.

    Give it the certificate's current OCSP answer with `with_ocsp`; signing without one raises ValueError, because no
    verifier would accept the result.
    """

    def __init__(self, key: PrivateKey, certificate: x509.Certificate, *, pss: bool = False) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        self.certificate = certificate
        self._key = key
        self._pss = pss
        if isinstance(key, rsa.RSAPrivateKey):
            self.method = PSS_SHA512 if pss else RSA_SHA512
        else:
            self.method = ECDSA_SHA512
            self._half = (key.curve.key_size + 7) // 8
        der = certificate.public_bytes(Encoding.DER)
        self._certificate = base64.b64encode(der)
        self._certificate_digest = base64.b64encode(hashlib.sha512(der).digest())
        self._issuer = escape(certificate.issuer.rfc4514_string()).encode()
        self._serial = str(certificate.serial_number).encode()
        self._ocsp: bytes | None = None

    def with_ocsp(self, responses: Sequence[bytes]) -> None:
        """Use these DER OCSP answers from now on."""
        values = (OCSP_VALUE % (i, base64.b64encode(der)) for i, der in enumerate(responses, 1))
        self._ocsp = b"".join(values) or None

    @property
    def ready(self) -> bool:
        return self._ocsp is not None

    def sign(self, message_digest: bytes, attachment_digests: Sequence[bytes], now: datetime) -> Signed:
        """Sign a message by the SHA-512 digests of its bytes and of its attachments' bytes."""
        if not attachment_digests:
            return Signed(self._xml(b"/message.xml", message_digest, b"text/xml", now), None)
        chain = hashchain.of_message(message_digest, attachment_digests)
        digest = hashlib.sha512(chain.result).digest()
        xml = self._xml(b"/sig-hashchainresult.xml", digest, b"application/hash-chain-result", now)
        return Signed(xml, chain)

    def _xml(self, uri: bytes, digest: bytes, media_type: bytes, now: datetime) -> bytes:
        if self._ocsp is None:
            raise ValueError("a signer needs its certificate's OCSP answer before it signs")
        time = now.strftime("%Y-%m-%dT%H:%M:%S.").encode() + b"%03dZ" % (now.microsecond // 1000)
        properties = SIGNED_PROPERTIES % (time, self._certificate_digest, self._issuer, self._serial, media_type)
        properties_digest = base64.b64encode(hashlib.sha512(PROPERTIES_START + properties).digest())
        info = SIGNED_INFO % (self.method.encode(), uri, base64.b64encode(digest), properties_digest)
        value = base64.b64encode(self.sign_bytes(INFO_START + info))
        return DOCUMENT % (info, value, self._certificate, properties, self._ocsp)

    def sign_bytes(self, data: bytes) -> bytes:
        """The raw signature value over `data` as XML signatures carry it (ECDSA as r||s)."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            if self._pss:
                pss = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=hashes.SHA512.digest_size)
                return self._key.sign(data, pss, hashes.SHA512())
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA512())
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA512())))
        return r.to_bytes(self._half, "big") + s.to_bytes(self._half, "big")
