"""Patterns on engines that run them natively: Java's expressions as Python reads them, and what Rust refuses; cells are in `test_engines`."""

from __future__ import annotations

import re
import time
from typing import Final

import polars as pl
import pytest
from hypothesis import given, settings

from kerege.semantics.engines import door as engines
from kerege.semantics.engines import duck_patterns, emit_polars, emit_polars_patterns
from kerege.semantics.engines.celldiff import compare
from kerege.semantics.engines.emit_postgres import is_native as in_postgresql
from kerege.semantics.engines.emit_spark import is_native as on_spark
from kerege.semantics.engines.emit_spark_patterns import java_expression
from kerege.semantics.mappings import ir
from kerege.semantics.mappings.documents import TargetField
from kerege.semantics.normalise.folding import WHITESPACE
from kerege.semantics.patterns.pattern import Line, Part, Pattern, Run, Upto, names_of, scan

from .patterns_support import ADDRESS, HOUSE
from .support import small_pack
from .test_engines import mapping_of
from .test_patterns import _TEXTS

# Python 3.11 reads what Java reads in these expressions (atomic groups, look-ahead, classes); only the end of the text is called otherwise.
PYTHONS_END: Final = (r"\z", r"\Z")
_MANY: Final = "".join(
    map(chr, range(0x400, 0x3000, 3))
)  # characters with others between them, so that no range says them
LARGE: Final = Pattern(((*(Part(f"p{n}", (Run("not", 100, 100, _MANY),)) for n in range(3)),),))


def compiled(line: Line) -> re.Pattern[str]:
    return re.compile(java_expression(line).replace(*PYTHONS_END))


@pytest.mark.parametrize("pattern", [ADDRESS, HOUSE])
@given(text=_TEXTS)
@settings(max_examples=200, deadline=None)
def test_what_java_is_given_reads_what_the_definition_reads_and_nothing_has_to_be_left_out(
    pattern: Pattern, text: str
) -> None:
    found = None
    for line in pattern.lines:
        match = compiled(line).search(text)
        if match:
            pairs = zip(names_of(line), match.groups(), strict=True)
            found = {name: bare for name, value in pairs if value and (bare := value.strip(WHITESPACE))}
            break
    assert found == scan(pattern, text)


def test_java_never_passes_the_first_stop_however_many_follow() -> None:
    line = (Upto((" а.",), "x"), Upto((" б.",), "y"), Upto((" в.",), "z"), Part("last", (Run("digits"),)))
    Pattern((line,))
    begun = time.process_time()
    assert compiled(line).search("м" + " а.м б.м в.м" * 5_000) is None, "each stop would be one more way to go on"
    assert time.process_time() - begun < 1
    assert compiled(line).search("м а.м б.м в.7") is not None


def test_a_last_line_break_belongs_to_the_text() -> None:
    (_, line) = HOUSE.lines[:2]
    assert java_expression(line).endswith(r"\z"), "Java's $ would also stand before it"
    assert compiled(line).search("12-үй\n") is None


def test_a_pattern_too_large_for_an_engine_runs_once_per_text_and_gives_the_same_cells() -> None:
    for reads in (emit_polars_patterns.readable, duck_patterns.readable):
        assert reads(ADDRESS)
        assert reads(HOUSE)
        assert not reads(LARGE)
    fields = [TargetField(f"f_{part}", ir.Extract(ir.Field("a"), LARGE, part)) for part in ("p0", "p2")]
    mapping = mapping_of(fields, ("a",))
    assert {emit_polars.compile_polars(mapping, small_pack()).plan.ways[f.expr] for f in fields} == {"side"}
    frame = pl.DataFrame({"a": ["x" * 300, "x" * 299, "ж" * 300, " x", None, "x" * 300]})
    various = pl.DataFrame({"a": [f"{n:05}" + "x" * 295 for n in range(1_100)]})  # more than a query carries itself
    for table, ok in ((frame, 3), (various, 1_100)):
        runs = {name: engines.run(name, mapping, small_pack(), table) for name in ("python", "polars", "duckdb")}  # type: ignore[arg-type]
        assert {run.verdicts["ok"] for run in runs.values()} == {ok}
        assert compare({name: run.frame for name, run in runs.items()}, values=True).different == 0


def test_polars_and_spark_read_patterns_themselves_and_postgresql_does_not() -> None:
    node = ir.Extract(ir.Field("a"), ADDRESS, "street")
    assert emit_polars.is_native(node)
    assert on_spark(node)
    assert not in_postgresql(node), (
        "docs/decisions/0124: its greediness, and three to six times the cost of the side table"
    )
