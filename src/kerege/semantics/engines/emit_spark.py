"""Compile a mapping to PySpark: the same values, problems and verdicts, cell by cell, as `engines.emit_python` gives, on as many machines as there
are.

What is computed in which order, and which problems may be raised when, is `engines.plan`'s; this module writes it as Spark columns. Code
lists and crosswalks are broadcast to the executors; grammars run in Python on the executors, once per distinct value, and are joined back. The
result is a lazy frame: nothing is collected at the driver but counts. PySpark is imported when a mapping runs, not before.

Traps met (docs/decisions/0125): Java's `$` also matches before a last line break, so shapes are told by masks and not by patterns; `upper` and
`trim` follow Java's Unicode; column names differing only in case are one column to Spark; a frame has no order, so `_row` is a column of the
source or the place in the partitions as read. How to go to a real cluster: docs/how-to/spark.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from kerege.semantics.codelists.codelist import CodeList
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.engines import emit_spark_patterns as patterns
from kerege.semantics.engines import words
from kerege.semantics.engines.emit_spark_words import WORDS, Column, fold, letters, quoted
from kerege.semantics.engines.plan import SIDE_PARTS, Condition, Issue, Plan, plan_of, side_columns, side_row
from kerege.semantics.errors import TableInvalid
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import RESERVED, Mapping
from kerege.semantics.mappings.operators import Lists, lookup_table
from kerege.semantics.mappings.problems import SOURCE_CODE_LENGTH, Verdict
from kerege.semantics.normalise import folding
from kerege.semantics.normalise.gazetteer import Gazetteer
from kerege.semantics.patterns.pattern import Pattern

ROW, ISSUES, VERDICT = RESERVED
BROADCAST_ROWS: Final = 200_000  # side tables of lists up to this size are sent whole to every executor
SMALL: Final = 48  # lists up to this size are written into the expression
UNMAPPED: Final = "_unmapped"
_PLACE_BITS: Final = 33  # of monotonically_increasing_id: the place in the partition
_PARTS: Final = ("field", "code", "source_code", "severity")
Frame = Any  # a pyspark.sql.DataFrame; the library is not there in every installation


@dataclass(frozen=True)
class SparkResult:
    """A mapped frame, persisted: `_row`, the canonical fields, `_problems`, `_verdict`. `frame.unpersist()` gives the memory back."""

    frame: Frame
    rows: int
    verdicts: Counter[Verdict]
    problems: Counter[tuple[str, str]]  # (field, problem code)


@dataclass(frozen=True)
class SparkTable:
    """A mapping compiled for Spark frames."""

    mapping: Mapping
    pack: Lists
    plan: Plan

    def frame(self, source: Frame, row: str | None = None) -> Frame:
        """The mapped frame, lazy, with nothing counted. `row` names the column that is the place in the source; see the module's text."""
        return _Run(self, source, row).frame().drop(UNMAPPED)

    def run(self, source: Frame, row: str | None = None) -> SparkResult:
        """As `frame`, computed and kept in the cluster, with verdicts, problems and the crosswalks' counters."""
        from pyspark.sql import functions as F  # type: ignore[import-not-found]

        kept = _Run(self, source, row).frame().persist()
        verdicts: Counter[Verdict] = Counter({r[0]: r[1] for r in kept.groupBy(VERDICT).count().collect()})
        each = kept.select(F.explode(ISSUES).alias("p")).groupBy("p.field", "p.code").count()
        problems = Counter({(r[0], r[1]): r[2] for r in each.collect()})
        missed = kept.select(F.explode(UNMAPPED).alias("u")).groupBy("u.crosswalk", "u.code").count()
        for crosswalk_id, code, times in missed.collect():
            self.pack.crosswalk(crosswalk_id).count(code, times)
        return SparkResult(kept.drop(UNMAPPED), sum(verdicts.values()), verdicts, problems)


