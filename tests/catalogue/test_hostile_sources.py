"""Sources made to hang, to fill the memory, to be written to, or to tell what they should not: each is bounded, left as it was, or kept quiet."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.inventory.masks import mask
from kerege.catalogue.sources import Limits, Reading
from kerege.catalogue.sources.structure import is_name

PIN = "21504199000123"
SHORT = Options(Reading(Limits(seconds=1)))
FEW = Options(Reading(Limits(rows=50, sample=20)))


def sqlite(path: Path, *statements: str) -> str:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return str(path)


def duck(path: Path, *statements: str) -> str:
    with duckdb.connect(str(path)) as database:
        for statement in statements:
            database.execute(statement)
    return str(path)


def profiles(text: str, options: Options | None = None) -> dict[str, Any]:
    return {f"{t.name}.{f.name}": f for t in harvest_source(text, options).tables for f in t.fields}


def whole_trace(wrong: BaseException) -> str:
    """What a log would hold of it."""
    return "".join(traceback.format_exception(wrong))


# --- it ends, and leaves nothing behind ---


def test_a_view_without_end_is_stopped_by_the_time_a_query_may_take(tmp_path: Path) -> None:
    endless = "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    with pytest.raises(errors.SourceSlow):
        harvest_source(sqlite(tmp_path / "a.sqlite", "CREATE TABLE t (x)", endless), SHORT)
    endless = "CREATE VIEW v AS SELECT count(*) AS n FROM range(1000000000000) t(i) WHERE i % 7 = 9"
    with pytest.raises(errors.SourceSlow):
        harvest_source(duck(tmp_path / "a.duckdb", endless), SHORT)


def test_reading_a_sqlite_file_with_a_write_ahead_log_leaves_no_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    source = sqlite(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    assert profiles(source)["t.x"].rows == 1
    assert os.listdir(tmp_path) == ["log.sqlite"]


def test_a_sqlite_file_somebody_writes_to_is_read_with_what_its_log_holds(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in ("PRAGMA journal_mode = WAL", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2)"):
            writer.execute(statement)
        assert profiles(str(path))["t.x"].rows == 2
    finally:
        writer.close()


def test_duckdb_may_not_spill_beside_the_register(tmp_path: Path) -> None:
    from kerege.catalogue.sources.lake import DuckFile

    source = DuckFile(Path(duck(tmp_path / "a.duckdb", "CREATE TABLE t AS SELECT 1 AS x")), Reading())
    try:
        assert source._db.execute("SELECT current_setting('temp_directory')").fetchone() == ("",)
    finally:
        source.close()


def test_a_duckdb_file_somebody_writes_to_is_said_to_be_in_use_and_not_damaged(tmp_path: Path) -> None:
    path = duck(tmp_path / "a.duckdb", "CREATE TABLE t AS SELECT 1 AS x")
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        with pytest.raises(errors.SourceDown, match="another process has it open"):
            harvest_source(path)
        other.communicate(b"")


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE t (x TEXT PRIMARY KEY) WITHOUT ROWID", "INSERT INTO t SELECT value FROM generated"),
        ("CREATE VIEW t AS SELECT value AS x FROM generated",),
    ],
)
def test_what_has_no_row_numbers_gives_its_first_rows_and_says_so(tmp_path: Path, statements: tuple[str, ...]) -> None:
    numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) SELECT x AS value FROM c"
    source = sqlite(tmp_path / "a.sqlite", f"CREATE TABLE generated AS {numbers}", *statements)
    found = harvest_source(source, FEW)
    table = next(t for t in found.tables if t.name == "t")
    assert (table.rows, table.total_rows, table.sampled) == (20, 200, True)
    assert "not a sample" in dict(found.remarks)["t"]


def test_a_table_numbered_by_twos_is_sampled_like_any_other(tmp_path: Path) -> None:
    source = sqlite(
        tmp_path / "a.sqlite", "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 2 FROM c WHERE x < 4000) INSERT INTO t SELECT x FROM c",
    )  # fmt: skip
    rows = profiles(source, Options(Reading(Limits(rows=500, sample=250))))["t.id"].rows
    assert 125 < rows < 500


# --- it does not lead out ---


def test_a_parquet_file_called_like_a_pattern_is_that_file_alone(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir(), folder.mkdir()
    duckdb.execute(f"COPY (SELECT 'theirs' AS a) TO '{outside}/s.parquet' (FORMAT parquet)")
    duckdb.execute(f"COPY (SELECT 'mine' AS a) TO '{folder}/m.parquet' (FORMAT parquet)")
    (folder / "m.parquet").rename(folder / "*.parquet")
    (folder / "s.parquet").symlink_to(outside / "s.parquet")
    assert profiles(str(folder))["folder.a"].rows == 1
    shutil.copy(outside / "s.parquet", tmp_path / "a[1]?.parquet")
    assert profiles(str(tmp_path / "a[1]?.parquet"))["a[1]?.a"].rows == 1


# --- it is bounded ---


def sheet(path: Path, cells: str) -> str:
    office = "http://schemas.openxmlformats.org/"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{office}package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/s.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{office}package/2006/relationships"><Relationship Id="r1" '
        f'Type="{office}officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{office}spreadsheetml/2006/main" xmlns:r="{office}officeDocument/2006/relationships">'
        '<sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{office}package/2006/relationships"><Relationship Id="r1" '
        f'Type="{office}officeDocument/2006/relationships/worksheet" Target="s.xml"/></Relationships>',
        "xl/s.xml": f'<worksheet xmlns="{office}spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>',
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as package:
        for name, text in parts.items():
            package.writestr(name, f'<?xml version="1.0"?>{text}')
    return str(path)


def cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def test_two_cells_in_the_corners_of_a_sheet_do_not_take_half_a_terabyte(tmp_path: Path) -> None:
    far = f'<row r="1">{cell("A1", "a")}</row><row r="1048576">{cell("XFD1048576", "b")}</row>'
    with pytest.raises(errors.SheetTooWide, match="row 1048576 and column 16384"):
        harvest_source(sheet(tmp_path / "far.xlsx", far))
    many = "urn:oasis:names:tc:opendocument:xmlns:{0}:1.0"
    spaces = " ".join(f'xmlns:{name}="{many.format(name)}"' for name in ("office", "table"))
    filled = '<table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/>'
    with zipfile.ZipFile(tmp_path / "far.ods", "w") as package:
        row = f'<table:table-row table:number-rows-repeated="1048576">{filled}</table:table-row>'
        package.writestr("content.xml", f"<office:document-content {spaces}>{row}</office:document-content>")
    with pytest.raises(errors.SheetTooWide, match="row 1048576 and column 16384"):
        harvest_source(str(tmp_path / "far.ods"))
    near = f'<row r="1">{cell("A1", "a")}</row><row r="2">{cell("A2", "b")}</row>'
    assert profiles(sheet(tmp_path / "near.xlsx", near))["s.a"].rows == 1


def test_a_header_of_too_many_columns_is_refused_before_each_is_compared_with_all(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(";".join(f"c{n}" for n in range(100_000)) + "\n")
    with pytest.raises(errors.HeaderTooWide, match="100000 columns"):
        harvest_source(str(tmp_path / "wide.csv"))


def answering(schema: Any, schemas: dict[str, Any], path: str = "/persons") -> dict[str, Any]:
    answer = {"200": {"content": {"application/json": {"schema": schema}}}}
    return {"openapi": "3.1.0", "paths": {path: {"get": {"responses": answer}}}, "components": {"schemas": schemas}}


def described(folder: Path, document: dict[str, Any]) -> str:
    (folder / "api.json").write_text(json.dumps(document))
    return str(folder / "api.json")


def test_types_that_lead_thousands_deep_are_an_error_and_no_crash(tmp_path: Path) -> None:
    here = "#/components/schemas/S"
    chain: dict[str, Any] = {f"S{n}": {"allOf": [{"$ref": f"{here}{n + 1}"}]} for n in range(3000)}
    with pytest.raises(errors.DescriptionTooLarge, match="levels"):
        harvest_source(described(tmp_path, answering({"$ref": f"{here}0"}, chain | {"S3000": {"type": "string"}})))
    down, up = "<xsd:sequence>" * 200, "</xsd:sequence>" * 200
    types = "".join(
        f'<xsd:complexType name="T{n}">{down}<xsd:element name="x" type="t:T{n + 1}"/>{up}</xsd:complexType>'
        for n in range(10)
    )
    (tmp_path / "deep.wsdl").write_text(
        '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:t="u" '
        f'targetNamespace="u"><types><xsd:schema targetNamespace="u"><xsd:element name="e" type="t:T0"/>{types}</xsd:schema></types>'
        '<message name="m"><part name="p" element="t:e"/></message>'
        '<portType name="p"><operation name="o"><output message="t:m"/></operation></portType></definitions>'
    )
    with pytest.raises(errors.DescriptionTooLarge, match="levels"):
        harvest_source(str(tmp_path / "deep.wsdl"))


# --- it keeps quiet ---


def test_one_persons_number_is_no_code_however_many_records_have_it(tmp_path: Path) -> None:
    rows = [PIN] * 40 + ["22112345"] * 60 + ["aigul@mail.kg"] * 20
    (tmp_path / "clients.csv").write_text("client;n\n" + "".join(f"{c};{n % 9}\n" for n, c in enumerate(rows)))
    found = profiles(str(tmp_path / "clients.csv"))["clients.client"]
    assert (found.codes, found.codes_withheld, found.personal) == ((("22112345", 60),), 2, False)
    shared = profiles(str(tmp_path / "clients.csv"), Options(share=("client",)))["clients.client"]
    assert (PIN, 40) in shared.codes


def test_a_file_without_a_header_does_not_make_its_first_record_one(tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text(f"{PIN};Асанов\n21504199000124;Бекова\n")
    with pytest.raises(errors.HeaderIsData) as wrong:
        harvest_source(str(tmp_path / "bare.csv"))
    assert "column 1" in str(wrong.value)
    assert PIN not in whole_trace(wrong.value)
    (tmp_path / "bare.csv").write_text(f"1;2\n{PIN};Асанов\n")
    assert "bare.1" in profiles(str(tmp_path / "bare.csv"))  # poor names, but nobody's


def test_values_in_a_declared_type_are_counted_and_not_told(tmp_path: Path) -> None:
    source = duck(
        tmp_path / "a.duckdb", "CREATE TABLE p AS SELECT 'Асанов''ев ' || i AS n FROM range(3) t(i)",
        "CREATE TYPE names AS ENUM (SELECT n FROM p)",
        "CREATE TABLE q AS SELECT n::names AS n, {'a': n::names} AS s, [n::names] AS l FROM p", "DROP TABLE p",
    )  # fmt: skip
    declared = {name: f.declared_type for name, f in profiles(source).items()}
    assert declared == {"q.n": "ENUM(3 values)", "q.s": "STRUCT(a ENUM(3 values))", "q.l": "ENUM(3 values)[]"}


def test_a_partitions_value_is_no_part_of_a_tables_name(tmp_path: Path) -> None:
    folder = tmp_path / "persons"
    for n, columns in enumerate(("1 AS a", "1 AS a, 2 AS b")):
        (folder / f"pin={PIN[:-1]}{n}").mkdir(parents=True)
        duckdb.execute(f"COPY (SELECT {columns}) TO '{folder}/pin={PIN[:-1]}{n}/x.parquet' (FORMAT parquet)")
    assert [t.name for t in harvest_source(str(folder)).tables] == ["pin=*/x", "pin=*/x_2"]
    (folder / f"pin={PIN[:-1]}1" / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(errors.FileTruncated) as wrong:
        harvest_source(str(folder))
    assert PIN[:-1] not in str(wrong.value)


@pytest.mark.parametrize("make", [
    lambda folder: duck(folder / "a.duckdb", "CREATE TABLE p AS SELECT 'Асанов' AS n", "CREATE VIEW v AS SELECT n::INT AS i FROM p"),
    lambda folder: sqlite(folder / "a.sqlite", "CREATE TABLE p (n)", "INSERT INTO p VALUES ('{Асанов')",
                          "CREATE VIEW v AS SELECT json_extract(n, '$.Асанов') AS i FROM p"),
])  # fmt: skip
def test_an_error_of_a_source_logs_no_value_that_its_database_named(
    tmp_path: Path, make: Callable[[Path], str]
) -> None:
    with pytest.raises(errors.SourceError) as wrong:
        harvest_source(make(tmp_path))
    assert "Асанов" not in whole_trace(wrong.value)


def test_a_description_made_from_answers_tells_of_no_person(tmp_path: Path) -> None:
    fields = {"pin": {"enum": ["1", "2"]}, "client": {"enum": [PIN, "A"]}, "sex": {"const": "M"}}
    made = answering({"type": "object", "properties": fields}, {}, path=f"/person/{PIN}/{{part}}")
    found = profiles(described(tmp_path, made))
    assert {name: f.codes for name, f in found.items()} == {
        "GET /person/*/{part}.pin": (), "GET /person/*/{part}.client": (("A", 0),), "GET /person/*/{part}.sex": (("M", 0),),
    }  # fmt: skip


def test_a_mask_holds_nothing_that_moves_a_terminal_or_completes_a_letter() -> None:
    assert mask("\x1b[2J7") == "[9A9"
    assert mask("И\u0306ван") == "Аа"
    assert mask("a\u202eb\ue000c") == "a"


def test_a_key_that_is_an_address_of_e_mail_is_no_name_of_a_field() -> None:
    assert is_name("birth_date")
    assert not is_name("aigul@mail.kg")
