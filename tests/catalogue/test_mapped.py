"""A mapping runs over a file as it runs on the wire, and counts what it could not read."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import kerege.country
from kerege.catalogue import errors
from kerege.catalogue.mappings.harmonise import quarantine_path
from kerege.catalogue.mappings.mapped import MappedReport, map_table
from kerege.catalogue.sources import open_source
from kerege.catalogue.sources.base import pick
from kerege.semantics.pack import load_pack

PACK = load_pack(Path(next(iter(kerege.country.__path__))) / "kg")
NIGHTLY = (
    "\ufeffN_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\n"
    "V1;Асанов Бек Маратович;2019-03-14;муж;Чуй облусу;;2026-01-10;Д\n"
    "V2;Бакирова Айша Нурлановна;2019-05-02;жен;Нарын облусу;;2026-01-11;П\n"
    "V3;Сыдыков Эрлан Таалаевич;2019-02-31;муж;Атлантида;;2026-01-12;Д\n"
    "#ROWS;3\n"
)


def run(folder: Path, text: str) -> MappedReport:
    path = folder / "vaccinations.csv"
    path.write_text(text, encoding="utf-8")
    source = open_source(str(path))
    return map_table(source, pick(source), PACK, "kg:health.vaccination", folder / "out.csv")


def test_every_record_gets_a_verdict_and_every_unknown_code_a_count(tmp_path: Path) -> None:
    report = run(tmp_path, NIGHTLY)
    assert report.read == report.verdicts.total() == 3
    assert report.problems["birth_date", "semantics.date_unreadable"] == 1
    assert report.unmapped["region_soate", "Атлантида"] == 1
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["certificate_no"], first["sex"], first["region_soate"], first["status"]) == (
        "V1",
        "1",
        "41708000000000",
        "valid",
    )
    written = report.verdicts["ok"] + report.verdicts["flagged"]
    assert len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) == written + 1
    assert quarantine_path(tmp_path / "out.csv").exists() == (written < 3)


def test_a_code_nobody_knew_is_told_with_the_crosswalk_and_the_sources_column_it_came_in(tmp_path: Path) -> None:
    report = run(tmp_path, NIGHTLY)
    assert report.recoded == {
        ("kg:health-sex--sex", "POL"): {},
        ("kg:health-region--soate", "OBLAST"): {"Атлантида": 1},
        ("kg:health-status--vaccination-status", "STATUS"): {},
    }
    assert report.filled == {"POL": 3, "OBLAST": 3, "STATUS": 3}


def test_a_cell_the_mapping_needs_that_vanished_stops_the_run_before_it_writes(tmp_path: Path) -> None:
    with pytest.raises(errors.ColumnVanished, match="OBLAST"):
        run(tmp_path, NIGHTLY.replace("OBLAST", "REGION"))
    assert [p.name for p in tmp_path.iterdir()] == ["vaccinations.csv"]


def test_half_a_delivery_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.FileTruncated):
        run(tmp_path, NIGHTLY.replace("#ROWS;3", "#ROWS;9"))
    assert [p.name for p in tmp_path.iterdir()] == ["vaccinations.csv"]
