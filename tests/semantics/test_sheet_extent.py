"""How far a sheet reaches is counted from its parts, before anything takes memory for the rectangle."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from kerege.catalogue.errors import FileTruncated, SheetBinary
from kerege.catalogue.inventory.harvest import harvest_source
from kerege.catalogue.sources import sheets
from kerege.semantics.codelists.files import parse_codelist
from kerege.semantics.codelists.sheet_extent import COMPOUND, Extent, column_number
from kerege.semantics.errors import CodeListInvalid

OFFICE = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
)
FILLED = '<table:table-cell office:value-type="string"{}><text:p>x</text:p></table:table-cell>'


def ods(*tables: str) -> bytes:
    return f"<office:document-content {OFFICE}>{''.join(f'<table:table>{t}</table:table>' for t in tables)}</office:document-content>".encode()


def reached(part: str, data: bytes, piece: int = 1 << 20) -> tuple[int, int, int]:
    extent = Extent(part)
    for start in range(0, len(data), piece):
        extent.feed(data[start : start + piece])
    extent.close()
    return extent.rows, extent.columns, extent.cells


def times(what: str, number: int) -> str:
    return f' table:number-{what}-repeated="{number}"'


FAR = [
    ("xl/worksheets/sheet1.xml", b'<row r="1500"><c r="XFD1500" t="n"><v>1</v></c></row>'),
    ("any.name", b"<row r = '1500'><c t='n'   r\n=\n'xfd1500'><v>1</v></c></row>"),
    ("content.xml", ods(f"<table:table-row{times('rows', 1500)}>{FILLED.format(times('columns', 16384))}</table:table-row>")),
    (
        "content.xml",
        ods(
            f"<table:table-row{times('rows', 1499)}><table:table-cell/></table:table-row>"
            f"<table:table-row><table:table-cell{times('columns', 16383)}/>{FILLED.format('')}</table:table-row>"
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("part", "data"), FAR)
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_a_cell_far_outside_is_found_in_whatever_pieces_the_part_comes(part: str, data: bytes, piece: int) -> None:
    assert reached(part, data, piece) == (1500, 16384, 1500 * 16384)


def test_blank_rows_and_cells_after_the_last_value_do_not_count() -> None:
    blank = f"<table:table-row{times('rows', 1048574)}><table:table-cell{times('columns', 16384)}/></table:table-row>"
    one = f"<table:table-row>{FILLED.format('')}<table:table-cell{times('columns', 16383)}/></table:table-row>"
    assert reached("content.xml", ods(one + blank)) == (1, 1, 1)
    assert reached("content.xml", ods(one + blank, one + one)) == (2, 1, 3)


def test_columns_are_counted_by_their_letters() -> None:
    assert [column_number(letters) for letters in (b"A", b"Z", b"aa", b"XFD")] == [1, 26, 27, 16384]


@pytest.mark.parametrize("data", [b"<a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe<"])
def test_content_that_is_not_plain_xml_is_no_spreadsheet(data: bytes) -> None:
    with pytest.raises(ValueError, match="spreadsheet's content"):
        reached("content.xml", data)


def package(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in parts.items():
            written.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(("part", "data"), FAR)
def test_a_code_list_with_one_cell_far_outside_is_refused_before_anything_reads_it(
    part: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("python_calamine.CalamineWorkbook", None)  # which would take a gigabyte
    with pytest.raises(CodeListInvalid, match=r"reaches to row 1500 and column 16384, .*Ctrl\+End"):
        parse_codelist(package({part: data}), "far.xlsx", "t:l")


def test_sheets_that_are_too_large_only_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("python_calamine.CalamineWorkbook", None)
    part = b'<row r="20000"><c r="CV20000"><v>1</v></c></row>'
    with pytest.raises(CodeListInvalid, match="the sheets to more than 8000000 cells"):
        parse_codelist(package({f"xl/s{n}.xml": part for n in range(5)}), "many.xlsx", "t:l")


BINARY = {
    "xlsb": package({"xl/Workbook.bin": b"1"}),
    "xlsb written on Windows": package({"xl\\workbook.bin": b"1"}),
    "xls": COMPOUND + bytes(6_000),
    "xls before a container": COMPOUND + package({"xl/workbook.xml": b"1"}),
}


@pytest.mark.parametrize("data", BINARY.values(), ids=BINARY)
@pytest.mark.parametrize("ending", [".xlsx", ".ods"])
def test_a_workbook_of_a_kind_whose_extent_cannot_be_told_is_refused_under_any_name(
    data: bytes, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("python_calamine.CalamineWorkbook", None)  # whose reader of XLS ends the whole process
    monkeypatch.setattr(sheets, "CalamineWorkbook", None)
    with pytest.raises(CodeListInvalid, match=r"binary workbook .*save it as XLSX"):
        parse_codelist(data, f"x{ending}", "t:l")
    (tmp_path / f"x{ending}").write_bytes(data)
    with pytest.raises(SheetBinary, match="binary workbook") as refused:
        harvest_source(str(tmp_path / f"x{ending}"))
    assert "save it as XLSX" in refused.value.hint


@pytest.mark.parametrize("ending", [".xls", ".XLS", ".xlsb", ".xla"])
def test_a_binary_workbook_is_refused_by_its_name_whatever_it_holds(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "CalamineWorkbook", None)
    (tmp_path / f"x{ending}").write_bytes(package({"xl/workbook.xml": b"1"}))
    with pytest.raises(SheetBinary, match="binary workbook"):
        harvest_source(str(tmp_path / f"x{ending}"))


def test_what_does_not_begin_as_a_container_is_no_spreadsheet(tmp_path: Path) -> None:
    for data in (b"", b"\x09\x08\x10\x00" + bytes(600), b"<html>" + package({"a": b"1"})):
        (tmp_path / "x.xlsx").write_bytes(data)
        with pytest.raises(FileTruncated, match="does not begin as a zip container"):
            harvest_source(str(tmp_path / "x.xlsx"))
