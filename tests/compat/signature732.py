"""Signatures as X-Road 7.3.2 writes and reads them, after its captures; none of the node's own code.

Writing: the layout of `live-7.3.2` (line ends within base64 as `&#13;`, prefixes, Ids). Reading: what its verifier insists on, in its
order: literal `ds:` and `xades:` tag names, the schemas, every reference, the hash chain with all inputs used, the signer's name by the
Ejbca profile, key usage, OCSP answers by SHA-1 certID and age.
"""

from __future__ import annotations

import base64
import hashlib
import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from lxml import etree
from pki732 import Authority, Pair

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "xroad"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"
RSA_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
DS, XADES, HC = (
    "http://www.w3.org/2000/09/xmldsig#",
    "http://uri.etsi.org/01903/v1.3.2#",
    "http://cyber.ee/hashchain",
)
POLICY = "BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw=="


class Refused(Exception):
    """What 7.3.2's verifier would answer: a fault code suffix in its spelling, and why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def lined(data: bytes) -> str:
    return "&#13;\n".join(textwrap.wrap(b64(data), 76))


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    head = bytes([size]) if size < 128 else bytes([0x80 | ((size.bit_length() + 7) // 8)])
    return bytes([tag]) + head + (b"" if size < 128 else size.to_bytes((size.bit_length() + 7) // 8, "big")) + content


def step_digest(digests: list[bytes]) -> bytes:
    each = [der(0x30, der(4, one) + der(12, SHA512.encode()) + der(0x30, b"")) for one in digests]
    return sha512(der(0x30, b"".join(each)))


# --- writing ---


def chain_of(parts: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """Result and chain over parts given by their digests."""
    refs = "".join(
        f'        <ns2:DataRef URI="{uri}">\n            <DigestValue>{b64(digest)}</DigestValue>\n        </ns2:DataRef>\n'
        for uri, digest in parts.items()
    )
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    spaces = f'xmlns="{DS}" xmlns:ns2="{HC}"'
    result = (
        f'{head}<ns2:HashChainResult URI="/sig-hashchain.xml#STEP0" {spaces}>\n    <DigestMethod Algorithm="{SHA512}"/>\n'
        f"    <DigestValue>{b64(step_digest(list(parts.values())))}</DigestValue>\n</ns2:HashChainResult>\n"
    )
    chain = (
        f'{head}<ns2:HashChain {spaces}>\n    <ns2:DefaultDigestMethod Algorithm="{SHA512}"/>\n'
        f'    <ns2:HashStep id="STEP0">\n{refs}    </ns2:HashStep>\n</ns2:HashChain>\n'
    )
    return result.encode(), chain.encode()


def attribute(one: x509.NameAttribute) -> str:
    """As RFC 2253, and Java, write it."""
    value = re.sub(r'([,+"\\\\<>;])', r"\\\1", str(one.value))
    return f"{one.rfc4514_attribute_name}={value}"


def sign(authority: Authority, pair: Pair, parts: Mapping[str, bytes]) -> tuple[bytes, tuple[bytes, bytes] | None]:
    """Sign parts given by their SHA-512 digests; several make a hash chain."""
    chain = chain_of(parts) if len(parts) > 1 else None
    uri = "/sig-hashchainresult.xml" if chain else "/message.xml"
    digest = sha512(chain[0]) if chain else parts["/message.xml"]
    kind = "application/hash-chain-result" if chain else "text/xml"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    method = f'<ds:DigestMethod Algorithm="{SHA512}"/>'
    issuer = escape(",".join(map(attribute, reversed(list(pair.certificate.issuer)))))

    def document(properties_digest: str, value: str) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8" standalone="no"?><asic:XAdESSignatures'
            f' xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="{DS}" xmlns:xades="{XADES}"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><ds:Signature Id="signature">\n<ds:SignedInfo>\n'
            '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/>\n'
            f'<ds:SignatureMethod Algorithm="{RSA_SHA512}"/>\n<ds:Reference Id="signature-reference-0" URI="{uri}">\n'
            f"{method}\n<ds:DigestValue>{lined(digest)}</ds:DigestValue>\n</ds:Reference>\n"
            '<ds:Reference Id="signature-reference-1" Type="http://uri.etsi.org/01903#SignedProperties"'
            f' URI="#signed-properties">\n{method}\n<ds:DigestValue>{properties_digest}</ds:DigestValue>\n</ds:Reference>\n'
            f'</ds:SignedInfo>\n<ds:SignatureValue Id="signature-value">\n{value}\n</ds:SignatureValue>\n<ds:KeyInfo>\n'
            f"<ds:X509Data>\n<ds:X509Certificate>\n{lined(pair.der)}\n</ds:X509Certificate>\n</ds:X509Data>\n</ds:KeyInfo>\n"
            '<ds:Object><xades:QualifyingProperties Target="#signature"><xades:SignedProperties Id="signed-properties">'
            f"<xades:SignedSignatureProperties><xades:SigningTime>{now}</xades:SigningTime><xades:SigningCertificate>"
            f"<xades:Cert><xades:CertDigest>{method}<ds:DigestValue>{b64(sha512(pair.der))}</ds:DigestValue></xades:CertDigest>"
            f"<xades:IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>"
            f"<ds:X509SerialNumber>{pair.certificate.serial_number}</ds:X509SerialNumber></xades:IssuerSerial></xades:Cert>"
            "</xades:SigningCertificate><xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId>"
            '<xades:Identifier Qualifier="OIDAsURN">urn:oid:1.3.6.1.4.1.3516.16.2</xades:Identifier><xades:Description>'
            "Profile for High Performance Digital Signatures (version 1.2)</xades:Description></xades:SigPolicyId>"
            f"<xades:SigPolicyHash>{method}<ds:DigestValue>{POLICY}</ds:DigestValue></xades:SigPolicyHash>"
            "<xades:SigPolicyQualifiers><xades:SigPolicyQualifier><xades:SPURI>https://repo.cyber.ee/dsig-profile-1.2.pdf"
            "</xades:SPURI></xades:SigPolicyQualifier></xades:SigPolicyQualifiers></xades:SignaturePolicyId>"
            "</xades:SignaturePolicyIdentifier></xades:SignedSignatureProperties><xades:SignedDataObjectProperties>"
            f'<xades:DataObjectFormat ObjectReference="#signature-reference-0"><xades:MimeType>{kind}</xades:MimeType>'
            "</xades:DataObjectFormat></xades:SignedDataObjectProperties></xades:SignedProperties>"
            "<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:RevocationValues><xades:OCSPValues>"
            f'<xades:EncapsulatedOCSPValue Id="ocsp-response-1">{b64(authority.answer(pair.certificate))}'
            "</xades:EncapsulatedOCSPValue></xades:OCSPValues></xades:RevocationValues></xades:UnsignedSignatureProperties>"
            "</xades:UnsignedProperties></xades:QualifyingProperties></ds:Object>\n</ds:Signature></asic:XAdESSignatures>"
        ).encode()

    properties = canonical(etree.fromstring(document("", "")), f"{{{XADES}}}SignedProperties")
    second = lined(sha512(properties))
    info = canonical(etree.fromstring(document(second, "")), f"{{{DS}}}SignedInfo")
    value = pair.key.sign(info, padding.PKCS1v15(), hashes.SHA512())
    return document(second, lined(value)), chain


def canonical(root: etree._Element, tag: str) -> bytes:
    (node,) = root.iter(tag)
    return etree.tostring(node, method="c14n")


# --- reading ---


def literal(root: etree._Element, name: str) -> list[etree._Element]:
    """By prefix and name, as getElementsByTagName finds elements."""
    return [
        node
        for node in root.iter()
        if isinstance(node.tag, str)
        and (f"{node.prefix}:" if node.prefix else "") + etree.QName(node).localname == name
    ]


def first(root: etree._Element, name: str) -> etree._Element:
    found = literal(root, name)
    if not found:
        raise Refused("MalformedSignature", f"no {name}")
    return found[0]


def content(node: etree._Element) -> bytes:
    return base64.b64decode(re.sub(r"\s", "", "".join(node.itertext())), validate=True)


def check_schema(root: etree._Element) -> None:
    """The document's first child, against the schemas 7.3.2 ships (skipped where they are not there)."""
    folder = VECTORS / "hashchain"
    if not folder.is_dir():
        return
    child = root[0]
    if root.text is not None and root.text:
        raise Refused("MalformedSignature", "the first child of the document element is white space")
    for schema, node in (
        ("xmldsig-core-schema.xsd", child),
        ("xades-schema.xsd", first(child, "xades:QualifyingProperties")),
    ):
        try:
            etree.XMLSchema(etree.parse(str(folder / schema))).assertValid(etree.fromstring(etree.tostring(node)))
        except etree.DocumentInvalid as problem:
            raise Refused("MalformedSignature", str(problem)) from None


