"""Management requests: what a security server asks of the central services, built and read.

Implements X-Road PR-MSERV (schema request.xsd): one SOAP message whose body names the server and what is to change, and around it the
proof: for `authCertReg` six parts (SOAP, signature by the authentication key, signature by the owner's signing key, both
certificates, OCSP answer), for the others four (SOAP, signature by the signing key of the member concerned, certificate, OCSP answer).
`clientDeletion` and `authCertDeletion` may come as plain SOAP; who sent those only the transport knows, so `Proof.signer` is None
and it is the caller's policy what that is worth. Signatures are over the SOAP bytes as they came. `management_wire` takes the
parts apart and puts them together; whether a request fits the register is `membership`'s.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from kerege.exchange import certs, faults
from kerege.exchange.confwrite import client_xml
from kerege.exchange.errors import ExchangeError, ManagementRefused, ManagementRequestInvalid
from kerege.exchange.ids import ClientId, MemberId, ServerId
from kerege.exchange.safexml import parse_xml
from kerege.exchange.trust import Trust

LARGEST: Final = 256 * 1024
_SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
_X: Final = "{http://x-road.eu/xsd/xroad.xsd}"
_ID: Final = "{http://x-road.eu/xsd/identifiers}"
NO_FAULT: Final = "no fault"  # stands for a fault code where what was answered cannot be read
_LONGEST: Final = 1024


class Kind(StrEnum):
    """The requests there are; the value is the name of the element in the SOAP body."""

    CLIENT_REG = "clientReg"
    CLIENT_DELETION = "clientDeletion"
    AUTH_CERT_REG = "authCertReg"
    AUTH_CERT_DELETION = "authCertDeletion"
    OWNER_CHANGE = "ownerChange"
    ADDRESS_CHANGE = "addressChange"
    CLIENT_DISABLE = "clientDisable"
    CLIENT_ENABLE = "clientEnable"
    CLIENT_RENAME = "clientRename"
    MAINTENANCE_ENABLE = "maintenanceModeEnable"
    MAINTENANCE_DISABLE = "maintenanceModeDisable"


PLAIN: Final = frozenset({Kind.CLIENT_DELETION, Kind.AUTH_CERT_DELETION})  # may come without a signature
OF_CLIENT: Final = frozenset(
    {
        Kind.CLIENT_REG,
        Kind.CLIENT_DELETION,
        Kind.OWNER_CHANGE,
        Kind.CLIENT_DISABLE,
        Kind.CLIENT_ENABLE,
        Kind.CLIENT_RENAME,
    }
)

# element -> whether it must be there, by kind; the server comes first everywhere, the order is the schema's
_FIELDS: Final[dict[Kind, tuple[tuple[str, bool], ...]]] = {
    Kind.CLIENT_REG: (("client", True), ("subsystemName", False)),
    Kind.CLIENT_DELETION: (("client", True),),
    Kind.AUTH_CERT_REG: (("address", False), ("authCert", True), ("dryRun", False)),
    Kind.AUTH_CERT_DELETION: (("authCert", True),),
    Kind.OWNER_CHANGE: (("client", True),),
    Kind.ADDRESS_CHANGE: (("address", True),),
    Kind.CLIENT_DISABLE: (("client", True),),
    Kind.CLIENT_ENABLE: (("client", True),),
    Kind.CLIENT_RENAME: (("client", True), ("subsystemName", True)),
    Kind.MAINTENANCE_ENABLE: (("message", False),),
    Kind.MAINTENANCE_DISABLE: (),
}


@dataclass(frozen=True, slots=True)
class ManagementRequest:
    """What is asked: of which server, and what is to change; fields that a kind does not have are None."""

    kind: Kind
    server: ServerId
    client: ClientId | None = None
    certificate: bytes | None = None  # DER of the authentication certificate
    address: str | None = None
    name: str | None = None
    message: str | None = None
    dry_run: bool = False

    @property
    def concerned(self) -> MemberId:
        """The member whose signature the request needs: the client's, else the server's owner."""
        of_client = self.kind in OF_CLIENT and self.client is not None
        return self.client.member if of_client and self.client is not None else self.server.owner


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request with the header it came under."""

    request: ManagementRequest
    sender: ClientId
    provider: ClientId
    message_id: str


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature over the SOAP bytes, as one part names it and another brings its certificate."""

    algorithm: str
    value: bytes
    certificate: bytes  # DER


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as submitted: the SOAP bytes and what proves them."""

    soap: bytes
    owner: Signature | None = None
    ocsp: bytes | None = None
    auth: Signature | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was verified: the request, and the member that signed it (None: nobody, it came plain)."""

    envelope: Envelope
    signer: MemberId | None
    auth_certificate: x509.Certificate | None = None


def _bad(reason: str) -> ManagementRequestInvalid:
    return ManagementRequestInvalid(reason=reason)


# --- building --------------------------------------------------------------------------------------------------------


def build(request: ManagementRequest, sender: ClientId, provider: ClientId, message_id: str = "") -> bytes:
    """The SOAP message of a request. `sender` is the server's owner as client, `provider` the management subsystem."""
    name = request.kind.value
    service = client_xml("x:service", provider)
    kind = 'ns2:objectType="SUBSYSTEM"' if provider.subsystem is not None else 'ns2:objectType="MEMBER"'
    service = service.replace(kind, 'ns2:objectType="SERVICE"', 1)
    service = service.replace("</x:service>", f"<ns2:serviceCode>{name}</ns2:serviceCode></x:service>")
    return (
        '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:ns2="http://x-road.eu/xsd/identifiers"><s:Header>'
        f"{client_xml('x:client', sender)}{service}<x:id>{escape(message_id or str(uuid.uuid4()))}</x:id>"
        "<x:protocolVersion>4.0</x:protocolVersion></s:Header>"
        f"<s:Body><x:{name}>{_server_xml(request.server)}{_fields_xml(request)}</x:{name}></s:Body></s:Envelope>"
    ).encode()


