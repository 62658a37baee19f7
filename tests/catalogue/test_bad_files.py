"""Bad files get an error that names file, row and column and says what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kerege.catalogue import errors
from kerege.catalogue.inventory.harvest import Options, harvest_source
from kerege.catalogue.sources import Limits, Reading, open_source
from kerege.catalogue.sources.base import pick


def read(path: Path, **reading: object) -> int:
    options = Options(Reading(**reading))  # type: ignore[arg-type]
    return sum(t.rows for t in harvest_source(str(path), options).tables)


def refused(kind: type[errors.CatalogueError], path: Path, **reading: object) -> errors.CatalogueError:
    with pytest.raises(kind) as error:
        read(path, **reading)
    assert path.name in error.value.text
    assert error.value.next_step
    return error.value


def test_a_file_that_is_not_there_and_a_kind_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceMissing):
        open_source(str(tmp_path / "none.csv"))
    other = tmp_path / "letter.pdf"
    other.write_bytes(b"%PDF-1.7")
    with pytest.raises(errors.FormatUnknown):
        open_source(str(other))
    with pytest.raises(errors.FormatUnknown) as error:
        open_source("oracle://user:secret@host/db")
    assert "secret" not in str(error.value)


def test_half_a_last_row_without_line_end_is_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "half.csv"
    path.write_text("a,b,c\n1,2,3\n4,5")
    assert refused(errors.FileTruncated, path).params["row"] == 3


def test_a_quote_that_never_closes_is_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "half.csv"
    path.write_text('a,b\n1,"two\n3,4\n')
    assert refused(errors.FileTruncated, path).params["row"] == 2


def test_the_senders_count_is_checked_and_is_no_data(tmp_path: Path) -> None:
    path = tmp_path / "nightly.csv"
    path.write_text("\ufeffN_SPR;STATUS\n1;Д\n2;П\n#ROWS;2\n", encoding="utf-8")
    assert read(path) == 2
    path.write_text("N_SPR;STATUS\n1;Д\n#ROWS;2\n", encoding="utf-8")
    assert "counted 2 rows, 1 came" in refused(errors.FileTruncated, path).text


def test_a_file_that_must_be_counted_and_is_not_is_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "nightly.csv"
    path.write_text("N_SPR;STATUS\n1;Д\n2;П\n", encoding="utf-8")
    assert read(path) == 2
    assert "#ROWS;<n>" in refused(errors.FileTruncated, path, counted=True).text


def test_a_row_with_another_number_of_cells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,2\n1,2,3\n4,5\n")
    error = refused(errors.RowRagged, path)
    assert (error.params["row"], error.params["found"], error.params["expected"]) == (3, 3, 2)


def test_row_numbers_are_the_files_own_even_after_line_breaks_inside_cells(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text('a,b\n1,"two\nlines"\n\n3\n4,5\n')
    assert refused(errors.RowRagged, path).params["row"] == 5


def test_a_wrong_encoding_names_row_column_and_the_likely_right_one(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes("код;название\n1;Ош\n".encode("cp1251"))
    error = refused(errors.EncodingWrong, path)
    assert (error.params["row"], error.params["column"], error.params["guess"]) == (1, 1, "cp1251")
    assert read(path, encoding="cp1251") == 1


def test_good_utf8_read_as_cp1251_is_refused_and_not_turned_into_noise(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("код,название\n1,Ош\n", encoding="utf-8")
    assert refused(errors.EncodingWrong, path, encoding="cp1251").params["guess"] == "utf-8"


def test_utf16_is_seen_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes("a;b\n1;Ош\n".encode("utf-16"))
    assert refused(errors.EncodingWrong, path).params["guess"] == "utf-16"
    assert read(path, encoding="utf-16", delimiter=";") == 1


def test_a_huge_cell_is_refused_at_its_column(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    path.write_text("a,b\n1,2\n3," + "x" * 300_000 + "\n")
    error = refused(errors.CellTooLarge, path, limits=Limits(cell=1000))
    assert (error.params["row"], error.params["column"]) == (3, 2)
    path.write_text('a,b\n1,"' + "x\n" * 2000 + '"\n')
    assert refused(errors.CellTooLarge, path, limits=Limits(cell=1000)).params["row"] == 2


def test_a_cell_of_200_mb_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,")
        file.seek(200_000_000)  # a hole: the file says 200 MB and takes no disk
        file.write(b"\n")
    error = refused(errors.CellTooLarge, path)
    assert (error.params["row"], error.params["column"]) == (2, 2)


def test_a_file_without_anything_in_it_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "nothing.csv"
    path.write_text("")
    refused(errors.TableEmpty, path)


def test_two_columns_of_one_name_and_a_column_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("a,b,a\n1,2,3\n")
    assert refused(errors.HeaderTwice, path).params["column"] == "a"
    path.write_text("a,,c\n1,2,3\n")
    assert refused(errors.HeaderMerged, path).params["column"] == 2


def test_a_merged_header_is_refused_and_another_row_can_be_named(workbook: Callable[..., Path]) -> None:
    rows = [["Child", None, "School"], ["pin", "name", "code"], ["1", "x", "7"]]
    path = workbook("merged.xlsx", rows, merge=["A1:B1"])
    error = refused(errors.HeaderMerged, path)
    assert error.params["row"] == 1
    assert "--header-row" in error.next_step
    assert read(path, header_row=2) == 1


def test_a_spreadsheet_cut_in_the_middle_is_half_a_file(workbook: Callable[..., Path]) -> None:
    path = workbook("cut.xlsx", [["a"], *([i] for i in range(2000))])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "zip" in refused(errors.FileTruncated, path).text


def test_a_spreadsheet_with_a_damaged_part_is_half_a_file(workbook: Callable[..., Path], tmp_path: Path) -> None:
    path = workbook("bad.xlsx", [["a"], *([f"value {i * 7919}"] for i in range(3000))])
    with zipfile.ZipFile(path) as package:
        start = package.getinfo("xl/worksheets/sheet1.xml").header_offset + 200
    raw = bytearray(path.read_bytes())
    raw[start : start + 50] = bytes(50)
    path.write_bytes(raw)
    refused(errors.FileTruncated, path)


def test_a_zip_that_is_no_spreadsheet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("readme.txt", "hello")
    refused(errors.FileTruncated, path)


def test_codes_in_a_spreadsheet_stay_codes_and_dates_become_iso(workbook: Callable[..., Path]) -> None:
    import datetime as dt

    path = workbook(
        "kinds.xlsx",
        [["code", "day", "share"], [660, dt.date(2019, 3, 14), 0.5], [661.0, dt.datetime(2019, 3, 15, 8, 30), 2]],
    )
    assert list(pick(open_source(str(path))).rows()) == [
        ["660", "2019-03-14", "0.5"],
        ["661", "2019-03-15T08:30:00", "2"],
    ]


def test_an_ods_sheet_reads_like_the_others(tmp_path: Path) -> None:
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    document = OpenDocumentSpreadsheet()
    sheet = Table(name="Sheet")
    for line in (["code", "name"], ["1", "Ош"]):
        row = TableRow()
        for cell in line:
            box = TableCell(valuetype="string")
            box.addElement(P(text=cell))
            row.addElement(box)
        sheet.addElement(row)
    document.spreadsheet.addElement(sheet)
    path = tmp_path / "list.ods"
    document.save(str(path))
    assert list(pick(open_source(str(path))).rows()) == [["1", "Ош"]]


def test_a_sheet_that_is_not_there_is_told_with_those_that_are(workbook: Callable[..., Path]) -> None:
    path = workbook("one.xlsx", [["a"], ["1"]])
    with pytest.raises(errors.SourceMissing) as error:
        read(path, tables=("Other",))
    assert "Data" in error.value.next_step


def test_a_last_row_without_line_end_is_remarked_on_and_a_counted_or_ended_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "maybe.csv"
    for text, encoding, remarked in (
        ("a,b\n1,2\n3,400", "utf-8", True),
        ("a,b\n1,2\n3,400", "utf-16", True),
        ("a,b\n1,2\n", "utf-8", False),
        ("a,b\r\n1,2\r\n", "utf-16", False),
        ("a,b\n1,2\n#ROWS,1", "utf-8", False),
    ):
        path.write_bytes(text.encode(encoding))
        found = harvest_source(str(path), Options(Reading(encoding=encoding, delimiter=",")))
        said = (("maybe", "the last row has no line end (row 3); the file may be cut"),)
        assert found.remarks == (said if remarked else ()), (text, encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_cut_inside_a_letter_is_half_a_file_and_not_a_wrong_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "half.csv"
    path.write_bytes("код;имя\n1;Ош".encode(encoding)[:-1])
    error = refused(errors.FileTruncated, path, encoding=encoding, delimiter=";")
    assert error.params["row"] == 2
    assert "inside a letter" in error.text


def test_a_nul_in_a_file_is_told_with_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "nul.csv"
    path.write_bytes(b"a,b\n1,2\n3,x\0y\n")
    error = refused(errors.NotText, path)
    assert (error.params["row"], error.params["column"], error.params["what"]) == (3, 2, "NUL")
    assert "--encoding utf-16" in error.next_step
    path.write_bytes("a,b\n1,x\0y\n".encode("utf-16"))
    assert refused(errors.NotText, path, encoding="utf-16", delimiter=",").params["column"] == 2


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp866"])
@pytest.mark.parametrize("noise", [bytes(range(256)), bytes(64), b"\x7fELF\x02\x01\x01", b"\x1f\x8b\x08\x04 gz"])
def test_bytes_that_are_no_text_are_never_a_table_of_0_rows(tmp_path: Path, noise: bytes, encoding: str) -> None:
    path = tmp_path / "noise.csv"
    path.write_bytes(noise)
    with pytest.raises(errors.SourceError, match=r"noise\.csv, row 1, column 1"):
        read(path, encoding=encoding)


def test_an_empty_sheet_that_was_asked_for_is_an_empty_table(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.create_sheet("Empty")
    path = tmp_path / "x.xlsx"
    book.save(path)
    assert "no header" in refused(errors.TableEmpty, path).text
    book["Sheet"].append(["a", "b"])
    book["Sheet"].append(["1", "2"])
    book.save(path)
    assert read(path) == 1
    assert "table Empty" in refused(errors.TableEmpty, path, tables=("Empty",)).text
    assert "table Sheet" in refused(errors.TableEmpty, path, header_row=9).text


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SMALL_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Type="{_OFFICE}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="Data" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Type="{_OFFICE}/worksheet" '
    'Target="worksheets/sheet1.xml"/></Relationships>',
}


def workbook_with_a_cell_of(path: Path, megabytes: int) -> None:
    """Two columns a and b; cell B2 holds so many megabytes. Written in pieces, a few hundred kilobytes on disk."""

    def cell(place: str, text: str) -> str:
        return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, text in _SMALL_PARTS.items():
            package.writestr(name, text)
        with package.open("xl/worksheets/sheet1.xml", "w") as sheet:
            begin = f'<row r="1">{cell("A1", "a")}{cell("B1", "b")}</row><row r="2">{cell("A2", "1")}'
            sheet.write(f'<worksheet xmlns="{_MAIN}"><sheetData>{begin}<c r="B2" t="inlineStr"><is><t>'.encode())
            for _ in range(megabytes):
                sheet.write(b"x" * 1_000_000)
            sheet.write(b"</t></is></c></row></sheetData></worksheet>")


@pytest.mark.parametrize("megabytes", [2, 200])
def test_a_spreadsheet_cell_of_200_mb_is_refused_before_it_is_in_memory(
    tmp_path: Path, megabytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.xlsx"
    workbook_with_a_cell_of(path, megabytes)
    if megabytes == 200:
        monkeypatch.setattr("kerege.catalogue.sources.sheets.CalamineWorkbook", None)  # it would hold the cell whole
    error = refused(errors.CellTooLarge, path)
    assert (error.params["row"], error.params["column"], error.params["limit"]) == (2, 2, 1_000_000)
