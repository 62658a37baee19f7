"""Payloads: what is read, and every way in which a provider's file can be broken."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.semantics.errors import (
    PayloadBroken,
    PayloadColumns,
    PayloadEncoding,
    PayloadIncomplete,
    PayloadRefused,
    SemanticsError,
)
from kerege.semantics.mappings import shape
from kerege.semantics.mappings.documents import Mapping, parse_mapping


def mapping(**source: Any) -> Mapping:
    cells = source.setdefault("cells", ["a", "b"])
    first = next(iter(cells))
    document = {"id": "t:m", "version": "1", "title": {"ky": "т", "ru": "т", "en": "t"}, "source": source}
    return parse_mapping({**document, "fields": {"x": [{"field": first}]}})


JSON = mapping(format="json", records="data", cells={"a": "a", "deep": "b.c"})
XML = mapping(format="xml", records="List/Row", namespace="urn:x")
CSV = mapping(format="csv", delimiter=";", trailer="#ROWS")


def xml(body: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><E><List xmlns="urn:x">{body}</List></E>'.encode()


# --- what is read -----------------------------------------------------------------------------------------------------------------


def test_json_values_become_text_and_paths_go_down() -> None:
    payload = '{"data": [{"a": 1, "b": {"c": true}}, {"a": null, "b": {}}, {"a": "я", "more": 5}]}'.encode()
    assert shape.decode(payload, "application/json; charset=utf-8", JSON) == [
        {"a": "1", "deep": "true"},
        {"a": None, "deep": None},
        {"a": "я", "deep": None},
    ]


def test_a_single_json_object_is_one_record_where_agreed() -> None:
    one = mapping(format="json", records="items", one=True, cells=["a"])
    assert shape.decode(b'{"a": "x"}', "", one) == [{"a": "x"}]
    assert shape.decode(b'{"items": [{"a": "x"}, {"a": "y"}]}', "", one) == [{"a": "x"}, {"a": "y"}]
    assert shape.decode(b'{"items": []}', "", one) == []


def test_xml_is_read_by_local_name_in_its_namespace() -> None:
    body = "<Row><a>1 &lt; 2</a><b/></Row><Row><a><![CDATA[x&y]]></a><b>я<!-- remark --></b><c>more</c></Row>"
    assert shape.decode(xml(body), "text/xml", XML) == [{"a": "1 < 2", "b": ""}, {"a": "x&y", "b": "я"}]


def test_xml_attributes_and_nested_elements_are_paths() -> None:
    found = mapping(format="xml", records="L/R", cells={"id": "@id", "name": "N/V", "kind": "N/@k"})
    assert shape.decode(b'<L><R id="7"><N k="x"><V>y</V></N></R></L>', "", found) == [
        {"id": "7", "name": "y", "kind": "x"}
    ]


def test_csv_with_mark_quotes_and_trailer_is_read() -> None:
    payload = '\ufeffb;a;more\r\n"x;1\r\n2";y;z\r\n;;\r\n#ROWS;2\r\n'.encode()
    assert shape.decode(payload, "text/csv", CSV) == [{"a": "y", "b": "x;1\r\n2"}, {"a": "", "b": ""}]


def test_empty_tables_are_no_error() -> None:
    assert shape.decode(b'{"data": []}', "", JSON) == []
    assert shape.decode(xml(""), "", XML) == []
    assert shape.decode(b"a;b\n#ROWS;0\n", "", CSV) == []


def test_an_agreed_encoding_other_than_utf_8_is_read() -> None:
    old = mapping(format="csv", encoding="windows-1251", cells=["a"])
    assert shape.decode("a\nЖумабек\n".encode("cp1251"), "", old) == [{"a": "Жумабек"}]


# --- what is refused --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "payload", "error", "told"),
    [
        # half a file
        (JSON, b'{"data": [{"a": "1"', PayloadIncomplete, "half a file"),
        (JSON, b"", PayloadIncomplete, "half a file"),
        (XML, xml("<Row><a>1</a></Row>")[:-20], PayloadIncomplete, "half a file"),
        (XML, b"", PayloadIncomplete, "half a file"),
        (CSV, b"a;b\n1;2\n", PayloadIncomplete, "last line #ROWS"),
        (CSV, b"a;b\n1;2\n#ROWS;3\n", PayloadIncomplete, "says 3 rows, 1 are there"),
        (CSV, b"a;b\n1;2\n#ROWS\n", PayloadIncomplete, "says nothing rows"),
        (CSV, b'a;b\n1;"2\n#ROWS;1\n', PayloadIncomplete, "quote is still open"),
        (CSV, b"", PayloadIncomplete, "not even a header"),
        # wrong encoding
        (JSON, '{"data": []}ы'.encode("cp1251"), PayloadEncoding, "byte 12"),
        (XML, "<?xml version='1.0' encoding='UTF-8'?><E>ы</E>".encode("cp1251"), PayloadEncoding, "declared"),
        (CSV, "a;b\nы;2\n#ROWS;1\n".encode("cp1251"), PayloadEncoding, r"byte 4 \(line 2, column 1\)"),
        (CSV, "a;b\n1;ы\n#ROWS;1\n".encode("cp1251"), PayloadEncoding, r"byte 6 \(line 2, column 2\)"),
        # columns
        (CSV, b"a;a;b\n#ROWS;0\n", PayloadColumns, "names a twice"),
        (CSV, b"a;c\n1;2\n#ROWS;1\n", PayloadColumns, "lacks b"),
        (JSON, b'{"data": [{"a": 1}, {"a": 2}]}', PayloadColumns, "none of the records has deep"),
        (JSON, b'{"rows": []}', PayloadColumns, "no data in the answer"),
        (XML, xml("<Row><a>1</a></Row>"), PayloadColumns, "none of the records has b"),
        (XML, b"<E/>", PayloadColumns, "no element List"),
        # not what was agreed
        (JSON, b'{"data": {"a": 1}}', PayloadBroken, "a list of records"),
        (JSON, b'{"data": [1]}', PayloadBroken, "record 1"),
        (JSON, b'{"data": [}', PayloadBroken, "line 1"),
        (JSON, b'{"data": [{"a": [1]}]}', PayloadRefused, "record 1, field a"),
        (XML, b"<E><a></E>", PayloadBroken, "line 1"),
        (
            XML,
            b"<Envelope><Body><Fault><faultstring>x</faultstring></Fault></Body></Envelope>",
            PayloadBroken,
            "SOAP fault",
        ),
        (XML, xml("<Row><a>1</a><a>2</a><b/></Row>"), PayloadRefused, "stands twice"),
        (XML, xml("<Row><a><i>1</i></a><b/></Row>"), PayloadRefused, "elements stand"),
        (CSV, b"a;b\n1\n#ROWS;1\n", PayloadBroken, "line 2, last readable column a"),
        (CSV, b'a;b\n1;"x"y\n#ROWS;1\n', PayloadBroken, "line 2, column b"),
        (CSV, b'a;b\n"1\n2";x\n3;"4\n5\n#ROWS;1\n', PayloadIncomplete, "opens in line 4, column b"),
        (CSV, b"a;b\n1;2;3\n#ROWS;1\n", PayloadBroken, "2 cells expected, 3 came"),
        (CSV, b"a;b\n#ROWS;0\n1;2\n", PayloadBroken, "rows stand after"),
        # attacks and monsters
        (XML, b'<!DOCTYPE E [<!ENTITY x "y">]><E><List xmlns="urn:x"/></E>', PayloadRefused, "document type"),
        (CSV, b"a;b\n1\x00;2\n#ROWS;1\n", PayloadRefused, "NUL .*in line 2, field a"),
        (JSON, b'{"data": [{"a": "x\\u0000y", "b": {"c": 1}}]}', PayloadRefused, "NUL"),
        (JSON, b'{"data": [{"b": {"c": 1}, "a": "' + b"x" * 200_000 + b'"}]}', PayloadRefused, "200000 characters"),
        (XML, xml(f"<Row><a>{'x' * 200_000}</a><b/></Row>"), PayloadRefused, "200000 characters"),
        (CSV, b'a;b\n1;2\n\n1;"' + b"x" * 2_000_000 + b'"\n#ROWS;1\n', PayloadRefused, "from line 4, field b"),
    ],
)
def test_a_broken_payload_is_refused_and_says_where(
    found: Mapping, payload: bytes, error: type[SemanticsError], told: str
) -> None:
    with pytest.raises(error, match=told):
        shape.decode(payload, "", found)


def test_an_entity_is_never_expanded() -> None:
    bomb = b'<!DOCTYPE E [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><E><List xmlns="urn:x"><Row><a>&b;</a><b/></Row></List></E>'
    with pytest.raises(PayloadRefused):
        shape.decode(bomb, "text/xml", XML)


def test_an_error_page_in_place_of_data_is_known_by_its_type() -> None:
    with pytest.raises(PayloadBroken, match="content type says html"):
        shape.decode(b"<html>down</html>", "text/html; charset=utf-8", JSON)
    with pytest.raises(PayloadBroken, match="content type says xml"):
        shape.decode(b"{}", "application/soap+xml", JSON)


@pytest.mark.parametrize("found", [JSON, XML, CSV])
def test_every_cut_of_a_good_payload_is_refused(found: Mapping) -> None:
    whole = {
        JSON.source.format: b'{"data": [{"a": "1", "b": {"c": "2"}}]}',
        XML.source.format: xml("<Row><a>1</a><b>2</b></Row>"),
        CSV.source.format: b"a;b\n1;2\n#ROWS;1",
    }[found.source.format]
    assert len(shape.decode(whole, "", found)) == 1
    for size in range(len(whole)):
        with pytest.raises(SemanticsError):
            shape.decode(whole[:size], "", found)


@pytest.mark.parametrize(
    ("found", "whole"),
    [
        (JSON, '{"data": [{"a": "Ош👧'.encode()),
        (CSV, "a;b\n1;Ош👧".encode()),
        (XML, "<E><List xmlns='urn:x'><Row><a>Ош👧".encode()),
        (mapping(format="csv", encoding="utf-16", cells=["a"]), "a\nОш".encode("utf-16")),
    ],
)
def test_a_payload_cut_inside_its_last_letter_is_half_a_file_and_not_a_wrong_encoding(
    found: Mapping, whole: bytes
) -> None:
    for missing in (1, 2, 3) if found.source.encoding == "utf-8" else (1,):
        with pytest.raises(PayloadIncomplete, match=r"half a file: .* ends"):
            shape.decode(whole[:-missing], "", found)


@given(st.text(st.sampled_from('a";\n\r'), max_size=30))
def test_the_place_of_a_broken_quote_lies_in_the_file(text: str) -> None:
    whole, told = "a;b\n" + text, ""
    try:
        shape.decode(whole.encode(), "", mapping(format="csv", delimiter=";"))
    except (PayloadIncomplete, PayloadBroken) as error:
        told = error.text
    if "quote is still open" in told or "expected after" in told:
        place = re.search(r"line (\d+), column [ab0-9]", told)
        assert place is not None, told
        assert 2 <= int(place[1]) <= len(whole.splitlines())


@given(st.binary(max_size=200))
def test_noise_never_raises_anything_but_our_own_errors(noise: bytes) -> None:
    for found in (JSON, XML, CSV):
        with suppress(SemanticsError):
            shape.decode(noise, "", found)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_values_come_through_csv_as_they_were(rows: list[tuple[str, str]]) -> None:
    clean = [(a.replace("\0", ""), b.replace("\0", "")) for a, b in rows]

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    text = "a;b\n" + "".join(f"{quoted(a)};{quoted(b)}\n" for a, b in clean) + f"#ROWS;{len(clean)}\n"
    expected = [{"a": a, "b": b} for a, b in clean]
    try:
        payload = text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text of any encoding
    if any(a == "#ROWS" for a, _ in clean):
        return
    assert shape.decode(payload, "text/csv", CSV) == expected


def test_an_xml_text_of_many_megabytes_is_refused_by_the_parser_already() -> None:
    with pytest.raises(PayloadRefused, match="beyond what is taken"):
        shape.decode(xml(f"<Row><a>{'x' * 10_500_000}</a><b/></Row>"), "text/xml", XML)