def _server_xml(server: ServerId) -> str:
    parts = (
        ("xRoadInstance", server.instance),
        ("memberClass", server.member_class),
        ("memberCode", server.member_code),
        ("serverCode", server.server),
    )
    inner = "".join(f"<ns2:{tag}>{escape(value)}</ns2:{tag}>" for tag, value in parts)
    return f'<x:server ns2:objectType="SERVER">{inner}</x:server>'


def _fields_xml(request: ManagementRequest) -> str:
    certificate = None if request.certificate is None else base64.b64encode(request.certificate).decode()
    texts = {
        "address": request.address,
        "authCert": certificate,
        "subsystemName": request.name,
        "message": request.message,
        "dryRun": "true" if request.dry_run else None,
    }
    out = []
    for tag, needed in _FIELDS[request.kind]:
        if tag == "client" and request.client is not None:
            out.append(client_xml("x:client", request.client))
        elif texts.get(tag) is not None:
            out.append(f"<x:{tag}>{escape(str(texts[tag]))}</x:{tag}>")
        elif needed:
            raise _bad(f"a {request.kind} needs <{tag}>")
    return "".join(out)


def build_reply(soap: bytes, request_id: int) -> bytes:
    """The answer to a request: its own header and body, the number under which it stands in the register added."""
    root = _parse(soap)
    body = root.find(_SOAP + "Body")
    assert body is not None
    element = next(child for child in body if isinstance(child.tag, str))
    element.tag = element.tag + "Response"
    etree.SubElement(element, _X + "requestId").text = str(request_id)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


# --- reading ---------------------------------------------------------------------------------------------------------


def _parse(soap: bytes) -> etree._Element:
    try:
        root = parse_xml(soap, LARGEST)
    except ValueError as problem:
        raise _bad(str(problem)) from None
    if root.tag != _SOAP + "Envelope" or root.find(_SOAP + "Header") is None or root.find(_SOAP + "Body") is None:
        raise _bad("it is not a SOAP envelope with header and body")
    return root


def _children(node: etree._Element) -> list[etree._Element]:
    return [child for child in node if isinstance(child.tag, str)]


def parse(soap: bytes) -> Envelope:
    """The request in a SOAP message. Raises ManagementRequestInvalid."""
    root = _parse(soap)
    header, body = root.find(_SOAP + "Header"), root.find(_SOAP + "Body")
    assert header is not None
    assert body is not None
    elements = _children(body)
    names = [child.tag for child in header if isinstance(child.tag, str)]
    for tag in ("client", "service", "id", "protocolVersion"):
        if names.count(_X + tag) != 1:
            raise _bad(f"its header does not hold exactly one <{tag}>")
    if len(elements) != 1 or not str(elements[0].tag).startswith(_X):
        raise _bad("its body does not hold exactly one request")
    name = etree.QName(elements[0]).localname
    if name not in {kind.value for kind in Kind}:
        raise _bad("there is no management service of that name")
    service, sender = header.find(_X + "service"), header.find(_X + "client")
    assert service is not None
    assert sender is not None
    if (service.findtext(_ID + "serviceCode") or "").strip() != name:
        raise _bad("its header names another service than its body")
    try:
        return Envelope(
            _request(Kind(name), elements[0]), _client(sender), _client(service), _text(header.find(_X + "id"), "id")
        )
    except ExchangeError as problem:
        raise problem if isinstance(problem, ManagementRequestInvalid) else _bad(problem.text.rstrip(".")) from None


