"""What becomes of a compared field by stated rules; terms in working days; where a finding may go from where it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kerege
from kerege.ground import clock
from kerege.reconcile import desk, findings, settle
from kerege.reconcile.compare import CLASSES, TO_SETTLE, FieldComparison
from kerege.reconcile.desk import Word
from kerege.reconcile.errors import RulesInvalid
from kerege.reconcile.fields import of_country
from kerege.reconcile.findings import Act
from kerege.reconcile.settle import Terms

RULES, COMPARED = settle.of_country("kg"), of_country("kg")
NOW = datetime(2026, 6, 5, 4, tzinfo=UTC)  # a Friday


def one(field: str, cls: str, left: str = "civil", right: str = "population") -> FieldComparison:
    return FieldComparison(field, left, right, cls)


def test_a_conflict_with_the_source_of_truth_is_settled_by_it_and_the_copys_keeper_is_told() -> None:
    [found] = settle.settle([one("sex", "conflict")], COMPARED, RULES, {"sex": "Act 1, article 2"})
    assert (found.rule, found.outcome, found.value_of, found.tell) == (
        "kg:source-of-truth",
        "source",
        "civil",
        "population",
    )
    assert found.legal_basis == "Act 1, article 2"
    assert found.titles is not None


def test_a_basis_that_nobody_declared_is_empty_and_not_made_up() -> None:
    [found] = settle.settle([one("sex", "conflict")], COMPARED, RULES)
    assert found.legal_basis == ""


def test_several_basic_facts_that_conflict_are_a_clerks_because_it_may_be_another_person() -> None:
    found = settle.settle(
        [one("given_name", "conflict"), one("birth_date", "conflict"), one("pin", "conflict")], COMPARED, RULES
    )
    assert [s.rule for s in found] == ["kg:person-in-doubt", "kg:person-in-doubt", "kg:source-of-truth"]
    apart = [one("given_name", "conflict"), one("birth_date", "conflict", right="health")]
    assert {s.rule for s in settle.settle(apart, COMPARED, RULES)} == {"kg:source-of-truth"}


@pytest.mark.parametrize(("unread", "told"), [("left", "civil"), ("right", "population"), ("both", ""), ("", "")])
def test_a_gap_is_the_stewards_and_an_unreadable_value_the_registers_that_wrote_it(unread: str, told: str) -> None:
    items = [
        replace(one("sex", "code_gap"), unread=unread),
        replace(one("birth_date", "not_comparable"), unread=unread),
    ]
    found = settle.settle(items, COMPARED, RULES)
    assert [(s.outcome, s.tell) for s in found] == [("steward", told), ("owner", told)]


def test_where_the_source_of_truth_is_neither_a_clerk_looks() -> None:
    [found] = settle.settle([one("region", "conflict", "civil", "health")], COMPARED, RULES)
    assert (found.outcome, found.rule) == ("clerk", "none")


@given(st.lists(st.builds(one, st.sampled_from(sorted(COMPARED.fields)), st.sampled_from(CLASSES)), max_size=6))
def test_everything_that_is_to_be_settled_gets_an_outcome_and_nothing_else_does(items: list[FieldComparison]) -> None:
    for comparison, found in zip(items, settle.settle(items, COMPARED, RULES), strict=True):
        assert (found.outcome != settle.NOTHING) == (comparison.cls in TO_SETTLE)
        assert found.comparison is comparison
        assert found.value_of in ("", COMPARED.fields[comparison.field].owner)


def test_all_faults_of_the_rules_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rules:\n  - {id: a, classes: [red], outcome: clerk, titles: {ky: a, ru: b, en: c}}\n  - {id: b}\nterms: {x: 1}\n",
        "utf-8",
    )
    with pytest.raises(RulesInvalid) as caught:
        settle.load(file)
    assert all(word in str(caught.value) for word in ("rules[0]", "rules[1]", "terms.x", "terms.default"))


def test_a_term_counts_working_days_and_ends_at_its_last_second_in_bishkek() -> None:
    plain = Terms({"default": 5}, "")
    assert plain.due(NOW) == datetime(2026, 6, 12, 17, 59, 59, tzinfo=UTC)
    assert Terms({"default": 5}, "", frozenset({date(2026, 6, 8)})).due(NOW) == datetime(
        2026, 6, 15, 17, 59, 59, tzinfo=UTC
    )
    assert Terms({"default": 5, "steward": 1}, "").due(NOW, "steward") == datetime(2026, 6, 8, 17, 59, 59, tzinfo=UTC)


def bishkek(year: int, month: int, day: int, hour: int = 10) -> datetime:
    return datetime(year, month, day, hour, tzinfo=clock.BISHKEK)


@pytest.mark.parametrize(
    ("sent", "due"),
    [
        ((2026, 4, 29), (2026, 5, 14)),  # a working week over the May holidays, 1 to 9 May
        ((2025, 12, 30), (2026, 1, 13)),  # over New Year and Christmas, 1 to 7 January
        ((2024, 1, 26), (2024, 2, 1)),  # Saturday 27 January 2024 was worked for 3 January
        ((2026, 3, 19), (2026, 3, 27)),  # Nooruz and Eid al-Fitr, Friday and Saturday
        ((2026, 6, 5), (2026, 6, 12)),  # no holiday
    ],
)
def test_a_term_of_five_working_days_runs_over_the_countrys_holidays(
    sent: tuple[int, int, int], due: tuple[int, int, int]
) -> None:
    assert RULES.terms.due(bishkek(*sent)).astimezone(clock.BISHKEK) == bishkek(*due, 23).replace(minute=59, second=59)
    assert RULES.terms.sure(bishkek(*sent))


def test_a_term_beyond_the_calendar_is_told_as_not_sure() -> None:
    assert not RULES.terms.sure(bishkek(2027, 12, 30))
    assert not RULES.terms.sure(bishkek(2023, 12, 29))
    assert not Terms({"default": 5}, "").sure(bishkek(2026, 6, 5))


@given(st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 1)), st.integers(1, 30))
def test_between_sending_and_term_lie_exactly_so_many_working_days_and_the_last_is_one(at: datetime, days: int) -> None:
    terms = replace(RULES.terms, days={"default": days})
    first, last = at.date(), terms.due(at.replace(tzinfo=clock.BISHKEK)).astimezone(clock.BISHKEK).date()
    between = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert sum(map(terms.is_working, between)) == days
    assert terms.is_working(last)


def test_all_faults_of_a_calendar_are_named(tmp_path: Path) -> None:
    file = tmp_path / "calendar.yaml"
    rules = Path(kerege.__file__).parent / "country" / "kg" / "reconcile" / "rules.yaml"
    for text, told in (
        ("years: [2026, 2026]\nholidays: [2026-01-01 10:00:00]", "holidays should be a list of dates"),
        ("holidays: [2026-01-01]", "years should be"),
        ("years: [2026, 2026]\nholidays: [2027-01-01]", "dates in 2027"),
        ("years: [2026, 2026]\nholidays: [2026-01-03]\nworking: [2026-01-03]", "not both"),
    ):
        file.write_text(text, "utf-8")
        with pytest.raises(RulesInvalid, match=told):
            settle.load(rules, file)


def test_the_countrys_calendar_is_the_shared_list_of_holidays() -> None:
    shared = Path(__file__).parents[3] / "shared" / "data" / "kg" / "public_holidays_kg_2024_2027.csv"
    if not shared.is_file():
        pytest.skip(f"not there: {shared}")
    listed = {date.fromisoformat(line.split(",")[0]) for line in shared.read_text("utf-8").splitlines()[1:]}
    assert RULES.terms.holidays == listed


# --- a finding's life -------------------------------------------------------------------------------------------------------------

DUE = NOW + timedelta(days=7)


def at(acts: list[str], now: datetime = NOW) -> findings.Standing:
    return findings.standing(NOW, DUE, [Act(act, "somebody", NOW) for act in acts], now)


def test_a_finding_is_late_from_the_second_after_its_term_and_only_while_it_waits_on_the_owner() -> None:
    assert not at([], DUE).overdue
    late = DUE + timedelta(seconds=1)
    assert at([], late).overdue
    assert at(["in_work"], late).overdue
    assert not at(["corrected"], late).overdue
    assert not at(["withdrawn"], late).overdue


def test_corrected_is_a_claim_that_falls_back_when_they_still_differ() -> None:
    assert at(["corrected", "still_differs"]).status == "in_work"
    assert at(["corrected", "closed"]).status == "closed"


def test_only_a_comparison_can_close_a_finding() -> None:
    assert findings.refusal("closed", "corrected", "", "") == "only a comparison can show that"
    assert findings.refusal("closed", "corrected", "", "run-2") == ""


@given(st.sampled_from(findings.STATUSES), st.sampled_from([*findings.FOLLOWS, "sent", "banana"]))
def test_from_an_end_only_evidence_leads_on_and_only_from_a_refusal(status: str, act: str) -> None:
    allowed = findings.refusal(act, status, "a reason", "run") == ""
    if status in findings.ENDS and allowed:
        assert (status, act) == ("refused", "closed")
    if act in ("sent", "banana"):
        assert not allowed


def test_a_refusal_and_a_withdrawal_need_a_reason() -> None:
    assert findings.refusal("refused", "sent", " ", "") == "a reason is needed"
    assert findings.refusal("withdrawn", "sent", "sent by mistake", "") == ""


# --- clerks -----------------------------------------------------------------------------------------------------------------------


def words(*verdicts: str) -> list[Word]:
    return [Word(verdict, f"clerk-{n}", "looked") for n, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("said", "twice", "standing"),
    [
        ((), True, "open"),
        (("same",), False, "same"),
        (("same",), True, "awaiting_second"),
        (("same", "same"), True, "same"),
        (("same", "different"), True, "disputed"),
        (("same", "different", "different"), True, "different"),
        (("same", "different", "cannot_tell"), True, "cannot_tell"),
    ],
)
def test_two_clerks_must_say_the_same_where_double_review_is_asked(
    said: tuple[str, ...], twice: bool, standing: str
) -> None:
    assert desk.standing(words(*said), twice) == standing


def test_nobody_reviews_a_decision_of_their_own() -> None:
    assert "same person" in desk.refusal(words("same"), "same", "looked again", "clerk-0")
    assert desk.refusal(words("same"), "same", "looked again", "clerk-9") == ""
    assert "reason" in desk.refusal([], "same", "", "clerk-0")
    assert "verdict" in desk.refusal([], "maybe", "x", "clerk-0")
