"""A version of a crosswalk takes exactly the decisions it was made of; what was denied is offered to nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kerege.catalogue import errors
from kerege.catalogue.codes import crosswalk_desk, crosswalk_page, deciding, decisions
from kerege.catalogue.codes import versions as codelists
from kerege.catalogue.models import CodeDecision
from kerege.semantics.crosswalks.sssom import Crosswalk, Row
from kerege.semantics.suggest.evidence import CandidateSet, Evidenced

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
WALK = "t:w"


def accept(code: str, target: str = "1", at: datetime = NOW) -> CodeDecision:
    return decisions.decide(WALK, code, "accepted", "a.steward", at, target=target)


def codes(version: str) -> set[str]:
    return {r.subject for r in codelists.load_crosswalk(WALK, version).rows}


def test_a_decision_taken_beside_a_version_waits_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    accept("a")
    kept = crosswalk_desk.import_crosswalk

    def beside(*args: Any, **how: Any) -> bool:
        accept("late", at=NOW - timedelta(minutes=5))  # by the clock of a machine that is behind
        return kept(*args, **how)

    monkeypatch.setattr(crosswalk_desk, "import_crosswalk", beside)
    crosswalk_desk.make_version(WALK, "1", "reject", "a.steward", NOW)
    monkeypatch.undo()
    assert codes("1") == {"a"}
    assert [d.code for d in CodeDecision.objects.filter(written_in=None)] == ["late"]
    assert crosswalk_page.page(WALK).counts["accepted"] == 2
    crosswalk_desk.make_version(WALK, "2", "reject", "a.steward", NOW)
    assert codes("2") == {"a", "late"}


def test_a_decision_that_stands_in_a_version_is_not_taken_back() -> None:
    slip, kept = accept("a"), accept("b")
    decisions.take_back(slip.pk, "a.steward", NOW, crosswalk=WALK, code="a")
    crosswalk_desk.make_version(WALK, "1", "reject", "a.steward", NOW)
    with pytest.raises(errors.DecisionRefused, match="it stands in a version of the crosswalk"):
        decisions.take_back(kept.pk, "a.steward", NOW, crosswalk=WALK, code="b")
    assert codes("1") == {"b"}


def test_a_file_from_elsewhere_answers_what_was_decided_before_it() -> None:
    accept("a", "1")
    codelists.import_crosswalk(Crosswalk(WALK, (Row("a", "2"),), version="7"), "unit", NOW)
    assert crosswalk_desk.working(WALK).table == {"a": "2"}


def test_a_target_that_the_newest_version_denies_is_not_offered_again() -> None:
    found = tuple(Evidenced(code, 0.5, 0.5, 0, 0.0) for code in ("1", "2", "3"))
    decisions.keep_suggestions(WALK, "r", [CandidateSet("a", found, "unsure", "x")], {}, {}, NOW)
    rows = (Row("a", "1", predicate_modifier="Not"), Row("", "2"))
    codelists.import_crosswalk(Crosswalk(WALK, rows, version="1"), "unit", NOW)
    (waiting,) = crosswalk_desk.queue(WALK)[0]
    assert [c["target"] for c in waiting.candidates] == ["3"]


def test_a_steward_who_finds_a_code_for_what_had_none_takes_that_row_away() -> None:
    codelists.import_crosswalk(Crosswalk(WALK, (Row("", "1"), Row("", "2")), version="1"), "unit", NOW)
    accept("a", "1")
    walk = crosswalk_desk.working(WALK)
    walk.require_single()
    assert (walk.table, [r.object for r in walk.rows if not r.subject]) == ({"a": "1"}, ["2"])


def suggested(*pairs: tuple[str, float], code: str = "b") -> None:
    found = tuple(Evidenced(target, score, score, 0, 0.0) for target, score in pairs)
    decisions.keep_suggestions(WALK, decisions.new_run(), [CandidateSet(code, found, "unsure", "x")], {}, {}, NOW)


def take(code: str, target: str, reason: str = "") -> CodeDecision:
    return deciding.decide(WALK, code, "accepted", "a.steward", NOW, target=target, reason=reason)


def test_a_second_code_is_led_to_a_target_with_a_reason_only() -> None:
    codelists.import_crosswalk(Crosswalk(WALK, (Row("a", "1"), Row("c", "2")), version="1"), "unit", NOW)
    accept("c", "3")  # decided anew since: 2 is free again, 3 is taken
    assert deciding.taken(WALK, {"1", "2", "3", "4"}) == {"1": ("a",), "3": ("c",)}
    for target in ("1", "3"):
        with pytest.raises(errors.DecisionNeedsReason, match=f"{target} is already the target of [ac]"):
            take("b", target)
    assert take("a", "1").target == "1"  # its own
    assert take("b", "1", "the register lists the village twice").reason
    assert take("d", "2").target == "2"


def test_in_a_crosswalk_of_wordings_many_lead_to_one_target() -> None:
    codelists.import_crosswalk(Crosswalk(WALK, (Row("Osh sh.", "1", literal=True),), version="1"), "unit", NOW)
    assert take("Osh shaary", "1").target == "1"


def test_of_candidates_that_nothing_tells_apart_one_is_taken_with_a_reason_only() -> None:
    suggested(("1", 1.0), ("2", 1.0), ("3", 0.4))
    with pytest.raises(errors.DecisionNeedsReason, match="nothing tells 1 and 2 apart"):
        take("b", "2")
    with pytest.raises(errors.DecisionNeedsTarget):
        take("b", "")
    assert take("b", "3").target == "3"
    decisions.decide(WALK, "b", "refused", "a.steward", NOW, target="1")  # then one is ahead
    assert take("b", "2", "").target == "2"


def test_accepting_all_that_is_sure_leaves_out_what_would_lead_two_codes_to_one_target() -> None:
    codelists.import_crosswalk(Crosswalk(WALK, (Row("a", "1"),), version="1"), "unit", NOW)
    for code, target in (("b", "1"), ("c", "2"), ("d", "3"), ("e", "3")):
        suggested((target, 0.9), code=code)
    assert deciding.accept_sure(WALK, crosswalk_desk.undecided(WALK), "a.steward", NOW) == 1
    assert [d.code for d in CodeDecision.objects.all()] == ["c"]


def test_a_page_tells_of_each_code_what_the_whole_crosswalk_says_of_it_and_reads_no_more(
    django_assert_max_num_queries: Any,
) -> None:
    exact, open_ = "skos:exactMatch", "skos:relatedMatch"
    rows = (Row("a", "1"), Row("b", None, exact), Row("c", "1", open_), Row("d", "1"), Row("", "9"))
    codelists.import_crosswalk(Crosswalk(WALK, rows, version="1"), "unit", NOW)
    sets = [CandidateSet(f"s{n:02}", (Evidenced(str(n % 3), 0.5, 0.5, 0, 0.0),), "unsure", "x") for n in range(30)]
    decisions.keep_suggestions(WALK, "r", sets, {}, {}, NOW)
    taken = [
        ("a", "refused", "1"), ("c", "accepted", "9"), ("d", "no-counterpart", ""), ("s00", "accepted", "0"), ("s01", "refused", "1"),
        ("s02", "refused", "7"), ("s03", "no-counterpart", ""), ("s04", "accepted", "1"), ("s04", "refused", "2"), ("t", "refused", "2"),
    ]  # fmt: skip
    CodeDecision.objects.bulk_create(
        CodeDecision(crosswalk=WALK, code=code, verdict=verdict, target=target, by="p", at=NOW)
        for code, verdict, target in taken
    )
    whole: dict[str, list[Row]] = {}
    for row in crosswalk_desk.working(WALK).rows:
        whole.setdefault(row.subject, []).append(row)
    expected = {code: crosswalk_desk.line(code, found) for code, found in whole.items() if code}
    found = crosswalk_page.page(WALK)
    assert {line.code: line for line in found.lines} == expected
    assert [line.code for line in found.lines if line.state == "accepted"] == ["c", "s00", "s04"]
    assert found.counts == {"open": 29, "accepted": 3, "refused": 3, "unmapped": 0}
    with django_assert_max_num_queries(14):
        part = crosswalk_page.page(WALK, "open", start=10, size=5)
    assert (part.total, part.lines) == (29, tuple(line for line in found.lines if line.state == "open")[10:15])
    assert found.changed
    own = crosswalk_page.page(WALK, version="1")
    assert ([line.code for line in own.lines], own.changed) == (["c", "a", "d", "b"], False)