def compile_spark(mapping: Mapping, pack: Lists) -> SparkTable:
    """The mapping for Spark; ids it names are looked up now. Needs no Spark yet."""
    return SparkTable(mapping, pack, plan_of(mapping, pack, is_native))


def is_native(node: ir.Expr) -> bool:
    """Whether `node` runs as a Spark column here."""
    return type(node) in WORDS or isinstance(
        node, ir.Field | ir.Const | ir.Concat | ir.Coalesce | ir.When | ir.Together | ir.Extract
    )


@dataclass(frozen=True)
class _Carried:
    """What grammars need of a pack, as it travels to the executors."""

    codelists: dict[str, CodeList]
    crosswalks: dict[str, Crosswalk]
    gazetteer: Gazetteer

    def codelist(self, list_id: str) -> CodeList:
        return self.codelists[list_id]

    def crosswalk(self, crosswalk_id: str) -> Crosswalk:
        return self.crosswalks[crosswalk_id]


class _Run:
    """One run over one frame: a column per node."""

    def __init__(self, compiled: SparkTable, source: Frame, row: str | None) -> None:
        from pyspark.sql import functions

        self.F: Any = functions
        self.mapping, self.pack, self.plan = compiled.mapping, compiled.pack, compiled.plan
        self.source, self.row = source, row
        self.spark = source.sparkSession
        self.columns: dict[ir.Expr, str] = {}
        self.lines: dict[tuple[ir.Expr, Pattern], str] = {}

    def frame(self) -> Frame:
        frame = self._source()
        for stage in self.plan.stages:
            step = self._side_stage if self.plan.ways[stage[0]] == "side" else self._native_stage
            frame = step(frame, stage)
        return self._result(frame)

    # --- columns ------------------------------------------------------------------------------------------------------------------

    def col(self, node: ir.Expr) -> Column:
        return self.F.col(self.columns[self.plan.resolved(node)])

    def text(self, value: str | None) -> Column:
        return self.F.lit(value).cast("string")

    def _source(self) -> Frame:
        """The cells as text: blank is null, too long is null and marked."""
        F = self.F
        self._check()
        chosen = [self._row().alias(ROW)]
        for number, node in enumerate(self.plan.fields):
            name = self.columns[node] = f"s{number}"
            raw = F.col(quoted(node.cell)).cast("string")
            too_long = F.coalesce(F.char_length(raw) > self.mapping.cell_limit, F.lit(False))
            blank = F.btrim(raw, F.lit(folding.WHITESPACE)) == ""
            chosen += [F.when(~(too_long | blank), raw).alias(name), too_long.alias(f"{name}_long")]
        return self.source.select(*chosen)

    def _check(self) -> None:
        """Every column is there, once, and of a type every engine writes the same way."""
        kinds = dict(self.source.dtypes)
        wanted = (*self.mapping.cells, *((self.row,) if self.row is not None else ()))
        missing = [cell for cell in wanted if cell not in kinds]
        if missing:
            self._refuse(f"columns missing: {', '.join(missing)}")
        if self.spark.conf.get("spark.sql.caseSensitive") != "true":
            seen = Counter(name.lower() for name in self.source.columns)
            twice = [cell for cell in wanted if seen[cell.lower()] > 1]
            if twice:
                self._refuse(
                    f"columns that differ in case only: {', '.join(twice)}; set spark.sql.caseSensitive to true"
                )
        plain = ("string", "tinyint", "smallint", "int", "bigint", "boolean", "date", "void")
        for cell in self.mapping.cells:
            if kinds[cell] not in plain and not kinds[cell].startswith(("decimal", "varchar", "char")):
                self._refuse(f"column {cell} is {kinds[cell]}, which engines write differently; give it as text")

    def _refuse(self, reason: str) -> None:
        raise TableInvalid(table="frame", mapping=self.mapping.id, reason=reason)

    def _row(self) -> Column:
        """The column named, or the place in the partitions in the order in which they are read."""
        F = self.F
        if self.row is not None:
            return F.col(quoted(self.row)).cast("bigint")
        counted = self.source.groupBy(F.spark_partition_id().alias("p")).count().collect()
        sizes = {r[0]: r[1] for r in counted}
        before, starts = 0, []
        for place in range(max(sizes, default=0) + 1):
            starts.append(F.lit(before).cast("bigint"))
            before += sizes.get(place, 0)
        inside = F.monotonically_increasing_id().bitwiseAND(F.lit((1 << _PLACE_BITS) - 1))
        return F.element_at(F.array(*starts), F.spark_partition_id() + 1) + inside

    def _native_stage(self, frame: Frame, stage: tuple[ir.Expr, ...]) -> Frame:
        """Expressions in one go; look-ups as joins after them, since a join needs its key as a column."""
        frame = self._readings(frame, stage)
        made: dict[str, Column] = {}
        lists: list[tuple[ir.Expr, str]] = []
        for node in stage:
            name = f"c{len(self.columns) + len(made) + len(lists)}"
            if self.plan.ways[node] == "list":
                lists.append((node, name))
            else:
                made[name] = self._expression(node)
        names = iter(made)
        fresh = {node: next(names) for node in stage if self.plan.ways[node] != "list"}
        frame = frame.withColumns(made) if made else frame
        for node, name in lists:
            frame = self._listed(frame, node, name)
        self.columns |= fresh | dict(lists)
        return frame

    def _readings(self, frame: Frame, stage: tuple[ir.Expr, ...]) -> Frame:
        """Which line of its pattern reads each text that is taken apart in `stage`: asked once for all parts of it."""
        made: dict[str, Column] = {}
        for of, pattern in self.plan.readings(stage):
            name = self.lines[of, pattern] = f"p{len(self.lines)}"
            made[name] = patterns.line_of(self.F, self.col(of), pattern)
        return frame.withColumns(made) if made else frame

    def _line(self, node: ir.Extract) -> Column:
        return self.F.col(self.lines[self.plan.resolved(node.of), node.pattern])

    def _expression(self, node: ir.Expr) -> Column:
        F = self.F
        if isinstance(node, ir.Const):
            return self.text(node.text or None)
        if isinstance(node, ir.Concat):
            joined = F.concat_ws(node.separator, *(self.col(p) for p in node.parts))
            return F.nullif(joined, F.lit(""))
        if isinstance(node, ir.Coalesce):
            return F.coalesce(*(self.col(p) for p in node.parts))
        if isinstance(node, ir.Together):
            first, *rest = map(self.col, node.parts)
            texts = (F.coalesce(letters(F, part, words.APART), F.lit(words.NOTHING)) for part in rest)
            return F.concat(first, *(F.concat(F.lit(words.BETWEEN), text) for text in texts))  # null when the first is
        if isinstance(node, ir.When):
            other = self.col(node.otherwise) if node.otherwise is not None else self.text(None)
            return F.when(self._holds(node), self.col(node.then)).otherwise(other)
        (of, *_) = node.inputs()
        if isinstance(node, ir.Extract):
            return patterns.part(F, self.col(of), self._line(node), node.pattern, node.part)
        return F.nullif(WORDS[type(node)](F, node, self.col(of)), F.lit(""))

    def _holds(self, node: ir.When) -> Column:
        test = self.col(node.test)
        return self.F.coalesce(test.isin(*node.values), self.F.lit(False)) if node.values else test.isNotNull()

    # --- lists and side tables ----------------------------------------------------------------------------------------------------

    def _listed(self, frame: Frame, node: ir.Expr, name: str) -> Frame:
        """A look-up in a list known now: the value and, for a recode, whether the code is unknown."""
        F = self.F
        (of, *_) = node.inputs()
        given, folded = self.col(of), False
        if isinstance(node, ir.Member):
            table = {c.notation: c.notation for c in self.pack.codelist(node.codelist)}
        elif isinstance(node, ir.Lookup):
            table, folded = lookup_table(node, self.pack), node.by == "wording"
        else:
            assert isinstance(node, ir.Recode)
            crosswalk = self.pack.crosswalk(node.crosswalk)
            table, folded = dict(crosswalk.table), crosswalk.match == "folded"
        key = fold(F, given) if folded else given
        if len(table) <= SMALL:
            return frame.withColumns(self._in_map(node, name, key, table))
        side = self._local([f"{name}_k", f"{name}_v"], list(table.items()))
        frame = frame.join(side, key == F.col(f"{name}_k"), "left")
        made = self._mapped(node, name, F.col(f"{name}_v"), F.col(f"{name}_k").isNull())
        return frame.withColumns(made).drop(f"{name}_k", f"{name}_v")

    def _in_map(self, node: ir.Expr, name: str, key: Column, table: dict[str, str]) -> dict[str, Column]:
        """A short list as a map in the expression itself: a join for each of a dozen lists costs the planner seconds."""
        F = self.F
        if not table:
            return self._mapped(node, name, self.text(None), F.lit(True))
        keys, values = (F.array(*map(F.lit, part)) for part in (table, table.values()))
        found = F.try_element_at(F.map_from_arrays(keys, values), key)
        return self._mapped(node, name, found, found.isNull())

    def _mapped(self, node: ir.Expr, name: str, found: Column, unknown: Column) -> dict[str, Column]:
        """The columns of a look-up; a recode's policy decides what an unknown code becomes."""
        if not isinstance(node, ir.Recode):
            return {name: found}
        given, policy = self.col(node.of), self.pack.crosswalk(node.crosswalk).policy
        missed = given.isNotNull() & unknown
        other = given if policy.kind == "pass-and-flag" else self.text(policy.default)
        return {name: self.F.when(missed, other).otherwise(found), f"{name}_missed": missed}

    def _local(self, names: list[str], rows: list[tuple[str, ...]]) -> Frame:
        schema = ", ".join(f"{name} string" for name in names)
        made = self.spark.createDataFrame(rows, schema)
        return self.F.broadcast(made) if len(rows) <= BROADCAST_ROWS else made

    def _side_stage(self, frame: Frame, stage: tuple[ir.Expr, ...]) -> Frame:
        """Run grammars on the executors, over the distinct values of their inputs, and join what they gave."""
        F, before = self.F, frame
        lists = _carried(self.pack, self.mapping)
        for of, nodes in self.plan.grammars(stage).items():
            names = [f"c{len(self.columns) + n}" for n in range(len(nodes))]
            columns = (f"{names[0]}_k", *side_columns(nodes, names))
            given = before.select(self.col(of).alias("k")).where(F.col("k").isNotNull()).distinct()
            side = given.mapInArrow(_on_executor(tuple(nodes), lists), ", ".join(f"{name} string" for name in columns))
            frame = frame.join(side, self.col(of) == F.col(columns[0]), "left").drop(columns[0])
            self.columns |= dict(zip(nodes, names, strict=True))
        return frame

    # --- problems -----------------------------------------------------------------------------------------------------------------

    def _true(self, condition: Condition) -> Column:
        F, node = self.F, condition.node
        if condition.test == "null":
            return self.col(node).isNull()
        if condition.test == "there":
            return self.col(node).isNotNull()
        name = self.columns[self.plan.resolved(node)]
        if condition.test in ("too long", "missed"):
            return F.col(f"{name}_long" if condition.test == "too long" else f"{name}_missed")
        if condition.test == "told":
            return F.col(f"{name}_code").isNotNull()
        if condition.test == "unread":
            assert isinstance(node, ir.Extract)
            return self.col(node.of).isNotNull() & self._line(node).isNull()
        if condition.test == "contradicts":
            assert isinstance(node, ir.Pin)
            return self._contradicts(node)
        assert isinstance(node, ir.When)
        return self._holds(node) if condition.test == "holds" else ~self._holds(node)

    def _contradicts(self, node: ir.Pin) -> Column:
        """The date or sex inside a well-formed PIN differs from the record's; equal digits are opposite sexes."""
        F, number = self.F, self.col(node)
        found = F.lit(False)
        if node.birth_date is not None:
            parts = [F.substring(number, at, size) for at, size in ((6, 4), (4, 2), (2, 2))]
            found = found | F.coalesce(F.concat_ws("-", *parts) != self.col(node.birth_date), F.lit(False))
        if node.sex is not None:
            sex = self.col(node.sex)
            found = found | F.coalesce(sex.isin("1", "2") & (F.substring(number, 1, 1) == sex), F.lit(False))
        return number.isNotNull() & found

    def _issue(self, issue: Issue, when: Column) -> Column:
        F = self.F
        if issue.code is None:
            name = self.columns[self.plan.resolved(issue.when[-1].node)]
            told = [F.col(f"{name}_{part}") for part in SIDE_PARTS]
        else:
            source = (
                F.substring(self.col(issue.source), 1, SOURCE_CODE_LENGTH)
                if issue.source is not None
                else self.text(None)
            )
            told = [self.text(issue.code), source, self.text(issue.severity)]
        described = zip(_PARTS, [self.text(issue.field), *told], strict=True)
        return F.when(when, F.struct(*(value.alias(part) for part, value in described)))

    def _result(self, frame: Frame) -> Frame:
        F = self.F
        listed, missed = [], []
        for issue in self.plan.issues:
            when = self._true(issue.when[0])
            for more in issue.when[1:]:
                when = when & self._true(more)
            listed.append(self._issue(issue, when))
            if issue.crosswalk is not None and issue.source is not None:
                met = (self.text(issue.crosswalk).alias("crosswalk"), self.col(issue.source).alias("code"))
                missed.append(F.when(when, F.struct(*met)))
        kind = f"array<struct<{', '.join(f'{part}: string' for part in _PARTS)}>>"
        issues = F.array_compact(F.array(*listed)) if listed else F.array()
        counted = F.array_compact(F.array(*missed)) if missed else F.array()
        values = [self.col(f.expr).alias(f.name) for f in self.mapping.fields]
        done = frame.select(
            ROW,
            *values,
            issues.cast(kind).alias(ISSUES),
            counted.cast("array<struct<crosswalk: string, code: string>>").alias(UNMAPPED),
        )
        severities = F.col(f"{ISSUES}.severity")
        verdict = (
            F.when(F.size(ISSUES) == 0, "ok")
            .when(F.array_contains(severities, "reject"), "rejected")
            .when(F.array_contains(severities, "quarantine"), "quarantined")
            .otherwise("flagged")
        )
        return done.withColumn(VERDICT, verdict)


def _carried(pack: Lists, mapping: Mapping) -> _Carried:
    return _Carried(
        {list_id: pack.codelist(list_id) for list_id in mapping.codelists},
        {walk_id: pack.crosswalk(walk_id) for walk_id in mapping.crosswalks},
        pack.gazetteer,
    )


def _on_executor(nodes: tuple[ir.Expr, ...], lists: _Carried) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """What runs in the executors' Python: batches of distinct texts in, batches of side table rows out."""

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow  # type: ignore[import-untyped]

        row = side_row(nodes, lists)
        width = 1 + len(side_columns(nodes, [""] * len(nodes)))
        for batch in batches:
            rows = [row(text) for text in batch.column(0).to_pylist()]
            columns = zip(*rows, strict=True) if rows else [()] * width
            arrays = [pyarrow.array(list(column), pyarrow.string()) for column in columns]
            yield pyarrow.RecordBatch.from_arrays(arrays, [f"n{n}" for n in range(width)])

    return run
