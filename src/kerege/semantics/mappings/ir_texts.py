"""Operators over the text of one value: blanks, letters, pieces, patterns, dates, numbers and codes. The form as a whole: `ir`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kerege.semantics.mappings.ir_form import Expr, Laws
from kerege.semantics.normalise.codes import Alphabet
from kerege.semantics.patterns.pattern import Pattern


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
