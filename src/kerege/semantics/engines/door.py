"""One door to every engine: the same mapping over the same rows by Python, DuckDB, Polars, PostgreSQL or Spark, with results of one shape.

For commands that let people choose an engine, and for `celldiff`, which holds engines to each other. Rows come and go as Polars frames, so
this is for tables that fit into memory; a table that lives in DuckDB, PostgreSQL or Spark is mapped where it lives, by that emitter's own
`run`. What an engine needs beside the rows is handed in: a `Session` for PostgreSQL (`catalogue.mappings.run_postgres`), a session for Spark.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Cells
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

from kerege.semantics.engines import duck_words as sql
from kerege.semantics.engines.emit_duckdb import compile_duckdb
from kerege.semantics.engines.emit_polars import compile_polars, text_of
from kerege.semantics.engines.emit_postgres import Session, compile_postgres
from kerege.semantics.engines.emit_postgres_write import ISSUES, ROW, TEXT, VERDICT
from kerege.semantics.engines.emit_python import Mapped, compile_record
from kerege.semantics.engines.emit_spark import compile_spark
from kerege.semantics.errors import EngineMissing, TableInvalid
from kerege.semantics.mappings.documents import Mapping
from kerege.semantics.mappings.operators import Lists
from kerege.semantics.mappings.problems import Problem, Verdict

if TYPE_CHECKING:
    import polars as pl

Engine = Literal["python", "duckdb", "polars", "postgresql", "spark"]
ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
PARTS: Final = ("field", "code", "source_code", "severity")
_PLACE: Final = "_place"
_SOURCE: Final = "kerege_source"


class CsvSession(Session, Protocol):
    """A `Session` that can also give a query's rows as CSV, every value but null quoted."""

    def csv(self, query: str) -> bytes:
        """The rows with a header line."""


@dataclass(frozen=True)
class EngineRun:
    """A mapped frame in the source's order: `_row` (place, from 0), the canonical fields, `_problems` (list of structs), `_verdict`."""

    engine: Engine
    frame: pl.DataFrame
    verdicts: Counter[Verdict]
    problems: Counter[tuple[str, str]]  # (field, problem code)

    def mapped(self) -> Iterator[Mapped]:
        """Row by row, as the Python function would have answered."""
        fields = [name for name in self.frame.columns if name not in (ROW, ISSUES, VERDICT)]
        verdicts = self.frame.get_column(VERDICT)
        told = iter(self.frame.get_column(ISSUES).filter(verdicts != "ok").to_list())  # rows that are ok have none
        rows = zip(*(self.frame.get_column(name).to_list() for name in fields), strict=True)
        for values, verdict in zip(rows, verdicts.to_list(), strict=True):
            issues = () if verdict == "ok" else tuple(Problem(*(one[part] for part in PARTS)) for one in next(told))
            yield Mapped(dict(zip(fields, values, strict=True)), issues, verdict)


def frame_of(records: Iterable[Cells[str, str | None]], mapping: Mapping, *, first: int = 0) -> pl.DataFrame:
    """Records (cell name to text or None) as a frame of the mapping's cells; TableInvalid names the first row no table engine can hold.

    first     what the first record is called in errors, when it is the first of a batch
    """
    import polars as pl

    columns: dict[str, list[str | None]] = {cell: [] for cell in mapping.cells}
    for record in records:
        for cell, values in columns.items():
            values.append(record.get(cell))
    try:
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    except UnicodeEncodeError as error:
        for cell, values in columns.items():
            for row, value in enumerate(values):
                if value is not None and any("\ud800" <= c <= "\udfff" for c in value):
                    reason = f"row {first + row}, column {cell}: half of a surrogate pair, which is no text; map it with --engine python"
                    raise TableInvalid(table="records", mapping=mapping.id, reason=reason) from error
        raise


def run(
    engine: Engine,
    mapping: Mapping,
    pack: Lists,
    frame: pl.DataFrame,
    *,
    session: CsvSession | None = None,
    spark: Any = None,
    first: int = 0,
) -> EngineRun:
    """Map every row of `frame` (a column per cell of the mapping; others are ignored) with `engine`.

    session   for postgresql: a session whose database the rows are copied into, into temporary tables only
    spark     for spark: a pyspark.sql.SparkSession whose executors read this machine's files
    first     what the first row is called in errors, when the frame is one batch of several
    Raises TableInvalid for columns missing or unreadable, EngineMissing when what the engine needs is not there.
    """
    text = _as_text(frame, mapping)
    if engine == "python":
        return _python(mapping, pack, text)
    if engine == "duckdb":
        return _duckdb(mapping, pack, text)
    if engine == "polars":
        done = compile_polars(mapping, pack).run(text)
        return EngineRun("polars", done.frame, done.verdicts, done.problems)
    if engine == "postgresql":
        if session is None:
            raise EngineMissing(engine=engine, needs="a connection to a PostgreSQL database")
        return _postgresql(mapping, pack, text, session, first)
    if engine == "spark":
        if spark is None:
            raise EngineMissing(engine=engine, needs="a Spark session")
        return _spark(mapping, pack, text, spark)
    raise EngineMissing(engine=engine, needs=f"a name out of {', '.join(ENGINES)}")


