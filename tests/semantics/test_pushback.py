"""A canonical question asked of the source finds what it would have found after mapping: nothing lost, the residual keeps the rest out."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics import compile_record
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField
from kerege.semantics.mappings.pushback import All, Between, Equals, OneOf, Question, Some, holds, push
from kerege.semantics.mappings.pushback_sql import answered, condition, query

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


@given(question=QUESTIONS, rows=st.lists(st.tuples(_CELL, _CELL, _CELL), max_size=12))
@settings(max_examples=40, deadline=None)
def test_the_sql_of_a_question_asks_a_table_of_duckdb_the_same(
    question: Question, rows: list[tuple[str | None, ...]]
) -> None:
    pack = small_pack()
    mapper, pushed = compile_record(MAPPING, pack), push(question, MAPPING, pack)
    whole = [m.values for row in rows if holds(question, (m := mapper(dict(zip("abc", row, strict=True)))).values)]
    connection = _DATABASE.cursor()
    connection.execute("CREATE OR REPLACE TEMP TABLE register (a VARCHAR, b VARCHAR, c VARCHAR, _place INTEGER)")
    if rows:
        connection.execute(
            f"INSERT INTO register VALUES {', '.join('(?, ?, ?, ?)' for _ in rows)}",
            [cell for place, row in enumerate(rows) for cell in (*row, place)],
        )
    cursor = connection.execute(query(pushed, MAPPING, "register", "duckdb") + " ORDER BY _place")
    names = [column[0] for column in cursor.description or []]
    records = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    asked = [r for r in (dict(zip("abc", row, strict=True)) for row in rows) if holds(pushed.condition or All(()), r)]
    assert [[record[cell] for cell in MAPPING.cells] for record in records] == [
        [r[c] for c in MAPPING.cells] for r in asked
    ]
    assert [mapped.values for mapped in answered(records, mapper, pushed)] == whole


_DATABASE = duckdb.connect()


def test_a_value_stays_a_value_whatever_is_in_it() -> None:
    hostile = Equals("a", "x' OR '1'='1")
    assert condition(hostile, "duckdb") == """CAST("a" AS VARCHAR) IN ('x'' OR ''1''=''1')"""
    assert (
        condition(hostile, "postgresql", {"a": 'b"c'})
        == """(CAST("b""c" AS VARCHAR) COLLATE "C") IN ('x'' OR ''1''=''1')"""
    )


@pytest.mark.parametrize(
    ("question", "written"),
    [
        (Equals("a", "x\0"), "false"),
        (Between("a", "x\0y", "x\0y"), "({a} > 'x' AND {a} <= 'x')"),
        (OneOf("a", ("x\0", "y")), "{a} IN ('y')"),
        (All(()), "true"),
        (Some(()), "false"),
        (Between("a", None, None), "{a} IS NOT NULL"),
    ],
)
def test_postgresql_is_not_asked_for_texts_it_cannot_hold(question: Question, written: str) -> None:
    assert condition(question, "postgresql") == written.replace("{a}", '(CAST("a" AS VARCHAR) COLLATE "C")')
