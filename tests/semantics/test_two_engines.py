"""The standing promise: Python for one record and DuckDB for a table give the same values, problems and verdicts, cell by cell.

A run tries few examples of each operator; `make engines` sets KEREGE_EXAMPLES to a factor and tries many times as many.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.ground.text import Text
from kerege.semantics import compile_duckdb, compile_record
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping, Source, TargetField
from kerege.semantics.normalise import dates

from .patterns_support import ADDRESS, HOUSE
from .support import CELLS, DIRT, POLICIES, country_pack, small_pack

LIMIT = 5000
COLUMNS = ("a", "b", "c")
MORE = int(os.environ.get("KEREGE_EXAMPLES", "1"))


def tried(examples: int) -> settings:
    """So many examples, times what the environment asks for."""
    return settings(
        max_examples=examples * MORE,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def mapping_of(fields: Sequence[TargetField], cells: Sequence[str] = COLUMNS, limit: int = LIMIT) -> Mapping:
    source = Source("csv", cells={cell: cell for cell in cells})
    return Mapping("t:m", "1", Text("т", "т", "t"), source, tuple(fields), limit)


DAY = ir.ParseDate(ir.Field("c"), ("yyyy-mm-dd", "dd.mm.yyyy"))


def _steps() -> dict[str, st.SearchStrategy[object]]:
    """A way to put each one-input operator on an expression."""
    few = st.sampled_from
    recode = few([f"t:{p.split()[0]}-{m}" for p in POLICIES for m in ("exact", "folded")])
    lookup = st.tuples(few(["notation", "wording"]), few(["notation", "broader", "ky", "ru", "en"]))
    return {
        "trim": st.just(ir.Trim),
        "collapse": st.just(ir.Collapse),
        "upper": st.just(ir.Upper),
        "lower": st.just(ir.Lower),
        "fold": st.just(ir.Fold),
        "number": st.just(ir.Number),
        "pin": st.just(ir.Pin),
        "name_case": st.just(ir.NameCase),
        "street_key": st.just(ir.StreetKey),
        "phone": st.just(lambda e: ir.Phone(e)),
        "remove": st.text(few("аa- .'%1"), min_size=1, max_size=3).map(lambda s: lambda e: ir.Remove(e, s)),
        "split": st.tuples(few([" ", "-", ".", "а", "''", "\u0306"]), few([1, 2, 3, -1, -2])).map(
            lambda p: lambda e: ir.Split(e, *p)
        ),
        "extract": st.one_of(
            few(ADDRESS.parts).map(lambda p: lambda e: ir.Extract(e, ADDRESS, p)),
            few(HOUSE.parts).map(lambda p: lambda e: ir.Extract(e, HOUSE, p)),
        ),
        "take": st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda p: lambda e: ir.Take(e, *p)),
        "pad": st.tuples(st.integers(1, 12), few(["0", "ж", "'", "👧", "\u0306"])).map(
            lambda p: lambda e: ir.Pad(e, *p)
        ),
        "parse_date": st.lists(few(sorted(dates.FORMATS)), min_size=1, max_size=4).map(
            lambda f: lambda e: ir.ParseDate(e, tuple(f))
        ),
        "code": st.tuples(few(["digits", "latin", "cyrillic"]), few([None, 2, 14])).map(
            lambda p: lambda e: ir.Code(e, *p)
        ),
        "recode": recode.map(lambda c: lambda e: ir.Recode(e, c)),
        "lookup": lookup.map(lambda p: lambda e: ir.Lookup(e, "t:list", *p)),
        "recode_as_of": st.tuples(few(["t:dated-exact", "t:dated-folded"]), few([DAY, ir.Const("")])).map(
            lambda p: lambda e: ir.RecodeAsOf(ir.Together((e, p[1], ir.Field("b"))), p[0], ("b",))
        ),
        "lookup_as_of": lookup.map(lambda p: lambda e: ir.LookupAsOf(ir.Together((e, DAY)), "t:list", *p)),
        "member": st.just(lambda e: ir.Member(e, "t:list")),
        "name_part": few(["surname", "given_name", "patronymic"]).map(lambda p: lambda e: ir.NamePart(e, p)),
        "name_key": few(["surname", "given_name", "patronymic", "father_in_surname", "full"]).map(
            lambda p: lambda e: ir.NameKey(e, p)
        ),
        "address_part": few(["settlement", "street_key", "house", "flat", "soate"]).map(
            lambda p: lambda e: ir.AddressPart(e, p)
        ),
        "place": st.tuples(few(["name", "code"]), few([None, "region", "district"])).map(
            lambda p: lambda e: ir.PlaceCode(e, *p)
        ),
    }


STEPS = _steps()
STARTS = st.one_of(st.sampled_from(COLUMNS).map(ir.Field), st.sampled_from(["М", "", "x'y"]).map(ir.Const))


def _combine(inner: st.SearchStrategy[ir.Expr]) -> st.SearchStrategy[ir.Expr]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    step = st.one_of(*STEPS.values())
    return st.one_of(
        st.tuples(inner, step).map(lambda p: p[1](p[0])),  # type: ignore[operator]
        st.tuples(inner, step).map(lambda p: p[1](p[0])),  # type: ignore[operator]
        parts.map(ir.Coalesce),
        st.tuples(parts, st.sampled_from([" ", "", ", ", "'"])).map(lambda p: ir.Concat(*p)),
        st.tuples(inner, st.sampled_from([(), ("М",), ("1", "М", "x'y")]), inner, st.one_of(st.none(), inner)).map(
            lambda p: ir.When(*p)
        ),
        st.tuples(inner, st.one_of(st.none(), inner), st.one_of(st.none(), inner)).map(lambda p: ir.Pin(*p)),
    )


TREES: st.SearchStrategy[ir.Expr] = st.recursive(STARTS, _combine, max_leaves=6)


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    fields: list[TargetField] = []
    for number in range(draw(st.integers(1, 5))):
        expr = draw(TREES)
        if fields and draw(st.booleans()):
            step = draw(st.one_of(*STEPS.values()))
            expr = step(ir.Target(draw(st.sampled_from([f.name for f in fields]))))  # type: ignore[operator]
        required = draw(st.sampled_from([None, None, "flag", "quarantine", "reject"]))
        fields.append(TargetField(f"f{number}", expr, required))
    return mapping_of(fields)


def both(mapping: Mapping, rows: Sequence[Sequence[str | None]]) -> tuple[list[object], list[object]]:
    """What each engine makes of `rows`: (values, problems, verdict) per row, and the crosswalks' counters at the end."""
    mine, theirs = small_pack(), small_pack()
    mapper = compile_record(mapping, mine)
    names = tuple(mapping.source.cells)
    by_python: list[object] = []
    for row in rows:
        mapped = mapper(dict(zip(names, row, strict=True)))
        issues = [(p.field, p.code, p.source_code, p.severity) for p in mapped.problems]
        by_python.append((list(mapped.values.items()), issues, mapped.verdict))
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE source ({', '.join(f'{name} VARCHAR' for name in names)})")
        place = f"({', '.join('?' for _ in names)})"
        connection.execute(
            f"INSERT INTO source VALUES {', '.join(place for _ in rows)}", [c for row in rows for c in row]
        )
        result = compile_duckdb(mapping, theirs).run(connection, "source", "mapped")
        by_duckdb: list[object] = []
        for row in connection.execute("SELECT * FROM mapped ORDER BY _row").fetchall():
            values = dict(zip((f.name for f in mapping.fields), row[1:-2], strict=True))
            issues = [(p["field"], p["code"], p["source_code"], p["severity"]) for p in row[-2]]
            by_duckdb.append((list(values.items()), issues, row[-1]))
        left = connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    assert result.rows == len(rows)
    assert left == [("mapped",)], "a run leaves nothing behind but its result"
    counted = [{name: dict(walk.unmapped) for name, walk in pack.crosswalks.items()} for pack in (mine, theirs)]
    return [*by_python, counted[0]], [*by_duckdb, counted[1]]


ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8)


