"""Codes as of the record's day, as mappings write them."""

from __future__ import annotations

from typing import Any

import pytest

from kerege.semantics import compile_duckdb, compile_record
from kerege.semantics.errors import MappingInvalid, RecodeIncomplete
from kerege.semantics.mappings.documents import Mapping, parse_mapping

from .support import small_pack


def mapping(step: Any) -> Mapping:
    fields = {"day": [{"field": "day"}, {"parse_date": "yyyy-mm-dd"}], "code": [{"field": "a"}, step]}
    source = {"format": "json", "cells": ["a", "b", "day"]}
    title = {"ky": "т", "ru": "т", "en": "t"}
    return parse_mapping({"id": "t:m", "version": "1", "title": title, "source": source, "fields": fields})


DATED = {"recode": {"crosswalk": "t:dated-exact", "as_of": "day", "given": {"b": [{"field": "b"}]}}}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"a": "М", "day": "2019-12-31"}, "old"),
        ({"a": "М", "day": "2020-01-01"}, "new"),
        ({"a": "М"}, "9"),
        ({"a": "Ж"}, "any"),
        ({"a": "Ж", "b": "Чуй облусу"}, "of Чуй"),
        ({"a": "07", "b": "2", "day": "2019-06-30"}, "then"),
        ({"a": "07", "b": "3", "day": "2019-06-30"}, "9"),
        ({"b": "2", "day": "2019-06-30"}, None),
        ({"a": "2", "b": "2", "day": "2019-06-30"}, "narrow"),
        ({"a": "2", "b": "2", "day": "2018-06-30"}, "wide"),
        ({"a": "2", "b": "2"}, "9"),  # the day would decide
        ({"a": "2", "b": "2", "day": "spring"}, "9"),
        ({"a": "2", "b": "3"}, "wide"),
    ],
)
def test_a_code_is_recoded_as_of_the_records_day_and_on_its_other_cells(
    record: dict[str, str], code: str | None
) -> None:
    assert compile_record(mapping(DATED), small_pack())(record).values["code"] == code


def test_an_unmapped_code_is_told_and_counted_without_the_day() -> None:
    pack = small_pack()
    mapped = compile_record(mapping(DATED), pack)({"a": "М", "b": "x"})
    assert [(p.field, p.source_code) for p in mapped.problems] == [("code", "М")]
    assert dict(pack.crosswalk("t:dated-exact").unmapped) == {"М": 1}


def test_rows_that_depend_on_a_day_or_a_cell_are_not_read_without_them() -> None:
    with pytest.raises(RecodeIncomplete, match="record's day"):
        compile_record(mapping({"recode": "t:dated-exact"}), small_pack())
    with pytest.raises(RecodeIncomplete, match="depend on b"):
        compile_duckdb(mapping({"recode": {"crosswalk": "t:dated-exact", "as_of": "day"}}), small_pack())


def test_as_of_names_a_field_above_that_is_a_date() -> None:
    with pytest.raises(MappingInvalid, match="not a field above"):
        mapping({"recode": {"crosswalk": "t:dated-exact", "as_of": "later"}})
    source = {"format": "json", "cells": ["a", "day"]}
    fields = {"day": [{"field": "day"}], "code": [{"field": "a"}, {"lookup": {"codelist": "t:list", "as_of": "day"}}]}
    document = {
        "id": "t:m",
        "version": "1",
        "title": {"ky": "т", "ru": "т", "en": "t"},
        "source": source,
        "fields": fields,
    }
    with pytest.raises(MappingInvalid, match="code: `as_of` names day, which is not a date"):
        parse_mapping(document)
