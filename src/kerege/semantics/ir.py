"""The intermediate form: a mapping is a tree of closed operators over one record's cells. No raw SQL, no regular expressions.

Every value is text or null. Three rules hold for all operators: null in gives null out (but for `const`, `coalesce`, `concat` and `when`); the
empty string is not a value, an operator that would yield it yields null; an operator never fails, it yields null (or what a policy says)
and a problem. Each operator declares its laws. What an operator computes is defined by `emit_python`; `emit_duckdb` must agree cell by
cell, by real SQL for the plain ones and, for grammars, by running the Python once per distinct value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Literal

from kerege.semantics.codes import Alphabet
from kerege.semantics.patterns import Pattern

Reversible = Literal["yes", "by table", "no"]


@dataclass(frozen=True, slots=True)
class Laws:
    """What holds for an operator.

    idempotent   applying it to its own result changes nothing
    total        it never raises a problem
    reversible   whether source values can be had back: always, through the crosswalk's table, or not
    sql          it runs as SQL; otherwise Python runs it once per distinct value
    """

    idempotent: bool
    total: bool
    reversible: Reversible
    sql: bool = True


class Expr:
    """An operator with its arguments. Children are the frozen dataclasses below; equal trees are equal values."""

    __slots__ = ()
    name: ClassVar[str]
    laws: ClassVar[Laws]

    def inputs(self) -> Iterator[Expr]:
        """The expressions this one reads, in the order they are evaluated."""
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if isinstance(value, Expr):
                yield value
            elif isinstance(value, tuple):
                yield from (v for v in value if isinstance(v, Expr))

    def walk(self) -> Iterator[Expr]:
        """This expression and everything under it."""
        yield self
        for child in self.inputs():
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """A cell of the source record. Absent, or nothing but blanks: null. Beyond the mapping's cell limit: null and a problem."""

    name: ClassVar[str] = "field"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="yes")
    cell: str


@dataclass(frozen=True, slots=True)
class Target(Expr):
    """A canonical field computed above in the same mapping."""

    name: ClassVar[str] = "target"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="yes")
    field: str


@dataclass(frozen=True, slots=True)
class Const(Expr):
    """A fixed text."""

    name: ClassVar[str] = "const"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    text: str


@dataclass(frozen=True, slots=True)
class Concat(Expr):
    """The non-null parts, with `separator` between them; null when there is none."""

    name: ClassVar[str] = "concat"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no")
    parts: tuple[Expr, ...]
    separator: str = " "


@dataclass(frozen=True, slots=True)
class Coalesce(Expr):
    """The first non-null part. Parts after it are not evaluated and raise no problems."""

    name: ClassVar[str] = "coalesce"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class When(Expr):
    """`then` when `test` is one of `values` (or, without values, is not null), else `otherwise`. Only the branch taken is evaluated."""

    name: ClassVar[str] = "when"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no")
    test: Expr
    values: tuple[str, ...]
    then: Expr
    otherwise: Expr | None = None


@dataclass(frozen=True, slots=True)
class Trim(Expr):
    """Without blanks at the ends."""

    name: ClassVar[str] = "trim"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr


@dataclass(frozen=True, slots=True)
class Collapse(Expr):
    """Runs of blanks become one space, none at the ends."""

    name: ClassVar[str] = "collapse"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr


@dataclass(frozen=True, slots=True)
class Upper(Expr):
    """Capitals, by the closed letter table."""

    name: ClassVar[str] = "upper"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr


@dataclass(frozen=True, slots=True)
class Lower(Expr):
    """Small letters, by the closed letter table."""

    name: ClassVar[str] = "lower"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr


@dataclass(frozen=True, slots=True)
class Fold(Expr):
    """The comparison form of wordings: small letters, ky to ru base letters, plain dashes and quotes, single spaces."""

    name: ClassVar[str] = "fold"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr


@dataclass(frozen=True, slots=True)
class Remove(Expr):
    """Without any of the characters listed."""

    name: ClassVar[str] = "remove"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr
    characters: str


@dataclass(frozen=True, slots=True)
class Split(Expr):
    """The `part`-th piece between separators, from 1, or from the end with -1; null when there is none."""

    name: ClassVar[str] = "split"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no")
    of: Expr
    on: str
    part: int


@dataclass(frozen=True, slots=True)
class Extract(Expr):
    """One part of a text that a pattern takes apart. A text that no line of the pattern reads: null and a problem."""

    name: ClassVar[str] = "extract"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="no", sql=False)
    of: Expr
    pattern: Pattern
    part: str


@dataclass(frozen=True, slots=True)
class Take(Expr):
    """`length` characters (code points) from the `start`-th, from 1."""

    name: ClassVar[str] = "take"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no")
    of: Expr
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Pad(Expr):
    """At least `width` characters, filled from the left with `fill`; longer text stays."""

    name: ClassVar[str] = "pad"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no")
    of: Expr
    width: int
    fill: str = "0"


@dataclass(frozen=True, slots=True)
class ParseDate(Expr):
    """An ISO date, read by the first format that fits."""

    name: ClassVar[str] = "parse_date"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="yes")
    of: Expr
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """A whole number of up to 18 digits, without leading zeros; blanks inside are grouping."""

    name: ClassVar[str] = "number"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="no")
    of: Expr


