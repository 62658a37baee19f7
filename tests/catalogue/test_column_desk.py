"""What columns mean, decided at the desk: what waits and what does not, in pages; and decisions taken back with what they took away."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kerege.catalogue.codes import column_desk, decisions
from kerege.catalogue.codes.concepts import likely_concepts, load_concepts
from kerege.catalogue.errors import DatasetUnknown, DecisionRefused
from kerege.catalogue.inventory import doings
from kerege.catalogue.models import CodeDecision, ConceptLink, Dataset, Field
from kerege.catalogue.search.questions import search
from kerege.semantics.suggest.columns import ColumnProfile

sys.path.insert(0, str(Path(__file__).parent))

import open_catalogue

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 10, 1, 9, tzinfo=UTC)
FRAME = {"name": "clinic", "description": "", "total_rows": 5, "rows": 5, "sampled": False, "key": []}


def dataset(*columns: str, source: str = "clinic.csv") -> Dataset:
    made = Dataset.objects.create(source=source, kind="csv", table="clinic", rows=5, profile=FRAME, harvested_at=NOW)
    Field.objects.bulk_create(
        Field(dataset=made, name=name, position=n, profile=open_catalogue.profile(name, n, False))
        for n, name in enumerate(columns, start=1)
    )
    return made


def decide(of: Dataset, column: str, verdict: str, concept: str = "", by: str = "one", **how: Any) -> CodeDecision:
    now = how.pop("now", NOW)
    return column_desk.decide_column(of, column, verdict, by, now, concept=concept, **{"reason": "seen", **how})


def columns(of: Dataset) -> list[str]:
    return [task.column for task in column_desk.waiting(of.pk)[0]]


def meaning(of: Dataset, column: str) -> tuple[str, str] | None:
    return ConceptLink.objects.filter(field__dataset=of, field__name=column).values_list("concept", "said_by").first()


def test_a_column_of_which_somebody_said_that_no_concept_fits_waits_no_longer() -> None:
    of = dataset("pin", "region")
    made = decide(of, "region", decisions.NO_COUNTERPART)
    assert columns(of) == ["pin"]
    [row], total = column_desk.progress()
    assert (row.columns, row.open, total) == (2, 1, 1)
    decide(of, "pin", decisions.NO_COUNTERPART)
    assert column_desk.progress() == ([], 0)
    column_desk.take_back_column(of, made.pk, "region", "one", NOW)
    assert columns(of) == ["region"]


def test_a_refused_candidate_leaves_its_column_waiting() -> None:
    of = dataset("pin")
    decide(of, "pin", decisions.REFUSED, "person.pin")
    [task], _ = column_desk.waiting(of.pk)
    assert {c.concept: c.refused for c in task.candidates}["person.pin"]


def test_a_long_source_settles_its_columns_as_a_short_one_does() -> None:
    of = dataset("pin", "region", source="s" * 290)
    decide(of, "region", decisions.NO_COUNTERPART)
    assert columns(of) == ["pin"]


def test_a_page_of_columns_costs_the_same_whatever_the_dataset_holds() -> None:
    of = dataset("pin", *(f"c{n}" for n in range(15)))

    def asked(start: int) -> tuple[int, list[str], int]:
        with CaptureQueriesContext(connection) as seen:
            tasks, total = column_desk.waiting(of.pk, start=start, most=5)
        return len(seen), [t.column for t in tasks], total

    assert asked(0) == (3, ["pin", "c0", "c1", "c2", "c3"], 16)
    Field.objects.bulk_create(
        Field(dataset=of, name=f"d{n}", position=100 + n, profile=open_catalogue.profile(f"d{n}", n, False))
        for n in range(900)
    )
    assert asked(15) == (3, ["c14", "d0", "d1", "d2", "d3"], 916)


def test_what_is_kept_of_a_suggestion_is_what_was_shown() -> None:
    of = dataset("birth_date", "pin", "surname")
    shown = {t.column: [c.concept for c in t.candidates] for t in column_desk.waiting(of.pk)[0]}
    decide(of, "pin", decisions.ACCEPTED, "person.pin")
    made = decide(of, "surname", decisions.ACCEPTED, "person.surname")
    assert made.suggestion is not None
    assert [c.target for c in made.suggestion.candidates.all()] == shown["surname"]


@pytest.mark.parametrize(
    ("verdict", "concept"),
    [
        (decisions.ACCEPTED, "person.birth_date"),
        (decisions.NO_COUNTERPART, ""),
        (decisions.REFUSED, "person.sex"),
    ],
)
def test_undoing_puts_back_the_meaning_that_the_decision_took_away(verdict: str, concept: str) -> None:
    of = dataset("sex")
    doings.link_concept("clinic.csv", "clinic", "sex", "person.sex", "harvester", NOW - timedelta(days=3), "kg:sex")
    made = decide(of, "sex", verdict, concept)
    assert meaning(of, "sex") == ((concept, "one") if verdict == decisions.ACCEPTED else None)
    assert Field.objects.get(dataset=of).codelist == "", "the list goes with the meaning it came with"
    column_desk.take_back_column(of, made.pk, "sex", "one", NOW)
    link = ConceptLink.objects.get(field__dataset=of)
    assert (link.concept, link.said_by, link.linked_at) == ("person.sex", "harvester", NOW - timedelta(days=3))
    assert Field.objects.get(dataset=of).codelist == "kg:sex"
    assert not CodeDecision.objects.exists()


def test_undoing_leaves_a_meaning_that_somebody_gave_since() -> None:
    of = dataset("sex")
    made = decide(of, "sex", decisions.ACCEPTED, "person.sex")
    doings.link_concept("clinic.csv", "clinic", "sex", "person.birth_date", "harvester", NOW)
    column_desk.take_back_column(of, made.pk, "sex", "one", NOW)
    assert meaning(of, "sex") == ("person.birth_date", "harvester")


def test_undoing_takes_away_the_code_list_that_came_with_the_meaning_and_tells_the_search() -> None:
    of = dataset("field_7")
    made = decide(of, "field_7", decisions.ACCEPTED, "person.sex")
    assert Field.objects.get().codelist == "kg:sex"
    assert "field" in {h.kind for h in search("person.sex field_7").hits}
    column_desk.take_back_column(of, made.pk, "field_7", "one", NOW)
    assert Field.objects.get().codelist == ""
    found = search("person.sex")
    assert not [h for h in found.hits if h.kind in ("field", "dataset")]


def test_a_decision_is_taken_back_on_its_own_column_only() -> None:
    of, other = dataset("sex", "pin"), dataset("sex", source="other.csv")
    made = decide(of, "sex", decisions.ACCEPTED, "person.sex")
    for where, column in ((of, "pin"), (other, "sex")):
        with pytest.raises(DecisionRefused, match="no such decision on it"):
            column_desk.take_back_column(where, made.pk, column, "one", NOW)
    walk = decisions.decide("kg:walk", "Ж", decisions.ACCEPTED, "one", NOW, target="2")
    with pytest.raises(DecisionRefused):
        column_desk.take_back_column(of, walk.pk, "sex", "one", NOW)
    assert meaning(of, "sex") == ("person.sex", "one")
    assert CodeDecision.objects.count() == 2


def test_a_column_that_is_not_there_takes_no_decision() -> None:
    of = dataset("sex")
    with pytest.raises(DatasetUnknown):
        decide(of, "gone", decisions.NO_COUNTERPART)
    assert not CodeDecision.objects.exists()


def test_a_hint_shares_whole_words_with_what_it_names() -> None:
    """`first_name` was hinted to be the first house number, for one word."""
    columns = [ColumnProfile(name, table="t") for name in ("first_name", "Fam", "date_of_birth", "Imya", "Pol")]
    found = likely_concepts(columns, load_concepts())
    assert found == {
        ("t", "date_of_birth"): "person.birth_date",
        ("t", "Imya"): "person.given_name",
        ("t", "Pol"): "person.sex",
    }
