"""Code lists in files of every kind: what is written is read back, what is hostile or too large is refused with its place."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.semantics.codelists import sdmx as codelists_sdmx
from kerege.semantics.codelists import skos as codelists_skos
from kerege.semantics.codelists import tables as codelists_tables
from kerege.semantics.codelists.codelist import NOTE_KINDS, CodeList, Concept, Note
from kerege.semantics.codelists.files import FORMATS, Format, format_of, parse_codelist, read_codelist, write_codelist
from kerege.semantics.codelists.spreadsheets import as_meant, neutralised
from kerege.semantics.errors import CodeListInvalid, CodeListTooLarge

GRAPHS: tuple[Format, ...] = ("turtle", "rdfxml", "jsonld")
SDMX: tuple[Format, ...] = ("sdmx-ml-2.1", "sdmx-ml-3.0", "sdmx-json-1.0", "sdmx-json-2.0")
ENDINGS = {
    "turtle": "l.ttl", "rdfxml": "l.rdf", "jsonld": "l.jsonld", "csv": "l.csv", "xlsx": "l.xlsx", "sdmx-ml-2.1": "l.xml",
    "sdmx-ml-3.0": "l.xml", "sdmx-json-1.0": "l.json", "sdmx-json-2.0": "l.json",
}  # fmt: skip

# Letters of the languages, and everything that has meaning to some format; no characters that XML cannot hold
TEXT = st.text(
    st.sampled_from("aяөүң1 |\\@=+-;,'\"<&%/#é") | st.characters(codec="utf-8", categories=("L", "N", "P")),
    min_size=1,
    max_size=8,
)
WORD = TEXT.map(lambda t: t.strip()).filter(bool)
IDS = st.text("ABCabc019_@$-", min_size=1, max_size=4)
DAYS = st.none() | st.dates(date(1990, 1, 1), date(2030, 1, 1))
TAGS = st.sampled_from(["ky", "ru", "en", "uz", "ky-latn"])


@st.composite
def code_lists(draw: st.DrawFn, notations: st.SearchStrategy[str] = WORD) -> CodeList:
    names = draw(st.lists(notations, min_size=1, max_size=4, unique=True))
    concepts = []
    for index, name in enumerate(names):
        before = names[:index]
        above = draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
        others = st.lists(st.sampled_from(names), unique=True, max_size=2).map(sorted).map(tuple)
        kinds = st.builds(Note, st.sampled_from(NOTE_KINDS), st.sampled_from(["ky", "en"]), WORD)
        notes = draw(st.lists(kinds, max_size=2, unique_by=lambda n: (n.kind, n.language)))
        above.sort()
        concepts.append(
            Concept(
                name,
                draw(st.dictionaries(TAGS, WORD, max_size=2)),
                tuple(sorted(set(draw(st.lists(st.tuples(st.sampled_from(["", "ky", "en"]), WORD), max_size=2))))),
                above[0] if above else None,
                draw(DAYS),
                draw(DAYS),
                tuple(sorted(notes, key=lambda n: (NOTE_KINDS.index(n.kind), n.language != "ky"))),
                tuple(above[1:]),
                draw(others),
                draw(others),
            )
        )
    return CodeList(
        "t:list", tuple(concepts), draw(st.dictionaries(TAGS, WORD, min_size=1, max_size=2)),
        draw(st.sampled_from(["", "1", "1.0", "2.1", "2024-01 б"])), "", draw(st.sampled_from(["", "0 %"])),
        draw(st.sampled_from(["", "t:next"])), draw(DAYS), draw(DAYS), draw(st.sampled_from(["", "НСК"])),
    )  # fmt: skip


def _plain(codelist: CodeList) -> list[tuple[object, ...]]:
    """What a list says, whatever order a format keeps labels and alternatives in."""
    return [
        (c.notation, sorted(c.labels.items()), sorted(c.alt_labels), c.broader, c.valid_from, c.valid_to,
         sorted((n.kind, n.language, n.text) for n in c.notes), set(c.also_broader), set(c.related), set(c.replaced_by))
        for c in codelist
    ]  # fmt: skip


def _header(codelist: CodeList) -> tuple[object, ...]:
    return (
        codelist.id, sorted(codelist.title.items()), codelist.version, codelist.follows, codelist.replaced_by,
        codelist.valid_from, codelist.valid_to, codelist.publisher,
    )  # fmt: skip


@pytest.mark.parametrize("format_", GRAPHS)
@given(code_lists())
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_list_written_as_a_graph_is_read_back_the_same(format_: Format, codelist: CodeList) -> None:
    again = parse_codelist(write_codelist(codelist, format_), ENDINGS[format_])
    assert _plain(again) == _plain(codelist)
    assert _header(again) == _header(codelist)


@pytest.mark.parametrize("format_", SDMX)
@given(code_lists(IDS))
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_list_written_as_sdmx_is_read_back_the_same(format_: Format, codelist: CodeList) -> None:
    again = parse_codelist(write_codelist(codelist, format_), ENDINGS[format_], format_=format_)
    assert _plain(again) == _plain(codelist)
    assert _header(again) == _header(codelist)


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
@given(code_lists())
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_list_written_as_a_table_is_read_back_the_same(format_: Format, codelist: CodeList) -> None:
    again = parse_codelist(write_codelist(codelist, format_), ENDINGS[format_], "t:list")
    assert _plain(again) == _plain(codelist)


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_list_gives_the_same_bytes(format_: Format) -> None:
    codelist = CodeList("t:l", (Concept("1", {"en": "one"}), Concept("0", {"en": "nought"}, broader="1")), {"en": "L"})
    assert write_codelist(codelist, format_) == write_codelist(codelist, format_)


@given(st.text(max_size=6) | st.text("'=+-@\t\r\n1", max_size=6))
def test_a_neutralised_cell_never_begins_a_formula_and_comes_back_as_meant(text: str) -> None:
    written = neutralised(text)
    assert not written[:1] or written[0] not in "=+-@\t\r\n"
    assert as_meant(written) == text


HOSTILE = CodeList(
    "t:h",
    (
        Concept("=1+1", {"en": "@SUM(A1)", "ru": '=cmd|" /C calc"!A0'}, (("", "-2+3"),)),
        Concept("007", {"en": "'+bond"}),
    ),
)


def test_a_formula_in_a_label_is_text_in_csv() -> None:
    cells = [
        cell for row in csv.reader(io.StringIO(write_codelist(HOSTILE, "csv").decode("utf-8-sig"))) for cell in row
    ]
    assert {"'=1+1", "'@SUM(A1)"} <= set(cells)
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@")]
    assert _plain(parse_codelist(write_codelist(HOSTILE, "csv"), "h.csv", "t:h")) == _plain(HOSTILE)


def test_a_formula_in_a_label_is_a_text_cell_in_xlsx_also_to_other_readers() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(write_codelist(HOSTILE, "xlsx"))).worksheets[0]
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row if cell.value is not None]
    assert {cell.value for cell in cells} >= {"=1+1", "@SUM(A1)", "007"}
    assert {cell.data_type for cell in cells} == {"s"} or {cell.data_type for cell in cells} == {"inlineStr"}
    assert all(cell.quotePrefix for cell in cells)
    assert _plain(parse_codelist(write_codelist(HOSTILE, "xlsx"), "h.xlsx", "t:h")) == _plain(HOSTILE)


def _workbook(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        assert book.active is not None
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_excels_dates_in_the_place_of_codes_are_refused_with_their_row() -> None:
    data = _workbook([["notation", "en"], ["1-1", "a"], [dt.datetime(2026, 2, 1), "b"]])
    with pytest.raises(CodeListInvalid, match=r"row 3: the notation arrived as a date"):
        parse_codelist(data, "x.xlsx")


def test_lost_leading_zeros_are_refused_with_their_row() -> None:
    data = _workbook([["notation", "en"], ["012", "a"], [7, "b"]])
    with pytest.raises(CodeListInvalid, match=r"row 3: .* leading zeros are lost"):
        parse_codelist(data, "x.xlsx")
    assert [c.notation for c in parse_codelist(_workbook([["notation", "en"], [1, "a"], [2, "b"]]), "x.xlsx")] == [
        "1",
        "2",
    ]


def test_a_zip_bomb_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codelists_tables, "_UNPACKED", 1 << 20)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/worksheets/sheet1.xml", b"0" * (5 << 20))
    assert len(out.getvalue()) < 20_000
    with pytest.raises(CodeListTooLarge, match="bytes unpacked came"):
        parse_codelist(out.getvalue(), "bomb.xlsx")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 half", b"notation,en\n1,a\n"])
def test_a_file_that_is_no_spreadsheet_is_refused(data: bytes) -> None:
    with pytest.raises(CodeListInvalid, match="damaged or of another kind"):
        parse_codelist(data, "x.xlsx")


def test_two_million_rows_in_a_code_list_are_refused_with_what_came() -> None:
    data = b"notation\n" + b"".join(b"%d\n" % n for n in range(2_000_000))
    with pytest.raises(CodeListTooLarge, match="2000000 rows came, up to 200000 are read"):
        parse_codelist(data, "people.csv")


@pytest.mark.parametrize("format_", ["turtle", "sdmx-ml-3.0", "sdmx-json-2.0", "xlsx"])
def test_every_format_is_bounded(format_: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_codelist(CodeList("t:l", tuple(Concept(str(n), {"en": str(n)}) for n in range(12))), format_)
    for module in (codelists_skos, codelists_sdmx, codelists_tables):
        monkeypatch.setattr(module, "MOST_CODES", 10)
    with pytest.raises(CodeListTooLarge, match=r"12 (concepts|codes)|13 rows"):
        parse_codelist(data, ENDINGS[format_])


def _file(text: str) -> Callable[[], bytes]:
    return lambda: text.encode()


ENTITY = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("l.rdf", ENTITY + "<r>&x;</r>", "document type declaration"),
        ("l.xml", ENTITY + "<r>&x;</r>", "document type declaration"),
        ("l.xml", "<a>", "not XML"),
        ("l.xml", "<a/>", "one SDMX codelist was expected, there are 0"),
        ("l.json", "{}", "not an SDMX-JSON"),
        ("l.json", '{"data": {"codelists": [{}, {}]}}', "one SDMX codelist"),
        ("l.jsonld", '{"@context": "https://e.org/c", "@id": "x"}', "not JSON-LD"),
        ("l.csv", "notation,en,en\n", "stands twice"),
        ("l.csv", "notation,colour\n1,red\n", "'colour' is not one of a code list"),
        ("l.csv", 'notation,en\n1,"half', "line 2"),
        ("l.docx", "", "should end in one of"),
    ],
)
def test_a_hostile_or_broken_file_is_refused_in_words(name: str, data: str, reason: str) -> None:
    with pytest.raises(CodeListInvalid, match=reason):
        parse_codelist(data.encode(), name)


def test_a_notation_sdmx_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(CodeListInvalid, match=r"'1/1' cannot be an SDMX id"):
        write_codelist(CodeList("t:l", (Concept("1/1"),)), "sdmx-ml-2.1")


def test_foreign_sdmx_without_our_annotations_is_understood() -> None:
    message = """<m:Structure xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
      xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure" xmlns:c="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common">
      <m:Structures><s:Codelists><s:Codelist id="CL_SEX" agencyID="SDMX" version="2.1"><c:Name xml:lang="en">Sex</c:Name>
      <s:Code id="_T"><c:Name xml:lang="en">Total</c:Name></s:Code>
      <s:Code id="F"><c:Name xml:lang="en">Female</c:Name><c:Name xml:lang="fr">Femme</c:Name><c:Description xml:lang="en">women</c:Description>
      <s:Parent><Ref id="_T"/></s:Parent></s:Code></s:Codelist></s:Codelists></m:Structures></m:Structure>"""
    found = parse_codelist(message.encode(), "CL_SEX.xml")
    assert (found.id, found.version, found.title) == ("SDMX:CL_SEX", "2.1", {"en": "Sex"})
    female = found.get("F")
    assert female is not None
    assert (female.labels["fr"], female.broader, female.notes) == ("Femme", "_T", (Note("definition", "en", "women"),))


def test_the_format_is_seen_from_the_ending(tmp_path: Path) -> None:
    assert [format_of(n) for n in ("A.TTL", "b.ods", "c.json")] == ["turtle", "xlsx", "sdmx-json-2.0"]
    path = tmp_path / "kg-x.csv"
    path.write_text("notation;ru\n1;один\n", "utf-8")
    assert read_codelist(path, "kg:x").get("1") == Concept("1", {"ru": "один"})


SMALL = CodeList(
    "t:l",
    (
        Concept("1", {"en": "one", "ky": "бир"}, (("", "I"),), None, date(2020, 1, 1)),
        Concept("2", {"en": "two"}, broader="1"),
    ),
    {"en": "L"},
    "2.0",
)


@pytest.mark.parametrize("format_", FORMATS)
@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_file_is_read_or_refused_and_never_crashes(format_: Format, data: st.DataObject) -> None:
    good = write_codelist(SMALL, format_)
    kind = data.draw(st.sampled_from(["cut", "change", "insert", "swap"]))
    at = data.draw(st.integers(0, len(good) - 1))
    piece = data.draw(
        st.binary(min_size=1, max_size=4) | st.sampled_from([b"<", b'"', b"{", b"\x00", b"2020-13-45", b"-1", b"null"])
    )
    bad = {
        "cut": good[:at],
        "change": good[:at] + piece + good[at + len(piece) :],
        "insert": good[:at] + piece + good[at:],
    }
    damaged = bad.get(kind, good[at:] + good[:at])
    try:
        found = parse_codelist(damaged, ENDINGS[format_], format_=format_)
    except (CodeListInvalid, CodeListTooLarge):
        return
    assert isinstance(found, CodeList)