def _request(kind: Kind, node: etree._Element) -> ManagementRequest:
    children = {str(child.tag): child for child in _children(node)}
    allowed = ["server", *(tag for tag, _ in _FIELDS[kind])]
    if len(children) != len(_children(node)) or not set(children) <= {_X + tag for tag in allowed}:
        raise _bad(f"a {kind} holds no other elements than {', '.join(allowed)}, each once")
    for tag, needed in (("server", True), *_FIELDS[kind]):
        if needed and _X + tag not in children:
            raise _bad(f"a {kind} needs <{tag}>")

    def optional(tag: str) -> str | None:
        return None if _X + tag not in children else _text(children[_X + tag], tag, empty=tag == "message")

    client = children.get(_X + "client")
    dry = optional("dryRun")
    if dry not in {None, "true", "false", "1", "0"}:
        raise _bad("<dryRun> is neither true nor false")
    request = ManagementRequest(
        kind,
        _server(children[_X + "server"]),
        None if client is None else _client(client),
        None if _X + "authCert" not in children else _certificate(children[_X + "authCert"]),
        optional("address"),
        optional("subsystemName"),
        optional("message"),
        dry in {"true", "1"},
    )
    _check_client(request)
    return request


def _check_client(request: ManagementRequest) -> None:
    if request.client is None:
        return
    if request.client.instance != request.server.instance:
        raise _bad("client and server are of different instances")
    if request.kind is Kind.OWNER_CHANGE and request.client.subsystem is not None:
        raise _bad("a new owner is a member, not a subsystem")
    if request.kind is Kind.CLIENT_RENAME and request.client.subsystem is None:
        raise _bad("only a subsystem is renamed")


def _text(node: etree._Element | None, tag: str, *, empty: bool = False) -> str:
    text = "" if node is None else (node.text or "").strip()
    if (not text and not empty) or len(text) > _LONGEST or (node is not None and len(node)):
        raise _bad(f"<{tag}> is empty, too long or not plain text")
    return text


def _part(node: etree._Element, tag: str) -> str:
    found = node.findall(_ID + tag)
    if len(found) != 1:
        raise _bad(f"an identifier does not hold exactly one {tag}")
    return _text(found[0], tag)


def _client(node: etree._Element) -> ClientId:
    subsystem = None if node.find(_ID + "subsystemCode") is None else _part(node, "subsystemCode")
    plain = ClientId(_part(node, "xRoadInstance"), _part(node, "memberClass"), _part(node, "memberCode"), subsystem)
    return ClientId.parse(str(plain))  # every part checked


def _server(node: etree._Element) -> ServerId:
    parts = [_part(node, tag) for tag in ("xRoadInstance", "memberClass", "memberCode", "serverCode")]
    return ServerId.parse(str(ServerId(*parts)))


def _certificate(node: etree._Element) -> bytes:
    try:
        raw = base64.b64decode("".join((node.text or "").split()), validate=True)
    except ValueError:
        raise _bad("<authCert> is not base64") from None
    return certs.der(certs.load(raw, "authCert"))


def parse_reply(data: bytes) -> int:
    """The number the central services gave the request. Raises ManagementRefused with their fault, as far as it can be read.

    A fault comes as central services write it: without a header, its elements with or without a namespace. `detail` is what they say to do,
    or the reference to look for in their log.
    """

    def unreadable(reason: str) -> ManagementRefused:
        return ManagementRefused(fault_code=NO_FAULT, reason=reason, detail="")

    try:
        root = parse_xml(data, LARGEST)
    except ValueError as problem:
        raise unreadable(f"their answer cannot be read: {problem}") from None
    body = root.find(_SOAP + "Body")
    if root.tag != _SOAP + "Envelope" or body is None:
        raise unreadable("their answer is not a SOAP envelope; is this the address of the central services?")
    number = body.findtext(f".//{_X}requestId")
    node = body.find(_SOAP + "Fault")
    if node is not None:
        fault = faults.fault_in(node)
        code, reason, detail = (_told(text) for text in (fault.code, fault.message.rstrip(". "), fault.detail))
        raise ManagementRefused(fault_code=code or "no code", reason=reason or "they give no reason", detail=detail)
    if number is None or not number.strip().isdecimal() or len(number) > 18:
        raise unreadable("their answer holds no request number")
    return int(number)


