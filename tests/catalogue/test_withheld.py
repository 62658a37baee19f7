"""No value that fewer than k records share stands in a plan or in the catalogue, whatever kind of source it came from."""

from __future__ import annotations

import csv
import json
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import openpyxl
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.models import Dataset, Field, Finding, Plan

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
K = 5
Rows = list[tuple[str, str]]


def as_csv(folder: Path, rows: Rows) -> Path:
    with (folder / "r.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("kind", "note"), *rows])
    return folder / "r.csv"


def as_xlsx(folder: Path, rows: Rows) -> Path:
    book = openpyxl.Workbook()
    for row in [("kind", "note"), *rows]:
        book.active.append(row)  # type: ignore[union-attr]
    book.save(folder / "r.xlsx")
    return folder / "r.xlsx"


def as_sqlite(folder: Path, rows: Rows) -> Path:
    with sqlite3.connect(folder / "r.sqlite") as db:
        db.execute("CREATE TABLE r (kind TEXT, note TEXT)")
        db.executemany("INSERT INTO r VALUES (?, ?)", rows)
    db.close()
    return folder / "r.sqlite"


def as_duckdb(folder: Path, rows: Rows) -> Path:
    with duckdb.connect(str(folder / "r.duckdb")) as db:
        db.execute("CREATE TABLE r (kind VARCHAR, note VARCHAR)")
        db.executemany("INSERT INTO r VALUES (?, ?)", rows)
    return folder / "r.duckdb"


def as_parquet(folder: Path, rows: Rows) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds, notes = zip(*rows, strict=True)
    pq.write_table(pa.table({"kind": kinds, "note": notes}), folder / "r.parquet")
    return folder / "r.parquet"


# words that stand nowhere else in a plan: no mask, type or sentence holds a double ж and a q
WORDS = st.integers(0, 40).map(lambda n: f"жжq{'абвгдеклмн'[n % 10]}{'опрстуфхцч'[n // 10 % 10]}")
ROWS = st.lists(st.tuples(WORDS, WORDS), min_size=8, max_size=120)


@pytest.mark.django_db(transaction=False)
@pytest.mark.parametrize("written", [as_csv, as_xlsx, as_sqlite, as_duckdb, as_parquet])
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=ROWS, after=ROWS)
def test_no_value_fewer_than_k_records_share_is_in_a_plan_or_the_catalogue(
    db: None, written: Callable[[Path, Rows], Path], before: Rows, after: Rows
) -> None:
    rare: set[str] = set()
    with tempfile.TemporaryDirectory() as folder, transaction.atomic():
        told = []
        for rows in (before, after):
            # a word may be told once it was common: rare is what was common in no column of either
            path = written(Path(folder), rows)
            plan = doings.make_plan(harvest_source(str(path)), Options(k=K), NOW, location=str(path))
            doings.apply_plan(plan.plan_id, NOW)
            path.unlink()
        common = {
            w for rows in (before, after) for i in (0, 1) for w, n in Counter(r[i] for r in rows).items() if n >= K
        }
        rare = {w for rows in (before, after) for r in rows for w in r} - common
        for model in (Plan, Dataset, Field, Finding):
            told.append(json.dumps(list(model.objects.values()), ensure_ascii=False, default=str))
        transaction.set_rollback(True)
    assert [w for w in rare if any(w in text for text in told)] == []


@given(st.lists(st.sampled_from(["Асанова Айгүл", "Токтогулов Бакыт", "Осмонова Гүлнара"]), min_size=30, max_size=60))
@settings(max_examples=10, deadline=None)
def test_names_of_persons_are_not_told_however_many_share_them(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = as_csv(Path(folder), [(n, "x") for n in names])
        text = json.dumps([t.as_dict() for t in harvest_source(str(path)).tables], ensure_ascii=False)
    assert "Айгүл" not in text
    assert "Бакыт" not in text
