"""The closed rules of a contract: the one list that messages and tables are both held against. `contracts.builder` makes it of a contract.

A rule speaks of one value (or a few of one record) and asks one question; `contracts.message` asks it of records, `contracts.sql` of tables, and
a property test holds their counts equal. What these questions mean, once for all engines:

- null is no value: it breaks `required` and nothing else. An empty text is a value.
- A value fits its logical type as what it is (a JSON number, a DATE column) or as text in the type's one written form (`TYPE_PATTERNS`), so that
  canonical records, CSV files and typed tables are judged alike. A value that does not fit breaks `type` and is asked nothing else.
- Numbers are compared as IEEE 754 doubles, dates and times by their ISO text, timestamps as instants (without a zone: UTC).
- Lengths count code points. Patterns are of the closed dialect (`contracts.patterns`).
- `unique` and `primaryKey` break in every record that shares its value with another; null shares with nobody.

A data quality rule that tolerates some (`mustBeLessOrEqualTo: 5`, `unit: percent`) has a `Tolerance`: it judges the whole and no single record,
so it is not run on the wire. What cannot be run at all is in `RuleSet.unrun` with the reason: nothing is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from kerege.semantics.contracts.contract import LogicalType, Severity

Where = Literal["everywhere", "messages", "tables"]
KINDS: Final[dict[str, str]] = {
    "required": "a value is there",
    "type": "the value is of its logical type",
    "minLength": "the text has at least so many characters",
    "maxLength": "the text has at most so many characters",
    "pattern": "the text matches the pattern",
    "minimum": "the value is this or more",
    "maximum": "the value is this or less",
    "exclusiveMinimum": "the value is more than this",
    "exclusiveMaximum": "the value is less than this",
    "multipleOf": "the whole number is a multiple of this",
    "codes": "the value is a notation of the code list",
    "validValues": "the value is one of those listed",
    "missingValues": "a value is there, and none of those that stand for none",
    "compare": "the value stands so to another field's (where both are there)",
    "requires": "where this field has a value, the other has one",
    "unique": "no other record has the value",
    "primaryKey": "no other record has these values together",
    "rowCount": "there are so many records",
    "freshness": "the newest value is not older than this",
}
COMPARISONS: Final = {
    "less": "<",
    "lessOrEqual": "<=",
    "greater": ">",
    "greaterOrEqual": ">=",
    "equal": "=",
    "notEqual": "<>",
}
_YEAR: Final = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP: Final = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY: Final = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP}-02-29)"
)
_TIME: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?"
# the one written form of each type, the same text for every engine; days exist, whole numbers fit 64 bits
TYPE_PATTERNS: Final[dict[str, str]] = {
    "integer": "^-?(?:0|[1-9][0-9]{0,17})$",
    "number": "^-?(?:0|[1-9][0-9]{0,17})(?:[.][0-9]{1,18})?$",
    "boolean": "^(?:true|false)$",
    "date": f"^{_DAY}$",
    "time": f"^{_TIME}$",
    "timestamp": f"^{_DAY}[T ]{_TIME}(?:Z|[+-](?:0[0-9]|1[0-4])(?::[0-5][0-9])?)?$",
}
BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LARGEST_INTEGER: Final = 10**18 - 1


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What the whole may have: `operator` and `threshold` as the standard has them, over rows or per cent of the rows."""

    operator: str
    threshold: float | tuple[float, float]
    unit: str = "rows"

    def holds(self, count: int, rows: int) -> bool:
        """Whether `count` of `rows` is within it. Of no rows at all, nothing is 0 per cent."""
        measured = float(count) if self.unit != "percent" else (100.0 * count / rows if rows else 0.0)
        if isinstance(self.threshold, tuple):
            inside = self.threshold[0] <= measured <= self.threshold[1]
            return inside if self.operator == "mustBeBetween" else not inside
        limit = self.threshold
        return {
            "mustBe": measured == limit, "mustNotBe": measured != limit, "mustBeGreaterThan": measured > limit,
            "mustBeGreaterOrEqualTo": measured >= limit, "mustBeLessThan": measured < limit, "mustBeLessOrEqualTo": measured <= limit,
        }[self.operator]  # fmt: skip

    @property
    def none_allowed(self) -> bool:
        """Whether it says no more than: not one."""
        if isinstance(self.threshold, tuple):
            return self.operator == "mustBeBetween" and self.threshold == (0, 0)
        if self.unit == "percent":
            return self.operator in ("mustBe", "mustBeLessOrEqualTo") and self.threshold == 0
        limits = {"mustBe": 0.0, "mustBeLessOrEqualTo": 0.999999, "mustBeLessThan": 1.0}
        return (
            self.operator in limits
            and 0 <= self.threshold <= limits[self.operator]
            and (self.operator, self.threshold) != ("mustBeLessThan", 0)
        )

    def __str__(self) -> str:
        limit = (
            " and ".join(map(number_text, self.threshold))
            if isinstance(self.threshold, tuple)
            else number_text(self.threshold)
        )
        return f"{self.operator} {limit} {self.unit}"


def number_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


@dataclass(frozen=True, slots=True)
class Rule:
    """One question. `field` is a path in a record ("" for the whole), `value` the question's argument, plain and without floats."""

    field: str
    kind: str
    value: Any = None
    severity: Severity = "error"
    tolerance: Tolerance | None = None
    number: int = 0  # tells two rules of one field and kind apart

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no rule is called {self.kind}")

    @property
    def name(self) -> str:
        """The kind, with a number where a field has several of it: what counts are kept under."""
        return self.kind if not self.number else f"{self.kind}.{self.number + 1}"

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field it reads."""
        if self.kind in ("unique", "primaryKey"):
            return tuple(self.value)
        if self.kind in ("compare", "requires"):
            return (self.field, str(self.value["other"]))
        return (self.field,) if self.field else ()


@dataclass(frozen=True, slots=True)
class Unrun:
    """Something the contract says that is not asked, `where` not, and why."""

    field: str
    what: str
    reason: str
    where: Where = "everywhere"


@dataclass(frozen=True)
class RuleSet:
    """All that is asked of one schema object. `types` and `columns` by field path; `top` are the fields a table has columns for."""

    contract: str
    version: str
    object: str
    rules: tuple[Rule, ...]
    types: Mapping[str, LogicalType | None]
    columns: Mapping[str, str]
    unrun: tuple[Unrun, ...] = ()

    @property
    def of_records(self) -> tuple[Rule, ...]:
        """The rules a record alone answers."""
        return tuple(r for r in self.rules if r.tolerance is None and r.kind not in ("unique", "primaryKey"))

    @property
    def of_many(self) -> tuple[Rule, ...]:
        """The rules that need all records of an answer."""
        return tuple(r for r in self.rules if r.tolerance is None and r.kind in ("unique", "primaryKey"))

    def for_field(self, field: str) -> tuple[Rule, ...]:
        return tuple(r for r in self.rules if r.field == field)


def bound_fits(kind: str | None, text: str) -> bool:
    """Whether `text` can be a bound of values of this type, in the type's written form."""
    if kind in ("integer", "number"):
        try:
            return abs(float(text)) <= 1.7e308
        except ValueError:
            return False
    written = TYPE_PATTERNS.get(kind or "") if kind in ("date", "time", "timestamp") else None
    return written is not None and re.match(written.removesuffix("$") + r"\Z", text) is not None