@dataclass(frozen=True, slots=True)
class Code(Expr):
    """A code without separators, in capitals of one alphabet, of an agreed length when there is one."""

    name: ClassVar[str] = "code"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="no")
    of: Expr
    alphabet: Alphabet = "latin"
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Pin(Expr):
    """A PIN of 14 digits. Malformed: null and a problem. At odds with the record's birth date or sex: kept, and a problem."""

    name: ClassVar[str] = "pin"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="no")
    of: Expr
    birth_date: Expr | None = None
    sex: Expr | None = None


@dataclass(frozen=True, slots=True)
class Phone(Expr):
    """A telephone number in E.164."""

    name: ClassVar[str] = "phone"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="no", sql=False)
    of: Expr
    region: str = "KG"


@dataclass(frozen=True, slots=True)
class Recode(Expr):
    """The target code by a crosswalk; an unmapped code is counted and gets what the crosswalk's policy says."""

    name: ClassVar[str] = "recode"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="by table")
    of: Expr
    crosswalk: str


@dataclass(frozen=True, slots=True)
class Together(Expr):
    """Several values as one text, so that what depends on them all is a function of one: null when the first is, else the others stand, null or not.

    The separator is U+001F, and U+001E stands for null; both are dropped from all parts but the first. Only made by the reader of mappings,
    under `recode_as_of` and `lookup_as_of`.
    """

    name: ClassVar[str] = "together"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="yes")
    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class RecodeAsOf(Expr):
    """The target code by a crosswalk's rows that hold on the record's day and for its other cells; else as `recode`.

    of      `together` of the code, the day (ISO text, or null) and the values of `cells`, in order
    """

    name: ClassVar[str] = "recode_as_of"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="by table", sql=False)
    of: Together
    crosswalk: str
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LookupAsOf(Expr):
    """As `lookup`, among the concepts that are valid on the record's day. `of` is `together` of the value and the day; no day: those always valid."""

    name: ClassVar[str] = "lookup_as_of"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="no", sql=False)
    of: Together
    codelist: str
    by: Literal["notation", "wording"] = "notation"
    give: Literal["notation", "broader", "ky", "ru", "en"] = "notation"


@dataclass(frozen=True, slots=True)
class Lookup(Expr):
    """From a code list: find by notation or wording, give the notation, the broader one or a label."""

    name: ClassVar[str] = "lookup"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="no")
    of: Expr
    codelist: str
    by: Literal["notation", "wording"] = "notation"
    give: Literal["notation", "broader", "ky", "ru", "en"] = "notation"


@dataclass(frozen=True, slots=True)
class Member(Expr):
    """The value itself when it is a notation of the code list."""

    name: ClassVar[str] = "member"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=False, reversible="yes")
    of: Expr
    codelist: str


@dataclass(frozen=True, slots=True)
class NameCase(Expr):
    """A name part as proper names are written."""

    name: ClassVar[str] = "name_case"
    laws: ClassVar[Laws] = Laws(idempotent=True, total=True, reversible="no", sql=False)
    of: Expr


@dataclass(frozen=True, slots=True)
class NamePart(Expr):
    """One part of a name written in one cell, in any order. When the order had to be assumed, the given name carries a problem."""

    name: ClassVar[str] = "name_part"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="no", sql=False)
    of: Expr
    part: Literal["surname", "given_name", "patronymic"]


@dataclass(frozen=True, slots=True)
class NameKey(Expr):
    """The comparison key of a name part; `father_in_surname` reads a patronymic written in the surname's place; `full` a whole name."""

    name: ClassVar[str] = "name_key"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no", sql=False)
    of: Expr
    kind: Literal["surname", "given_name", "patronymic", "father_in_surname", "full"]


@dataclass(frozen=True, slots=True)
class AddressPart(Expr):
    """One part of an address written in one cell; `soate` is the place it names, by the gazetteer."""

    name: ClassVar[str] = "address_part"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="no", sql=False)
    of: Expr
    part: Literal["region", "district", "community", "settlement", "street", "street_key", "house", "flat", "soate"]


@dataclass(frozen=True, slots=True)
class StreetKey(Expr):
    """The comparison key of a street's name, with or without its marker word."""

    name: ClassVar[str] = "street_key"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=True, reversible="no", sql=False)
    of: Expr


@dataclass(frozen=True, slots=True)
class PlaceCode(Expr):
    """A place as its SOATE code: by name through the gazetteer, or by code, where a second code of a city becomes the first."""

    name: ClassVar[str] = "place"
    laws: ClassVar[Laws] = Laws(idempotent=False, total=False, reversible="no", sql=False)
    of: Expr
    by: Literal["name", "code"] = "name"
    level: Literal["region", "district", "community", "village"] | None = None


OPERATORS: Final[dict[str, type[Expr]]] = {
    operator.name: operator
    for operator in (
        *(Field, Target, Const, Concat, Coalesce, When),
        *(Trim, Collapse, Upper, Lower, Fold, Remove, Split, Extract, Take, Pad),
        *(ParseDate, Number, Code, Pin, Phone),
        *(Recode, Lookup, Member, Together, RecodeAsOf, LookupAsOf),
        *(NameCase, NamePart, NameKey, AddressPart, StreetKey, PlaceCode),
    )
}


def describe(expr: Expr | None) -> Any:
    """A tree as plain lists and texts: what a mapping's fingerprint is made of."""
    if expr is None:
        return None
    out: list[Any] = [expr.name]
    for item in fields(expr):  # type: ignore[arg-type]
        value = getattr(expr, item.name)
        if isinstance(value, Expr):
            value = describe(value)
        elif isinstance(value, tuple):
            value = [describe(v) if isinstance(v, Expr) else v for v in value]
        elif isinstance(value, Pattern):
            value = value.describe()
        out.append([item.name, value])
    return out
