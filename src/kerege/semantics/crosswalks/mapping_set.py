"""A crosswalk in memory: its rows, what they come to, its policy for codes nobody knows, and how often each such code came.

The rows are `crosswalks.rows`, the compiled form that engines run is `crosswalks.rules`; SSSOM files are `crosswalk`. Pure but for the counters.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Final, Literal

from kerege.ground.text import Said
from kerege.semantics.codelists.codelist import Finding
from kerege.semantics.crosswalks.rows import Policy, Row
from kerege.semantics.crosswalks.rules import Compiled, Rule, cardinalities, compile_rows
from kerege.semantics.errors import CrosswalkInvalid, CrosswalkTwice
from kerege.semantics.normalise.folding import fold

Match = Literal["exact", "folded"]
COUNTED: Final = 10_000
OTHERS: Final = "(others)"


@dataclass(frozen=True)
class Crosswalk:
    """A mapping set from `subject_source` codes to `object_source` codes, with its policy and counters for unmapped codes."""

    id: str
    rows: tuple[Row, ...] = ()
    subject_source: str = ""
    object_source: str = ""
    policy: Policy = field(default_factory=Policy)
    match: Match = "exact"
    title: str = ""
    version: str = ""
    license: str = ""
    curie_map: dict[str, str] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    extensions: tuple[dict[str, Any], ...] = ()  # other people's `extension_definitions`, carried along
    unmapped: Counter[str] = field(default_factory=Counter, compare=False)

    def __post_init__(self) -> None:
        try:
            compiled = compile_rows(self.rows, self.key)
        except ValueError as error:
            raise CrosswalkInvalid(file=self.id, line="?", reason=str(error)) from error
        single = {key: rules[0].target for key, rules in compiled.rules.items() if _always(rules)}
        object.__setattr__(self, "_compiled", compiled)
        object.__setattr__(self, "_table", single)
        denied = (r for r in self.rows if "skos:exactMatch" in r.denies and not r.when)
        object.__setattr__(
            self, "_denied", frozenset((self.key(r.subject) if r.subject else "", r.object or "") for r in denied)
        )

    @property
    def compiled(self) -> Compiled:
        """What the rows come to, for engines: ordered rules per source key, see `crosswalks.rules`."""
        found: Compiled = self.__dict__["_compiled"]
        return found

    @property
    def table(self) -> dict[str, str]:
        """Source key to target, for codes that mean the same always; all there is when `compiled.plain`. Keys as `key` makes them."""
        found: dict[str, str] = self.__dict__["_table"]
        return found

    @property
    def ambiguous(self) -> frozenset[str]:
        """Source keys that the rows map twice: unmapped until a steward decides."""
        return frozenset(twice.key for twice in self.compiled.twice)

    def require_single(self, file: str = "") -> None:
        """Raise CrosswalkTwice, naming both rows, when one code has two targets on one day under the same conditions, or one that is denied."""
        for twice in self.compiled.twice:
            first, second = self.rows[twice.first], self.rows[twice.second]
            raise CrosswalkTwice(
                crosswalk=file or self.id, code_given=repr(first.subject), first=twice.first + 1, second=twice.second + 1,
                first_target=repr(first.object), second_target=_against(second) if twice.denied else repr(second.object),
                first_when=first.when or "always", second_when=second.when or "always", more=len(self.compiled.twice) - 1,
            )  # fmt: skip

    def cardinalities(self) -> list[str]:
        """`mapping_cardinality` of each row, computed from the rows within the set's `cardinality_scope`."""
        scope = self.header.get("cardinality_scope") or ()
        scope = scope.split("|") if isinstance(scope, str) else [str(name) for name in scope]
        return cardinalities(self.rows, scope, self._slot)

    def _slot(self, row: Row, name: str) -> str:
        known = {
            "predicate_id": row.predicate,
            "mapping_justification": row.justification,
            "subject_label": row.subject_label,
        }
        known |= {
            "subject_source": self.subject_source,
            "object_source": self.object_source,
            "object_label": row.object_label,
        }
        return row.other.get(name) or known.get(name) or str(self.header.get(name, ""))

    def check(self) -> tuple[Finding, ...]:
        """What is wrong with the crosswalk: codes mapped twice or to what a row denies, declared cardinalities that are not true."""
        found = []
        for twice in self.compiled.twice:
            first, second = self.rows[twice.first], self.rows[twice.second]
            said = Said(
                "rows_denied" if twice.denied else "rows_disagree",
                "row {first} says {object} ({when}), row {second} says {other} ({other_when})",
                first=twice.first + 1, object=first.object, when=first.when or "always",
                second=twice.second + 1, other=_against(second) if twice.denied else second.object, other_when=second.when or "always",
            )  # fmt: skip
            code = "denied" if twice.denied else "conditions_overlap" if twice.overlap else "mapped_twice"
            found.append(Finding(code, first.subject, said, "error"))
        for row, real in zip(self.rows, self.cardinalities(), strict=True):
            if (declared := row.other.get("mapping_cardinality", real)) != real:
                said = Said(
                    "cardinality_wrong",
                    "the row says {declared}, the rows make it {real}",
                    declared=declared,
                    real=real,
                )
                found.append(Finding("cardinality_wrong", row.subject, said, "warning"))
        return tuple(found)

    def key(self, code: str) -> str:
        """The form in which codes of this crosswalk are compared."""
        return fold(code) if self.match == "folded" else code

    def find(self, code: str, as_of: date | None = None, cells: Mapping[str, str | None] | None = None) -> Rule | None:
        """The rule for `code` in a record of the day `as_of` with these other `cells`; None when no rule holds. Counts nothing."""
        given = [self.key(v) if (v := (cells or {}).get(cell)) is not None else None for cell in self.compiled.cells]
        return self.compiled.find(self.key(code), as_of, given)

    def translate(
        self, code: str, as_of: date | None = None, cells: Mapping[str, str | None] | None = None
    ) -> tuple[str | None, bool]:
        """(target, known). An unknown or ambiguous code, or one that no row maps on that day under those cells, is counted and gets
        what the policy says, with known False.

        as_of   the record's day, not today's; without it rows with a validity do not hold
        cells   other cells of the record by the names that the rows' conditions use
        """
        if self.compiled.plain:
            target = self.table.get(self.key(code))
        else:
            found = self.find(code, as_of, cells)
            target = found.target if found is not None else None
        if target is not None:
            return target, True
        self.count(code)
        return self.policy.value(code), False

    def count(self, code: str, times: int = 1) -> None:
        """Count an unmapped code; past `COUNTED` different ones the rest are counted together, so a stream of noise stays small."""
        self.unmapped[code if code in self.unmapped or len(self.unmapped) < COUNTED else OTHERS] += times

    def denies(self, code: str, target: str = "") -> bool:
        """Whether a row says, for every record, that `code` is not `target`, or that nothing is; without `target` that it has no counterpart."""
        said: frozenset[tuple[str, str]] = self.__dict__["_denied"]
        return bool(said & {(self.key(code), ""), *([(self.key(code), target), ("", target)] if target else ())})

    def uncounted(self) -> Crosswalk:
        """The same crosswalk with a counter of its own, at the cost of a copy of its fields: what is tried by it is counted nowhere else."""
        aside = copy.copy(self)
        object.__setattr__(aside, "unmapped", Counter())
        return aside

    def merged(self, other: Crosswalk) -> Crosswalk:
        """This crosswalk with `other`'s rows winning over its own for the same source code; `other`'s policy wins too."""
        theirs = {other.key(row.subject) for row in other.rows if row.subject}
        found = {row.object for row in other.rows if row.translates}
        kept = tuple(
            row
            for row in self.rows
            if (other.key(row.subject) not in theirs if row.subject else row.object not in found)
        )
        values = {f.name: getattr(other, f.name) for f in fields(Crosswalk) if f.name != "unmapped"}
        values |= {"id": self.id, "rows": (*kept, *other.rows), "curie_map": {**self.curie_map, **other.curie_map}}
        values |= {name: values[name] or getattr(self, name) for name in ("subject_source", "object_source", "title")}
        return Crosswalk(**values)


def _against(row: Row) -> str:
    """What a row that denies says, in words."""
    if row.object is None:
        return Said("row_no_counterpart", "that it has no counterpart")
    if row.subject:
        return Said("row_not", "not {object}", object=repr(row.object))
    return Said("row_nothing_is", "that nothing is {object}", object=repr(row.object))


def _always(rules: tuple[Rule, ...]) -> bool:
    only = rules[0] if len(rules) == 1 else None
    return only is not None and not (only.valid_from or only.valid_to or any(only.conditions))
