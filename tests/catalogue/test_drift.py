"""Drift between two harvests becomes findings with an owner, and a finding closes itself when the drift is gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.drift import gone
from kerege.catalogue.inventory.findings import NOBODY, findings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.inventory.profile import FieldProfile, TableProfile
from kerege.catalogue.inventory.suspicions import SUSPECTED
from kerege.catalogue.models import Dataset, Finding, Plan
from kerege.catalogue.sources import Reading

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
WriteCsv = Callable[..., Path]


def learn(path: Path, *tables: str) -> str:
    options = Options(Reading(tables=tables))
    plan = doings.make_plan(harvest_source(str(path), options), options, NOW, location=str(path))
    doings.apply_plan(plan.plan_id, NOW)
    return plan.plan_id


def open_kinds() -> list[tuple[str, str]]:
    return sorted((f.kind, f.column) for f in findings(NOW))


def closed() -> dict[str, str]:
    return {f.kind: f.evidence for f in findings(NOW, settled=True)}


def test_a_first_harvest_has_no_drift(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind"], [[i, "AB"[i % 2]] for i in range(40)]))
    assert open_kinds() == []


def test_new_and_vanished_columns_and_drifted_lists_and_types_are_findings(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind", "old", "size"], [[i, "AB"[i % 2], "x", i] for i in range(40)]))
    learn(write_csv("r.csv", ["id", "kind", "fresh", "size"], [[i, "AC"[i % 2], "y", f"about {i}"] for i in range(40)]))
    assert open_kinds() == [
        ("codes-gone", "kind"), ("codes-new", "kind"), ("column-new", "fresh"), ("column-vanished", "old"),
        ("shape-changed", "size"), ("type-changed", "size"),
    ]  # fmt: skip


def test_a_finding_closes_itself_with_evidence_when_the_drift_is_gone(write_csv: WriteCsv) -> None:
    good = [[i, "AB"[i % 2], "x", i] for i in range(40)]
    learn(write_csv("r.csv", ["id", "kind", "old", "size"], good))
    learn(write_csv("r.csv", ["id", "kind", "fresh", "size"], [[i, "AC"[i % 2], "y", f"about {i}"] for i in range(40)]))
    plan = learn(write_csv("r.csv", ["id", "kind", "old", "size"], good))
    assert open_kinds() == []  # the way back is no drift of its own
    told = closed()
    assert told["type-changed"] == f"{plan}: type is integer again"
    assert told["codes-new"] == f"{plan}: the one code is not seen any more"
    assert told["codes-gone"] == f"{plan}: the one code is seen again"
    assert told["column-vanished"].endswith("the column is there again, 1000 per mille filled")
    assert told["column-new"].endswith("the column is gone again")


def test_a_drift_that_stays_stays_open(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind"], [[i, "AB"[i % 2]] for i in range(40)]))
    learn(write_csv("r.csv", ["id", "kind"], [[i, "ABC"[i % 3]] for i in range(42)]))
    learn(write_csv("r.csv", ["id", "kind"], [[i, "ABC"[i % 3]] for i in range(48)]))
    assert open_kinds() == [("codes-new", "kind")]
    assert Finding.objects.get().facts == {"codes": ["C"]}


def test_codes_that_only_fell_below_k_do_not_close_a_finding(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind"], [[i, "AB"[i % 2]] for i in range(40)]))
    learn(write_csv("r.csv", ["id", "kind"], [[i, "ABC"[i % 3]] for i in range(42)]))
    rows = [[i, "AB"[i % 2]] for i in range(40)] + [[99, "C"]]
    learn(write_csv("r.csv", ["id", "kind"], rows))
    assert ("codes-new", "kind") in open_kinds()


NUMBERS = [[i, 100 + i] for i in range(200)]
SHAPES = ("1/1", "1:1", "1;1", "1_1", "1*1", "1#1", "1x+1", "x1=1", "1%1")


def test_a_shape_that_only_fell_out_of_those_told_closes_nothing_and_one_that_is_gone_does(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "num"], NUMBERS))
    learn(write_csv("r.csv", ["id", "num"], [[i, f"X-{i % 10}" if i % 10 == 0 else n] for i, n in NUMBERS]))
    assert Finding.objects.get(kind="shape-changed").facts == {"masks": ["A-9"]}
    rare = [[i, "X-1" if i < 8 else SHAPES[i % 9]] for i in range(200)]
    learn(write_csv("r.csv", ["id", "num"], rare))
    assert "A-9" not in {m for m, _ in Dataset.objects.get().fields.get(name="num").profile["masks"]}
    shape = Finding.objects.get(facts={"masks": ["A-9"]})
    assert shape.settled_at is None
    learn(write_csv("r.csv", ["id", "num"], [[i, ""] for i in range(200)]))
    shape.refresh_from_db()
    assert shape.settled_at is None, "no value is there to look at"
    plan = learn(write_csv("r.csv", ["id", "num"], NUMBERS))
    shape.refresh_from_db()
    assert shape.evidence == f"{plan}: no value has the new shape any more; the one shape was looked at"


def test_an_emptied_column_is_filled_again_when_all_of_it_was_read(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "num"], NUMBERS))
    learn(write_csv("r.csv", ["id", "num"], [[i, "" if i % 2 else n] for i, n in NUMBERS]))
    assert ("emptied", "num") in open_kinds()
    learn(write_csv("r.csv", ["id", "num"], [[i, "" if i % 5 == 0 else n] for i, n in NUMBERS]))
    assert ("emptied", "num") in open_kinds(), "every fifth is more than before"
    learn(write_csv("r.csv", ["id", "num"], NUMBERS))
    assert closed()["emptied"].endswith("0 per mille are empty, as before")


@pytest.mark.parametrize(
    ("kind", "column", "bad", "good", "said"),
    [
        ("formula-cells", "note", "=A1", "a note", "no cell begins as a formula any more"),
        ("serial-dates", "birth date", "33000", "1990-05-07", "no value is a number of five digits any more"),
        ("lost-zeros", "code", "123", "00123", "all numbers have as many digits again"),
    ],
)
def test_a_spreadsheets_doing_is_gone_when_no_value_shows_it_not_when_fewer_do(
    write_csv: WriteCsv, kind: str, column: str, bad: str, good: str, said: str
) -> None:
    def rows(share: int, usual: str) -> list[list[object]]:
        return [[i, bad if i % share == 0 else usual] for i in range(100)]

    learn(write_csv("r.csv", ["id", column], rows(3, "41708") if kind == "lost-zeros" else rows(1, bad)))
    assert (kind, column) in open_kinds()
    learn(write_csv("r.csv", ["id", column], rows(50, good)))
    assert (kind, column) in open_kinds()
    learn(write_csv("r.csv", ["id", column], rows(1000, good)[1:]))
    assert closed()[kind].endswith(said)


def of_column(**told: object) -> FieldProfile:
    usual = FieldProfile(
        "c", 0, "text", "", 100, 0, 9, 1, 9, "text", "", "", personal=False, masks=(("99", 1000),), codes=(("a", 9),), codes_withheld=0
    )  # fmt: skip
    return replace(usual, **told)  # type: ignore[arg-type]


FACTS = {
    "type-changed": {"was": "text"}, "date-format-changed": {"was": ""}, "identifier-changed": {"was": ""}, "declared-type-changed": {"was": "text"},
    "codes-new": {"codes": ["b"]}, "codes-gone": {"codes": ["a"]}, "shape-changed": {"masks": ["А"]}, "emptied": {"nulls": 0},
    "formula-cells": {}, "serial-dates": {}, "lost-zeros": {},
}  # fmt: skip


def test_a_sample_shows_what_is_there_and_never_what_is_gone() -> None:
    def showed(sampled: bool, **told: object) -> set[str]:
        table = TableProfile("t", "", 1000, 100, sampled, (), (of_column(**told),))
        return {kind for kind, facts in FACTS.items() if gone(kind, facts, table, "c")}

    assert showed(sampled=False) == set(FACTS)
    assert showed(sampled=True) == {"declared-type-changed", "codes-gone"}
    by_values = {"shape-changed", *SUSPECTED}
    assert set(FACTS) - showed(sampled=False, passed_over=True) == by_values
    assert set(FACTS) - showed(sampled=False, masks_withheld=1) == by_values - {"formula-cells"}
    assert {"codes-new", *by_values} <= set(FACTS) - showed(sampled=False, nulls=100)


def test_the_attributes_owner_answers_else_the_organisation_else_nobody_yet(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id", "kind"], [[i, "AB"[i % 2]] for i in range(40)]))
    learn(write_csv("r.csv", ["id", "kind"], [[i, "ABC"[i % 3]] for i in range(42)]))
    (told,) = findings(NOW)
    assert (told.owner, told.owner_by, told.answers) == ("", "nobody", NOBODY)
    assert NOBODY.en == "nobody yet"
    doings.set_organisation("r.csv", "70000003")
    assert [(f.owner, f.owner_by) for f in findings(NOW)] == [("70000003", "dataset")]
    doings.name_owner("r.csv", "r", "kind", "70000002", "Statistics", "Law 1, art. 2", NOW, by="steward-1")
    assert [(f.owner, f.owner_unit, f.owner_by) for f in findings(NOW)] == [("70000002", "Statistics", "attribute")]
    assert findings(NOW, owner="70000003") == []


def test_a_new_column_is_settled_when_it_has_an_owner_and_a_meaning(write_csv: WriteCsv) -> None:
    learn(write_csv("r.csv", ["id"], [[i] for i in range(10)]))
    learn(write_csv("r.csv", ["id", "region"], [[i, "x"] for i in range(10)]))
    assert open_kinds() == [("column-new", "region")]
    doings.name_owner("r.csv", "r", "region", "70000002", "Registry", "Law 1", NOW, by="steward-1")
    doings.link_concept("r.csv", "r", "region", "person.registered_address", "steward", NOW)
    learn(write_csv("r.csv", ["id", "region"], [[i, "x"] for i in range(11)]))
    assert closed()["column-new"].endswith("an owner and a concept now")


def test_a_column_renamed_between_plan_and_apply_is_named(sqlite_register: Path) -> None:
    options = Options(Reading(tables=("schools",)))
    plan = doings.make_plan(harvest_source(str(sqlite_register), options), options, NOW, location=str(sqlite_register))
    with sqlite3.connect(sqlite_register) as db:
        db.execute("ALTER TABLE schools RENAME COLUMN area TO district")
    db.close()
    with pytest.raises(errors.PlanStale) as error:
        doings.apply_plan(plan.plan_id, NOW)
    assert "schools.area (not there any more; district is new: was it renamed?)" in error.value.text
    assert Dataset.objects.count() == 0
    assert Plan.objects.get().status == Plan.OPEN


def test_harvesting_one_table_of_a_source_leaves_the_others_as_they_were(sqlite_register: Path) -> None:
    learn(sqlite_register)
    learn(sqlite_register, "schools")
    assert Dataset.objects.filter(vanished=True).count() == 0
    assert open_kinds() == []


def test_a_vanished_table_that_comes_back_closes_its_finding(sqlite_register: Path) -> None:
    learn(sqlite_register)
    with sqlite3.connect(sqlite_register) as db:
        db.execute("ALTER TABLE schools RENAME TO parked")
    learn(sqlite_register)
    assert ("table-vanished", "") in open_kinds()
    with sqlite3.connect(sqlite_register) as db:
        db.execute("ALTER TABLE parked RENAME TO schools")
    learn(sqlite_register)
    db.close()
    assert closed()["table-vanished"].endswith("the table is there again, with 100 rows")
