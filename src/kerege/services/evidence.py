"""Evidence: values another register holds, asked for over the node, each with where it came from.

`ExchangeClient` is the one door to the registers; `node_client` opens it over HTTP, tests over memory. `Gatherer` knows the
definition's requests and turns answers into entries for linking. A register that is down, or answers nonsense, gives a reply
that is not `ok`: the facts that hang on it stay unknown. Nothing here decides.

Provenance of every value: register, data service, message id, mapping and version, hash of the signed original, time, field,
problems. Source: X-Road message protocol for REST (headers), reference services 3 (once-only with preview and trace).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol
from xml.sax.saxutils import escape

import orjson

from kerege.reconcile.link import Entry
from kerege.services.definitions import AdmissionDefinition, RequestTemplate
from kerege.services.errors import PayloadUnreadable

JSON: Final = "application/json"

RawDecoder = Callable[[str, "Answer"], tuple[dict[str, str | None], ...]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a data service, ready to travel. A person's data stands in `body` only: all else goes into logs on the way."""

    data_service: str
    method: str = "GET"
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None
    canonical: bool = True
    sources: bool = False  # with the canonical records, the register's own cells they were made of
    purpose: str = ""
    issue: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `records` and `problems` when canonical, `body` when raw.

    sources  the register's own cells of each record, in the order of `records`; empty when they were not asked for
    status   HTTP status; 0 when there was no answer at all
    withheld places, in the original payload, of records the translation left out; problems name places in the payload too
    fault    a stable code when the exchange or the register failed (no answer, 5xx, a fault header), else ""
    """

    status: int
    at: datetime
    message_id: str = ""
    records: tuple[Mapping[str, str | None], ...] = ()
    sources: tuple[Mapping[str, str | None], ...] = ()
    problems: tuple[Mapping[str, Any], ...] = ()
    withheld: tuple[int, ...] = ()
    body: bytes = b""
    content_type: str = ""
    mapping_id: str = ""
    mapping_version: str = ""
    original_sha256: str = ""
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.fault and (200 <= self.status < 300 or self.status == 404)


class ExchangeClient(Protocol):
    """How this room reaches a register. Never raises for what the network or a register does: that is in the answer."""

    def send(self, call: Call) -> Answer:
        """Carry one call and bring its answer."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where values came from, for good."""

    register: str
    data_service: str
    message_id: str
    mapping_id: str
    mapping_version: str
    original_sha256: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Value:
    """One value a decision used, with its provenance. `concept` is the definition's evidence id, `record_id` the register's own."""

    concept: str
    field: str
    value: str | None
    source: Source
    record_id: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A register's answer to one request: entries when canonical, plain records when raw. Not ok: nothing is known."""

    ok: bool
    source: Source
    entries: tuple[Entry, ...] = ()
    raw: tuple[Mapping[str, str | None], ...] = ()
    fault: str = ""
    complete: bool = True  # False: a record of the answer could not be translated at all, so "none" cannot be said


# A record with a problem of this severity is left out of the translated message.
DROPPED: frozenset[str] = frozenset({"reject", "quarantine"})


@dataclass(slots=True)
class Gatherer:
    """Asks for one application's evidence. `decode_raw` reads agencies' own formats, for the way without translation."""

    client: ExchangeClient
    definition: AdmissionDefinition
    issue: str
    canonical: bool = True
    decode_raw: RawDecoder | None = None
    sources: list[Source] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def ask(self, evidence_id: str, request: str, **params: str) -> Reply:
        """Send the definition's request `request` for `evidence_id`; a failure is in the reply."""
        evidence = self.definition.evidence[evidence_id]
        call = _call(
            evidence.request(request, self.definition.id),
            evidence.data_service,
            params,
            self.canonical,
            self.definition.id,
            self.issue,
        )
        answer = self.client.send(call)
        source = Source(
            evidence.register,
            evidence.data_service,
            answer.message_id,
            answer.mapping_id,
            answer.mapping_version,
            answer.original_sha256,
            answer.at,
        )
        self.sources.append(source)
        if not answer.ok:
            self.faults.append(evidence.register)
            return Reply(False, source, fault=answer.fault or f"status_{answer.status}")
        if answer.status == 404:
            return Reply(True, source)
        if self.canonical:
            return _canonical(answer, source)
        try:
            assert self.decode_raw is not None, "the raw way needs a decoder"
            return Reply(True, source, raw=self.decode_raw(evidence.id, answer))
        except PayloadUnreadable as error:
            self.faults.append(evidence.register)
            return Reply(False, source, fault=error.code)


def _canonical(answer: Answer, source: Source) -> Reply:
    """Entries with their own problems. Problems name places in the original payload, so the withheld ones are counted past."""
    flagged: dict[int, set[tuple[str, str]]] = {}
    gone = set(answer.withheld)
    stray = False
    for problem in answer.problems:
        place = problem.get("record")
        if not isinstance(place, int):
            stray = True  # a problem of the payload as a whole
            continue
        if problem.get("severity") in DROPPED:
            gone.add(place)
        flagged.setdefault(place, set()).add((str(problem.get("field") or ""), str(problem.get("code") or "")))
    places = itertools.islice((n for n in itertools.count() if n not in gone), len(answer.records))
    cells = answer.sources or (None,) * len(answer.records)
    entries = tuple(
        Entry(record, frozenset(flagged.get(place, ())), source)
        for place, record, source in zip(places, answer.records, cells, strict=True)
    )
    return Reply(True, source, entries=entries, complete=not gone and not stray)


def _call(
    template: RequestTemplate, data_service: str, params: Mapping[str, str], canonical: bool, purpose: str, issue: str
) -> Call:
    body = None
    content_type = None
    if template.soap is not None:
        (value,) = params.values()
        if template.soap.date_format:
            value = date.fromisoformat(value).strftime(template.soap.date_format)
        body = soap_request(template.soap.namespace, template.soap.element, template.soap.field, value)
        content_type = "text/xml; charset=utf-8"
    elif template.json:
        body = json_request({name: value.format(**params) for name, value in template.json})
        content_type = JSON
    # Path and query come from the definition as they are: an address is logged on the way, so it never names a person.
    return Call(
        data_service,
        template.method,
        template.path,
        template.query,
        body,
        content_type,
        canonical,
        sources=canonical,
        purpose=purpose,
        issue=issue,
    )


def json_request(question: Mapping[str, str]) -> bytes:
    """A JSON object of texts; its content type is `JSON`."""
    return orjson.dumps(dict(question))


def soap_request(namespace: str, element: str, name: str, value: str) -> bytes:
    """A SOAP 1.1 envelope around one element with one field."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        f'<q:{element} xmlns:q="{escape(namespace)}"><q:{name}>{escape(value)}</q:{name}></q:{element}>'
        "</soap:Body></soap:Envelope>"
    ).encode()


def values_of(
    concept: str, entry: Entry, source: Source, fields: Sequence[str], record_id: str = ""
) -> tuple[Value, ...]:
    """The named fields of one entry as values with provenance."""
    return tuple(
        Value(
            concept,
            name,
            entry.get(name),
            source,
            record_id,
            tuple(sorted(code for flagged, code in entry.flagged if flagged == name)),
        )
        for name in fields
    )


def unanswered(status: int = 0, fault: str = "services.exchange_unreachable") -> Answer:
    """The answer that never came."""
    return Answer(status=status, at=datetime.now(UTC), fault=fault)
