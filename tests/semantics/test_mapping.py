"""Mapping documents: read, checked, named by their content."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kerege.semantics.errors import MappingInvalid
from kerege.semantics.mappings.documents import parse_mapping, read_mapping

from .support import COUNTRY, country_pack

DOCUMENT: dict[str, Any] = {
    "id": "t:m",
    "version": "1",
    "title": {"ky": "т", "ru": "т", "en": "t"},
    "source": {"format": "json", "records": "data", "cells": ["a", "b"]},
    "fields": {"x": [{"field": "a"}, "trim"], "y": {"do": [{"target": "x"}, "upper"], "required": "flag"}},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document = deepcopy(DOCUMENT)
    *above, last = path.split(".")
    here = document
    for key in above:
        here = here[key]
    here[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("version", "", "version is missing"),
        ("title", {"ky": "т"}, "lacks its ru wording"),
        ("extra", 1, "unknown keys extra"),
        ("cell_limit", "many", "cell_limit"),
        ("source.format", "sql", "source: format must be one of json, xml, csv"),
        ("source.cells", [], "cells must be a list"),
        ("source.cells", ["b"], "cells used but not in source.cells: a"),
        ("source.optional", ["z"], "optional names cells"),
        ("source.delimiter", ";;", "one character"),
        ("source.encoding", "ebcdic", "encoding must be one of"),
        ("fields", {}, "fields must map"),
        ("fields.x", [], "field x: the pipeline is empty"),
        ("fields.x", ["trim"], "a pipeline begins with one of"),
        ("fields.x", [{"field": "a"}, "shout"], "field x: unknown operator 'shout'"),
        ("fields.x", [{"field": "a"}, {"field": "b"}], "only begins a pipeline"),
        ("fields.x", [{"field": "a"}, {"regex": ".*"}], "unknown operator 'regex'"),
        ("fields.x", [{"field": "a"}, {"sql": "x"}], "unknown operator 'sql'"),
        ("fields.x", [{"target": "y"}], "target y is not a field above"),
        ("fields.x", [{"field": "a"}, {"parse_date": "mm/dd/yy"}], "parse_date takes formats out of"),
        ("fields.x", [{"field": "a"}, {"split": {"on": "-", "part": 0}}], "part counts from 1"),
        ("fields.x", [{"field": "a"}, {"take": {"start": 0, "length": 1}}], "count from 1"),
        ("fields.x", [{"field": "a"}, {"take": {"start": "1", "length": 1}}], "start must be a whole number"),
        ("fields.x", [{"field": "a"}, {"pad": {"width": 3, "with": "00"}}], "one character"),
        ("fields.x", [{"field": "a"}, {"code": {"alphabet": "greek"}}], "alphabet must be one of"),
        ("fields.x", [{"field": "a"}, {"name_part": "middle"}], "name_part must be one of"),
        ("fields.x", [{"field": "a"}, {"lookup": {"codelist": "t:l", "give": "xx"}}], "give must be one of"),
        ("fields.x", [{"field": "a"}, {"pin": {"sex": "nobody"}}], "target nobody is not a field above"),
        ("fields.x", [{"field": "a", "trim": 1}], "one operator with its argument"),
        ("fields.x", {"do": [{"field": "a"}], "required": "maybe"}, "required must be one of"),
        ("fields.x", [{"when": {"test": [{"field": "a"}]}}], "when needs test and then"),
        ("fields.x", [{"concat": {"parts": []}}], "concat needs parts"),
        ("fields.x", [{"field": "a"}, {"remove": "-\0"}], "field x: a NUL character"),
        ("fields.x", [{"field": "a"}, {"split": {"on": "\0", "part": 1}}], "field x: a NUL character"),
        ("fields.x", [{"field": "a"}, {"pad": {"width": 3, "with": "\0"}}], "field x: a NUL character"),
        ("fields.x", [{"concat": {"parts": [[{"field": "a"}]], "with": "\0"}}], "field x: a NUL character"),
        ("fields.x", [{"const": "\0"}], "field x: a NUL character"),
        ("fields.x", [{"const": "\ud800"}], "field x: .*surrogate"),
        ("source.cells", ["a", "b", "\0"], "source: a NUL character"),
        ("source.cells", ["a", "b", "B"], "source: the cells b and B differ only in capitals"),
        ("source.cells", {"a": "q", "b": "r", "A": "s"}, "the cells a and A differ only in capitals"),
        ("fields._problems", [{"field": "a"}], "field _problems: the names _row, _problems, _verdict are kept"),
        ("fields._Row", [{"field": "a"}], "field _Row: the names"),
        ("fields.X", [{"field": "a"}], "field fields: the fields x and X differ only in capitals"),
    ],
)
def test_a_wrong_document_is_refused_with_file_and_field(path: str, value: Any, reason: str) -> None:
    with pytest.raises(MappingInvalid, match=reason) as caught:
        parse_mapping(changed(path, value), "m.yaml")
    assert str(caught.value).startswith("m.yaml: field ")


def test_letters_beyond_ascii_keep_small_and_capital_apart_as_tables_do() -> None:
    assert parse_mapping(changed("source.cells", ["a", "b", "Имя", "имя"])).source.cells.keys() == {
        "a",
        "b",
        "Имя",
        "имя",
    }


@pytest.mark.parametrize("content", [b"id: [", b"\xff\xfe", b"- a\n- b\n"])
def test_a_file_that_is_no_document_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes(content)
    with pytest.raises(MappingInvalid, match=r"m\.yaml"):
        read_mapping(path)


def test_the_version_follows_the_content_and_nothing_else() -> None:
    first = parse_mapping(DOCUMENT)
    assert parse_mapping(deepcopy(DOCUMENT), "elsewhere.yaml").version == first.version
    assert first.version.startswith("1+")
    for path, value in (
        ("fields.x", [{"field": "b"}, "trim"]),
        ("source.records", "items"),
        ("fields.x", [{"field": "a"}]),
    ):
        assert parse_mapping(changed(path, value)).version != first.version
    assert parse_mapping(changed("title", {"ky": "a", "ru": "b", "en": "c"})).version == first.version


def test_lineage_goes_through_other_fields_to_the_cells() -> None:
    mapping = parse_mapping(changed("fields.y", [{"concat": {"parts": [[{"target": "x"}], [{"field": "b"}]]}}]))
    assert mapping.sources_of("y") == ("a", "b")
    birth = country_pack().mapping("kg:civil.birth-record")
    assert birth.sources_of("pin") == ("Pin", "DataRozhd", "Pol")


def test_every_mapping_of_the_pack_is_read_and_named() -> None:
    files = sorted((COUNTRY / "mappings").glob("*.yaml"))
    assert sorted(read_mapping(path).id for path in files) == sorted(country_pack().mappings)


@pytest.mark.parametrize(("text", "reason"), [
    (b"x0: &x0 [a, a]\n" + b"".join(b"x%d: &x%d [*x%d, *x%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)), "aliases grow"),
    (b"a: " + b"[" * 3_000, "nested more than 60 deep"),
    (b"a: " + b"x" * (1024 * 1024), "at most 1048576 are read"),
    (b"a: \xff", "byte 3 is not UTF-8"),
    (b"a: 2026-02-31", "cannot be read"),
    (b"a: " + b"1" * 5_000, "cannot be read"),
    (b"[a]: b", "cannot be read"),
])  # fmt: skip
def test_a_mapping_document_made_to_do_harm_is_refused_before_it_does(text: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_bytes(text)
    with pytest.raises(MappingInvalid, match=reason):
        read_mapping(tmp_path / "m.yaml")
