"""A register's four requests: who asks, who reviews, and what state follows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.models import RegisterRequest, RegisterReview
from kerege.catalogue.ownership import face as ownership
from kerege.catalogue.requests import doings as requests
from kerege.catalogue.requests.card import described_faults, riha_card
from kerege.catalogue.requests.rules import CHANGES, Decision, Kind, Outcome, RegisterState, Request, Review, standing
from kerege.identity.errors import HistoryFixed

NOW = datetime(2026, 10, 1, 9, tzinfo=UTC)
OWNER = "70000001"
RIHA = Path(__file__).parents[3] / "shared/vectors/riha/infosystem_schema.json"
REVIEWERS = {
    "establish": ("coordinating-body", "data-protection-authority", "statistics-office"),
    "take-into-use": ("coordinating-body", "data-protection-authority", "exchange-operator"),
    "modify": ("coordinating-body", "data-protection-authority"),
    "close": ("coordinating-body", "state-archive"),
}

CARD: dict[str, Any] = {
    "name": {"ky": "Калк реестри", "ru": "Реестр населения", "en": "Population register"},
    "purpose": {"ky": "Калкты эсепке алуу", "ru": "Учёт населения", "en": "Keeping account of residents"},
    "legislations": [{"name": "Law 5", "url": "https://example.org/law5"}, {"name": "Order 7"}],
    "sources": ["people.csv"],
    "stored_data": ["Names of residents"],
}


def ask(kind: str, card: dict[str, Any] | None = None, now: datetime = NOW, **how: Any) -> Request:
    told = {"organisation": OWNER, "by": "asanova", "reason": "Law 5, art. 2", **how}
    return requests.ask("people", kind, card, now=now, **told)


def decide(request: Request, *decisions: str, now: datetime = NOW, **how: Any) -> Request:
    for role, decision in zip(request.reviewers, decisions or ["positive"] * 9, strict=False):
        told = {"by": f"{role}-officer", "reason": "read it", **how}
        request = requests.review(request.request_id, role, decision=decision, now=now, **told)
    return request


def approve(kind: str, card: dict[str, Any] | None = None, now: datetime = NOW, **how: Any) -> Request:
    return decide(ask(kind, card, now, **how), now=now)


@pytest.fixture
def owned(people: Path) -> None:
    plan = doings.make_plan(harvest_source(str(people), Options()), Options(), NOW, location=str(people))
    doings.apply_plan(plan.plan_id, NOW)
    ownership.name_owners("people.csv", "people", OWNER, "Registry", "Law 5", NOW, by="steward-1")


def state() -> str:
    return requests.register("people", NOW).state.value


@pytest.mark.django_db
@pytest.mark.usefixtures("owned")
def test_a_register_is_established_taken_into_use_modified_and_closed() -> None:
    states = []
    changed = {**CARD, "topics": ["population"], "data_goes_to": "the state archive"}
    for kind, card in (
        ("establish", CARD),
        ("take-into-use", None),
        ("modify", changed),
        ("take-into-use", None),
        ("close", None),
    ):
        assert decide(ask(kind, card)).outcome is Outcome.APPROVED
        states.append(state())
    assert states == ["established", "in use", "being modified", "in use", "closed"]
    with pytest.raises(errors.RequestRefused, match="is closed and takes no request any more"):
        ask("establish", CARD)


@pytest.mark.django_db
@pytest.mark.usefixtures("owned")
def test_while_it_is_being_modified_the_description_in_force_stays_until_the_new_one_is_taken_into_use() -> None:
    approve("establish", CARD)
    approve("take-into-use")
    approve("modify", {**CARD, "topics": ["population"]})
    stands = requests.register("people", NOW).standing
    assert "topics" not in stands.description
    assert stands.coming["topics"] == ["population"]
    approve("take-into-use")
    stands = requests.register("people", NOW).standing
    assert stands.description["topics"] == ["population"]
    assert stands.coming == {}


@pytest.mark.django_db
def test_the_reviewers_and_the_term_come_from_the_country_pack() -> None:
    request = ask("establish", CARD)
    assert request.reviewers == request.missing == REVIEWERS["establish"]
    assert request.due == NOW + timedelta(days=30)
    assert not request.overdue(request.due)
    assert request.overdue(request.due + timedelta(seconds=1))


@pytest.mark.django_db
def test_silence_is_not_consent_and_one_no_is_enough() -> None:
    request = decide(ask("establish", CARD), "positive", "positive")
    assert (request.outcome, request.missing) == (Outcome.OPEN, ("statistics-office",))
    assert state() == "planned"
    assert decide(ask_again(request), "negative").outcome is Outcome.REFUSED
    assert state() == "planned"


def ask_again(request: Request) -> Request:
    requests.withdraw(request.request_id, by="asanova", reason="to mend it", now=NOW)
    return ask("establish", CARD)


@pytest.mark.django_db
def test_a_request_left_unexamined_may_be_made_again() -> None:
    assert decide(ask("establish", CARD), "dismissed").outcome is Outcome.DISMISSED
    assert ask("establish", CARD).outcome is Outcome.OPEN


@pytest.mark.django_db
def test_an_approval_keeps_its_terms_and_reasons() -> None:
    request = ask("establish", CARD)
    decide(request, "positive", terms="without the telephone number", reason="Law 7, art. 3")
    found = requests.request(request.request_id)
    assert found.terms == ("without the telephone number",)
    assert found.reviews[0].reason == "Law 7, art. 3"
    told = requests.register("people", NOW).as_dict(NOW)["requests"][0]
    assert (told["riha"], told["terms"]) == ("ESTABLISHMENT_REQUEST", ["without the telephone number"])


@pytest.mark.django_db
def test_while_a_request_is_open_no_other_is_made() -> None:
    first = ask("establish", CARD)
    with pytest.raises(errors.RequestRefused, match=first.request_id):
        ask("establish", CARD)


@pytest.mark.django_db
def test_a_register_that_is_planned_takes_only_its_establishment() -> None:
    with pytest.raises(errors.RequestRefused, match="is planned and takes establish"):
        ask("modify", CARD)


@pytest.mark.django_db
def test_only_the_registers_owner_asks_for_what_follows() -> None:
    approve("establish", CARD)
    with pytest.raises(errors.RequestRefused, match=f"only its owner {OWNER} may ask"):
        ask("modify", {**CARD, "topics": ["x"]}, organisation="70000002")


@pytest.mark.django_db
def test_a_modification_that_says_nothing_new_is_refused() -> None:
    approve("establish", CARD)
    with pytest.raises(errors.RequestRefused, match="says nothing new"):
        ask("modify")


@pytest.mark.django_db
def test_a_register_with_an_unowned_attribute_is_not_taken_into_use(people: Path) -> None:
    approve("establish", CARD)
    with pytest.raises(errors.RequestRefused, match=r"the catalogue holds nothing of people\.csv"):
        ask("take-into-use")
    plan = doings.make_plan(harvest_source(str(people), Options()), Options(), NOW, location=str(people))
    doings.apply_plan(plan.plan_id, NOW)
    ownership.name_owners(
        "people.csv", "people", OWNER, "Registry", "Law 5", NOW, columns=["pin", "fio", "birth"], by="steward-1"
    )
    with pytest.raises(errors.RequestRefused, match="no owner of pol, region, telefon"):
        ask("take-into-use")


@pytest.mark.django_db
@pytest.mark.usefixtures("owned")
def test_an_approval_is_refused_when_an_owner_was_lost_since_it_was_asked_for() -> None:
    approve("establish", CARD)
    request = ask("take-into-use")
    ownership.end_owner("people.csv", "people", "pin", "Decree 3", "dissolved", NOW, by=OWNER)
    with pytest.raises(errors.ReviewRefused, match="no owner of pin"):
        decide(request)
    assert decide(request, "negative").outcome is Outcome.REFUSED


@pytest.mark.django_db
@pytest.mark.usefixtures("owned")
def test_a_register_that_decides_for_a_concept_is_not_closed() -> None:
    leaving = {**CARD, "data_goes_to": "the state archive"}
    approve("establish", leaving)
    ownership.declare_source_of_truth("person.pin", "people.csv", "people", "pin", "Law 5", NOW, by="steward-1")
    with pytest.raises(errors.RequestRefused, match=r"still the source of truth of person\.pin"):
        ask("close")
    ownership.end_source_of_truth("person.pin", "Law 9", "moved", NOW, by=OWNER)
    approve("close")
    assert state() == "closed"


@pytest.mark.django_db
def test_closing_says_what_becomes_of_the_data() -> None:
    approve("establish", CARD)
    with pytest.raises(errors.RequestRefused, match="what becomes of its data"):
        ask("close")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "by", "why"),
    [
        ("coordinating-body", "Asanova", "who asks does not review"),
        ("minister", "bekov", "its reviewers are coordinating-body"),
        ("coordinating-body", "", "who and why"),
    ],
)
def test_who_may_not_review_is_told_why(role: str, by: str, why: str) -> None:
    request = ask("establish", CARD)
    with pytest.raises(errors.ReviewRefused, match=why):
        requests.review(request.request_id, role, by=by, decision="positive", reason="yes", now=NOW)
    assert not RegisterReview.objects.exists()


@pytest.mark.django_db
def test_one_reviewer_speaks_for_one_role_once_and_never_after_the_end() -> None:
    request = ask("establish", CARD)
    requests.review(request.request_id, "statistics-office", by="bekov", decision="positive", reason="yes", now=NOW)
    for role, by, why in (
        ("statistics-office", "chynara", "has decided already"),
        ("coordinating-body", "bekov", "for another role already"),
    ):
        with pytest.raises(errors.ReviewRefused, match=why):
            requests.review(request.request_id, role, by=by, decision="positive", reason="yes", now=NOW)
    requests.review(request.request_id, "coordinating-body", by="damir", decision="negative", reason="no", now=NOW)
    with pytest.raises(errors.ReviewRefused, match="refused already"):
        decide_for_data_protection(request)


def decide_for_data_protection(request: Request) -> None:
    requests.review(
        request.request_id, "data-protection-authority", by="erkin", decision="positive", reason="yes", now=NOW
    )


@pytest.mark.django_db
def test_only_who_asked_withdraws() -> None:
    request = ask("establish", CARD)
    with pytest.raises(errors.ReviewRefused, match="only asanova"):
        requests.withdraw(request.request_id, by="bekov", reason="no", now=NOW)
    assert requests.withdraw(request.request_id, by="asanova", reason="later", now=NOW).outcome is Outcome.WITHDRAWN


@pytest.mark.django_db
def test_unknown_requests_decisions_and_kinds_are_told() -> None:
    with pytest.raises(errors.RequestUnknown):
        requests.request("request-nothing")
    with pytest.raises(errors.RequestUnknown):
        requests.register("nothing", NOW)
    with pytest.raises(errors.RequestRefused, match="its kinds are establish"):
        ask("abolish", CARD)
    with pytest.raises(errors.ReviewRefused, match="positive, negative or dismissed"):
        decide(ask("establish", CARD), "withdrawn")


@pytest.mark.django_db
def test_requests_and_reviews_are_in_the_ledger_and_never_rewritten(ledger: Any) -> None:
    request = ask("establish", CARD, ledger=ledger)
    decide(request, "positive", ledger=ledger)
    assert ledger.kinds() == ["register-request", "register-review"]
    with pytest.raises(HistoryFixed):
        RegisterReview.objects.update(decision="negative")


@pytest.mark.django_db
def test_a_request_that_the_database_refuses_never_stands_in_the_ledger(
    ledger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask("establish", CARD, ledger=ledger)
    with monkeypatch.context() as racing:  # two at the same moment: each saw that nobody had asked
        racing.setattr(requests, "_requests", lambda name: [])
        with pytest.raises(errors.RequestRefused, match="at this moment"):
            ask("establish", CARD, ledger=ledger)
    review = {"by": "bekov", "decision": "positive", "reason": "complete", "now": NOW, "ledger": ledger}
    requests.review(first.request_id, "coordinating-body", **review)
    with monkeypatch.context() as racing:
        racing.setattr(requests.rules, "against_review", lambda *_: "")
        with pytest.raises(errors.ReviewRefused, match="at this moment"):
            requests.review(first.request_id, "coordinating-body", **review | {"by": "another"})
    assert ledger.kinds() == ["register-request", "register-review"]
    row = RegisterRequest.objects.get()
    assert (row.ledger_index, row.reviews.get().ledger_index) == (0, 1)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": {"ky": "a", "ru": "b"}}, "its name lacks en"),
        ({"purpose": "text"}, "its purpose lacks ky, ru, en"),
        ({"short_name": "a b"}, "short name"),
        ({"legislations": [{}]}, "name no act"),
        ({"stored_data": ["x"] * 11}, "no list of at most 10"),
        ({"share": 0.5}, "no plain JSON"),
        ({"secret": 1}, "unknown entry secret"),
        ({"topics": ["x" * 70_000]}, "larger than"),
    ],
)
def test_a_faulty_description_is_told_by_its_entry(change: dict[str, Any], fault: str) -> None:
    told = {**CARD, "short_name": "people", "owner": OWNER, "uuid": "u", **change}
    assert any(fault in f for f in described_faults(told))
    assert described_faults({**CARD, "short_name": "people", "owner": OWNER, "uuid": "u"}) == []


@pytest.mark.django_db
@pytest.mark.usefixtures("owned")
def test_a_register_in_every_state_is_a_valid_card_of_riha() -> None:
    if not RIHA.is_file():
        pytest.skip(f"not there: {RIHA}")
    schema = jsonschema_rs.validator_for(json.loads(RIHA.read_text("utf-8")))
    status = []
    for kind in ("", "establish", "take-into-use", "close"):
        if kind:
            approve(kind, {**CARD, "data_goes_to": "the state archive"} if kind == "establish" else None)
        else:
            requests.withdraw(ask("establish", CARD).request_id, by="asanova", reason="later", now=NOW)
        view = requests.register("people", NOW)
        card = riha_card(view.standing, view.requests, "ru")
        assert [e.message for e in schema.iter_errors(card)] == []
        assert [act["name"] for act in card["legislations"]] == [act["name"] for act in CARD["legislations"]], (
            "with an address or without"
        )
        status.append((card["meta"]["system_status"]["status"], card["meta"]["approval_status"]["status"]))
    assert status == [
        ("asutamisel", "mitte kooskõlastatud"), ("asutamisel", "kooskõlastatud"), ("kasutusel", "kooskõlastatud"),
        ("lõpetatud", "kooskõlastatud"),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(Kind), st.booleans()), max_size=15))
def test_the_state_is_where_the_approved_requests_lead_and_the_others_change_nothing(
    asked: list[tuple[Kind, bool]],
) -> None:
    made: list[Request] = []
    state = RegisterState.PLANNED
    for n, (kind, yes) in enumerate(asked):
        if kind not in CHANGES[state]:
            continue
        at = NOW + timedelta(days=n)
        decision = Decision.POSITIVE if yes else Decision.NEGATIVE
        review = Review("coordinating-body", "bekov", decision, "r", at)
        made.append(
            Request(f"r{n}", "people", kind, "asanova", OWNER, "r", at, at, ("coordinating-body",), {"n": n}, (review,))
        )
        state = CHANGES[state][kind] if yes else state
        assert standing(made).state is state


def test_a_damaged_history_is_an_error_and_not_a_guess() -> None:
    yes = Review("a", "bekov", Decision.POSITIVE, "r", NOW)
    with pytest.raises(ValueError, match="takes no close"):
        standing([Request("r", "p", Kind.CLOSE, "a", OWNER, "r", NOW, NOW, ("a",), {}, (yes,))])