def _as_text(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    import polars as pl

    missing = [cell for cell in mapping.cells if cell not in frame.columns]
    if missing:
        raise TableInvalid(table="rows", mapping=mapping.id, reason=f"columns missing: {', '.join(missing)}")
    chosen = []
    for cell in mapping.cells:
        written = text_of(pl, cell, frame.schema[cell])
        if written is None:
            reason = f"column {cell} is {frame.schema[cell]}, which engines write differently; give it as text"
            raise TableInvalid(table="rows", mapping=mapping.id, reason=reason)
        chosen.append(written.alias(cell))
    return frame.select(*chosen) if chosen else frame.select(pl.col(frame.columns[:1]))


def _issues_type() -> Any:
    import polars as pl

    return pl.List(pl.Struct(dict.fromkeys(PARTS, pl.String)))


def _python(mapping: Mapping, pack: Lists, frame: pl.DataFrame) -> EngineRun:
    import polars as pl

    mapper, names = compile_record(mapping, pack), frame.columns
    columns: dict[str, list[str | None]] = {f.name: [] for f in mapping.fields}
    issues: list[list[dict[str, str | None]]] = []
    verdicts: list[Verdict] = []
    problems: Counter[tuple[str, str]] = Counter()
    put = [(values.append, name) for name, values in columns.items()]
    for row in frame.iter_rows():
        done = mapper(dict(zip(names, row, strict=True)))
        for append, name in put:
            append(done.values[name])
        issues.append(
            [dict(zip(PARTS, (p.field, p.code, p.source_code, p.severity), strict=True)) for p in done.problems]
        )
        verdicts.append(done.verdict)
        problems.update((p.field, p.code) for p in done.problems)
    made = pl.DataFrame(
        {ROW: range(len(verdicts)), **columns, ISSUES: issues, VERDICT: verdicts},
        schema={ROW: pl.Int64, **dict.fromkeys(columns, pl.String), ISSUES: _issues_type(), VERDICT: pl.String},
    )
    return EngineRun("python", made, Counter(verdicts), problems)


def _duckdb(mapping: Mapping, pack: Lists, frame: pl.DataFrame) -> EngineRun:
    import duckdb

    with duckdb.connect() as connection:
        connection.register(_SOURCE, frame.to_arrow())
        done = compile_duckdb(mapping, pack).run(connection, _SOURCE)
        made = connection.execute(f"SELECT * FROM {sql.identifier(done.table)} ORDER BY {ROW}").pl()  # noqa: S608 - our own table
    return EngineRun("duckdb", as_result(made), done.verdicts, done.problems)


def _postgresql(mapping: Mapping, pack: Lists, frame: pl.DataFrame, session: CsvSession, first: int) -> EngineRun:
    """The rows by COPY into a temporary table, mapped there, and back as CSV."""
    import polars as pl

    _no_nul(mapping, frame, first)
    source, into = f"{_SOURCE}_{id(frame)}", f"kerege_into_{id(frame)}"
    columns = ", ".join(f"{sql.quoted(name)} {TEXT}" for name in frame.columns)
    session.define([f"CREATE TEMPORARY TABLE {sql.quoted(source)} ({_PLACE} bigint, {columns})"])
    try:
        rows = ((place, *row) for place, row in enumerate(frame.iter_rows()))
        session.load(source, (_PLACE, *frame.columns), rows)
        done = compile_postgres(mapping, pack).run(session, f"pg_temp.{source}", into, order_by=(_PLACE,))
        body = session.csv(f"SELECT * FROM pg_temp.{sql.quoted(into)} ORDER BY {ROW}")  # noqa: S608 - our own table
    finally:
        session.define([f"DROP TABLE IF EXISTS pg_temp.{sql.quoted(t)}" for t in (source, into)])
    schema = {ROW: pl.Int64, **{f.name: pl.String for f in mapping.fields}, ISSUES: pl.String, VERDICT: pl.String}
    made = pl.read_csv(body, schema=schema)
    return EngineRun("postgresql", made.with_columns(_decoded()), done.verdicts, done.problems)


def _decoded() -> Any:
    import polars as pl

    return pl.col(ISSUES).str.json_decode(_issues_type())


def _no_nul(mapping: Mapping, frame: pl.DataFrame, first: int) -> None:
    """PostgreSQL holds every character but one."""
    import polars as pl

    for cell in frame.columns:
        found = frame.get_column(cell).cast(pl.String).str.contains("\0", literal=True).fill_null(False).arg_max()
        if found is not None and "\0" in (frame.get_column(cell)[found] or ""):
            reason = f"row {first + found}, column {cell}: a NUL character, which PostgreSQL cannot hold; map it with another engine"
            raise TableInvalid(table="rows", mapping=mapping.id, reason=reason)


def _spark(mapping: Mapping, pack: Lists, frame: pl.DataFrame, spark: Any) -> EngineRun:
    """The rows as a Parquet file that executors read, mapped there, and back as Parquet."""
    import polars as pl

    with tempfile.TemporaryDirectory(prefix="kerege-spark-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # executors may run under another account; the folder is gone when this ends
        frame.with_row_index(_PLACE).with_columns(pl.col(_PLACE).cast(pl.Int64)).write_parquet(folder / "rows.parquet")
        source = spark.read.parquet(str(folder / "rows.parquet"))
        done = compile_spark(mapping, pack).run(source, row=_PLACE)
        done.frame.write.parquet(str(folder / "mapped"))
        done.frame.unpersist()
        made = as_result(pl.read_parquet(folder / "mapped" / "*.parquet"))
    return EngineRun("spark", made, done.verdicts, done.problems)


def as_result(frame: pl.DataFrame) -> pl.DataFrame:
    """A result that came back by a file, in the types and the order that every engine's result has here."""
    import polars as pl

    return frame.with_columns(pl.col(ROW).cast(pl.Int64), pl.col(ISSUES).cast(_issues_type())).sort(ROW)


def unmapped_of(pack: Any, mapping: Mapping) -> dict[str, dict[str, int]]:
    """The crosswalks' counters that `mapping` used, to hold engines to each other by them too."""
    return {name: dict(pack.crosswalk(name).unmapped) for name in mapping.crosswalks}


__all__: Sequence[str] = ["ENGINES", "Engine", "EngineRun", "as_result", "frame_of", "run", "unmapped_of"]
