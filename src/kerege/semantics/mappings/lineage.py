"""Which rule made this value: for one record and one canonical field, every operator that ran, what it was given and what it gave.

Computed on demand by walking the tree with the same functions that translate messages (`operators`), so it cannot tell another story than the mapping
did; a test holds it to the compiled mapping all the same. Of a recoding it names the row of the crosswalk: id, version, place in the
file, justification, who reviewed it; where no row spoke, the policy. Values are in the answer: who shows them decides to whom (`masked` is for
everyone else). Counters of unmapped codes are not touched. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from kerege.semantics.crosswalks.sssom import Crosswalk
from kerege.semantics.engines.emit_python import pin_contradicts
from kerege.semantics.mappings import dated, ir, problems
from kerege.semantics.mappings.documents import Mapping as FieldMapping
from kerege.semantics.mappings.operators import Lists, Uncounted, function_of

PLACE: Final = 1  # rows of a crosswalk are counted from 1, as people do


@dataclass(frozen=True, slots=True)
class Rule:
    """The row of a crosswalk that spoke, or its policy when none did (`row` 0)."""

    crosswalk: str
    version: str
    row: int
    predicate: str = ""
    justification: str = ""
    reviewer: str = ""
    confidence: float | None = None
    policy: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) not in ("", None)}


@dataclass(frozen=True, slots=True)
class Step:
    """One operator that ran: `depth` below the field, its argument in words, what it was given and what it gave, and a problem it raised."""

    depth: int
    operator: str
    argument: str
    given: tuple[str | None, ...]
    gave: str | None
    problem: str = ""
    rule: Rule | None = None

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "depth": self.depth,
            "operator": self.operator,
            "argument": self.argument,
            "given": list(self.given),
            "gave": self.gave,
        }
        if self.problem:
            out["problem"] = self.problem
        if self.rule is not None:
            out["rule"] = self.rule.as_dict()
        return out


@dataclass(frozen=True, slots=True)
class Lineage:
    """How `field` of one record came to `value` under `mapping` at `version`: the operators in the order in which they ended."""

    mapping: str
    version: str
    field: str
    value: str | None
    cells: tuple[str, ...]
    steps: tuple[Step, ...]

    def masked(self) -> Lineage:
        """The same with every value of the record as a mask (9 for digits, A and a for letters); codes of crosswalk rows are told by their row."""
        steps = tuple(replace(s, given=tuple(map(mask, s.given)), gave=mask(s.gave)) for s in self.steps)
        return replace(self, value=mask(self.value), steps=steps)

    def as_dict(self) -> dict[str, Any]:
        return {
            "mapping": {"id": self.mapping, "version": self.version},
            "field": self.field,
            "value": self.value,
            "cells": list(self.cells),
            "steps": [step.as_dict() for step in self.steps],
        }


def mask(text: str | None) -> str | None:
    """The shape of a value: digits as 9, letters as A or a, the rest as it is."""
    if text is None:
        return None
    return "".join("9" if c.isdigit() else ("A" if c.isupper() else "a") if c.isalpha() else c for c in text)


def explain(
    mapping: FieldMapping, lists: Lists, record: Mapping[str, str | None], field: str, version: str = ""
) -> Lineage:
    """The lineage of `field` for the source record `record` (cell -> text). A field the mapping does not have raises KeyError.

    version   of the mapping as the installation counts it (`Pack.version`); the mapping's own when not given
    """
    tracer = _Tracer(mapping, lists, record)
    value = tracer.field(field, 0)
    return Lineage(mapping.id, version or mapping.version, field, value, mapping.sources_of(field), tuple(tracer.steps))


class _Tracer:
    def __init__(self, mapping: FieldMapping, lists: Lists, record: Mapping[str, str | None]) -> None:
        self.mapping, self.lists, self.record = mapping, lists, record
        self.uncounted = Uncounted(lists)
        self.by_name = {f.name: f for f in mapping.fields}
        self.steps: list[Step] = []

    def field(self, name: str, depth: int) -> str | None:
        target = self.by_name[name]
        value = self.value(target.expr, depth)
        if value is None and target.required is not None:
            self.steps.append(Step(depth, "required", target.required, (None,), None, problems.REQUIRED))
        return value

    def value(self, expr: ir.Expr, depth: int) -> str | None:
        if isinstance(expr, ir.Field):
            return self._cell(expr, depth)
        if isinstance(expr, ir.Target):
            return self._told(expr, depth, expr.field, (value := self.field(expr.field, depth + 1),), value)
        if isinstance(expr, ir.Const):
            return self._told(expr, depth, "", (), expr.text or None)
        if isinstance(expr, ir.Coalesce):
            tried: list[str | None] = []
            for part in expr.parts:
                tried.append(self.value(part, depth + 1))
                if tried[-1] is not None:
                    break
            return self._told(expr, depth, f"part {len(tried)} of {len(expr.parts)}", tuple(tried), tried[-1])
        if isinstance(expr, ir.When):
            test = self.value(expr.test, depth + 1)
            met = test in expr.values if expr.values else test is not None
            chosen = expr.then if met else expr.otherwise
            value = self.value(chosen, depth + 1) if chosen is not None else None
            return self._told(expr, depth, "then" if met else "else", (test, value), value)
        return self._computed(expr, depth)

    def _cell(self, expr: ir.Field, depth: int) -> str | None:
        raw = self.record.get(expr.cell)
        if raw is not None and len(raw) > self.mapping.cell_limit:
            self.steps.append(Step(depth, expr.name, expr.cell, (), None, problems.TOO_LONG))
            return None
        function = function_of(ir.Trim(expr), self.lists)
        value = raw if raw is not None and function(raw)[0] is not None else None
        return self._told(expr, depth, expr.cell, (), value)

    def _computed(self, expr: ir.Expr, depth: int) -> str | None:
        given = tuple(self.value(child, depth + 1) for child in expr.inputs())
        value: str | None
        problem = ""
        if isinstance(expr, ir.Concat):
            value = expr.separator.join(part for part in given if part is not None) or None
        elif isinstance(expr, ir.Together):
            value = dated.together(given)
        elif given[0] is None:
            value = None
        else:
            value, issue = self._run(expr, given[0])
            problem = issue or ""
            if isinstance(expr, ir.Pin) and value is not None:
                named = [child for child in (expr.birth_date, expr.sex) if child is not None]
                beside = dict(zip(named, given[1:], strict=True))
                birth = beside.get(expr.birth_date) if expr.birth_date is not None else None
                sex = beside.get(expr.sex) if expr.sex is not None else None
                problem = problems.PIN_CONTRADICTS if pin_contradicts(value, birth, sex) else ""
        rule = (
            self._rule(expr, given[0]) if isinstance(expr, ir.Recode | ir.RecodeAsOf) and given[0] is not None else None
        )
        return self._told(expr, depth, _argument(expr), given, value, problem, rule)

    def _run(self, expr: ir.Expr, text: str) -> tuple[str | None, str | None]:
        """The operator's own function; nobody translated anything, so what it counts of unmapped codes is counted nowhere."""
        value, issue = function_of(expr, self.uncounted)(text)
        return value, issue[0] if issue is not None else None

    def _rule(self, expr: ir.Recode | ir.RecodeAsOf, text: str) -> Rule:
        walk = self.lists.crosswalk(expr.crosswalk)
        row = _row(expr, walk, text)
        if row is None:
            return Rule(walk.id, walk.version, 0, policy=str(walk.policy))
        spoke = walk.rows[row]
        return Rule(
            walk.id, walk.version, row + PLACE, spoke.predicate, spoke.justification, spoke.reviewer, spoke.confidence
        )

    def _told(
        self,
        expr: ir.Expr,
        depth: int,
        argument: str,
        given: tuple[str | None, ...],
        gave: str | None,
        problem: str = "",
        rule: Rule | None = None,
    ) -> str | None:
        self.steps.append(Step(depth, expr.name, argument, given, gave, problem, rule))
        return gave


def _row(expr: ir.Recode | ir.RecodeAsOf, walk: Crosswalk, text: str) -> int | None:
    """The index of the row that speaks for a code."""
    if isinstance(expr, ir.Recode):
        rules = walk.compiled.rules.get(walk.key(text), ())
        return rules[0].row if rules and walk.key(text) in walk.table else None
    code, (day, *cells) = dated.apart(text, 2 + len(expr.cells))
    values = dict(zip(expr.cells, cells, strict=True))
    given = [None if (value := values.get(cell)) is None else walk.key(value) for cell in walk.compiled.cells]
    rules = walk.compiled.rules.get(walk.key(code), ())
    number = dated.speaking(dated.as_texts(rules), day, given)
    return None if number is None else rules[number].row


def _argument(expr: ir.Expr) -> str:
    """An operator's settings in words: crosswalk, format list, part..."""
    said: list[str] = []
    for item in fields(expr):  # type: ignore[arg-type]
        value = getattr(expr, item.name)
        if isinstance(value, tuple) and value and all(isinstance(v, str) for v in value):
            said.append(", ".join(value))
        elif isinstance(value, str | int) and not isinstance(value, bool):
            said.append(str(value))
    return "; ".join(said)
