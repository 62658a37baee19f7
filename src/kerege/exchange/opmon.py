"""Operational monitoring: one record per exchange, with X-Road's field names (PR-OPMON); fields unknown are absent, not null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kerege.exchange.ids import ServerId
from kerege.exchange.rest import RestRequest, header, masked_path

VERSION: Final = "7.8.0"
CLIENT: Final = "Client"
PRODUCER: Final = "Producer"


@dataclass(slots=True)
class Exchange:
    """What a server notes while it handles one exchange; times in milliseconds since 1970."""

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


def record(exchange: Exchange, server: ServerId) -> dict[str, Any]:
    """The monitoring record of a finished exchange."""
    x = exchange
    succeeded = x.fault_code is None and x.status is not None and x.status < 400
    out: dict[str, Any] = {
        "monitoringDataTs": (x.response_out or x.request_in) // 1000,
        "securityServerInternalIp": x.own_address,
        "securityServerType": x.side,
        "requestInTs": x.request_in,
        "requestOutTs": x.request_out,
        "responseInTs": x.response_in,
        "responseOutTs": x.response_out,
        "clientSecurityServerAddress": x.client_address,
        "serviceSecurityServerAddress": x.service_address,
        "requestSize": x.request_size,
        "responseSize": x.response_size,
        "requestAttachmentCount": 0,
        "succeeded": succeeded,
        "statusCode": x.status,
        "faultCode": x.fault_code,
        "faultString": x.fault_string[:2048] if x.fault_string else None,
        "serviceType": "REST",
        "messageProtocolVersion": "1",
        "xRoadVersion": VERSION,
    }
    if x.response_size is not None:
        out["responseAttachmentCount"] = 0
    if x.request is not None:
        out.update(_names(x.request, x.side))
    return {key: value for key, value in out.items() if value is not None and value != ""}


def _names(request: RestRequest, side: str) -> dict[str, Any]:
    client, service = request.client, request.service
    user, issue = header(request.headers, b"x-road-userid"), header(request.headers, b"x-road-issue")
    party = (header(request.headers, b"x-road-represented-party") or b"").decode("latin-1")
    party_class, slash, party_code = party.partition("/")
    return {
        "clientXRoadInstance": client.instance,
        "clientMemberClass": client.member_class,
        "clientMemberCode": client.member_code,
        "clientSubsystemCode": client.subsystem,
        "serviceXRoadInstance": service.instance,
        "serviceMemberClass": service.member_class,
        "serviceMemberCode": service.member_code,
        "serviceSubsystemCode": service.subsystem,
        "serviceCode": service.service,
        "restMethod": request.verb,
        # no query, and no segment that may name a person: monitoring is read by many
        "restPath": masked_path(request.path) if side == PRODUCER else None,
        "representedPartyClass": party_class if slash else None,
        "representedPartyCode": (party_code if slash else party_class) or None,
        "messageId": request.message_id,
        "messageUserId": None if user is None else user.decode("latin-1"),
        "messageIssue": None if issue is None else issue.decode("latin-1"),
        "xRequestId": request.request_id,
    }