def _told(text: str) -> str:
    """What a stranger wrote, as one line for a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST].strip()


# --- signatures ------------------------------------------------------------------------------------------------------

_HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_XML_METHODS: Final = {
    "rsa-sha512": "SHA512withRSA",
    "sha512-rsa-MGF1": "SHA512withRSAandMGF1",
    "ecdsa-sha512": "SHA512withECDSA",
}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def sign(soap: bytes, key: PrivateKey, certificate: x509.Certificate) -> Signature:
    """A signature over the SOAP bytes, named as PR-MSERV names algorithms."""
    if isinstance(key, rsa.RSAPrivateKey):
        value, name = key.sign(soap, padding.PKCS1v15(), hashes.SHA512()), "SHA512withRSA"
    else:
        value, name = key.sign(soap, ec.ECDSA(hashes.SHA512())), "SHA512withECDSA"
    return Signature(name, value, certs.der(certificate))


def signature(method: str, value: bytes, certificate: x509.Certificate) -> Signature:
    """A value made by a `SigningKey` (its XML signature method; ECDSA as r||s) in the form management requests carry."""
    name = _XML_METHODS.get(method.partition("#")[2])
    if name is None:
        raise _bad("the key's signature method has no name in management requests")
    if name.endswith("ECDSA"):
        half = len(value) // 2
        value = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    return Signature(name, value, certs.der(certificate))


def _holds(soap: bytes, signature: Signature, what: str) -> x509.Certificate:
    """The certificate whose key made `signature` over `soap`. Raises ManagementRequestInvalid."""
    certificate = _load(signature.certificate, what)
    size, _, method = signature.algorithm.removeprefix("SHA").partition("with")
    key, algorithm = certificate.public_key(), _HASHES.get(size)
    if algorithm is None or not signature.algorithm.startswith("SHA"):
        raise _bad(f"the algorithm of the {what} signature is not known")
    try:
        if isinstance(key, rsa.RSAPublicKey) and method == "RSA":
            key.verify(signature.value, soap, padding.PKCS1v15(), algorithm)
        elif isinstance(key, rsa.RSAPublicKey) and method == "RSAandMGF1":
            salt = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            key.verify(signature.value, soap, salt, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and method == "ECDSA":
            key.verify(signature.value, soap, ec.ECDSA(algorithm))
        else:
            raise _bad(f"the algorithm of the {what} signature does not go with its certificate's key")
    except InvalidSignature:
        raise _bad(f"the {what} signature does not hold over the SOAP message") from None
    return certificate


def _load(der: bytes, what: str) -> x509.Certificate:
    try:
        certificate = certs.load(der, what)
    except ExchangeError:
        raise _bad(f"the {what} certificate cannot be read") from None
    if not certs.readable(certificate):
        raise _bad(f"the {what} certificate cannot be read in full")
    return certificate


def verify(submission: Submission, trust: Trust, now: datetime) -> Proof:
    """Check everything a submission proves, under the instance's configuration.

    Raises ManagementRequestInvalid, or the trust's own errors (CertificateInvalid, RevocationUnknown).
    """
    envelope = parse(submission.soap)
    request = envelope.request
    if request.server.instance != trust.shared.instance:
        raise _bad(f"the server is not of instance {trust.shared.instance}")
    if submission.owner is None:
        if request.kind not in PLAIN:
            raise _bad(f"a {request.kind} must be signed by the member concerned")
        return Proof(envelope, None)
    signer = _signer(submission, submission.owner, trust, now)
    allowed = {request.concerned, request.server.owner} if request.kind in PLAIN else {request.concerned}
    if signer not in allowed:
        raise _bad(f"it is signed by {signer}, a {request.kind} needs {request.concerned}")
    if request.kind is not Kind.AUTH_CERT_REG:
        return Proof(envelope, signer)
    if submission.auth is None:
        raise _bad("an authCertReg must also be signed with the authentication key")
    certificate = _holds(submission.soap, submission.auth, "authentication")
    if certs.der(certificate) != request.certificate:
        raise _bad("the authentication certificate beside it is not the one in it")
    trust.issuer_of(certificate, "authentication", now)
    certs.check_use(certificate, "authentication")
    return Proof(envelope, signer, certificate)


def _signer(submission: Submission, signature: Signature, trust: Trust, now: datetime) -> MemberId:
    certificate = _holds(submission.soap, signature, "owner's")
    certs.check_use(certificate, "signing")
    authority, _ = trust.issuer_of(certificate, "signing", now)
    if submission.ocsp is None:
        raise _bad("the OCSP answer about the signing certificate is missing")
    trust.check_own_ocsp(certificate, "signing", submission.ocsp, now)
    return certs.signer_of(certificate, authority, trust.shared.instance)