@given(mapping=mappings(), rows=ROWS)
@tried(20)
def test_generated_mappings_give_the_same_on_generated_dirt(
    mapping: Mapping, rows: list[tuple[str | None, ...]]
) -> None:
    by_python, by_duckdb = both(mapping, rows)
    assert by_python == by_duckdb


@pytest.mark.parametrize("name", sorted(STEPS))
@given(data=st.data())
@tried(3)
def test_each_operator_gives_the_same_on_generated_dirt(name: str, data: st.DataObject) -> None:
    fields = [TargetField(f"f{n}", data.draw(STEPS[name])(ir.Field("a"))) for n in range(4)]  # type: ignore[operator]
    rows = data.draw(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=15, max_size=30))
    every = [(text, DIRT[n - 7], DIRT[n - 14]) for n, text in enumerate(DIRT)]
    by_python, by_duckdb = both(mapping_of(fields), [*every, *rows])
    assert by_python == by_duckdb


def test_every_operator_of_the_form_is_tried() -> None:
    there = set(STEPS) | {"field", "target", "const", "concat", "coalesce", "when", "together"}
    assert there == set(ir.OPERATORS)


def test_problems_of_a_branch_not_taken_are_not_told_by_either_engine() -> None:
    date = ir.ParseDate(ir.Field("a"), ("yyyy-mm-dd",))
    late = ir.Coalesce((ir.Trim(ir.Field("b")), date))
    chosen = ir.When(ir.Field("b"), (), ir.Const("there"), date)
    mapping = mapping_of([TargetField("late", late), TargetField("chosen", chosen)], ("a", "b"))
    rows = [("no date", "x"), ("no date", None), ("2020-01-01", None)]
    by_python, by_duckdb = both(mapping, rows)
    assert by_python == by_duckdb
    told = [[issue[0] for issue in row[1]] for row in by_python[:-1]]  # type: ignore[index]
    assert told == [[], ["late", "chosen"], []]


