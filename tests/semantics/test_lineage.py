"""Which rule made this value: the trace tells what the mapping did, and nothing of it without being asked for values."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.semantics import compile_record
from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.engines.emit_duckdb import compile_duckdb
from kerege.semantics.mappings import ir, problems
from kerege.semantics.mappings.documents import Mapping, TargetField
from kerege.semantics.mappings.lineage import explain
from kerege.semantics.mappings.operators import Uncounted

from .support import CELLS, country_pack, small_pack
from .test_two_engines import DAY, mapping_of, mappings


@given(mapping=mappings(), row=st.tuples(CELLS, CELLS, CELLS))
@settings(max_examples=80, deadline=None)
def test_the_trace_ends_in_the_value_and_tells_the_problems_of_the_mapping(
    mapping: Mapping, row: tuple[str | None, ...]
) -> None:
    pack = small_pack()
    record = dict(zip("abc", row, strict=True))
    mapped = compile_record(mapping, pack)(record)
    before = {name: dict(walk.unmapped) for name, walk in pack.crosswalks.items()}
    for field in mapping.fields:
        lineage = explain(mapping, pack, record, field.name)
        assert lineage.value == mapped.values[field.name]
        direct = {p.code for p in mapped.problems if p.field == field.name}
        assert direct <= {step.problem for step in lineage.steps}
    assert before == {name: dict(walk.unmapped) for name, walk in pack.crosswalks.items()}, "explaining counts nothing"


def test_a_recoding_names_the_row_of_the_crosswalk_and_its_version() -> None:
    pack = country_pack()
    mapping = pack.mapping("kg:population.person")
    walk = pack.crosswalk("kg:population-sex--sex")
    code = walk.rows[0].subject
    lineage = explain(mapping, pack, {"gender": code}, "sex", pack.version(mapping.id))
    (step,) = [s for s in lineage.steps if s.operator == "recode"]
    assert step.rule is not None
    assert (step.rule.crosswalk, step.rule.row, step.rule.justification) == (walk.id, 1, walk.rows[0].justification)
    assert (lineage.value, lineage.version, lineage.cells) == (
        walk.rows[0].object,
        pack.version(mapping.id),
        ("gender",),
    )


def test_an_unmapped_code_names_the_policy_that_was_applied() -> None:
    mapping = mapping_of([TargetField("f", ir.Recode(ir.Field("a"), "t:default-exact"))])
    step = explain(mapping, small_pack(), {"a": "?"}, "f").steps[-1]
    assert step.rule is not None
    assert (step.gave, step.problem, step.rule.row, step.rule.policy) == ("9", problems.UNMAPPED, 0, "default 9")


@pytest.mark.parametrize(("day", "row"), [("2019-12-31", 1), ("2020-01-01", 2)])
def test_a_recoding_as_of_a_day_names_the_row_that_held_then(day: str, row: int) -> None:
    expr = ir.RecodeAsOf(ir.Together((ir.Field("a"), DAY, ir.Field("b"))), "t:dated-exact", ("b",))
    step = explain(mapping_of([TargetField("f", expr)]), small_pack(), {"a": "М", "c": day}, "f").steps[-1]
    assert step.rule is not None
    assert step.rule.row == row


def test_what_others_count_while_a_value_is_explained_or_tried_stays_counted() -> None:
    pack = small_pack()
    walk = pack.crosswalk("t:dated-exact")
    times = 0

    class Busy(Uncounted):
        """Somebody translates with the same crosswalk each time that it is asked for."""

        def crosswalk(self, crosswalk_id: str) -> Crosswalk:
            nonlocal times
            times += 1
            pack.crosswalk(crosswalk_id).count("theirs")
            return pack.crosswalk(crosswalk_id)

    expr = ir.RecodeAsOf(ir.Together((ir.Field("a"), DAY, ir.Field("b"))), walk.id, ("b",))
    mapping = mapping_of([TargetField("f", expr)])
    explain(mapping, Busy(pack), {"a": "nobody", "c": "2020-01-01"}, "f")
    assert walk.unmapped == {"theirs": times}
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t AS SELECT 'nobody' AS a, NULL::VARCHAR AS b, '2020-01-01' AS c FROM range(3)")
        compile_duckdb(mapping, Busy(pack)).run(con, "t")
    assert walk.unmapped == {"theirs": times, "nobody": 3}, "the rows are counted, not the value that was tried once"


def test_masks_show_the_shape_of_values_only() -> None:
    mapping = mapping_of([TargetField("f", ir.Upper(ir.Field("a")))])
    lineage = explain(mapping, small_pack(), {"a": "Асан-12"}, "f").masked()
    assert lineage.value == "AAAA-99"
    assert [(s.given, s.gave) for s in lineage.steps] == [((), "Aaaa-99"), (("Aaaa-99",), "AAAA-99")]
    assert "сан" not in str(lineage.as_dict())
