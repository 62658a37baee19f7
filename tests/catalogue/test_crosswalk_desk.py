"""A version of a crosswalk takes exactly the decisions it was made of; what was denied is offered to nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kerege.catalogue import errors
from kerege.catalogue.codes import crosswalk_desk, decisions
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
    assert crosswalk_desk.table(WALK)[1]["accepted"] == 2
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
