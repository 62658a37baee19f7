"""Operators that know what a value means: crosswalks and code lists, also as of a day; grammars of names and addresses. All of the form: `ir`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from kerege.semantics.mappings.ir_form import Expr, Laws


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
