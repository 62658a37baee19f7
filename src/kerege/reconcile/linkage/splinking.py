"""A linkage definition in Splink's words: the same settings for DuckDB and for Spark, because every level is one of Splink's own creators.

Splink is imported only here and in `bulk`, when a table is linked: `kerege node` and the hub's pages never load it. Its data sets, which it
would download, are never touched; it sends nothing anywhere.
Leaves to `definition` what may be declared, to `bulk` the running.
"""

from __future__ import annotations

from typing import Any, Final

from kerege.reconcile.linkage.definition import (
    DAY_MONTH,
    EDITS,
    EXACT,
    FIRST,
    JARO_WINKLER,
    SWAPPED,
    Comparison,
    Level,
    LinkageDefinition,
    bare,
    prefix,
)
from kerege.reconcile.linkage.model import Model

UNIQUE: Final = "unique_id"


RARE: Final = 5
PRIOR: Final = 0.0001  # Splink's own, until training gives another


def settings_of(definition: LinkageDefinition, *, rows: int, explain: bool, model: Model | None = None) -> Any:
    """Splink's SettingsCreator. `rows` of both tables together: a value seen fewer than `RARE` times is weighed as if seen so often.

    model  weights learnt before; without one they are to be trained
    """
    from splink import SettingsCreator

    return SettingsCreator(
        link_type="link_only",
        comparisons=[comparison_of(c, rows, model) for c in definition.comparisons],
        blocking_rules_to_generate_predictions=[rule_of(rule) for rule in definition.block],
        retain_matching_columns=explain,
        retain_intermediate_calculation_columns=explain,
        unique_id_column_name=UNIQUE,
        linker_uid="kerege",
        probability_two_random_records_match=PRIOR if model is None else model.prior,
    )


def least_frequency(rows: int) -> float:
    """The frequency below which a value is not believed to be rarer still; it also lets a model be kept without its rare names."""
    return RARE / max(rows, RARE)


def rule_of(rule: tuple[str, ...]) -> Any:
    """A rule on which records meet: all its fields agree."""
    from splink import block_on

    return block_on(*(part_sql(part) for part in rule))


def part_sql(part: str, alias: str = "") -> str:
    """A part of a rule in SQL; its name was checked by the definition."""
    length, name = prefix(part), f"{alias}.{bare(part)}" if alias else bare(part)
    return name if length is None else f"substr({name}, 1, {length})"


def comparison_of(comparison: Comparison, rows: int, model: Model | None = None) -> Any:
    """One comparison with its null level, its levels and all else; with a model's m and u where there is one."""
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    made = [*(level_of(level, comparison, rows) for level in comparison.levels), levels.ElseLevel()]
    if model is not None:
        for level, learnt in zip(made, model.levels[comparison.name], strict=True):
            known = {"m_probability": learnt.m, "u_probability": learnt.u}
            level.configure(**{name: value for name, value in known.items() if value is not None})
    return library.CustomComparison([levels.NullLevel(comparison.field), *made], output_column_name=comparison.name)


def level_of(level: Level, comparison: Comparison, rows: int) -> Any:
    import splink.comparison_level_library as levels

    name, value = comparison.field, level.value
    if level.kind == EXACT:
        if comparison.frequency:
            return levels.ExactMatchLevel(name, term_frequency_adjustments=True).configure(
                tf_minimum_u_value=least_frequency(rows)
            )
        return levels.ExactMatchLevel(name)
    if level.kind == JARO_WINKLER:
        return levels.JaroWinklerLevel(name, float(value or 0))
    if level.kind == EDITS:
        return levels.DamerauLevenshteinLevel(name, int(value or 0))
    if level.kind == FIRST:
        return levels.CustomLevel(f"substr({name}_l, 1, {value}) = substr({name}_r, 1, {value})", level.label)
    if level.kind == DAY_MONTH:
        same_year = f"substr({name}_l, 1, 4) = substr({name}_r, 1, 4)"
        crossed = f"substr({name}_l, 6, 2) = substr({name}_r, 9, 2) AND substr({name}_l, 9, 2) = substr({name}_r, 6, 2)"
        return levels.CustomLevel(f"{same_year} AND {crossed}", level.label)
    assert level.kind == SWAPPED
    return levels.CustomLevel(f"{name}_l = {value}_r AND {value}_l = {name}_r", level.label)
