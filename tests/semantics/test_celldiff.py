"""The diff itself: what it finds, what it says of it, and that it keeps values to itself."""

from __future__ import annotations

from typing import Any

import polars as pl

from kerege.semantics.engines.celldiff import ROWS, compare

PROBLEM = {"field": "f", "code": "semantics.unmapped_code", "source_code": 'a"b', "severity": "flag"}
OTHER = {"field": "g", "code": "semantics.date_unreadable", "source_code": None, "severity": "flag"}
KIND = pl.List(pl.Struct(dict.fromkeys(("field", "code", "source_code", "severity"), pl.String)))


def result(*rows: tuple[str | None, list[dict[str, Any]], str], start: int = 0) -> pl.DataFrame:
    columns = {
        "_row": [start + n for n in range(len(rows))],
        "f": [r[0] for r in rows],
        "_problems": [r[1] for r in rows],
    }
    schema = {"_row": pl.Int64, "f": pl.String, "_problems": KIND, "_verdict": pl.String}
    return pl.DataFrame({**columns, "_verdict": [r[2] for r in rows]}, schema=schema)


GOOD = result(("secret", [], "ok"), (None, [PROBLEM, OTHER], "flagged"), ("x", [], "ok"))


def test_equal_results_differ_nowhere_whatever_order_their_rows_are_in() -> None:
    found = compare({"python": GOOD, "duckdb": GOOD, "polars": GOOD.sort("_row", descending=True)})
    assert (found.law, found.rows, found.different) == ("python", 3, 0)
    assert [(e.engine, e.cells) for e in found.engines] == [("duckdb", 9), ("polars", 9)]


def test_one_other_cell_is_named_by_engine_row_and_field_without_its_value() -> None:
    bad = result(("public", [], "ok"), (None, [PROBLEM, OTHER], "flagged"), ("x", [], "ok"))
    found = compare({"python": GOOD, "postgresql": bad})
    assert [str(d) for d in found.engines[0].first] == ["postgresql: row 0, f"]
    assert "secret" not in repr(found)
    assert "public" not in "\n".join(found.lines())


def test_values_are_told_when_asked_for() -> None:
    bad = result(("public", [], "ok"), (None, [PROBLEM, OTHER], "flagged"), ("x", [], "ok"))
    assert "'secret' was expected, 'public' came" in "\n".join(
        compare({"python": GOOD, "duckdb": bad}, values=True).lines()
    )


def test_null_and_empty_text_are_two_things() -> None:
    bad = result(("secret", [], "ok"), ("", [PROBLEM, OTHER], "flagged"), ("x", [], "ok"))
    assert compare({"python": GOOD, "duckdb": bad}).engines[0].by_field == {"f": 1}


def test_problems_in_another_order_are_a_difference() -> None:
    bad = result(("secret", [], "ok"), (None, [OTHER, PROBLEM], "flagged"), ("x", [], "ok"))
    assert compare({"python": GOOD, "duckdb": bad}).engines[0].by_field == {"_problems": 1}


def test_a_problem_more_or_with_another_source_code_is_a_difference() -> None:
    for issues in ([PROBLEM], [PROBLEM, OTHER, OTHER], [{**PROBLEM, "source_code": None}, OTHER], []):
        bad = result(("secret", [], "ok"), (None, issues, "flagged"), ("x", [], "ok"))
        assert compare({"python": GOOD, "duckdb": bad}).different == 1


def test_quotes_inside_a_source_code_do_not_hide_a_difference() -> None:
    one = result((None, [{**OTHER, "source_code": 'a" "flag"; "g'}], "flagged"))
    two = result((None, [{**OTHER, "source_code": "a", "severity": "flag"}, OTHER], "flagged"))
    assert compare({"python": one, "duckdb": two}).different == 1


def test_another_verdict_is_a_difference() -> None:
    bad = result(("secret", [], "ok"), (None, [PROBLEM, OTHER], "rejected"), ("x", [], "ok"))
    assert compare({"python": GOOD, "duckdb": bad}).engines[0].by_field == {"_verdict": 1}


def test_rows_that_are_missing_or_too_many_are_counted_and_named() -> None:
    fewer = compare({"python": GOOD, "duckdb": GOOD.head(2)}).engines[0]
    assert (fewer.by_field, fewer.first[0].row) == ({ROWS: 1}, 2)
    assert compare({"python": GOOD.head(1), "duckdb": GOOD}).engines[0].by_field == {ROWS: 2}


def test_only_the_first_differences_are_named_and_all_are_counted() -> None:
    many = result(*[(str(n), [], "ok") for n in range(100)])
    bad = result(*[("x", [], "ok") for _ in range(100)])
    found = compare({"python": many, "duckdb": bad}, first=3).engines[0]
    assert (found.different, [d.row for d in found.first]) == (100, [0, 1, 2])


def test_a_missing_field_is_a_difference_in_every_row() -> None:
    assert compare({"python": GOOD, "duckdb": GOOD.drop("f")}).engines[0].by_field == {"f": 3}
