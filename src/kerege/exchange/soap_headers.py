"""The header of a SOAP message: who asks whom for what, read strictly from the fields of X-Road's message protocol 4.0.

Implements PR-MESS section 2 (identifiers and header fields) and the extensions for security server targeting, third-party
representation and security tokens. A value that two readers could read in two ways (a field twice, a comment inside a value, a part
that does not belong to its objectType) is refused. Envelope and body are read by `soap`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lxml import etree

from kerege.exchange.ids import ClientId, DataServiceId, ServerId, check_part
from kerege.exchange.soap_errors import (
    SoapFieldDuplicate,
    SoapFieldInvalid,
    SoapFieldMissing,
    SoapIdentifierInvalid,
    SoapVersionUnknown,
)

XROAD: Final = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS: Final = "http://x-road.eu/xsd/identifiers"
REPRESENTATION: Final = "http://x-road.eu/xsd/representation.xsd"
SECURITY_TOKEN: Final = "http://x-road.eu/xsd/security-token.xsd"  # noqa: S105 - a namespace

SHA512_ALGORITHMS: Final = frozenset({"http://www.w3.org/2001/04/xmlenc#sha512", "SHA-512"})  # 7.x, 8

_MOST_FIELDS: Final = 200
_LONGEST_VALUE: Final = 8192
_LONGEST_ID: Final = 255
_VERSION: Final = re.compile(r"4\.[0-9]{1,3}\Z")

_OBJECT_TYPE: Final = f"{{{IDENTIFIERS}}}objectType"
_MEMBER_PARTS: Final = ("xRoadInstance", "memberClass", "memberCode")
_KNOWN: Final = {
    f"{{{XROAD}}}{name}": name
    for name in (
        "client",
        "service",
        "centralService",
        "securityServer",
        "id",
        "userId",
        "issue",
        "protocolVersion",
        "requestHash",
    )
} | {f"{{{REPRESENTATION}}}representedParty": "representedParty", f"{{{SECURITY_TOKEN}}}securityToken": "securityToken"}


@dataclass(frozen=True, slots=True)
class RepresentedParty:
    """In whose name the client asks."""

    party_class: str | None
    party_code: str


@dataclass(frozen=True, slots=True)
class SoapHeader:
    """The header's fields; those that may be absent are None."""

    client: ClientId
    service: DataServiceId
    message_id: str
    protocol_version: str
    user_id: str | None = None
    issue: str | None = None
    server: ServerId | None = None
    party: RepresentedParty | None = None
    token_type: str | None = None
    request_hash: str | None = None
    hash_algorithm: str | None = None


def read_header(header: etree._Element) -> SoapHeader:
    """The fields of the SOAP Header element. Elements of others are passed over. Raises the Soap errors."""
    fields = _fields(header)
    if "centralService" in fields:
        raise SoapFieldMissing(field="service", reason="central services (centralService) are not served any more")
    for name in ("protocolVersion", "client", "id", "service"):
        if name not in fields:
            raise SoapFieldMissing(field=name, reason="it did not come")
    version = _value(fields["protocolVersion"], "protocolVersion").strip()
    if not _VERSION.match(version):
        raise SoapVersionUnknown()
    hashed, token, party, server = (
        fields.get(name) for name in ("requestHash", "securityToken", "representedParty", "securityServer")
    )
    return SoapHeader(
        client=_client(fields["client"]),
        service=_service(fields["service"]),
        message_id=_message_id(fields["id"]),
        protocol_version=version,
        user_id=_optional(fields, "userId"),
        issue=_optional(fields, "issue"),
        server=None if server is None else _server(server),
        party=None if party is None else _party(party),
        token_type=None if token is None else _token_type(token),
        request_hash=None if hashed is None else _value(hashed, "requestHash").strip(),
        hash_algorithm=None if hashed is None else hashed.get("algorithmId"),
    )


def _fields(header: etree._Element) -> dict[str, etree._Element]:
    found: dict[str, etree._Element] = {}
    for count, child in enumerate(header.iterchildren(tag=etree.Element)):
        if count >= _MOST_FIELDS:
            raise SoapFieldInvalid(field="(any)", reason=f"there are more than {_MOST_FIELDS} fields")
        name = _KNOWN.get(str(child.tag))
        if name is None:
            continue
        if name in found:
            raise SoapFieldDuplicate(field=name)
        found[name] = child
    return found


