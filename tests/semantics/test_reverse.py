"""What can go back does, and comes forward again as it was; what cannot says why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics import compile_record
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField
from kerege.semantics.mappings.reverse import WRITTEN, reverse
from kerege.semantics.normalise import dates

from .support import CELLS, country_pack, small_pack
from .test_two_engines import mapping_of

MAPPING = mapping_of(
    [
        TargetField("plain", ir.Field("a")),
        TargetField("day", ir.ParseDate(ir.Trim(ir.Field("b")), ("dd.mm.yyyy", "yyyy-mm-dd"))),
        TargetField("code", ir.Recode(ir.Field("c"), "t:null-and-flag-exact")),
        TargetField("name", ir.NameCase(ir.Field("a"))),
        TargetField("either", ir.Coalesce((ir.Field("a"), ir.Field("b")))),
    ]
)


@given(row=st.tuples(CELLS, CELLS, CELLS))
@settings(max_examples=80, deadline=None)
def test_a_record_put_back_maps_to_the_same_values(row: tuple[str | None, ...]) -> None:
    pack = small_pack()
    mapper, back = compile_record(MAPPING, pack), reverse(MAPPING, pack)
    values = mapper(dict(zip("abc", row, strict=True))).values
    again = mapper(back.back(values).cells).values
    assert {f: again[f] for f in back.cells.values()} == {f: values[f] for f in back.cells.values()}


def test_fields_that_keep_less_than_they_read_say_what_stops_them() -> None:
    back = reverse(MAPPING, small_pack())
    assert back.cells == {"a": "plain", "b": "day", "c": "code"}
    assert [(o.field, o.operator) for o in back.one_way] == [("name", "name_case"), ("either", "coalesce")]


def test_a_target_with_two_source_codes_does_not_go_back() -> None:
    pack = country_pack()
    walk = pack.crosswalk("kg:civil-sex--sex")
    codes = [row.subject for row in walk.rows if row.object == "1"]
    field = TargetField("sex", ir.Recode(ir.Field("a"), "kg:civil-sex--sex"))
    found = reverse(mapping_of([field], ("a",)), pack).back({"sex": "1"})
    assert (
        (found.cells["a"] in codes) if len(codes) == 1 else (found.lost == {"sex": "no single source value maps to it"})
    )


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_a_day_is_written_as_its_format_reads_it(name: str) -> None:
    assert dates.parse(WRITTEN[name]("2020-02-09"), (name,)) == "2020-02-09"
