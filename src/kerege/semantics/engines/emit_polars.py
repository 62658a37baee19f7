"""Compile a mapping to Polars for whole tables: the same values, problems and verdicts, cell by cell, as `engines.emit_python` gives.

What is computed in which order, and which problems may be raised when, is `engines.plan`'s; this module writes it as Polars expressions.
Code lists and crosswalks are hash look-ups, grammars run once per distinct value through a side table that is joined back. Nothing is
called per row. Polars is imported when a mapping is compiled, not before.

Traps met (docs/decisions/0123): `to_uppercase` and `strip_chars()` follow Unicode, so letter tables are written out; a list of problems per
row with all that could be wrong takes gigabytes, so problems are made long and sparse and folded into rows at the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kerege.semantics.engines import emit_polars_patterns as patterns
from kerege.semantics.engines import words
from kerege.semantics.engines.emit_polars_words import WORDS, Expr, fold, letters, not_empty
from kerege.semantics.engines.plan import (
    RANKS,
    SIDE_PARTS,
    VERDICTS,
    Condition,
    Issue,
    Plan,
    plan_of,
    side_columns,
    side_row,
)
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import RESERVED, Mapping
from kerege.semantics.mappings.operators import Lists, lookup_table
from kerege.semantics.mappings.problems import SOURCE_CODE_LENGTH, Verdict
from kerege.semantics.normalise import folding

if TYPE_CHECKING:
    import polars as pl

ROW, ISSUES, VERDICT = RESERVED


@dataclass(frozen=True)
class PolarsResult:
    """A mapped frame with `_row` (place in the source, from 0), the canonical fields, `_problems` and `_verdict`, in the source's order."""

    frame: pl.DataFrame
    rows: int
    verdicts: Counter[Verdict]
    problems: Counter[tuple[str, str]]  # (field, problem code)
    parsed: dict[str, int] = field(default_factory=dict)  # grammar -> distinct values it ran on


@dataclass(frozen=True)
class PolarsTable:
    """A mapping compiled for Polars frames. `run` may be called many times; it keeps nothing but crosswalk counters."""

    mapping: Mapping
    pack: Lists
    plan: Plan

    def run(self, frame: pl.DataFrame | pl.LazyFrame, name: str = "frame") -> PolarsResult:
        """Map every row of `frame`; TableInvalid (with `name`) when a column is missing or cannot be read as text."""
        return _Run(self, frame, name).run()


def compile_polars(mapping: Mapping, pack: Lists) -> PolarsTable:
    """The mapping for Polars; ids it names are looked up now."""
    return PolarsTable(mapping, pack, plan_of(mapping, pack, is_native))


def is_native(node: ir.Expr) -> bool:
    """Whether `node` runs as an expression here."""
    if isinstance(node, ir.Extract):
        return patterns.readable(node.pattern)
    return type(node) in WORDS or isinstance(
        node, ir.Field | ir.Const | ir.Concat | ir.Coalesce | ir.When | ir.Together
    )


