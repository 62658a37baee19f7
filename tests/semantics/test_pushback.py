"""A canonical question asked of the source finds what it would have found after mapping: nothing lost, the residual keeps the rest out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics import compile_record, ir
from kerege.semantics.mapping import TargetField
from kerege.semantics.pushback import All, Between, Equals, OneOf, Question, Some, holds, push

from .support import CELLS, POLICIES, small_pack
from .test_two_engines import mapping_of

_RECODES = [TargetField(p.split()[0], ir.Recode(ir.Field("c"), f"t:{p.split()[0]}-exact")) for p in POLICIES]
MAPPING = mapping_of(
    [
        TargetField("plain", ir.Field("a")),
        TargetField("day", ir.ParseDate(ir.Field("b"), ("dd.mm.yyyy", "d.m.yyyy", "yyyymmdd"))),
        TargetField("same", ir.Target("day")),
        TargetField("folded", ir.Recode(ir.Field("c"), "t:reject-folded")),
        TargetField("name", ir.NameCase(ir.Field("a"))),
        *_RECODES,
    ]
)
_FIELDS = [f.name for f in MAPPING.fields]
_VALUES = st.sampled_from(
    ["1", "2", "3", "9", "М", "Ж", "Асанов", "2019-12-31", "2020-02-01", "2020-01-01", "2020", "x", " "]
)
_ONE = st.one_of(
    st.builds(Equals, st.sampled_from(_FIELDS), _VALUES),
    st.builds(OneOf, st.sampled_from(_FIELDS), st.lists(_VALUES, max_size=3).map(tuple)),
    st.builds(Between, st.sampled_from(_FIELDS), st.one_of(st.none(), _VALUES), st.one_of(st.none(), _VALUES)),
)
QUESTIONS: st.SearchStrategy[Question] = st.recursive(
    _ONE,
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, max_size=3).map(tuple)), st.builds(Some, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=4,
)
_CELL = st.one_of(
    CELLS, st.sampled_from(["31.12.2019", " 1.2.2020\u2003", "20200101", "М", "Ж", "Чуй облусу", "два", "Асанов"])
)


@given(question=QUESTIONS, rows=st.lists(st.tuples(_CELL, _CELL, _CELL), max_size=12))
@settings(max_examples=200, deadline=None)
def test_asking_the_source_finds_what_asking_the_mapped_records_finds(
    question: Question, rows: list[tuple[str | None, ...]]
) -> None:
    pack = small_pack()
    mapper, pushed = compile_record(MAPPING, pack), push(question, MAPPING, pack)
    records = [dict(zip("abc", row, strict=True)) for row in rows]
    whole = [values for record in records if holds(question, values := mapper(record).values)]
    asked = [record for record in records if pushed.condition is None or holds(pushed.condition, record)]
    found = [values for record in asked if holds(pushed.residual or All(()), values := mapper(record).values)]
    assert found == whole


def test_a_canonical_code_becomes_its_source_codes_exactly() -> None:
    pushed = push(Equals("reject", "1"), MAPPING, small_pack())
    assert pushed.condition == OneOf("c", ("М",))
    assert pushed.residual is None


def test_a_day_becomes_all_ways_it_is_written() -> None:
    pushed = push(Equals("day", "2020-02-01"), MAPPING, small_pack())
    assert isinstance(pushed.condition, OneOf)
    assert set(pushed.condition.values) == {"01.02.2020", "1.2.2020", "01.2.2020", "1.02.2020", "20200201"}
    assert pushed.condition.trimmed


def test_what_the_policy_may_give_too_is_not_asked_of_the_source() -> None:
    assert push(Equals("default", "9"), MAPPING, small_pack()).condition is None
    assert push(Equals("pass-and-flag", "x"), MAPPING, small_pack()).condition is None
    assert push(Equals("name", "Асанов"), MAPPING, small_pack()).condition is None
