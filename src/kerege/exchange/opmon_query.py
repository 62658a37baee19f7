"""Questions to operational monitoring and their answers: getSecurityServerOperationalData and getSecurityServerHealthData.

Implements X-Road PR-OPMON (schema op-monitoring.xsd): requests are read strictly, a name that is no field is refused, answers validate
against the schema. Who asks sees all records when it owns the server or is the instance's monitoring client, else those of exchanges
it took part in. Keeping records is `node.telling.opmonitor`'s, the envelope around bodies is SOAP's.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from lxml import etree

from kerege.exchange.errors import ExchangeError, MetaserviceInvalid
from kerege.exchange.ids import ClientId, MemberId, check_part

NS: Final = "http://x-road.eu/xsd/op-monitoring.xsd"
ID_NS: Final = "http://x-road.eu/xsd/identifiers"
OPERATIONAL: Final = "getSecurityServerOperationalData"
HEALTH: Final = "getSecurityServerHealthData"

MOST_RECORDS: Final = 10_000
WITHHELD_SECONDS: Final = 60  # records of the two sides arrive at different moments; the newest may not be whole yet
ATTACHMENT_ID: Final = "operational-monitoring-data.json.gz"  # collectors look for exactly this name
_MOST_FIELDS: Final = 200

FIELDS: Final = frozenset(
    (
        "monitoringDataTs",
        "securityServerInternalIp",
        "securityServerType",
        "requestInTs",
        "requestOutTs",
        "responseInTs",
        "responseOutTs",
        "clientXRoadInstance",
        "clientMemberClass",
        "clientMemberCode",
        "clientSubsystemCode",
        "serviceXRoadInstance",
        "serviceMemberClass",
        "serviceMemberCode",
        "serviceSubsystemCode",
        "serviceCode",
        "restMethod",
        "restPath",
        "xRoadVersion",
        "serviceVersion",
        "representedPartyClass",
        "representedPartyCode",
        "messageId",
        "messageUserId",
        "messageIssue",
        "messageProtocolVersion",
        "clientSecurityServerAddress",
        "serviceSecurityServerAddress",
        "requestMimeSize",
        "requestAttachmentCount",
        "responseMimeSize",
        "responseAttachmentCount",
        "succeeded",
        "faultCode",
        "faultString",
        "requestSize",
        "responseSize",
        "statusCode",
        "serviceType",
        "xRequestId",
    )
)


@dataclass(frozen=True, slots=True)
class OperationalQuery:
    """Records of these seconds, both ends included; `fields` empty means all."""

    records_from: int
    records_to: int
    client: ClientId | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """Which records one question may have. `asking` None: all; `partner`: only exchanges that it took part in."""

    asking: ClientId | None
    partner: ClientId | None = None

    @property
    def everything(self) -> bool:
        return self.asking is None and self.partner is None

    def covers(self, record: Mapping[str, Any]) -> bool:
        took_part = (_party(record, "client"), _party(record, "service"))
        return all(who is None or who in took_part for who in (self.asking, self.partner))


def _party(record: Mapping[str, Any], role: str) -> ClientId | None:
    instance = record.get(f"{role}XRoadInstance")
    if instance is None:
        return None
    return ClientId(
        instance, record[f"{role}MemberClass"], record[f"{role}MemberCode"], record.get(f"{role}SubsystemCode")
    )


def sight(asking: ClientId, partner: ClientId | None, owner: MemberId, central: ClientId | None) -> Sight:
    """What `asking` may see. `owner` owns the server (its subsystems are not it); `central` is the monitoring client, if any."""
    everything = asking == ClientId(owner.instance, owner.member_class, owner.member_code) or asking == central
    return Sight(None if everything else asking, partner)


def read_operational(body: etree._Element) -> OperationalQuery:
    """The question in a getSecurityServerOperationalData element. Raises MetaserviceInvalid."""
    criteria, spec = _children(body, OPERATIONAL, ("searchCriteria",), ("outputSpec",))
    assert criteria is not None
    begin, end, client = _children(criteria, OPERATIONAL, ("recordsFrom", "recordsTo"), ("client",))
    first, last = _seconds(begin, "recordsFrom"), _seconds(end, "recordsTo")
    if first > last:
        raise MetaserviceInvalid(service=OPERATIONAL, reason="recordsFrom is later than recordsTo")
    fields: list[str] = []
    for child in () if spec is None else _elements(spec):
        name = (child.text or "").strip()
        if child.tag != f"{{{NS}}}outputField" or len(fields) >= _MOST_FIELDS:
            raise MetaserviceInvalid(service=OPERATIONAL, reason="outputSpec holds something else than output fields")
        if name not in FIELDS:
            raise MetaserviceInvalid(service=OPERATIONAL, reason="outputSpec names a field that does not exist")
        if name not in fields:
            fields.append(name)
    return OperationalQuery(first, last, None if client is None else _client(client, OPERATIONAL), tuple(fields))


def read_health(body: etree._Element) -> ClientId | None:
    """Whose services a getSecurityServerHealthData element asks about; None means all. Raises MetaserviceInvalid."""
    (criteria,) = _children(body, HEALTH, (), ("filterCriteria",))
    if criteria is None:
        return None
    (client,) = _children(criteria, HEALTH, (), ("client",))
    return None if client is None else _client(client, HEALTH)


def _elements(parent: etree._Element) -> list[etree._Element]:
    return [child for child in parent if isinstance(child.tag, str)]


def _children(
    parent: etree._Element, service: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> list[etree._Element | None]:
    """The children by name, in the schema's order, each at most once and no others."""
    found = _elements(parent)
    out: list[etree._Element | None] = []
    for name in (*required, *optional):
        if found and found[0].tag == f"{{{NS}}}{name}":
            out.append(found.pop(0))
        elif name in required:
            raise MetaserviceInvalid(service=service, reason=f"{name} is missing or not in its place")
        else:
            out.append(None)
    if found:
        raise MetaserviceInvalid(service=service, reason="it holds an element that does not belong there")
    return out


