"""Management requests read: what a SOAP message asks, what the central services answer, and their answer made from the request.

Implements X-Road PR-MSERV (schema request.xsd): each element that a request of its kind holds, once and no other. Who sent it stands in
what goes with it (`management_proof`).
"""

from __future__ import annotations

import base64
from typing import Final

from lxml import etree

from kerege.exchange import certs, faults
from kerege.exchange.errors import ExchangeError, ManagementRefused, ManagementRequestInvalid
from kerege.exchange.ids import ClientId, ServerId
from kerege.exchange.management import FIELDS, LARGEST, Envelope, Kind, ManagementRequest, invalid
from kerege.exchange.safexml import parse_xml

NO_FAULT: Final = "no fault"  # stands for a fault code where what was answered cannot be read
_SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
_X: Final = "{http://x-road.eu/xsd/xroad.xsd}"
_ID: Final = "{http://x-road.eu/xsd/identifiers}"
_LONGEST: Final = 1024


def _parse(soap: bytes) -> etree._Element:
    try:
        root = parse_xml(soap, LARGEST)
    except ValueError as problem:
        raise invalid(str(problem)) from None
    if root.tag != _SOAP + "Envelope" or root.find(_SOAP + "Header") is None or root.find(_SOAP + "Body") is None:
        raise invalid("it is not a SOAP envelope with header and body")
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
            raise invalid(f"its header does not hold exactly one <{tag}>")
    if len(elements) != 1 or not str(elements[0].tag).startswith(_X):
        raise invalid("its body does not hold exactly one request")
    name = etree.QName(elements[0]).localname
    if name not in {kind.value for kind in Kind}:
        raise invalid("there is no management service of that name")
    service, sender = header.find(_X + "service"), header.find(_X + "client")
    assert service is not None
    assert sender is not None
    if (service.findtext(_ID + "serviceCode") or "").strip() != name:
        raise invalid("its header names another service than its body")
    try:
        return Envelope(
            _request(Kind(name), elements[0]), _client(sender), _client(service), _text(header.find(_X + "id"), "id")
        )
    except ExchangeError as problem:
        raise problem if isinstance(problem, ManagementRequestInvalid) else invalid(problem.text.rstrip(".")) from None


def _request(kind: Kind, node: etree._Element) -> ManagementRequest:
    children = {str(child.tag): child for child in _children(node)}
    allowed = ["server", *(tag for tag, _ in FIELDS[kind])]
    if len(children) != len(_children(node)) or not set(children) <= {_X + tag for tag in allowed}:
        raise invalid(f"a {kind} holds no other elements than {', '.join(allowed)}, each once")
    for tag, needed in (("server", True), *FIELDS[kind]):
        if needed and _X + tag not in children:
            raise invalid(f"a {kind} needs <{tag}>")

    def optional(tag: str) -> str | None:
        return None if _X + tag not in children else _text(children[_X + tag], tag, empty=tag == "message")

    client = children.get(_X + "client")
    dry = optional("dryRun")
    if dry not in {None, "true", "false", "1", "0"}:
        raise invalid("<dryRun> is neither true nor false")
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
        raise invalid("client and server are of different instances")
    if request.kind is Kind.OWNER_CHANGE and request.client.subsystem is not None:
        raise invalid("a new owner is a member, not a subsystem")
    if request.kind is Kind.CLIENT_RENAME and request.client.subsystem is None:
        raise invalid("only a subsystem is renamed")


def _text(node: etree._Element | None, tag: str, *, empty: bool = False) -> str:
    text = "" if node is None else (node.text or "").strip()
    if (not text and not empty) or len(text) > _LONGEST or (node is not None and len(node)):
        raise invalid(f"<{tag}> is empty, too long or not plain text")
    return text


def _part(node: etree._Element, tag: str) -> str:
    found = node.findall(_ID + tag)
    if len(found) != 1:
        raise invalid(f"an identifier does not hold exactly one {tag}")
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
        raise invalid("<authCert> is not base64") from None
    return certs.der(certs.load(raw, "authCert"))


def build_reply(soap: bytes, request_id: int) -> bytes:
    """The answer to a request: its own header and body, the number under which it stands in the register added."""
    root = _parse(soap)
    body = root.find(_SOAP + "Body")
    assert body is not None
    element = next(child for child in body if isinstance(child.tag, str))
    element.tag = element.tag + "Response"
    etree.SubElement(element, _X + "requestId").text = str(request_id)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


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
