"""The 90-day board on a catalogue: facts counted, days kept, a report printed in three languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lxml import html

from kerege.catalogue import errors
from kerege.catalogue.board import doings as plan
from kerege.catalogue.board import report as board_report
from kerege.catalogue.board.facts import _open_codes, settled_codes
from kerege.catalogue.board.rules import Measure
from kerege.catalogue.board.words import STEPS, WORDS
from kerege.catalogue.codes.unmapped import keep_unmapped
from kerege.catalogue.codes.versions import import_crosswalk
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.lifecycle import doings as lifecycle
from kerege.catalogue.models import (
    BoardSnapshot,
    ContractVersion,
    CriticalDataset,
    Dataset,
    Finding,
    LifecycleAction,
)
from kerege.catalogue.ownership import face as ownership
from kerege.catalogue.packs import current_pack
from kerege.semantics.crosswalks.sssom import Crosswalk, Row

NOW = datetime(2026, 11, 1, 20, tzinfo=UTC)  # 2 November in Bishkek
SOURCE, TABLE = "people.csv", "people"
CONCEPTS = {
    "pin": "person.pin", "fio": "person.surname", "birth": "person.birth_date", "pol": "person.sex", "telefon": "person.pin",
}  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def begun(people: Path) -> None:
    options = Options(k=1)
    made = doings.make_plan(harvest_source(str(people), options), options, NOW, location=str(people))
    doings.apply_plan(made.plan_id, NOW)
    plan.start("Decision 7", by="asanova", now=NOW)
    plan.mark_critical(SOURCE, TABLE, reason="births", by="asanova", now=NOW)


def day(n: int) -> datetime:
    return NOW + timedelta(days=n - 1)


def counts(now: datetime = NOW) -> dict[str, tuple[int, int, bool]]:
    (line,) = plan.board(now).lines
    return {m.value: (c.done, c.total, c.complete) for m, c in line.counts.items()}


def link() -> None:
    for column, concept in CONCEPTS.items():
        doings.link_concept(SOURCE, TABLE, column, concept, "steward", NOW)


def own(now: datetime = NOW) -> None:
    ownership.name_owners(SOURCE, TABLE, "70000001", "Registry", "Law 5", now, by="steward-1")


def test_a_board_nobody_worked_on_shows_what_is_missing_and_how_to_do_it() -> None:
    view = plan.board(NOW)
    assert (view.day, view.days, view.days_left, view.complete) == (1, 90, 90, 0)
    assert view.started_on == date(2026, 11, 2)
    assert counts() == {
        "mapped": (0, 6, False), "owned": (0, 6, False), "documented": (0, 7, False), "harmonised": (0, 0, False),
        "published": (0, 1, False),
    }  # fmt: skip
    assert [s.kind for s in view.lines[0].steps] == ["own", "map", "document", "submit"]


def test_every_count_follows_from_what_was_done_in_the_catalogue() -> None:
    own()
    link()
    Dataset.objects.update(description="Residents")
    assert counts() == {
        "mapped": (5, 6, True), "owned": (6, 6, True), "documented": (6, 7, True), "harmonised": (1, 1, True),
        "published": (0, 1, False),
    }  # fmt: skip
    subject = lifecycle.Subject("dataset", f"{SOURCE}#{TABLE}", "1")
    for action, by in (("submit", "asanova"), ("approve", "bekov"), ("publish", "bekov")):
        lifecycle.act(subject, action, by, "fine", NOW)
    assert counts()["published"] == (1, 1, True)
    assert plan.board(NOW).complete == 1


def test_the_crosswalk_that_places_the_codes_is_named_and_an_open_code_keeps_it_open() -> None:
    own()
    link()
    (line,) = plan.board(NOW).lines
    sex = next(a for a in line.facts.attributes if a.column == "pol")
    assert (sex.codelist, sex.open_codes) == ("kg:sex", ())
    assert "kg:civil-sex--sex" in sex.by
    profile = Dataset.objects.get().fields.get(name="pol")
    profile.profile = {**profile.profile, "codes": [["М", 30], ["?", 30]]}
    profile.save()
    assert counts()["harmonised"] == (0, 1, False)


def test_codes_that_were_withheld_are_not_known_and_do_not_count_as_done() -> None:
    own()
    link()
    row = Dataset.objects.get().fields.get(name="pol")
    row.profile = {**row.profile, "codes_withheld": 2}
    row.save()
    assert counts()["harmonised"] == (0, 1, False)
    assert "tell-codes" in [s.kind for s in plan.board(NOW).lines[0].steps]


def test_an_open_finding_about_a_code_keeps_its_attribute_open_until_the_answer_is_published() -> None:
    own()
    link()
    keep_unmapped("t:sex", "", f"{SOURCE}#{TABLE}.pol", {"X": 3}, NOW)
    assert counts()["harmonised"] == (0, 1, False)
    rows = (Row("М", "1"), Row("Ж", "2"), Row("X", "0"))
    import_crosswalk(Crosswalk("t:sex", rows, object_source="kg:sex", version="1"), "asanova", NOW)
    subject = lifecycle.Subject("crosswalk", "t:sex", "1")
    for action, by in (("submit", "asanova"), ("approve", "bekov"), ("publish", "asanova")):
        assert counts()["harmonised"] == (0, 1, False)
        lifecycle.act(subject, action, by, "fine", NOW)
    assert counts()["harmonised"] == (1, 1, True)
    assert Finding.objects.get().evidence == "t:sex 1: X is 0"


def test_an_interim_owner_counts_until_the_term_runs_out_and_then_shows_as_such() -> None:
    columns = list(CONCEPTS)
    ownership.name_owners(SOURCE, TABLE, "70000002", "Office", "Law 5", NOW, columns=columns, by="steward-1")
    ownership.name_interim(
        SOURCE,
        TABLE,
        "region",
        "70000001",
        "Registry",
        "Law 5",
        NOW,
        until=day(20),
        names_lasting="70000009",
        by="steward-1",
    )
    assert counts(day(19))["owned"] == (6, 6, True)
    assert counts(day(20))["owned"] == (5, 6, False)
    view = plan.board(day(22))
    assert [(i.column, i.state, i.days) for i in view.interims] == [("region", "ran-out", -2)]
    plan.snapshot(day(22))
    plan.snapshot(day(22))
    assert Finding.objects.filter(kind="interim-owner-ran-out").count() == 1


def test_a_day_has_one_snapshot_however_often_it_is_taken_and_the_later_look_stays() -> None:
    plan.snapshot(NOW)
    own()
    plan.snapshot(NOW + timedelta(minutes=5))
    row = BoardSnapshot.objects.get()
    assert (row.day, row.counts["owned"], row.counts["critical"]) == (date(2026, 11, 2), [6, 6, 1], 1)


def test_history_and_pace_come_from_the_snapshots() -> None:
    plan.snapshot(day(1))
    own(day(5))
    plan.snapshot(day(5))
    view = plan.board(day(7))
    assert [(p.day, p.done) for p in view.history] == [(date(2026, 11, 2), 0), (date(2026, 11, 6), 6)]
    assert (view.day, view.pace.seen, view.pace.needed) == (7, 10, 2)


def test_a_new_board_begins_with_a_history_of_its_own() -> None:
    plan.snapshot(NOW)
    plan.start("Decision 8", by="bekov", now=day(10), days=30)
    view = plan.board(day(10))
    assert (view.day, view.days, view.history) == (1, 30, ())


def test_marking_twice_is_one_mark_and_an_ended_mark_stays_as_history() -> None:
    plan.mark_critical(SOURCE, TABLE, reason="again", by="bekov", now=NOW)
    assert CriticalDataset.objects.count() == 1
    plan.unmark_critical(SOURCE, TABLE, reason="merged", by="bekov", now=NOW)
    assert plan.board(NOW).lines == ()
    assert CriticalDataset.objects.get().ended_reason == "merged"
    with pytest.raises(errors.BoardInvalid):
        plan.unmark_critical(SOURCE, TABLE, reason="again", by="bekov", now=NOW)
    plan.mark_critical(SOURCE, TABLE, reason="after all", by="bekov", now=NOW)
    assert CriticalDataset.objects.count() == 2


def test_marks_need_a_dataset_a_person_and_a_reason() -> None:
    with pytest.raises(errors.DatasetUnknown):
        plan.mark_critical("ghost", "t", reason="x", by="y", now=NOW)
    with pytest.raises(errors.BoardInvalid):
        plan.mark_critical(SOURCE, TABLE, reason=" ", by="y", now=NOW)
    with pytest.raises(errors.BoardInvalid):
        plan.start("x", by="y", now=NOW, days=0)


def test_without_a_board_there_is_nothing_to_look_at() -> None:
    from kerege.catalogue.models import BoardStart

    BoardStart.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
    with pytest.raises(errors.BoardInvalid, match="kerege board start"):
        plan.board(NOW)


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_the_printed_page_is_whole_accessible_and_fetches_nothing(language: str) -> None:
    plan.mark_critical(SOURCE, TABLE, reason="births", by="asanova", now=NOW)
    CriticalDataset.objects.update(reason="<script>alert(1)</script> & births")
    plan.snapshot(NOW)
    own()
    plan.snapshot(day(3))
    text = board_report.as_html(plan.board(day(4)), language)
    page = html.document_fromstring(text)
    assert page.get("lang") == language
    assert page.findall(".//script") == []
    assert "&lt;script&gt;" in text
    assert next(e.tag for e in page.iter("h1", "h2", "h3")) == "h1"
    for table in page.iter("table"):
        assert table.find("caption") is not None
        assert {th.get("scope") for th in table.iter("th")} <= {"col", "row"}
        widths = {len(tr) for tr in table.iter("tr")}
        assert len(widths) == 1
    assert page.find(".//svg").get("aria-label")
    assert "@media print" in text
    assert "@page" in text
    for attribute in ("src", "href"):
        assert page.xpath(f"//@{attribute}") == []
    assert "url(" not in text
    assert "{" not in page.text_content().replace(page.findtext(".//style") or "", "")


@pytest.mark.parametrize("language", ["ky", "ru", "en"])
def test_the_plain_text_says_the_same(language: str) -> None:
    own()
    text = board_report.as_text(plan.board(day(2)), language)
    assert "people.csv#people" in text
    assert "6/6" in text
    assert "$ kerege concept link people.csv#people --column pin --concept CONCEPT --by WHO" in text
    assert "{" not in text


def test_a_board_over_its_days_or_before_its_first_says_so() -> None:
    assert "The time was over 5 days ago" in board_report.as_text(plan.board(day(95)), "en")
    assert "The time is over; left: " in board_report.as_text(plan.board(day(95)), "en")
    plan.start("later", by="a", now=NOW, on=date(2027, 1, 1))
    assert "The plan begins on 01.01.2027" in board_report.as_text(plan.board(NOW), "en")


def test_every_step_and_every_word_has_three_languages_with_the_same_places_for_values() -> None:
    import string

    for text in (*WORDS.values(), *STEPS.values()):
        places = [sorted(f for _, f, _, _ in string.Formatter().parse(w) if f) for w in text.as_dict().values()]
        assert places[0] == places[1] == places[2]


@pytest.mark.parametrize(
    "text",
    ["measures: []", "x: [", "measures: [{id: lost}]", ""],
)
def test_a_broken_pack_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "board.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(errors.BoardInvalid, match=r"board\.yaml"):
        plan.read_rules(path, 1)


def test_the_board_costs_a_bounded_number_of_queries(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(22):
        view = plan.board(NOW)
    assert view.as_dict()["totals"]["owned"] == {"done": 0, "total": 6, "datasets": 0, "of": 1}
    assert list(view.rules) == list(Measure)


def test_a_code_on_which_two_crosswalks_disagree_is_open_until_a_mapping_says_which_is_meant() -> None:
    def crosswalk(name: str, *pairs: tuple[str, str]) -> Crosswalk:
        rows = tuple(Row(code, target, "skos:exactMatch") for code, target in pairs)
        return Crosswalk(name, rows, object_source="kg:sex")

    pack = replace(
        current_pack(),
        crosswalks={"a": crosswalk("a", ("x", "1"), ("y", "2")), "b": crosswalk("b", ("x", "2"), ("y", "2"))},
    )
    profile = {"codes": [["x", 30], ["y", 30]]}
    assert _open_codes("Pol", profile, "kg:sex", replace(pack, mappings={})) == (("x",), ("a", "b"))
    reading = replace(pack, mappings={"m": Reading(("b",), "Pol")})  # type: ignore[dict-item]
    assert _open_codes("Pol", profile, "kg:sex", reading) == ((), ("b",))
    assert _open_codes("other", profile, "kg:sex", reading) == (("x",), ("a", "b"))


class Reading:
    """As much of a mapping as says which column it reads with which crosswalks."""

    def __init__(self, crosswalks: tuple[str, ...], column: str) -> None:
        self.crosswalks, self.fields = crosswalks, (SimpleNamespace(name="sex"),)
        self.source = SimpleNamespace(cells={column: f"Birth.{column}"})
        self.sources_of = lambda name: (column,)


def test_a_code_recorded_as_having_no_counterpart_is_settled_and_a_refused_one_is_not() -> None:
    rows = (Row("x", None), Row("y", "2", predicate_modifier="Not"), Row("z", "1", "skos:relatedMatch"), Row("w", "1"))
    assert settled_codes(Crosswalk("a", rows, object_source="kg:sex")) == {"x", "w"}


def test_a_contract_in_force_documents_the_dataset_and_the_attributes_it_describes() -> None:
    own()
    dataset = Dataset.objects.get()
    document = {"schema": [{"properties": [{"name": "pin", "description": "Number"}, {"name": "fio"}]}]}
    ContractVersion.objects.create(
        contract="people",
        version="1.0.0",
        document=document,
        fingerprint="f",
        dataset=dataset,
        added_at=NOW,
        added_by="a",
    )
    assert counts()["documented"] == (0, 7, False)
    for n, action in enumerate(("submit", "approve", "publish"), start=1):
        LifecycleAction.objects.create(
            kind="contract",
            subject="people",
            version="1.0.0",
            number=n,
            action=action,
            by=str(n),
            reason="r",
            at=NOW,
            digest="",
        )
    assert counts()["documented"] == (2, 7, False)


def test_a_crosswalk_published_in_the_catalogue_places_codes_too() -> None:
    codelists = pytest.importorskip("kerege.catalogue.codes.versions")
    own()
    link()
    row = Dataset.objects.get().fields.get(name="pol")
    row.profile = {**row.profile, "codes": [["xx", 30], ["yy", 30]]}
    row.save()
    assert counts()["harmonised"] == (0, 1, False)
    rows = (
        Row("xx", "1", subject_id="my:xx", object_id="sex:1"),
        Row("yy", "2", subject_id="my:yy", object_id="sex:2"),
    )
    codelists.import_crosswalk(Crosswalk("my-sex", rows, "my", "kg:sex", version="1"), "asanova", NOW)
    for n, action in enumerate(("submit", "approve", "publish"), start=1):
        LifecycleAction.objects.create(
            kind="crosswalk",
            subject="my-sex",
            version="1",
            number=n,
            action=action,
            by=str(n),
            reason="r",
            at=NOW,
            digest="",
        )
    assert counts()["harmonised"] == (1, 1, True)
