"""Drift between two harvests becomes findings with an owner, and a finding closes itself when the drift is gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.findings import NOBODY, findings
from kerege.catalogue.inventory.harvest import Options, harvest_source
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
    assert told["codes-new"] == f"{plan}: none of 1 codes is seen any more"
    assert told["codes-gone"] == f"{plan}: all 1 codes are seen again"
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
