"""Small registers made on the spot; nothing here is anybody's data."""

from __future__ import annotations

import csv
import sqlite3
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest

from kerege.catalogue.models import Dataset, Owner
from kerege.exchange.ids import MemberId, SubsystemId
from kerege.ground.text import Text
from kerege.membership import doings as membership

sys.path.insert(0, str(Path(__file__).parent))  # for what the tests beside this file share

from contract_births import NOW

WriteCsv = Callable[..., Path]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Write a CSV file: `write_csv("a.csv", ["x"], [["1"]])`."""

    def write(name: str, header: Sequence[str], rows: Sequence[Sequence[object]], **how: str) -> Path:
        path = tmp_path / name
        with path.open("w", encoding=how.get("encoding", "utf-8"), newline="") as file:
            writer = csv.writer(file, delimiter=how.get("delimiter", ","), lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def people(write_csv: WriteCsv) -> Path:
    """Sixty made-up people: PIN, name, birth date, sex, region, phone."""
    rows = [
        [f"{2 - i % 2}{1 + i % 28:02d}03{1990 + i % 20}{i:05d}", f"Асанов {'АБВГДЕЖЗИК'[i % 10]}ек", f"{1 + i % 28:02d}.03.{1990 + i % 20}",
         "МЖ"[i % 2], ["41702", "41703", "41708"][i % 3], f"+996 555 {100000 + i}"]
        for i in range(60)
    ]  # fmt: skip
    rows[7][4] = "41799"
    return write_csv("people.csv", ["pin", "fio", "birth", "pol", "region", "telefon"], rows)


@pytest.fixture
def sqlite_register(tmp_path: Path) -> Path:
    path = tmp_path / "register.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE schools (id INTEGER PRIMARY KEY, name TEXT, area TEXT, opened TEXT)")
        db.executemany(
            "INSERT INTO schools VALUES (?, ?, ?, ?)",
            [(i, f"School {i}", f"KGA-{i % 4:02d}", f"{1960 + i % 50}-09-01") for i in range(1, 101)],
        )
        db.execute('CREATE TABLE "empty one" (code TEXT)')
    return path


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[..., Path]:
    """Write an XLSX: rows as given; `merge` ranges such as "A1:B1"."""

    def write(name: str, rows: Sequence[Sequence[object]], merge: Sequence[str] = ()) -> Path:
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.title = "Data"
        for row in rows:
            sheet.append(list(row))
        for area in merge:
            sheet.merge_cells(area)
        path = tmp_path / name
        book.save(path)
        return path

    return write


@pytest.fixture
def dataset(db: None) -> Dataset:
    """The births of the civil registry, each field owned, and the member that asks for them."""
    for code, subsystem in (("70000001", "civil"), ("70000003", "admission")):
        member = MemberId("KG", "GOV", code)
        membership.register_member(member, Text(ky=code, ru=code, en=code), NOW)
        membership.register_subsystem(SubsystemId.parse(f"{member}/{subsystem}"), NOW)
    row = Dataset.objects.create(
        source="civil.sqlite", kind="sqlite", table="births", rows=1, profile={}, harvested_at=NOW
    )
    for position, name in enumerate(("act_no", "pol")):
        field = row.fields.create(name=name, position=position, profile={})
        Owner.objects.create(
            field=field, organisation="70000001", unit="Registry", legal_basis="Law", since=NOW - timedelta(days=1)
        )
    return row