@pytest.mark.parametrize("mapping_id", sorted(country_pack().mappings))
@given(data=st.data())
@tried(1)
def test_the_country_mappings_give_the_same_on_generated_dirt(mapping_id: str, data: st.DataObject) -> None:
    pack = country_pack()
    mapping = pack.mapping(mapping_id)
    rows = data.draw(st.lists(st.tuples(*(CELLS for _ in mapping.cells)), min_size=3, max_size=8))
    mapper = compile_record(mapping, pack)
    expected = [mapper(dict(zip(mapping.cells, row, strict=True))) for row in rows]
    with duckdb.connect() as connection:
        names = ", ".join(f'"{cell}" VARCHAR' for cell in mapping.cells)
        connection.execute(f"CREATE TABLE source ({names})")
        connection.executemany(
            f"INSERT INTO source VALUES ({', '.join('?' for _ in mapping.cells)})", [list(r) for r in rows]
        )
        compile_duckdb(mapping, pack).run(connection, "source", "mapped")
        found = connection.execute("SELECT * EXCLUDE (_row) FROM mapped ORDER BY _row").fetchall()
    for mapped, row in zip(expected, found, strict=True):
        assert list(mapped.values.values()) == list(row[:-2])
        assert [p.code for p in mapped.problems] == [p["code"] for p in row[-2]]
        assert mapped.verdict == row[-1]


def test_a_vanished_column_is_named_before_anything_is_made() -> None:
    mapping = mapping_of([TargetField("f", ir.Field("a"))], ("a",))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE source (b VARCHAR)")
        connection.execute("CREATE TEMP TABLE mapped AS SELECT 'what was there' AS x")
        with pytest.raises(TableInvalid, match="columns missing: a"):
            compile_duckdb(mapping, small_pack()).run(connection, "source", "mapped")
        assert connection.execute("SELECT x FROM mapped").fetchall() == [("what was there",)]


def test_an_empty_table_gives_an_empty_result() -> None:
    mapping = country_pack().mapping("kg:health.vaccination")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE source ({', '.join(f'{cell} VARCHAR' for cell in mapping.cells)})")
        result = compile_duckdb(mapping, country_pack()).run(connection, "source")
        assert (result.rows, dict(result.verdicts), dict(result.problems)) == (0, {}, {})


def test_a_grammar_runs_once_per_distinct_value() -> None:
    mapping = mapping_of([TargetField("f", ir.NameCase(ir.Field("a")))], ("a",))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE source AS SELECT 'АСАНОВ' || (i % 7) AS a FROM range(1000) t(i)")
        result = compile_duckdb(mapping, small_pack()).run(connection, "source")
        assert result.parsed == {"name_case": 7}
        assert connection.execute(f"SELECT count(DISTINCT f) FROM {result.table}").fetchall() == [(7,)]
