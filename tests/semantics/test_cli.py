"""The commands `kerege map` and `kerege codelist`."""

from __future__ import annotations

import csv
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from kerege.cli import main

HEALTH = "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\n1;Асанов Азамат;2019-01-01;муж;Атлантида;;2024-05-06;Д\n"


def kerege(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    path = tmp_path / "vaccinations.csv"
    path.write_text(HEALTH + "#ROWS;1\n", "utf-8-sig")
    return path


def test_map_writes_canonical_json_and_counts_problems(nightly: Path) -> None:
    result = kerege("map", "kg:health.vaccination", nightly)
    assert result.exit_code == 0
    document = orjson.loads(result.stdout)
    assert document["records"][0]["surname_key"] == "asanov"
    assert document["mapping"]["id"] == "kg:health.vaccination"
    assert "1 record, 1 translated, 0 withheld" in result.stderr
    assert "region_soate: no counterpart for 'Атлантида'" in result.stderr


def test_map_writes_csv_to_a_file(nightly: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = kerege("map", "kg:health.vaccination", nightly, nightly, "--format", "csv", "--output", out)
    assert result.exit_code == 0
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [row["given_name_key"] for row in rows] == ["azamat", "azamat"]
    assert list(tmp_path.glob("*.new")) == []


def test_half_a_file_leaves_the_earlier_output_untouched(nightly: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.csv"
    half.write_text(HEALTH, "utf-8")
    out = tmp_path / "out.json"
    out.write_text("what was there")
    result = kerege("map", "kg:health.vaccination", nightly, half, "--output", out)
    assert result.exit_code == 2
    assert "semantics.payload_incomplete" in result.stderr
    assert out.read_text() == "what was there"


def test_of_several_files_the_one_in_error_is_named_with_row_and_column(nightly: Path, tmp_path: Path) -> None:
    bad = tmp_path / "monday.csv"
    for text, told in (
        (HEALTH.replace("OBLAST", "REGION") + "#ROWS;1\n", ["semantics.payload_columns", "the header lacks OBLAST"]),
        (HEALTH + "2;x\n#ROWS;2\n", ["semantics.payload_broken", "line 3, last readable column FIO"]),
        (HEALTH.replace("муж", "м\0"), ["semantics.payload_refused", "in line 2, field POL"]),
        (HEALTH + '2;"x', ["semantics.payload_incomplete", "line 3, column FIO"]),
    ):
        bad.write_text(text, "utf-8")
        result = kerege("map", "kg:health.vaccination", nightly, bad, nightly)
        assert result.exit_code == 2
        assert f"{bad}: The payload" in result.stderr
        assert all(part in result.stderr for part in told), result.stderr
        assert result.stdout == ""
    bad.write_bytes((HEALTH + "2;Асанов").encode()[:-1])
    assert "half a file: it ends inside a letter" in kerege("map", "kg:health.vaccination", bad).stderr


def test_an_unknown_mapping_names_the_known_ones(nightly: Path) -> None:
    result = kerege("map", "kg:nothing", nightly)
    assert result.exit_code == 2
    assert "kg:health.vaccination" in result.stderr


def test_codelist_check_of_the_pack_finds_no_error() -> None:
    result = kerege("codelist", "check")
    assert result.exit_code == 0
    assert "kg:sex: 4 codes, 0 findings" in result.stdout


def test_codelist_check_of_a_bad_file_names_the_code_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("notation,ky,ru,en\n1,a,b,c\n1,d,e,f\n", "utf-8")
    result = kerege("codelist", "check", path)
    assert result.exit_code == 1
    assert "notation_twice" in result.stdout
    other = tmp_path / "t.txt"
    other.write_text("")
    assert "semantics.codelist_invalid" in kerege("codelist", "check", other).stderr


def test_codelist_list_and_show() -> None:
    listed = kerege("codelist", "list").stdout
    assert "kg:education-status--enrolment-status" in listed
    assert "unmapped: quarantine" in listed
    assert "аял" in kerege("codelist", "show", "kg:sex", "--language", "ky").stdout