def _seconds(element: etree._Element | None, name: str) -> int:
    text = "" if element is None else (element.text or "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise MetaserviceInvalid(service=OPERATIONAL, reason=f"{name} is not a number of seconds since 1970")
    return int(text)


def _client(element: etree._Element, service: str) -> ClientId:
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    found = [((c.text or "").strip(), c.tag) for c in _elements(element)]
    expected = [f"{{{ID_NS}}}{name}" for name in names[: len(found)]]
    kind = element.get(f"{{{ID_NS}}}objectType")
    if (
        len(found) not in (3, 4)
        or [tag for _, tag in found] != expected
        or kind != ("MEMBER", "SUBSYSTEM")[len(found) - 3]
    ):
        raise MetaserviceInvalid(service=service, reason="client is neither a member nor a subsystem")
    try:
        return ClientId(*(check_part(text, name) for (text, _), name in zip(found, names, strict=False)))
    except ExchangeError as problem:
        raise MetaserviceInvalid(service=service, reason=f"client cannot be used: {problem.params['reason']}") from None


# --- answers ---------------------------------------------------------------------------------------------------------


def payload(lines: Sequence[bytes], fields: Sequence[str] = ()) -> bytes:
    """The attachment: records (JSON objects, one a line) as gzip of {"records": [...]}, only `fields` of them when any are named."""
    if fields:
        picked = []
        for line in lines:
            record = orjson.loads(line)
            picked.append(orjson.dumps({name: record[name] for name in fields if name in record}))
        lines = picked
    whole = b'{"records":[' + b",".join(line.rstrip(b"\n") for line in lines) + b"]}"
    return gzip.compress(whole, compresslevel=6, mtime=0)


def operational_response(count: int, next_from: int | None) -> etree._Element:
    """The body of the answer whose attachment is `payload`. The prefix `om` stays: collectors look for it in the bytes."""
    root = etree.Element(f"{{{NS}}}{OPERATIONAL}Response", nsmap={"om": NS})
    _add(root, "recordsCount", str(count))
    _add(root, "records", f"cid:{ATTACHMENT_ID}")
    if next_from is not None:
        _add(root, "nextRecordsFrom", str(next_from))
    return root


def attachment_headers() -> tuple[tuple[bytes, bytes], ...]:
    """Headers of the attachment in this order and case: collectors look for content-id as the last line before the content."""
    return (
        (b"content-type", b"application/gzip"),
        (b"content-transfer-encoding", b"binary"),
        (b"content-id", f"<{ATTACHMENT_ID}>".encode()),
    )


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, f"{{{NS}}}{name}").text = text
