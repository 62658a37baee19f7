"""From two registers' tables to persons' keys and the clerks' desk: what is sure is placed, what is not is asked, and fetched for the desk."""

from __future__ import annotations

import csv
import os
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kerege.demo.pairs import agencies
from kerege.identity.models import PersonalDataRead
from kerege.identity.pseudonyms import open_key
from kerege.reconcile import desk_doings, desk_queries, placing, registers
from kerege.reconcile.compare import compare_views
from kerege.reconcile.errors import PlacingRuns, RecordUnavailable, RegistersInvalid, TrainingImpossible
from kerege.reconcile.fields import of_country
from kerege.reconcile.linkage import definition as definitions
from kerege.reconcile.models import ClericalTask, PersonRecord

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 1, tzinfo=UTC)
PACK = agencies.pack()
DEFINITION = definitions.of_country("persons", "kg")
MEMBER = "KG/GOV/70000003/admission"
CIVIL = [
    "ActNo",
    "ActDate",
    "Fam",
    "Imya",
    "Otch",
    "DataRozhd",
    "Pol",
    "Pin",
    "MatPin",
    "MatFio",
    "OtPin",
    "OtFio",
    "Oblast",
]
EMIS = [
    "student_id", "first_name", "middle_name", "last_name", "gender_id", "date_of_birth", "identity_number", "institution_code",
    "education_grade", "student_status", "area_administrative_code", "address",
]  # fmt: skip
# A1 and P1 are surely one person (PIN); A2 and P2 agree in name and date without a PIN; A3 is a namesake of A2; P4 is nobody's
CIVIL_ROWS = [
    {"ActNo": "A1", "Fam": "АСАНОВ", "Imya": "БАКЫТ", "Otch": "САДЫРОВИЧ", "DataRozhd": "03.05.2019", "Pol": "М", "Pin": "20305201900012"},
    {"ActNo": "A2", "Fam": "ӨМҮРОВ", "Imya": "АЙБЕК", "Otch": "ЖОЛДОШЕВИЧ", "DataRozhd": "04.05.2019", "Pol": "М", "Pin": "20405201900013"},
    {"ActNo": "A3", "Fam": "ӨМҮРОВ", "Imya": "АЙБЕК", "Otch": "САДЫРОВИЧ", "DataRozhd": "04.05.2019", "Pol": "М", "Pin": "20405201988731"},
    {"ActNo": "", "Fam": "НОМЕРСИЗ", "Imya": "АЙБЕК", "Otch": "", "DataRozhd": "04.05.2019", "Pol": "М", "Pin": ""},
]  # fmt: skip
EMIS_ROWS = [
    {"student_id": "P1", "first_name": "Bakyt", "last_name": "Asanov", "gender_id": "1", "date_of_birth": "2019-05-03",
     "identity_number": "20305201900012", "institution_code": "S1"},
    {"student_id": "P2", "first_name": "Aibek", "middle_name": "Joldoshevich", "last_name": "Omurov", "gender_id": "1",
     "date_of_birth": "2019-05-04", "institution_code": "S1"},
    {"student_id": "P4", "first_name": "Gulnara", "last_name": "Toktogulova", "gender_id": "2", "date_of_birth": "2018-01-09",
     "institution_code": "S1"},
    {"student_id": "P4", "first_name": "Gulnara", "last_name": "Toktogulova", "gender_id": "2", "date_of_birth": "2018-01-09",
     "institution_code": "S1"},
]  # fmt: skip