class _Run:
    """One run: a column per node, collected where a grammar needs the values so far."""

    def __init__(self, compiled: PolarsTable, frame: pl.DataFrame | pl.LazyFrame, name: str) -> None:
        import polars

        self.pl: Any = polars
        self.mapping, self.pack, self.plan = compiled.mapping, compiled.pack, compiled.plan
        self.source, self.table = frame.lazy(), name
        self.columns: dict[ir.Expr, str] = {}
        self.parsed: Counter[str] = Counter()

    def run(self) -> PolarsResult:
        lazy = self._source()
        for stage in self.plan.stages:
            if self.plan.ways[stage[0]] == "side":
                lazy = self._side_stage(lazy.collect(), stage)
            else:
                lazy = self._native_stage(lazy, stage)
        return self._result(lazy.collect())

    # --- columns ------------------------------------------------------------------------------------------------------------------

    def col(self, node: ir.Expr) -> Expr:
        return self.pl.col(self.columns[self.plan.resolved(node)])

    def _source(self) -> pl.LazyFrame:
        """The cells as text: blank is null, too long is null and marked."""
        pl, chosen = self.pl, []
        schema = self.source.collect_schema()
        missing = [cell for cell in self.mapping.cells if cell not in schema]
        if missing:
            raise self._refused(f"columns missing: {', '.join(missing)}")
        for number, node in enumerate(self.plan.fields):
            name = self.columns[node] = f"s{number}"
            raw = text_of(pl, node.cell, schema[node.cell])
            if raw is None:
                raise self._refused(
                    f"column {node.cell} is {schema[node.cell]}, which engines write differently; give it as text"
                )
            too_long = (raw.str.len_chars() > self.mapping.cell_limit).fill_null(False)
            blank = raw.str.strip_chars(folding.WHITESPACE) == ""
            chosen.append(pl.when(~(too_long | blank)).then(raw).alias(name))
            chosen.append(too_long.alias(f"{name}_long"))
        # without cells (constants only) there are still the source's rows
        rows = self.source.select(*chosen) if chosen else self.source.select(pl.int_range(pl.len()).alias(ROW))
        return (rows.with_row_index(ROW) if chosen else rows).with_columns(pl.col(ROW).cast(pl.Int64))

    def _refused(self, reason: str) -> TableInvalid:
        return TableInvalid(table=self.table, mapping=self.mapping.id, reason=reason)

    def _native_stage(self, lazy: pl.LazyFrame, stage: tuple[ir.Expr, ...]) -> pl.LazyFrame:
        chosen: list[Expr] = []
        names: dict[ir.Expr, str] = {}
        made: list[str] = []
        for (of, pattern), nodes in self.plan.readings(stage).items():
            apart, given = f"p{len(self.columns) + len(names)}", self.columns[of]
            lazy = patterns.take_apart(self.pl, lazy, apart, given, pattern)
            made += [f"{apart}_{number}" for number in range(len(pattern.lines))]
            for extract in nodes:
                name = names[extract] = f"c{len(self.columns) + len(names)}"
                chosen.append(patterns.part(self.pl, apart, pattern, extract.part).alias(name))
                chosen.append(patterns.unread(self.pl, apart, given).alias(f"{name}_unread"))
        for node in stage:
            if node in names:
                continue
            name = names[node] = f"c{len(self.columns) + len(names)}"
            if self.plan.ways[node] == "list":
                chosen += self._listed(node, name)
            else:
                chosen.append(self._expression(node).alias(name))
        self.columns |= names
        return lazy.with_columns(*chosen).drop(made)

    def _expression(self, node: ir.Expr) -> Expr:
        pl = self.pl
        if isinstance(node, ir.Const):
            return pl.lit(node.text or None, pl.String)
        if isinstance(node, ir.Concat):
            joined = pl.concat_str([self.col(p) for p in node.parts], separator=node.separator, ignore_nulls=True)
            return not_empty(pl, joined)
        if isinstance(node, ir.Coalesce):
            return pl.coalesce([self.col(p) for p in node.parts])
        if isinstance(node, ir.Together):
            first, *rest = map(self.col, node.parts)
            parts = [first, *(letters(part, words.APART).fill_null(words.NOTHING) for part in rest)]
            return pl.concat_str(parts, separator=words.BETWEEN)  # null when the first is
        if isinstance(node, ir.When):
            other = self.col(node.otherwise) if node.otherwise is not None else pl.lit(None, pl.String)
            return pl.when(self._holds(node)).then(self.col(node.then)).otherwise(other)
        (of, *_) = node.inputs()
        return not_empty(pl, WORDS[type(node)](pl, node, self.col(of)))

    def _holds(self, node: ir.When) -> Expr:
        test = self.col(node.test)
        return test.is_in(list(node.values)).fill_null(False) if node.values else test.is_not_null()

    # --- lists and side tables ----------------------------------------------------------------------------------------------------

    def _listed(self, node: ir.Expr, name: str) -> list[pl.Expr]:
        """A look-up in a list known now: the value and, for a recode, whether the code is unknown."""
        pl = self.pl
        (of, *_) = node.inputs()
        given = self.col(of)
        if isinstance(node, ir.Member):
            notations = [c.notation for c in self.pack.codelist(node.codelist)]
            return [pl.when(given.is_in(notations)).then(given).alias(name)]
        if isinstance(node, ir.Lookup):
            key = fold(pl, given) if node.by == "wording" else given
            return [self._found(key, lookup_table(node, self.pack)).alias(name)]
        assert isinstance(node, ir.Recode)
        crosswalk = self.pack.crosswalk(node.crosswalk)
        policy = crosswalk.policy
        found = self._found(fold(pl, given) if crosswalk.match == "folded" else given, dict(crosswalk.table))
        otherwise = given if policy.kind == "pass-and-flag" else pl.lit(policy.default, pl.String)
        missed = given.is_not_null() & found.is_null()
        return [pl.when(missed).then(otherwise).otherwise(found).alias(name), missed.alias(f"{name}_missed")]

    def _found(self, key: pl.Expr, table: dict[str, str]) -> Expr:
        pl = self.pl
        if not table:
            return pl.lit(None, pl.String)
        return key.replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String)

    def _side_stage(self, frame: pl.DataFrame, stage: tuple[ir.Expr, ...]) -> pl.LazyFrame:
        """Run grammars over the distinct values of their inputs and join what they gave."""
        pl, lazy = self.pl, frame.lazy()
        for of, nodes in self.plan.grammars(stage).items():
            key = self.columns[of]
            names = [f"c{len(self.columns) + n}" for n in range(len(nodes))]
            given = frame.get_column(key).unique().drop_nulls().to_list()
            row = side_row(nodes, self.pack)
            schema = dict.fromkeys(("k", *side_columns(nodes, names)), pl.String)
            side = pl.LazyFrame([row(text) for text in given], schema=schema, orient="row")
            lazy = lazy.join(side, left_on=key, right_on="k", how="left", maintain_order="left")
            self.columns |= dict(zip(nodes, names, strict=True))
            self.parsed.update({node.name: len(given) for node in nodes})
        return lazy

    # --- problems -----------------------------------------------------------------------------------------------------------------

    def _true(self, condition: Condition) -> Expr:
        pl, node = self.pl, condition.node
        if condition.test == "null":
            return self.col(node).is_null()
        if condition.test == "there":
            return self.col(node).is_not_null()
        name = self.columns[self.plan.resolved(node)]
        if condition.test in ("too long", "missed", "unread"):
            return pl.col(f"{name}_{condition.test.removeprefix('too ')}")
        if condition.test == "told":
            return pl.col(f"{name}_code").is_not_null()
        if condition.test == "contradicts":
            assert isinstance(node, ir.Pin)
            return self._contradicts(node)
        assert isinstance(node, ir.When)
        return self._holds(node) if condition.test == "holds" else ~self._holds(node)

    def _contradicts(self, node: ir.Pin) -> Expr:
        """The date or sex inside a well-formed PIN differs from the record's; equal digits are opposite sexes."""
        pl, number = self.pl, self.col(node)
        found = pl.lit(False)
        if node.birth_date is not None:
            parts = [number.str.slice(start, size) for start, size in ((5, 4), (3, 2), (1, 2))]
            found = found | (pl.concat_str(parts, separator="-") != self.col(node.birth_date)).fill_null(False)
        if node.sex is not None:
            sex = self.col(node.sex)
            found = found | (sex.is_in(["1", "2"]) & (number.str.slice(0, 1) == sex)).fill_null(False)
        return number.is_not_null() & found

    def _raised(self, frame: pl.DataFrame, number: int, issue: Issue) -> pl.LazyFrame:
        """The rows one problem is raised in: `_row`, its number, code, source code and severity."""
        pl = self.pl
        condition = self._true(issue.when[0])
        for more in issue.when[1:]:
            condition = condition & self._true(more)
        if issue.code is None:
            name = self.columns[self.plan.resolved(issue.when[-1].node)]
            told = [pl.col(f"{name}_{part}") for part in SIDE_PARTS]
        else:
            source = self.col(issue.source) if issue.source is not None else pl.lit(None, pl.String)
            told = [pl.lit(issue.code), source.str.slice(0, SOURCE_CODE_LENGTH), pl.lit(issue.severity)]
        names = ("code", "source_code", "severity")
        described = [e.cast(pl.String).alias(n) for e, n in zip(told, names, strict=True)]
        return (
            frame.lazy()
            .filter(condition)
            .select(ROW, pl.lit(number, pl.Int32).alias("n"), pl.lit(issue.field).alias("field"), *described)
        )

    def _result(self, frame: pl.DataFrame) -> PolarsResult:
        pl = self.pl
        values = frame.select(ROW, *(self.col(f.expr).alias(f.name) for f in self.mapping.fields))
        raised = pl.collect_all([self._raised(frame, n, issue) for n, issue in enumerate(self.plan.issues)])
        parts = ("field", "code", "source_code", "severity")
        kind = pl.Struct(dict.fromkeys(parts, pl.String))
        for issue, rows in zip(self.plan.issues, raised, strict=True):
            if issue.crosswalk is not None and len(rows):
                self._count(issue, frame, rows)
        if not any(map(len, raised)):
            frame = values.with_columns(pl.lit([], pl.List(kind)).alias(ISSUES), pl.lit("ok").alias(VERDICT))
            return PolarsResult(
                frame, len(frame), Counter({"ok": len(frame)} if len(frame) else {}), Counter(), dict(self.parsed)
            )
        told = pl.concat(raised).sort(ROW, "n")
        rank = pl.col("severity").replace_strict(RANKS, return_dtype=pl.Int8).max()
        by_row = told.lazy().group_by(ROW, maintain_order=True).agg(pl.struct(*parts).alias(ISSUES), rank.alias("rank"))
        verdict = pl.col("rank").fill_null(0).replace_strict(dict(enumerate(VERDICTS)), return_dtype=pl.String)
        done = (
            values.lazy()
            .join(by_row, on=ROW, how="left", maintain_order="left")
            .with_columns(pl.col(ISSUES).fill_null(pl.lit([], pl.List(kind))), verdict.alias(VERDICT))
            .drop("rank")
            .collect()
        )
        verdicts: Counter[Verdict] = Counter(dict(done.group_by(VERDICT).len().iter_rows()))
        counted = {(name, code): times for name, code, times in told.group_by("field", "code").len().iter_rows()}
        return PolarsResult(done, len(done), verdicts, Counter(counted), dict(self.parsed))

    def _count(self, issue: Issue, frame: pl.DataFrame, rows: pl.DataFrame) -> None:
        """The crosswalk's counter, as often as the Python function would have counted, by the whole code."""
        assert issue.source is not None
        assert issue.crosswalk is not None
        codes_met = frame.get_column(self.columns[self.plan.resolved(issue.source)]).gather(rows.get_column(ROW))
        for code, times in codes_met.value_counts().iter_rows():
            self.pack.crosswalk(issue.crosswalk).count(code, times)


def text_of(pl: Any, cell: str, kind: Any) -> Expr | None:
    """A column as text, or None for types (floats, zoned times, nested ones) that engines write differently."""
    raw = pl.col(cell)
    if kind == pl.String:
        return raw
    if kind.is_integer() or kind in (pl.Boolean, pl.Date, pl.Null):
        return raw.cast(pl.String)
    if isinstance(kind, pl.Decimal | pl.Enum | pl.Categorical):
        return raw.cast(pl.String)
    if isinstance(kind, pl.Datetime) and kind.time_zone is None:
        written = raw.dt.to_string("%Y-%m-%d %H:%M:%S%.f")
        return (
            pl.when(written.str.contains(".", literal=True)).then(written.str.strip_chars_end("0")).otherwise(written)
        )
    return None
