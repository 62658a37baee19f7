"""A crosswalk's rows: one mapping each, with its conditions and validity; and the policy for codes that no row knows.

The slots are those of SSSOM 1.1; conditions and validity are Kerege's own, because SSSOM has neither (asked for since 2021). In a file they are
the extension slots `kerege_valid_from`, `kerege_valid_to` (ISO dates, inclusive) and `kerege_conditions`, written
`cell=value,value; cell=value`: every cell named must have one of its values. `%`, `;`, `=` and `,` inside a name or value are percent-encoded.
What the rows come to, code by code, is `crosswalks.rules`; reading and writing files is `crosswalk`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal
from urllib.parse import unquote

PolicyKind = Literal["reject", "quarantine", "pass-and-flag", "null-and-flag", "default"]
TRANSLATING: Final = ("skos:exactMatch", "skos:closeMatch", "skos:broadMatch")  # strongest first
NO_TERM: Final = "sssom:NoTermFound"
NOT: Final = "Not"  # of `predicate_modifier`: the row says that it is not so
# what a row that is not so, or that found no term, speaks against: a mapping by the same predicate, and by one that would imply it
_AGAINST: Final = {
    "skos:exactMatch": ("skos:exactMatch",),
    "skos:closeMatch": ("skos:exactMatch", "skos:closeMatch"),
    "skos:broadMatch": ("skos:broadMatch",),
}
MANUAL: Final = "semapv:ManualMappingCuration"
LEXICAL: Final = "semapv:LexicalMatching"
_ESCAPED: Final = {ord(c): f"%{ord(c):02X}" for c in "%;=,|\t\r\n"}


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to a code without a target.

    reject, quarantine   the whole record is refused, or put aside for a steward
    pass-and-flag        the source's code goes through, with a problem
    null-and-flag        no value, with a problem
    default <code>       that code, with a problem
    """

    kind: PolicyKind = "quarantine"
    default: str | None = None

    @classmethod
    def parse(cls, raw: str) -> Policy:
        """From the header's wording; ValueError names what is wrong with it."""
        kind, _, code = raw.strip().partition(" ")
        if kind == "default":
            if not code.strip():
                raise ValueError("policy `default` needs the code to use")
            return cls("default", code.strip())
        if kind not in ("reject", "quarantine", "pass-and-flag", "null-and-flag") or code:
            raise ValueError(
                f"unknown policy {raw!r}; known: reject, quarantine, pass-and-flag, null-and-flag, default <code>"
            )
        return cls(kind)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.kind} {self.default}" if self.kind == "default" else self.kind

    @property
    def severity(self) -> Literal["flag", "quarantine", "reject"]:
        """How heavily an unmapped code weighs on its record."""
        return self.kind if self.kind in ("reject", "quarantine") else "flag"

    def value(self, source: str) -> str | None:
        """The value that goes on in place of the unmapped `source`."""
        if self.kind == "pass-and-flag":
            return source
        return self.default if self.kind == "default" else None


@dataclass(frozen=True, slots=True)
class Condition:
    """Another cell of the record must have one of `values` for a row to hold."""

    cell: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.cell.strip() or self.cell != self.cell.strip():
            raise ValueError("a condition needs the name of a cell")
        if not self.values or "" in self.values:
            raise ValueError(f"the condition on {self.cell} needs values, none of them empty")
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))


def parse_conditions(raw: str) -> tuple[Condition, ...]:
    """From `cell=value,value; cell=value`, by cell name; ValueError says what is wrong."""
    found: dict[str, Condition] = {}
    for part in raw.split(";"):
        if not part.strip():
            continue
        cell, equals, values = part.partition("=")
        name = unquote(cell.strip())
        if not equals:
            raise ValueError(f"the condition {part.strip()!r} is not written cell=value")
        if name in found:
            raise ValueError(f"the cell {name} stands twice among the conditions")
        found[name] = Condition(name, tuple(unquote(value.strip()) for value in values.split(",")))
    return tuple(found[name] for name in sorted(found))


def conditions_text(conditions: tuple[Condition, ...]) -> str:
    """The conditions as `parse_conditions` reads them."""
    return "; ".join(f"{_escaped(c.cell)}={','.join(map(_escaped, c.values))}" for c in conditions)


def _escaped(text: str) -> str:
    out = text.translate(_ESCAPED)
    # blanks at the ends would be taken for layout
    head, tail = len(out) - len(out.lstrip()), len(out) - len(out.rstrip())
    if head or tail:
        return "".join("".join(f"%{b:02X}" for b in c.encode()) if c.isspace() else c for c in out)
    return out


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping: source code, target code, how they relate, why we believe it and how much.

    subject      the source code; "" where the file says sssom:NoTermFound: nothing on the source's side is `object`
    object       the target code; None: sssom:NoTermFound, a known code with no counterpart
    valid_from, valid_to   the days of the *record* on which the row holds, inclusive; None is open
    conditions   on other cells of the record; sorted by cell
    subject_id, object_id  the CURIEs as they were read, kept so that a file's prefixes survive
    """

    subject: str
    object: str | None
    predicate: str = "skos:exactMatch"
    justification: str = MANUAL
    subject_label: str = ""
    object_label: str = ""
    confidence: float | None = None
    reviewer: str = ""
    author: str = ""
    comment: str = ""
    literal: bool = False
    predicate_modifier: str = ""
    other: dict[str, str] = field(default_factory=dict)
    valid_from: date | None = None
    valid_to: date | None = None
    conditions: tuple[Condition, ...] = ()
    subject_id: str = field(default="", compare=False)
    object_id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError("the row's validity ends before it begins")

    @property
    def translates(self) -> bool:
        """Whether this row gives a target: a positive mapping by one of the translating predicates."""
        positive = self.predicate in TRANSLATING and self.predicate_modifier != NOT
        return positive and self.object is not None and self.subject != ""

    @property
    def denies(self) -> tuple[str, ...]:
        """The predicates by which `subject` may not be mapped to `object`, because the row says that it is not so or that there is none.

        Without an object the row speaks of every target of its code (sssom:NoTermFound), without a subject of every code for its target.
        """
        nothing = self.object is None or self.subject == ""
        return _AGAINST.get(self.predicate, ()) if (self.predicate_modifier == NOT) != nothing else ()

    @property
    def when(self) -> str:
        """When the row holds, in words: validity and conditions; "" for always."""
        days = f"{self.valid_from or '...'} to {self.valid_to or '...'}" if self.valid_from or self.valid_to else ""
        return "; ".join(part for part in (days, conditions_text(self.conditions)) if part)