def write(path: Path, heads: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, heads)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An installation that may read two files."""
    write(tmp_path / "civil.csv", CIVIL, CIVIL_ROWS)
    write(tmp_path / "emis.csv", EMIS, EMIS_ROWS)
    (tmp_path / "reconcile").mkdir()
    listed = tmp_path / registers.FILE
    listed.write_text(
        "registers:\n  civil: {source: civil.csv, mapping: 'kg:civil.birth-record', id: ActNo}\n"
        "  emis: {source: emis.csv, mapping: 'kg:education.pupil', id: student_id}\n",
        "utf-8",
    )
    listed.chmod(0o600)
    return tmp_path


def place(home: Path, ledger: Any, *names: str, **more: Any) -> placing.Placed:
    tables = [registers.configured(home)[name] for name in names or ("civil", "emis")]
    return placing.place_registers(
        tables, PACK, DEFINITION, open_key(home), home=home, ledger=ledger, now=NOW, member=MEMBER, **more
    )


def key_of(home: Path, register: str, number: str) -> str | None:
    return desk_doings.key_book().of(registers.ref_of(open_key(home), register, number))


def test_sure_matches_get_their_key_and_unsure_pairs_go_to_the_desk(home: Path, ledger: Any) -> None:
    placed = place(home, ledger)
    assert placed.as_dict() == {
        "read": 8, "existing": 1, "new": 4, "unsure": 1, "known": 0, "aside": 0, "unnumbered": 1, "twice": 1, "crowded": 0, "joined": 0,
    }  # fmt: skip
    assert key_of(home, "civil", "A1") == key_of(home, "emis", "P1") is not None
    assert len({key_of(home, r, n) for r, n in (("civil", "A2"), ("civil", "A3"), ("emis", "P2"), ("emis", "P4"))}) == 4
    asked = {(t.left_ref, t.right_ref) for t in ClericalTask.objects.all()}
    key = open_key(home)
    assert (registers.ref_of(key, "civil", "A2")[1], registers.ref_of(key, "emis", "P2")[1]) in asked
    assert all(t.why == "unsure" for t in ClericalTask.objects.all())


def test_a_second_run_moves_nobody_asks_nothing_and_a_new_record_is_placed_against_the_known(
    home: Path, ledger: Any
) -> None:
    place(home, ledger)
    before, tasks = desk_doings.key_book(), ClericalTask.objects.count()
    assert place(home, ledger).known == 6
    assert (desk_doings.key_book(), ClericalTask.objects.count()) == (before, tasks)
    late = {**EMIS_ROWS[0], "student_id": "P9"}
    write(home / "emis.csv", EMIS, [*EMIS_ROWS, late])
    assert (again := place(home, ledger)).existing == 1
    assert again.new == again.unsure == 0
    assert key_of(home, "emis", "P9") == key_of(home, "civil", "A1")


@pytest.mark.parametrize("names", [("civil", "emis"), ("emis", "civil")])
def test_whichever_register_comes_first_the_same_records_are_one_person(
    home: Path, ledger: Any, names: tuple[str, str]
) -> None:
    place(home, ledger, *names)
    assert key_of(home, "civil", "A1") == key_of(home, "emis", "P1")
    assert key_of(home, "civil", "A2") != key_of(home, "emis", "P2")
    assert {frozenset((t.left_register, t.right_register)) for t in ClericalTask.objects.all()} >= {
        frozenset({"civil", "emis"})
    }


def test_what_the_process_read_of_a_person_is_found_by_the_person(home: Path, ledger: Any) -> None:
    place(home, ledger)
    about = open_key(home).of("20305201900012")
    reads = PersonalDataRead.objects.filter(about=about).order_by("pk")
    assert [(r.reader, r.channel, r.data_service) for r in reads] == [
        ("process:reconcile-link", "job", "reconcile/link/civil"),
        ("process:reconcile-link", "job", "reconcile/link/emis"),
    ]
    assert PersonalDataRead.objects.count() == PersonRecord.objects.count() == 6


def test_the_desk_fetches_both_records_for_the_moment_and_the_persons_find_that_too(home: Path, ledger: Any) -> None:
    place(home, ledger)
    row = next(t for t in desk_queries.desk_queue() if {t.left_register, t.right_register} == {"civil", "emis"})
    reader = desk_doings.Reader("clerk-1", MEMBER, "linkage", "to be confirmed")
    shown = desk_doings.open_task(
        row.task_id, reader, registers.values_of(home, PACK), ledger, NOW, about_of=registers.about_of(home)
    )
    assert {shown.left["birth_date"], shown.right["birth_date"]} == {"2019-05-04"}
    assert {shown.left["surname"], shown.right["surname"]} == {"Өмүров", "Omurov"}
    assert not any(name.endswith("_key") for name in (*shown.left, *shown.right))
    number = shown.left["pin"] or shown.right["pin"]
    assert PersonalDataRead.objects.filter(
        about=open_key(home).of(str(number)), channel="desk", reader="clerk-1"
    ).exists()


def test_what_the_desk_fetched_can_be_compared_field_by_field_with_what_the_registers_wrote(
    home: Path, ledger: Any
) -> None:
    place(home, ledger)
    key, fetch = open_key(home), registers.Fetched(home, PACK)
    refs = [registers.ref_of(key, register, number) for register, number in (("civil", "A2"), ("emis", "P2"))]
    for ref in refs:
        fetch(*ref)
    pair = of_country("kg").pair("civil", "emis")
    assert pair is not None
    found = {s.name: compare_views(*(fetch.views[ref] for ref in refs), s, of_country("kg")) for s in pair.fields}
    assert found["surname"].cls == found["birth_date"].cls == "equal_after_harmonising"
    assert found["pin"].cls == "missing"
    assert fetch.can_show("civil", "emis")
    assert not fetch.can_show("civil", "health")


def test_opening_a_pair_maps_the_rows_it_is_about_and_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped, make = [], type(PACK).mapper

    def counting(pack: Any, name: str) -> Any:
        mapper = make(pack, name)
        return lambda row: mapped.append(row) or mapper(row)

    monkeypatch.setattr(type(PACK), "mapper", counting)
    refs = [registers.ref_of(open_key(home), "civil", number) for number in ("A3", "A1")]
    fetch = registers.Fetched(home, PACK, wanted=refs)
    assert [fetch(*ref)["pin"] for ref in refs] == ["20405201988731", "20305201900012"]
    assert sorted(row["ActNo"] for row in mapped) == ["A1", "A3"]
    assert list(fetch.views) == refs


def test_a_pair_settled_at_the_desk_and_not_joined_is_joined_by_the_next_placing(home: Path, ledger: Any) -> None:
    place(home, ledger)
    row = next(t for t in desk_queries.desk_queue() if {t.left_register, t.right_register} == {"civil", "emis"})
    for clerk in ("clerk-1", "clerk-2"):
        if (desk_queries.task(row.task_id) or row).standing != "same":
            desk_doings.decide(row.task_id, verdict="same", reason="one passport", by=clerk, now=NOW)
    left, right = desk_queries.sides(row.task_id)
    assert desk_doings.key_book().of(left) != desk_doings.key_book().of(right)
    assert place(home, ledger).joined == 1
    assert desk_doings.key_book().of(left) == desk_doings.key_book().of(right)


def test_a_record_that_is_gone_or_a_register_that_is_not_listed_is_told_without_any_value(home: Path) -> None:
    fetch = registers.values_of(home, PACK)
    for register, reason in (("civil", "no record"), ("health", "not in")):
        with pytest.raises(RecordUnavailable, match=reason) as caught:
            fetch(register, "a" * 64)
        assert not any(word in str(caught.value) for word in ("АСАНОВ", "20305201900012", "2019"))
    with pytest.raises(RecordUnavailable, match="more than 2 rows"):
        registers.values_of(home, PACK, most=2)("civil", "a" * 64)
    (home / "civil.csv").write_text("ActNo,Fam\nA1,АСАНОВ\n", "utf-8")
    with pytest.raises(RecordUnavailable, match="no column"):
        fetch("civil", "a" * 64)
    (home / "civil.csv").unlink()
    with pytest.raises(RecordUnavailable, match="cannot be opened"):
        fetch("civil", "a" * 64)


def test_a_register_that_cannot_be_read_whole_places_nobody(home: Path, ledger: Any) -> None:
    with pytest.raises(RecordUnavailable, match="more than 3 rows"):
        place(home, ledger, most=3)
    assert PersonRecord.objects.count() == PersonalDataRead.objects.count() == 0


def test_one_placing_runs_at_a_time(home: Path, ledger: Any) -> None:
    with placing._alone(home), pytest.raises(PlacingRuns):
        place(home, ledger)
    assert place(home, ledger).new == 4


def test_a_value_that_a_crowd_shares_says_nothing_and_is_counted(home: Path, ledger: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(placing, "CROWD", 1)
    placed = place(home, ledger)
    assert placed.crowded > 0
    assert key_of(home, "civil", "A1") == key_of(home, "emis", "P1"), "a PIN is looked at whatever the crowd"


def test_registers_too_small_to_learn_from_are_said_to_be_so(home: Path) -> None:
    left, right = (registers.configured(home)[name] for name in ("civil", "emis"))
    with pytest.raises(TrainingImpossible, match="fewer than 100"):
        placing.train(left, right, PACK, DEFINITION, open_key(home))


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("registers: []", 0o600, "expected `registers`"),
        ("registers: {civil: {source: a.csv}}", 0o600, "needs id, mapping"),
        ("registers: {civil: {source: a.csv, mapping: m, id: i, password: x}}", 0o600, "only"),
        ("registers: {civil: {source: a.csv, mapping: m, id: i}}", 0o604, "others may read it"),
        ("{", 0o600, "no YAML"),
    ],
)
def test_all_faults_of_the_list_of_registers_are_told(home: Path, text: str, mode: int, told: str) -> None:
    (home / registers.FILE).write_text(text, "utf-8")
    (home / registers.FILE).chmod(mode)
    with pytest.raises(RegistersInvalid, match=told):
        registers.configured(home)
    assert registers.configured(home / "elsewhere") == {}


@pytest.mark.skipif(not os.environ.get("KEREGE_RECONCILE"), reason="not there: make reconcile")
def test_a_model_learnt_from_the_registers_gives_each_question_its_weight(home: Path, ledger: Any) -> None:
    rng, civil, emis = random.Random(3), list(CIVIL_ROWS), list(EMIS_ROWS[:3])
    for n in range(160):
        surname, given = (
            rng.choice(["Асанов", "Бекиров", "Осмонов", "Токтоев"]),
            rng.choice(["Бакыт", "Азамат", "Нурлан", "Эрлан"]),
        )
        day, month, pin = 1 + n % 28, 1 + n % 12, f"2{1 + n % 28:02d}{1 + n % 12:02d}2018{n:05d}"
        civil.append({"ActNo": f"B{n}", "Fam": surname, "Imya": given, "Otch": "Садырович", "DataRozhd": f"{day:02d}.{month:02d}.2018",
                      "Pol": "М", "Pin": pin})  # fmt: skip
        emis.append({"student_id": f"Q{n}", "first_name": given, "middle_name": "Садырович", "last_name": surname, "gender_id": "1",
                     "date_of_birth": f"2018-{month:02d}-{day:02d}", "identity_number": pin, "institution_code": "S1"})  # fmt: skip
    write(home / "civil.csv", CIVIL, civil)
    write(home / "emis.csv", EMIS, emis)
    left, right = (registers.configured(home)[name] for name in ("civil", "emis"))
    quick = replace(DEFINITION, training=replace(DEFINITION.training, random_pairs=5000))
    model = placing.train(left, right, PACK, quick, open_key(home))
    assert model.rows == (163, 163)
    placed = place(home, ledger, model=model)
    assert placed.existing >= 161
    weights = [t.weight for t in ClericalTask.objects.all()]
    assert weights
    assert all(weight is not None for weight in weights)
