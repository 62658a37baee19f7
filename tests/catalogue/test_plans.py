"""A plan says what would change and why; applying does exactly that or nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings, queries
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.models import Dataset, Field, Finding, Owner, Plan

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
WriteCsv = Callable[..., Path]


def plan(path: Path, **how: bool) -> Plan:
    options = Options()
    return doings.make_plan(harvest_source(str(path), options), options, NOW, location=str(path), **how)


def learn(path: Path) -> None:
    doings.apply_plan(plan(path).plan_id, NOW)


def kinds(made: Plan) -> set[tuple[str, str]]:
    return {(c["kind"], c["column"]) for c in made.changes}


def picture() -> list[object]:
    """Everything the catalogue says, to be compared before and after."""
    return [
        list(Dataset.objects.values()),
        list(Field.objects.values()),
        list(Owner.objects.values()),
        list(Finding.objects.values()),
    ]


def test_a_plan_changes_nothing_until_it_is_applied(people: Path) -> None:
    made = plan(people)
    assert Dataset.objects.count() == 0
    doings.apply_plan(made.plan_id, NOW)
    assert Dataset.objects.get().rows == 60
    assert Field.objects.filter(personal=True).count() == 4


def test_a_plan_is_empty_when_the_register_did_not_change(people: Path) -> None:
    learn(people)
    assert plan(people).changes == []


def test_new_and_vanished_columns_and_new_codes_are_planned_with_reasons(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind", "old"], [[i, "AB"[i % 2], "x"] for i in range(40)]))
    made = plan(
        write_csv("r.csv", ["id", "kind", "fresh"], [[i, "ABC"[i % 3], f"2019-01-{1 + i % 28:02d}"] for i in range(40)])
    )
    assert {("column-new", "fresh"), ("column-vanished", "old"), ("codes-new", "kind")} <= kinds(made)
    assert next(c for c in made.changes if c["kind"] == "codes-new")["reason"] == "1 new code: C"
    assert all(c["reason"] for c in made.changes)


def test_a_vanished_column_keeps_its_owner_and_is_found_at_the_desk(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind"], [[i, "A"] for i in range(10)]))
    doings.name_owner(
        "r.csv", "r", "kind", "70000003", "Department of statistics", "Law 1, art. 2", NOW, by="steward-1"
    )
    learn(write_csv("r.csv", ["id"], [[i] for i in range(10)]))
    view = queries.overview().datasets[0]
    kind = next(f for f in view.fields if f.name == "kind")
    assert kind.vanished
    assert kind.owner is not None
    assert [f.kind for f in view.findings] == ["column-vanished"]


def test_a_plan_is_refused_when_the_file_changed_in_between(people: Path) -> None:
    made = plan(people)
    before = picture()
    people.write_text(people.read_text() + "1,x,01.01.2000,М,41702,0\n")
    with pytest.raises(errors.PlanStale, match="bytes"):
        doings.apply_plan(made.plan_id, NOW)
    assert picture() == before
    assert Plan.objects.get().status == Plan.OPEN


def test_what_was_put_in_a_file_s_place_is_refused_before_anything_of_it_is_parsed(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(people)
    people.write_bytes(b"\0" * 4_000)  # which no reader of CSV takes
    monkeypatch.setattr(doings, "harvest_source", None)
    with pytest.raises(errors.PlanStale, match="bytes"):
        doings.apply_plan(made.plan_id, NOW)


def test_a_plan_is_refused_when_a_database_changed_in_between(sqlite_register: Path) -> None:
    import sqlite3

    options = Options()
    made = doings.make_plan(harvest_source(str(sqlite_register), options), options, NOW, location=str(sqlite_register))
    with sqlite3.connect(sqlite_register) as db:
        db.execute("DELETE FROM schools WHERE id = 1")
    db.close()
    with pytest.raises(errors.PlanStale, match="tables or counts"):
        doings.apply_plan(made.plan_id, NOW)
    assert Dataset.objects.count() == 0


def test_a_plan_is_refused_when_the_catalogue_learned_something_else_meanwhile(write_csv: WriteCsv) -> None:
    path = write_csv("r.csv", ["id"], [[1]])
    first, second = plan(path), plan(path)
    doings.apply_plan(first.plan_id, NOW)
    with pytest.raises(errors.PlanStale, match="catalogue"):
        doings.apply_plan(second.plan_id, NOW)


def test_a_plan_is_applied_once(people: Path) -> None:
    made = plan(people)
    doings.apply_plan(made.plan_id, NOW)
    with pytest.raises(errors.PlanDone):
        doings.apply_plan(made.plan_id, NOW)
    with pytest.raises(errors.PlanUnknown):
        doings.apply_plan("plan-none", NOW)


def test_a_plan_cannot_be_applied_with_another_source(people: Path, write_csv: WriteCsv) -> None:
    made = plan(people)
    other = write_csv("other.csv", ["id"], [[1]])
    with pytest.raises(errors.PlanStale, match="another source"):
        doings.apply_plan(made.plan_id, NOW, source=str(other))


def test_an_empty_delivery_of_a_table_that_had_rows_is_refused_and_nothing_is_lost(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind"], [[i, "A"] for i in range(10)]))
    before = picture()
    empty = write_csv("r.csv", ["id", "kind"], [])
    with pytest.raises(errors.TableEmpty, match="had 10"):
        plan(empty)
    assert picture() == before
    assert ("rows-changed", "") in kinds(plan(empty, accept_empty=True))


def test_a_broken_delivery_leaves_the_catalogue_as_it_was(people: Path) -> None:
    learn(people)
    before = picture()
    people.write_bytes(people.read_bytes()[:-30])
    with pytest.raises(errors.FileTruncated):
        plan(people)
    assert picture() == before
    assert Plan.objects.filter(status=Plan.OPEN).count() == 0


def test_a_second_owner_is_refused_until_the_first_hands_over(people: Path) -> None:
    learn(people)
    doings.name_owner(
        "people.csv", "people", "pin", "70000002", "Registry department", "Law 5, art. 7", NOW, by="steward-1"
    )
    with pytest.raises(errors.OwnerTaken) as error:
        doings.name_owner(
            "people.csv", "people", "pin", "70000003", "Schools department", "Law 6, art. 1", NOW, by="steward-1"
        )
    assert "Registry department" in error.value.text
    doings.hand_over(
        "people.csv", "people", "pin", "70000003", "Schools department", "Law 6, art. 1", NOW, by="70000002"
    )
    assert Owner.objects.filter(until=None).get().organisation == "70000003"
    assert Owner.objects.count() == 2


def test_an_owner_or_a_source_of_truth_without_legal_basis_is_refused(people: Path) -> None:
    learn(people)
    with pytest.raises(errors.LegalBasisMissing):
        doings.name_owner("people.csv", "people", "pin", "70000002", "Registry", " ", NOW, by="steward-1")
    with pytest.raises(errors.LegalBasisMissing):
        doings.declare_source_of_truth(known_concept(), "people.csv", "people", "pin", "", NOW, by="steward-1")


def known_concept() -> str:
    from kerege.catalogue.codes.concepts import load_concepts

    return next(iter(load_concepts()), "person.pin")


def test_a_concept_has_one_source_of_truth(people: Path) -> None:
    learn(people)
    concept = known_concept()
    doings.declare_source_of_truth(concept, "people.csv", "people", "pin", "Law 5, art. 7", NOW, by="steward-1")
    with pytest.raises(errors.SourceOfTruthTaken):
        doings.declare_source_of_truth(concept, "people.csv", "people", "fio", "Law 5, art. 8", NOW, by="steward-1")
    doings.declare_source_of_truth(concept, "people.csv", "people", "fio", "Law 9", NOW, replace=True, by="steward-1")
    assert [(t.concept, t.column) for t in queries.sources_of_truth()] == [(concept, "fio")]


def test_a_concept_the_pack_does_not_know_is_refused(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kerege.catalogue.codes import concepts

    (tmp_path / "concepts.yaml").write_text(
        "- {id: person.pin, text: {ky: ПИН, ru: ПИН, en: PIN}}\n- {id: half, text: {ky: а, ru: '', en: a}}\n",
        encoding="utf-8",
    )
    known = concepts.load_concepts(tmp_path)
    assert list(known) == ["person.pin"]
    monkeypatch.setattr(doings, "load_concepts", lambda: known)
    learn(people)
    doings.link_concept("people.csv", "people", "pin", "person.pin", "steward", NOW)
    with pytest.raises(errors.ConceptUnknown):
        doings.link_concept("people.csv", "people", "fio", "person.hat_size", "steward", NOW)


def test_whether_a_column_is_personal_is_its_concepts_word_and_a_guess_before(people: Path) -> None:
    learn(people)

    def personal() -> dict[str, bool]:
        (view,) = queries.overview().datasets
        return {field.name: field.personal for field in view.fields}

    guessed = personal()
    assert guessed["fio"] is True
    doings.link_concept("people.csv", "people", "fio", "school.name", "steward", NOW)
    assert personal() == guessed | {"fio": False}
    doings.link_concept("people.csv", "people", "fio", "person.name", "steward", NOW)
    assert personal() == guessed


def test_a_plan_hints_at_the_concept_of_a_new_column(
    write_csv: WriteCsv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kerege.catalogue.codes import concepts

    (tmp_path / "concepts.yaml").write_text(
        "- {id: person.birth_date, text: {ky: Туулган күнү, ru: Дата рождения, en: Date of birth}}\n", encoding="utf-8"
    )
    known = concepts.load_concepts(tmp_path)
    monkeypatch.setattr(doings, "load_concepts", lambda: known)
    made = plan(write_csv("r.csv", ["birthDate", "Дата рождения", "capacity"], [["2019-03-14", "2019-03-14", 3]]))
    reasons = {c["column"]: c["reason"] for c in made.changes if c["kind"] == "column-new"}
    assert reasons["birthDate"].endswith("perhaps person.birth_date")
    assert reasons["Дата рождения"].endswith("perhaps person.birth_date")
    assert reasons["capacity"].endswith("no concept yet")


def test_findings_of_one_kind_are_counted_up_and_not_repeated(people: Path) -> None:
    learn(people)
    for _ in range(2):
        doings.record_findings(
            "people.csv", "people", [doings.NewFinding("code-unknown", 5, "region", "41799")], NOW, found_by="harmonise"
        )
    view = queries.overview()
    assert view.finding_counts == {"code-unknown": 10}
    assert next(f for f in view.datasets[0].fields if f.name == "region").findings == 1


def test_a_dataset_with_thousands_of_findings_is_told_by_their_kinds(write_csv: WriteCsv) -> None:
    learn(write_csv("people.csv", ["id", "region"], [[i, "A"] for i in range(10)]))
    field = Field.objects.get(name="region")
    Finding.objects.bulk_create(
        Finding(
            dataset=field.dataset, field=field if kind == "code-unknown" else None, kind=kind, detail=f"{n}", records=2, found_by="harvest",
            found_at=NOW + timedelta(minutes=n),
        )
        for kind, many in (("code-unknown", 2000), ("emptied", 1))
        for n in range(many)
    )  # fmt: skip
    view = queries.dataset(field.dataset_id)
    assert [(f.column, f.kind, f.count, f.records) for f in view.findings] == [
        ("region", "code-unknown", 2000, 4000),
        ("", "emptied", 1, 2),
    ]
    assert view.findings[0].found_at == NOW + timedelta(minutes=1999)
    assert (view.finding_count, view.fields[1].findings) == (2001, 2000)


def test_reading_the_catalogue_costs_a_few_queries_however_many_datasets(
    write_csv: WriteCsv, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    for n in range(6):
        learn(write_csv(f"r{n}.csv", ["id", "kind"], [[i, "A"] for i in range(10)]))
    with django_assert_max_num_queries(10):  # type: ignore[attr-defined]
        assert len(queries.overview().datasets) == 6
    assert queries.dataset(queries.overview().datasets[0].id).source == "r0.csv"
    assert [v.source for v in queries.search("r3.csv kind")] == ["r3.csv"]
    assert len(queries.datasets()) == 6
    with pytest.raises(errors.DatasetUnknown):
        queries.dataset(0)
