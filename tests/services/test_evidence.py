"""Requests as the definition writes them, answers with provenance, failures that stay failures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from lxml import etree

from kerege.services import definitions, raw
from kerege.services.errors import RequestUnknown
from kerege.services.evidence import Answer, Call, Gatherer, values_of

AT = datetime(2026, 4, 1, tzinfo=UTC)
DEFINITION = definitions.of("grade1-admission", "kg")


class OneAnswer:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls: list[Call] = []

    def send(self, call: Call) -> Answer:
        self.calls.append(call)
        return self.answer


GOOD = Answer(
    200, AT, "m-1", records=({"pin": "1", "house": "5"},), mapping_id="kg:population.person", mapping_version="1",
    original_sha256="ab" * 32,
)  # fmt: skip


def test_a_soap_request_carries_the_date_as_the_agency_writes_it() -> None:
    client = OneAnswer(GOOD)
    Gatherer(client, DEFINITION, "A-1").ask("child.birth", "by_birth_date", date="2019-05-03")
    (call,) = client.calls
    (cell,) = next(etree.fromstring(call.body or b"").iter("{urn:kg:zags:v2}ListBirths"))
    assert (etree.QName(cell).localname, cell.text) == ("BirthDate", "03.05.2019")
    assert (call.method, call.data_service) == ("POST", "KG/GOV/70000001/civil/birth-records")


def test_a_search_carries_what_is_asked_in_its_body_and_the_case_as_issue() -> None:
    client = OneAnswer(GOOD)
    gatherer = Gatherer(client, DEFINITION, "A-1")
    gatherer.ask("person.registered_address", "by_pin", pin="123")
    gatherer.ask("child.enrolment", "by_birth_date", date="2019-05-03")
    assert [(c.method, c.path, orjson.loads(c.body or b""), c.issue) for c in client.calls] == [
        ("POST", "search", {"pin": "123"}, "A-1"),
        ("POST", "institution_students/search", {"date_of_birth": "2019-05-03"}, "A-1"),
    ]
    assert {c.content_type for c in client.calls} == {"application/json"}


def test_a_value_with_quotes_and_braces_stays_one_value_of_the_body() -> None:
    client = OneAnswer(GOOD)
    Gatherer(client, DEFINITION, "A-1").ask("person.registered_address", "by_pin", pin='1", "dob": "{date}')
    assert orjson.loads(client.calls[0].body or b"") == {"pin": '1", "dob": "{date}'}


REQUESTS = [(evidence.id, name) for evidence in DEFINITION.evidence.values() for name in evidence.requests]


@pytest.mark.parametrize(("evidence", "request_name"), REQUESTS)
def test_no_request_of_the_definition_puts_what_it_asks_for_into_its_address(evidence: str, request_name: str) -> None:
    client = OneAnswer(GOOD)
    kind = "pin" if request_name.endswith("_pin") else "date"
    value = {"pin": "20305201911111", "date": "2019-05-03"}[kind]
    params = {} if request_name == "all" else {kind: value}
    Gatherer(client, DEFINITION, "A-1").ask(evidence, request_name, **params)
    (call,) = client.calls
    address = f"{call.path}?{call.query}"
    written = [value, value.replace("-", ""), ".".join(reversed(value.split("-"))), value.split("-")[0]]
    assert not [form for form in written if form in address]
    asked = (call.body or b"").decode()
    assert any(form in asked for form in written) is bool(params)


def test_a_request_the_definition_does_not_know_is_a_named_error() -> None:
    with pytest.raises(RequestUnknown, match="by_magic"):
        Gatherer(OneAnswer(GOOD), DEFINITION, "A-1").ask("child.birth", "by_magic")


def test_every_value_keeps_where_it_came_from() -> None:
    problem = {"record": 0, "field": "house", "code": "semantics.number_unreadable"}
    reply = Gatherer(OneAnswer(replace(GOOD, problems=(problem,))), DEFINITION, "A-1").ask(
        "person.registered_address", "by_pin", pin="1"
    )
    (value,) = values_of("person.registered_address", reply.entries[0], reply.source, ("house",), "1")
    assert (value.source.message_id, value.source.mapping_id, value.source.original_sha256) == (
        "m-1", "kg:population.person", "ab" * 32,
    )  # fmt: skip
    assert value.source.register == "population"
    assert value.problems == ("semantics.number_unreadable",)


def test_a_withheld_record_makes_the_answer_incomplete_and_problems_still_find_their_record() -> None:
    problems = (
        {"record": 0, "field": "status", "code": "semantics.unmapped_code", "severity": "quarantine"},
        {"record": 2, "field": "pin", "code": "semantics.pin_malformed"},
    )
    records: tuple[dict[str, str | None], ...] = ({"pupil_id": "second"}, {"pupil_id": "third"})
    reply = Gatherer(OneAnswer(replace(GOOD, records=records, problems=problems)), DEFINITION, "A-1").ask(
        "child.enrolment", "by_birth_date", date="2019-05-03"
    )
    assert not reply.complete
    assert [entry.flagged for entry in reply.entries] == [frozenset(), frozenset({("pin", "semantics.pin_malformed")})]


def test_not_found_is_an_answer_and_a_failure_is_none() -> None:
    not_found = Gatherer(OneAnswer(Answer(404, AT)), DEFINITION, "A-1").ask(
        "person.registered_address", "by_pin", pin="1"
    )
    assert (not_found.ok, not_found.entries) == (True, ())
    for failed in (
        Answer(0, AT, fault="services.exchange_unreachable"),
        Answer(503, AT),
        Answer(200, AT, fault="Server.x"),
    ):
        gatherer = Gatherer(OneAnswer(failed), DEFINITION, "A-1")
        assert not gatherer.ask("person.registered_address", "by_pin", pin="1").ok
        assert gatherer.faults == ["population"]


def test_an_unreadable_raw_answer_is_a_failure_not_an_empty_one() -> None:
    gatherer = Gatherer(
        OneAnswer(Answer(200, AT, body=b"<")), DEFINITION, "A-1", canonical=False, decode_raw=raw.decode
    )
    reply = gatherer.ask("child.birth", "by_parent_pin", pin="1")
    assert (reply.ok, reply.fault) == (False, "services.payload_unreadable")