def check_chain(result: bytes, chain: bytes, inputs: Mapping[str, bytes]) -> None:
    top = etree.fromstring(result)
    steps = {step.get("id"): step for step in etree.fromstring(chain).iter(f"{{{HC}}}HashStep")}
    used: set[str] = set()

    def digest_of(uri: str) -> bytes:
        path, _, name = uri.partition("#")
        if path not in {"", "/sig-hashchain.xml"} or name not in steps:
            raise Refused("InvalidHashChainRef", uri)
        digests = []
        for child in steps[name]:
            kind = etree.QName(child).localname
            if kind == "StepRef":
                digests.append(digest_of(child.get("URI", "")))
                continue
            stated = content(child.find(f"{{{DS}}}DigestValue"))
            if kind == "DataRef":
                target = child.get("URI", "")
                if inputs.get(target) != stated:
                    raise Refused("InvalidHashChain", f"digest of {target}")
                used.add(target)
            digests.append(stated)
        return step_digest(digests)

    if digest_of(top.get("URI", "")) != content(top.find(f"{{{DS}}}DigestValue")):
        raise Refused("InvalidHashChain", "result")
    if used != set(inputs):
        raise Refused("HashchainUnusedInputs", str(set(inputs) - used))


def verify(
    xml: bytes,
    chain: tuple[bytes, bytes] | None,
    inputs: Mapping[str, bytes],
    member: str,
    authority: Authority,
    freshness: int = 3600,
) -> x509.Certificate:
    """Refused, or the signer's certificate. `inputs`: SHA-512 of every part by its URI. `member`: EE/BUSINESS/code."""
    if b"<!DOCTYPE" in xml:
        raise Refused("MalformedSignature", "DOCTYPE")
    root = etree.fromstring(xml)
    check_schema(root)
    signature = first(root, "ds:Signature")
    references = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    named = {r.get("URI") for r in references}
    if not named & {"/message.xml", "/sig-hashchainresult.xml"}:
        raise Refused("MalformedSignature", "neither the message nor a hash chain result is referred to")
    if chain is not None and "/sig-hashchainresult.xml" in named:
        check_chain(*chain, inputs)
    elif set(inputs) != {"/message.xml"}:
        raise Refused("InvalidSignatureValue", "several parts and no hash chain")

    certificate = x509.load_der_x509_certificate(content(first(signature, "ds:X509Certificate")))
    if not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.content_commitment:
        raise Refused("MalformedSignature", "not a signing certificate")
    subject = certificate.subject
    names = [
        subject.get_attributes_for_oid(oid)[0].value
        for oid in (NameOID.COUNTRY_NAME, NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    ]
    if "/".join(names) != member:
        raise Refused("IncorrectCertificate", f"{names} is not {member}")

    for reference in references:
        uri = reference.get("URI", "")
        if uri == "/message.xml":
            found = inputs["/message.xml"]
        elif uri == "/sig-hashchainresult.xml" and chain is not None:
            found = sha512(chain[0])
        elif uri == "#signed-properties":
            (target,) = [node for node in root.iter() if node.get("Id") == "signed-properties"]
            found = sha512(etree.tostring(target, method="c14n"))
        else:
            raise Refused("InvalidReference", uri)
        if reference.find(f"{{{DS}}}DigestMethod").get("Algorithm") != SHA512:
            raise Refused("InvalidReference", "algorithm")
        if content(reference.find(f"{{{DS}}}DigestValue")) != found:
            raise Refused("InvalidSignatureValue", f"digest of {uri}")
    info = signature.find(f"{{{DS}}}SignedInfo")
    if info.find(f"{{{DS}}}SignatureMethod").get("Algorithm") != RSA_SHA512:
        raise Refused("InvalidSignatureValue", "method")
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    value = content(signature.find(f"{{{DS}}}SignatureValue"))
    try:
        key.verify(value, etree.tostring(info, method="c14n"), padding.PKCS1v15(), hashes.SHA512())
    except InvalidSignature:
        raise Refused("InvalidSignatureValue", "the value does not verify") from None

    certificate.verify_directly_issued_by(authority.ca.certificate)
    answers = [content(node) for node in literal(first(root, "ds:Object"), "xades:EncapsulatedOCSPValue")]
    if not answers:
        raise Refused("MalformedSignature", "no OCSP answer")
    check_ocsp(answers, certificate, authority, freshness)
    return certificate


def check_ocsp(
    answers: list[bytes], certificate: x509.Certificate, authority: Authority, freshness: int = 3600
) -> None:
    """One of the answers is about the certificate, by SHA-1, good, from the responder, not too old."""
    wanted = ocsp.OCSPRequestBuilder().add_certificate(certificate, authority.ca.certificate, hashes.SHA1()).build()
    for data in answers:
        answer = ocsp.load_der_ocsp_response(data)
        same = (answer.serial_number, answer.issuer_name_hash, answer.issuer_key_hash)
        if same != (wanted.serial_number, wanted.issuer_name_hash, wanted.issuer_key_hash):
            continue
        key = authority.responder.certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), answer.signature_hash_algorithm)
        if answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
            raise Refused("CertValidation", "not good")
        if answer.this_update_utc < datetime.now(UTC) - timedelta(seconds=freshness):
            raise Refused("IncorrectValidationInfo", "too old")
        return
    raise Refused("CertValidation", "no OCSP answer about the certificate")
