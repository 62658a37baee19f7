"""Operational monitoring: one record per exchange, with X-Road's field names (PR-OPMON); fields unknown are absent, not null.

An `Exchange` is what the two sides of a node note while a message passes: plain assignments, nothing is formatted then. `record` makes
the protocol's record of it afterwards, in batches; `line` the same record as JSON. Who keeps and who may read records is
`node.telling.opmonitor` and `opmon_query`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, Final

import orjson

from kerege.exchange.ids import ClientId, DataServiceId
from kerege.exchange.rest import RestRequest, decode_request
from kerege.exchange.resttarget import masked_path

if TYPE_CHECKING:
    from kerege.exchange.lane.call import Call

VERSION: Final = "7.8.0"
CLIENT: Final = "Client"
PRODUCER: Final = "Producer"

WSDL: Final = "WSDL"
REST: Final = "REST"
OPENAPI: Final = "OPENAPI3"

LONGEST_TEXT: Final = 255
LONGEST_FAULT: Final = 2048


@dataclass(slots=True)
class SoapNames:
    """What a SOAP message says about itself; the counterpart of `Exchange.request` for REST."""

    client: ClientId
    service: DataServiceId
    message_id: str
    request_id: str
    user_id: str | None = None
    issue: str | None = None
    party_class: str | None = None
    party_code: str | None = None
    protocol_version: str = "4.0"


@dataclass(slots=True)
class Exchange:
    """What a server notes while it handles one exchange; times in milliseconds since 1970.

    request/soap       whichever was read; both stay None when the message could not be read
    request_size       REST: signed bytes and body; SOAP: the bytes of the envelope
    request_mime_size  SOAP with attachments: envelope and attachments
    """

    side: str
    request_in: int
    request: RestRequest | None = None
    request_out: int | None = None
    response_in: int | None = None
    response_out: int | None = None
    request_size: int | None = None
    response_size: int | None = None
    client_address: str = ""
    service_address: str = ""
    status: int | None = None
    fault_code: str | None = None
    fault_string: str | None = None
    own_address: str = ""
    soap: SoapNames | None = None
    service_type: str | None = None  # WSDL | REST | OPENAPI3; None: WSDL for SOAP, REST otherwise
    request_mime_size: int | None = None
    response_mime_size: int | None = None
    request_attachments: int = 0
    response_attachments: int = 0
    trace: str | None = None  # the caller's W3C traceparent, for a link

    @property
    def succeeded(self) -> bool:
        """A SOAP exchange has no status of its own: it succeeded when it was answered without a fault."""
        if self.fault_code is not None:
            return False
        if self.soap is not None:
            return self.response_size is not None
        return self.status is not None and self.status < 400

    @property
    def service(self) -> DataServiceId | None:
        if self.soap is not None:
            return self.soap.service
        return None if self.request is None else self.request.service

    @property
    def client(self) -> ClientId | None:
        if self.soap is not None:
            return self.soap.client
        return None if self.request is None else self.request.client

    @property
    def kind(self) -> str:
        return self.service_type or (WSDL if self.soap is not None else REST)


def exchange_of(
    call: Call, side: str, own_address: str, client_address: str, service_address: str, service_type: str | None = None
) -> Exchange:
    """What was noted of a call of the native path, as an `Exchange`; the one it has already, where it had to be made."""
    if call.exchange is not None:
        assert isinstance(call.exchange, Exchange)
        return call.exchange
    request, answer = call.request, call.answer
    return Exchange(
        side,
        call.request_in,
        None if request is None else decode_request(request.content),
        call.request_out or None,
        call.response_in or None,
        call.response_out or None,
        None if request is None else request.size,
        None if answer is None else answer.size,
        client_address,
        service_address,
        call.status or None,
        own_address=own_address,
        service_type=service_type,
    )


def record(exchange: Exchange) -> dict[str, Any]:
    """The monitoring record of a finished exchange."""
    x = exchange
    out: dict[str, Any] = {
        "monitoringDataTs": (x.response_out or x.request_in) // 1000,
        "securityServerType": x.side,
        "requestInTs": x.request_in,
        "requestAttachmentCount": x.request_attachments,
        "succeeded": x.succeeded,
        "serviceType": x.kind,
        "xRoadVersion": VERSION,
    }
    if x.own_address:
        out["securityServerInternalIp"] = x.own_address
    if x.request_out is not None:
        out["requestOutTs"] = x.request_out
    if x.response_in is not None:
        out["responseInTs"] = x.response_in
    if x.response_out is not None:
        out["responseOutTs"] = x.response_out
    if x.client_address:
        out["clientSecurityServerAddress"] = x.client_address
    if x.service_address:
        out["serviceSecurityServerAddress"] = x.service_address
    if x.request_size is not None:
        out["requestSize"] = x.request_size
    if x.response_size is not None:
        out["responseSize"] = x.response_size
        out["responseAttachmentCount"] = x.response_attachments
    if x.request_mime_size is not None:
        out["requestMimeSize"] = x.request_mime_size
    if x.response_mime_size is not None:
        out["responseMimeSize"] = x.response_mime_size
    if x.fault_code is not None:
        out["faultCode"] = x.fault_code[:LONGEST_TEXT]
    if x.fault_string:
        out["faultString"] = x.fault_string[:LONGEST_FAULT]
    if x.soap is not None:
        _soap_names(out, x.soap)
    else:
        out["messageProtocolVersion"] = "1"
        if x.status is not None:
            out["statusCode"] = x.status
        if x.request is not None:
            _rest_names(out, x.request, x.side)
    return out


def line(exchange: Exchange) -> bytes:
    """`record` as a line of JSON. What nearly all exchanges are, a REST call that was answered, is written straight from a template."""
    x, request = exchange, exchange.request
    out = x.response_out
    if (
        request is None
        or x.soap is not None
        or out is None
        or x.fault_code is not None
        or x.fault_string
        or x.request_out is None
        or x.response_in is None
        or x.request_size is None
        or x.response_size is None
        or x.status is None
        or x.request_mime_size is not None
        or x.response_mime_size is not None
    ):
        # a copy: orjson gives bytes with room for thousands more behind them, and whoever keeps lines keeps ten thousand
        return memoryview(orjson.dumps(record(x), option=orjson.OPT_APPEND_NEWLINE)).tobytes()
    client, service = request.client, request.service
    # parties by identity: they are themselves remembered where messages are read
    kind = (
        id(client), id(service), x.side, x.status, x.service_type, request.verb, request.path, x.own_address, x.client_address,
        x.service_address, x.request_attachments, x.response_attachments,
    )  # fmt: skip
    known = _KINDS.get(kind)
    if known is None:
        known = _remember(kind, x, request)
    said = ""
    for name, _ in request.headers:
        if _says(name):
            said = "".join([f',"{key}":{quoted(value)}' for key, value in _said(request).items()])
            break
    return (
        f'{{"monitoringDataTs":{out // 1000},"requestInTs":{x.request_in},"requestOutTs":{x.request_out},'
        f'"responseInTs":{x.response_in},"responseOutTs":{out},"requestSize":{x.request_size},'
        f'"responseSize":{x.response_size},"messageId":{quoted(request.message_id)},'
        f'"xRequestId":{quoted(request.request_id)}{said},{known[2]}\n'
    ).encode()


_Kind = tuple[ClientId, DataServiceId, str]
_KINDS: dict[tuple[object, ...], _Kind] = {}
_MOST_KINDS: Final = 4096
_OWN: Final = (
    "monitoringDataTs", "requestInTs", "requestOutTs", "responseInTs", "responseOutTs", "requestSize", "responseSize",
    "messageId", "xRequestId",
)  # fmt: skip


def _remember(kind: tuple[object, ...], x: Exchange, request: RestRequest) -> _Kind:
    """The end of the line of every exchange that differs from this one only in `_OWN` and in what the caller says about itself."""
    if len(_KINDS) >= _MOST_KINDS:
        _KINDS.clear()
    made = _KINDS[kind] = (request.client, request.service, line_end(x, request))  # kept, so identities stay theirs
    return made


def line_end(x: Exchange, request: RestRequest) -> str:
    """What follows, in the line of an answered REST call, what is its own (`_OWN`) and what the caller says about itself."""
    fields = record(x)
    for name in (*_OWN, *_said(request)):
        del fields[name]
    return orjson.dumps(fields).decode()[1:]


@lru_cache(maxsize=1024)
def _masked(path: str) -> str:
    # no query, and no segment that may name a person: monitoring is read by many
    return masked_path(path)[:LONGEST_TEXT]


@lru_cache(maxsize=1024)
def _says(name: bytes) -> bytes:
    """The name in lower case when such a header is looked at, else nothing."""
    low = name.lower()
    return low if low in _SAYING else b""


@lru_cache(maxsize=4096)
def _parties(client: ClientId, service: DataServiceId) -> dict[str, str]:
    named = {
        "clientXRoadInstance": client.instance,
        "clientMemberClass": client.member_class,
        "clientMemberCode": client.member_code,
        "clientSubsystemCode": client.subsystem,
        "serviceXRoadInstance": service.instance,
        "serviceMemberClass": service.member_class,
        "serviceMemberCode": service.member_code,
        "serviceSubsystemCode": service.subsystem,
        "serviceCode": service.service,
        "serviceVersion": service.version,
    }
    return {key: value for key, value in named.items() if value}


def _rest_names(out: dict[str, Any], request: RestRequest, side: str) -> None:
    out.update(_parties(request.client, request.service))
    out["restMethod"] = request.verb
    if side == PRODUCER:
        out["restPath"] = _masked(request.path)
    out["messageId"] = request.message_id
    out["xRequestId"] = request.request_id
    out.update(_said(request))


_USER, _ISSUE, _PARTY = b"x-road-userid", b"x-road-issue", b"x-road-represented-party"
_SAYING: Final = frozenset((_USER, _ISSUE, _PARTY))


def _said(request: RestRequest) -> dict[str, str]:
    """What the caller says about itself in headers."""
    out: dict[str, str] = {}
    party = b""
    for name, value in request.headers:  # once through; the last of a repeated one counts
        low = _says(name)
        if low == _USER and value:
            out["messageUserId"] = value.decode("latin-1")[:LONGEST_TEXT]
        elif low == _ISSUE and value:
            out["messageIssue"] = value.decode("latin-1")[:LONGEST_TEXT]
        elif low == _PARTY:
            party = value
    if party:
        party_class, slash, party_code = party.decode("latin-1").partition("/")
        if slash and party_class:
            out["representedPartyClass"] = party_class[:LONGEST_TEXT]
        code = party_code if slash else party_class
        if code:
            out["representedPartyCode"] = code[:LONGEST_TEXT]
    return out


def _soap_names(out: dict[str, Any], names: SoapNames) -> None:
    out.update(_parties(names.client, names.service))
    out["messageProtocolVersion"] = names.protocol_version[:LONGEST_TEXT]
    out["messageId"] = names.message_id[:LONGEST_TEXT]
    out["xRequestId"] = names.request_id[:LONGEST_TEXT]
    for key, value in (
        ("messageUserId", names.user_id),
        ("messageIssue", names.issue),
        ("representedPartyClass", names.party_class),
        ("representedPartyCode", names.party_code),
    ):
        if value:
            out[key] = value[:LONGEST_TEXT]
