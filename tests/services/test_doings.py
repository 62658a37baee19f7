"""Runs stored whole, cases read back with their story; nothing is ever overwritten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from kerege.identity.errors import HistoryFixed
from kerege.reconcile.compare import RecordView
from kerege.services import definitions, doings, queries
from kerege.services.admission import Application, Decision, Processed
from kerege.services.errors import CaseUnknown, RunAlreadyStored
from kerege.services.evidence import Source, Value
from kerege.services.models import Case, EvidenceRecord
from kerege.services.models import Decision as StoredDecision
from kerege.services.rules import Facts, Outcome
from kerege.services.run import RunResult

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEFINITION = definitions.of("grade1-admission", "kg")
SOURCE = Source("civil", "KG/GOV/70000001/civil/birth-records", "m-1", "kg:civil.birth-record", "1+ab", "ab" * 32, NOW)
PIN = "11001199012345"


def processed(number: int, kind: str, decision: Decision | None, reasons: tuple[str, ...] = ()) -> Processed:
    raw = {
        "parent_pin": PIN,
        "school_code": "KGS-1",
        "stage": "1",
        "submitted_at": (NOW - timedelta(days=9, minutes=-number)).isoformat(),
    }
    return Processed(
        Application.of(f"A-{number}", raw),
        "data_first",
        kind,
        decision,
        Facts(date(2019, 5, 3), True, True, False, True),
        Outcome("admit", ("admitted",)),
        reasons=reasons,
        evidence=(Value("child.birth", "surname", "Асанов", SOURCE, "2019-1", ("semantics.name_unsure",)),),
        sources=(SOURCE,),
        links=("civil:same:pin_equal",),
    )


RUN = RunResult(
    "data_first",
    (
        processed(1, "straight_through", Decision("admit", ("admitted",))),
        processed(2, "straight_through", Decision("refuse", ("under_age", "not_vaccinated"))),
        processed(3, "manual", None, ("guardian",)),
        processed(4, "asked_again", None, ("record_not_found",)),
    ),
    1.0,
)


def store(run_id: str = "r1") -> dict[str, str]:
    return doings.store_run(RUN, DEFINITION, run_id=run_id, now=NOW, holder_of=lambda pin: f"ps-{len(pin)}")


def test_a_stored_run_reads_back_as_cases_with_computed_status() -> None:
    numbers = store()
    rows = queries.case_list(run="r1")
    assert [row.case_id for row in rows] == [numbers[f"A-{n}"] for n in (1, 2, 3, 4)]
    assert [row.status for row in rows] == ["decided", "decided", "with_officer", "waiting_for_applicant"]
    assert [row.primary_reason for row in rows] == ["admitted", "under_age", None, None]
    assert queries.case_counts("r1") == {"decided": 2, "with_officer": 1, "waiting_for_applicant": 1}


def test_a_story_tells_actions_values_with_provenance_and_reasons_in_three_languages() -> None:
    story = queries.case_story(store()["A-2"])
    assert [action.kind for action in story.actions] == ["submitted", "evidence_gathered", "decided"]
    (line,) = story.evidence
    assert (line.value, line.message_id, line.mapping_id, line.original_sha256) == (
        "Асанов", "m-1", "kg:civil.birth-record", "ab" * 32,
    )  # fmt: skip
    assert line.problems == ("semantics.name_unsure",)
    assert list(story.evidence_by_concept()) == ["child.birth"]
    (decision,) = story.decisions
    assert [reason.code for reason in decision.reasons] == ["under_age", "not_vaccinated"]
    assert decision.reasons[0].text.ky
    assert decision.reasons[0].legal_title.en.startswith("Law")
    assert decision.reasons[0].legal_title.ru.startswith("Закон")
    assert decision.facts["guardian"] is True
    manual = queries.case_story(queries.case_list(run="r1", status="with_officer")[0].case_id)
    assert manual.actions[-1].texts[0].en == DEFINITION.open_reasons["guardian"].en


def test_a_value_is_stored_beside_the_registers_own_letters() -> None:
    item = RUN.processed[0]
    view = RecordView("civil", "2019-1", {"surname": "АСАНОВ"}, {"surname": "Асанов"})
    seen = RunResult("data_first", (replace(item, views={"civil": view}),), 1.0)
    numbers = doings.store_run(seen, DEFINITION, run_id="seen", now=NOW, holder_of=lambda _: "ps")
    (line,) = queries.case_story(numbers["A-1"]).evidence
    assert (line.value, line.came_as) == ("Асанов", "АСАНОВ")
    (unseen,) = queries.case_story(store()["A-1"]).evidence
    assert unseen.came_as is None


def test_registers_whose_lists_were_asked_for_once_are_named_among_those_that_gave_evidence() -> None:
    item = RUN.processed[0]
    listed = Value("child.vaccination", "status", "valid", replace(SOURCE, register="health"), "06-1")
    seen = RunResult("data_first", (replace(item, evidence=(*item.evidence, listed)),), 1.0)
    numbers = doings.store_run(seen, DEFINITION, run_id="listed", now=NOW, holder_of=lambda _: "ps")
    assert queries.case_story(numbers["A-1"]).actions[1].codes == ("civil", "health")


def test_the_applicants_pin_is_not_stored_with_the_case() -> None:
    store()
    assert {case.holder for case in Case.objects.all()} == {"ps-14"}
    assert not any(PIN in str(vars(case)) for case in Case.objects.all())
    assert not any(PIN in str(decision.facts) for decision in StoredDecision.objects.all())
    assert len(queries.case_list(holder="ps-14")) == 4


def test_a_run_is_stored_once_and_a_second_try_leaves_everything_as_it_was() -> None:
    store()
    with pytest.raises(RunAlreadyStored):
        store()
    assert Case.objects.count() == 4
    assert EvidenceRecord.objects.count() == 4
    store("r2")
    assert Case.objects.count() == 8


def test_what_happened_cannot_be_changed_or_deleted() -> None:
    store()
    decision = StoredDecision.objects.first()
    assert decision is not None
    decision.kind = "admit"
    with pytest.raises(HistoryFixed):
        decision.save()
    with pytest.raises(HistoryFixed):
        Case.objects.all().delete()


def test_an_officers_decision_stands_beside_and_wins() -> None:
    case_id = store()["A-3"]
    doings.decide_by_officer(case_id, "admit", ["admitted"], officer="officer-7", version="2026.1", now=NOW)
    story = queries.case_story(case_id)
    assert story.row.status == "decided"
    assert (story.row.decision, story.decisions[-1].automatic, story.actions[-1].actor) == ("admit", False, "officer-7")


def test_documents_are_noted_by_reference_all_or_none() -> None:
    numbers = store()
    assert doings.note_documents([(numbers["A-1"], "admission-confirmation", "urn:x:1")], now=NOW) == 1
    assert queries.case_story(numbers["A-1"]).documents == (("admission-confirmation", "urn:x:1", NOW),)
    with pytest.raises(CaseUnknown):
        doings.note_documents([(numbers["A-2"], "k", "urn:x:2"), ("case-none", "k", "urn:x:3")], now=NOW)
    assert queries.case_story(numbers["A-2"]).documents == ()


def test_a_withdrawn_case_stays_withdrawn() -> None:
    case_id = store()["A-3"]
    doings.withdraw(case_id, actor="applicant", now=NOW)
    assert queries.case_story(case_id).row.status == "withdrawn"


def test_a_list_goes_on_after_the_last_case_of_the_page_before() -> None:
    store()
    first = queries.case_list(run="r1", limit=2)
    second = queries.case_list(run="r1", limit=2, after=first[-1].case_id)
    assert [row.application_no for row in (*first, *second)] == ["A-1", "A-2", "A-3", "A-4"]


def test_a_case_nobody_knows_is_said_so() -> None:
    with pytest.raises(CaseUnknown, match="case-x"):
        queries.case_story("case-x")
