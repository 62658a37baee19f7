"""Registers as they should not be: each gives a clear word with its place, and nothing that was known is lost."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory import doings
from kerege.catalogue.inventory.findings import findings
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.inventory.profile import FieldProfile
from kerege.catalogue.inventory.suspicions import suspicions
from kerege.catalogue.mappings.harmonise import Step, harmonise
from kerege.catalogue.models import Plan
from kerege.catalogue.sources import open_source
from kerege.catalogue.sources.base import pick
from kerege.semantics.codelists.spreadsheets import as_meant, neutralised
from kerege.semantics.crosswalks.sssom import Crosswalk, Row

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
WriteCsv = Callable[..., Path]
Workbook = Callable[..., Path]

_TWO_MILLION = """
import resource
from kerege.catalogue.inventory.profile import ColumnHead, profile_table
def rows():
    for i in range(2_000_000):
        yield i, (f"K{i * 7919 % 2_000_003}", "AB"[i % 2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = profile_table("t", [ColumnHead("code"), ColumnHead("kind")], rows())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code, kind = table.fields
print(after - before, code.distinct, code.distinct_about, len(code.codes), len(kind.codes), kind.distinct)
"""


def test_two_million_different_values_in_a_would_be_code_list_take_bounded_memory() -> None:
    done = subprocess.run([sys.executable, "-c", _TWO_MILLION], capture_output=True, text=True, check=True)
    kilobytes, distinct, about, codes, kinds, exact = done.stdout.split()
    assert int(kilobytes) < 120_000, f"{kilobytes} kB"
    assert abs(int(distinct) - 2_000_000) <= 100_000
    assert (about, codes, kinds, exact) == ("True", "0", "2", "2")


@pytest.mark.parametrize("count", [300_000, 500_000])
def test_an_estimate_of_different_values_is_within_three_per_cent(count: int) -> None:
    from kerege.catalogue.inventory.tally import Distinct

    seen = Distinct(many=True)
    for begin in range(0, count, 20_000):
        seen.add([f"{begin + i:08d}" for i in range(20_000)])
    assert not seen.exact
    assert abs(int(seen) - count) <= 0.03 * count


def test_cp1251_under_a_utf8_label_is_told_with_row_column_and_the_likely_encoding(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    rows = ["code;name;район".encode(), *(f"{i};latin only;x".encode() for i in range(2, 700)), "700;ok;Чүй ".encode()]
    path.write_bytes(b"\n".join([*rows, b"701;ok;" + "Ысык-Көл, Каракол".replace("ө", "о").encode("cp1251"), b""]))
    with pytest.raises(errors.EncodingWrong) as error:
        harvest_source(str(path))
    assert (error.value.params["row"], error.value.params["column"]) == (701, 3)
    assert (error.value.params["encoding"], error.value.params["guess"]) == ("utf-8", "cp1251")
    assert "--encoding cp1251" in error.value.next_step


@pytest.mark.django_db
def test_a_register_that_dies_between_two_tables_leaves_the_catalogue_as_it_was(
    sqlite_register: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kerege.catalogue.sources.databases import Database

    real = Database._rows

    def dying(self: Database, schema: str | None, name: str, *rest: object) -> object:
        if name == "schools":
            raise errors.SourceDown(source=self.name, reason="the connection ended in the middle of reading")
        return real(self, schema, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "_rows", dying)
    with pytest.raises(errors.SourceDown):
        doings.make_plan(harvest_source(str(sqlite_register)), Options(), NOW)
    assert Plan.objects.count() == 0


# --- spreadsheets ---


def profiles(path: Path) -> dict[str, FieldProfile]:
    return {f.name: f for t in harvest_source(str(path)).tables for f in t.fields}


def suspected(path: Path) -> dict[str, list[str]]:
    return {n: [kind for kind, _ in suspicions(f)] for n, f in profiles(path).items()}


def test_dates_that_became_numbers_are_told_with_their_column(workbook: Workbook) -> None:
    rows = [["id", "birth_date", "amount"], *([i, 29_000 + i * 3, 30_000 + i] for i in range(60))]
    path = workbook("dates.xlsx", rows)
    assert suspected(path) == {"id": [], "birth_date": ["serial-dates"], "amount": []}
    good = workbook("good.xlsx", [["id", "birth_date"], *([i, date(1980, 1, 1 + i % 28)] for i in range(60))])
    assert suspected(good)["birth_date"] == []


def test_codes_that_lost_their_leading_zeros_are_told_with_their_column(workbook: Workbook) -> None:
    codes = ["0401", "0402", "1203", "1204", "1305", "2406"]
    lost = [["id", "okpo_code", "visits"], *([i, int(codes[i % 6]), 1000 - i] for i in range(60))]
    assert suspected(workbook("lost.xlsx", lost)) == {"id": [], "okpo_code": ["lost-zeros"], "visits": []}
    kept = [["id", "okpo_code"], *([i, codes[i % 6]] for i in range(60))]
    assert suspected(workbook("kept.xlsx", kept))["okpo_code"] == []


EVIL = [
    '=HYPERLINK("http://evil.example","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "=1+1",
    "- 1+cmd|' /C calc'!A0",
    '+ HYPERLINK("http://evil.example")',
    "\uff1d1+1",
]
PLAIN = ["-5", "+996 555 123456", "-3,5", "+7 (495) 123-45-67", "-", "a=b", "—", "- нет"]


@pytest.mark.parametrize("cell", EVIL)
def test_a_cell_that_would_run_as_a_formula_is_neutralised(cell: str) -> None:
    assert neutralised(cell, numbers=False) == "'" + cell
    assert as_meant(neutralised("'" + cell, numbers=False)) == "'" + cell
    assert neutralised("\t" + cell, numbers=False).startswith("'")


@pytest.mark.parametrize("cell", PLAIN)
def test_numbers_telephones_and_dashes_are_left_as_they_are(cell: str) -> None:
    assert neutralised(cell, numbers=False) == cell == as_meant(cell)


@pytest.mark.django_db
def test_formulas_in_a_register_are_data_flagged_as_findings_and_written_so_that_nothing_runs(
    write_csv: WriteCsv, tmp_path: Path
) -> None:
    path = write_csv("r.csv", ["id", "note", "code"], [[i, EVIL[i % len(EVIL)], "A"] for i in range(20)])
    assert suspected(path) == {"id": [], "note": ["formula-cells"], "code": []}
    plan = doings.make_plan(harvest_source(str(path)), Options(), NOW, location=str(path))
    doings.apply_plan(plan.plan_id, NOW)
    assert [(f.kind, f.column) for f in findings(NOW)] == [("formula-cells", "note")]
    out = tmp_path / "out.csv"
    source = open_source(str(path))
    harmonise(source, pick(source), [Step("code", Crosswalk("kind", (Row("A", "1"),)), "code", "")], out)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [r[1] for r in rows[1 : len(EVIL) + 1]] == ["'" + cell for cell in EVIL]
    assert all(cell[:1] not in ("=", "+", "-", "@") for row in rows for cell in row)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/worksheets/sheet1.xml", b"0" * 5_000_000)
    raw = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (400_000_000).to_bytes(4, "little"))
    path.write_bytes(raw)
    began = time.process_time()
    with pytest.raises(errors.PackageTooLarge) as error:
        harvest_source(str(path))
    assert time.process_time() - began < 0.5
    assert error.value.params["unpacked"] == 400_000_000
    assert error.value.params["ratio"] > 200


def test_a_package_of_very_many_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        for i in range(10_500):
            package.writestr(f"xl/{i}", b"")
    with pytest.raises(errors.PackageTooLarge):
        harvest_source(str(path))


def test_a_part_that_says_less_than_it_holds_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "liar.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/worksheets/sheet1.xml", b"0" * 5_000_000)
    raw = bytearray(path.read_bytes())
    size = (5_000_000).to_bytes(4, "little")
    while (at := raw.find(size)) >= 0:
        raw[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(errors.FileTruncated):
        harvest_source(str(path))