def _value(element: etree._Element, field: str) -> str:
    """The text of a field that holds text and nothing else: with a comment in it, some readers would see half of it."""
    if len(element):
        raise SoapFieldInvalid(field=field, reason="it holds an element, a comment or an instruction")
    text = element.text or ""
    if len(text) > _LONGEST_VALUE:
        raise SoapFieldInvalid(field=field, reason=f"it is longer than {_LONGEST_VALUE} characters")
    return text


def _optional(fields: dict[str, etree._Element], name: str) -> str | None:
    return _value(fields[name], name) if name in fields else None


def _message_id(element: etree._Element) -> str:
    found = _value(element, "id")
    if not found:
        raise SoapFieldMissing(field="id", reason="it is empty")
    if len(found) > _LONGEST_ID or not found.isprintable():
        raise SoapFieldInvalid(field="id", reason=f"it must be 1 to {_LONGEST_ID} printable characters")
    return found


def _identifier(
    element: etree._Element, field: str, types: Mapping[str, tuple[str, ...]], optional: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The parts of an identifier; `types` says which parts belong to which objectType."""
    kind = element.get(_OBJECT_TYPE)
    if kind is None:
        raise SoapIdentifierInvalid(field=field, reason="the attribute objectType is missing")
    if kind not in types:
        raise SoapIdentifierInvalid(field=field, reason=f"objectType must be {' or '.join(types)} here")
    allowed, found = types[kind], dict[str, str]()
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child)
        if name.namespace != IDENTIFIERS or name.localname not in allowed:
            raise SoapIdentifierInvalid(field=field, reason=f"a part does not belong to the objectType {kind}")
        if name.localname in found:
            raise SoapFieldDuplicate(field=name.localname)
        if len(child):
            raise SoapIdentifierInvalid(field=field, reason=f"{name.localname} holds more than text")
        found[name.localname] = check_part(child.text or "", f"{name.localname} of {field}")
    for part in allowed:
        if part not in found and part not in optional:
            raise SoapIdentifierInvalid(field=field, reason=f"{part} is missing")
    return found


_CLIENT_TYPES: Final = {"MEMBER": _MEMBER_PARTS, "SUBSYSTEM": (*_MEMBER_PARTS, "subsystemCode")}
_SERVICE_TYPES: Final = {"SERVICE": (*_MEMBER_PARTS, "subsystemCode", "serviceCode", "serviceVersion")}
_SERVER_TYPES: Final = {"SERVER": (*_MEMBER_PARTS, "serverCode")}
_MAY_LACK: Final = frozenset({"subsystemCode", "serviceVersion"})


def _client(element: etree._Element) -> ClientId:
    part = _identifier(element, "client", _CLIENT_TYPES)
    return ClientId(part["xRoadInstance"], part["memberClass"], part["memberCode"], part.get("subsystemCode"))


def _service(element: etree._Element) -> DataServiceId:
    part = _identifier(element, "service", _SERVICE_TYPES, _MAY_LACK)
    return DataServiceId(
        part["xRoadInstance"],
        part["memberClass"],
        part["memberCode"],
        part.get("subsystemCode"),
        part["serviceCode"],
        part.get("serviceVersion"),
    )


def _server(element: etree._Element) -> ServerId:
    part = _identifier(element, "securityServer", _SERVER_TYPES)
    return ServerId(part["xRoadInstance"], part["memberClass"], part["memberCode"], part["serverCode"])


def _party(element: etree._Element) -> RepresentedParty:
    found: dict[str, str] = {}
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child)
        if name.namespace != REPRESENTATION or name.localname not in {"partyClass", "partyCode"}:
            raise SoapFieldInvalid(
                field="representedParty", reason="it holds something else than partyClass and partyCode"
            )
        if name.localname in found:
            raise SoapFieldDuplicate(field=name.localname)
        found[name.localname] = _value(child, name.localname)
    if not found.get("partyCode"):
        raise SoapFieldMissing(field="partyCode", reason="a represented party is named by its code")
    return RepresentedParty(found.get("partyClass"), found["partyCode"])


def _token_type(element: etree._Element) -> str:
    """The token itself is the client's and the provider's affair: it travels signed with the message and is not looked at."""
    found = element.get("tokenType")
    if not found:
        raise SoapFieldInvalid(field="securityToken", reason="the attribute tokenType is missing")
    return str(found)
