"""Tables that a description tells of, without a record read: what OpenAPI and WSDL have in common.

A dataset is what one operation answers; its fields are the leaves of the answer, written as paths (`children[].birth.date`). Codes are
the description's own enumerations, which anybody who may read it knows; they are told without counts, but for those of fields about
a person and those that by themselves name one: descriptions are made from answers, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kerege.catalogue.errors import DescriptionTooLarge
from kerege.catalogue.inventory.masks import name_suggests_person, personal
from kerege.catalogue.inventory.profile import ColumnHead, FieldProfile, TableProfile
from kerege.catalogue.inventory.tally import MOST_CODES
from kerege.catalogue.sources.base import Table, short_name

MOST_OPERATIONS: Final = 5_000
MOST_FIELDS: Final = 2_000  # of one operation
MOST_VISITS: Final = 200_000  # schemas looked at for one document, however it refers to itself
DEEPEST_FIELD: Final = 12
_LONGEST_CODE: Final = 80
_TYPES: Final = {"integer": "integer", "number": "decimal", "date": "date", "date-time": "moment"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One field of an answer. `type` is a JSON Schema or XSD type's name in JSON Schema's words, `format` as described."""

    path: str
    type: str = "string"
    format: str = ""
    codes: tuple[str, ...] = ()
    description: str = ""
    required: bool = False
    min_length: int = 0
    max_length: int = 0
    note: str = ""


class Budget:
    """Counts what is looked at in one document and stops it before it costs too much."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._visits = 0

    def visit(self, place: str) -> None:
        self._visits += 1
        if self._visits > MOST_VISITS:
            raise DescriptionTooLarge(source=self._source, place=place, limit=MOST_VISITS, what="schemas to look at")

    def fields(self, count: int, place: str) -> None:
        if count > MOST_FIELDS:
            raise DescriptionTooLarge(source=self._source, place=place, limit=MOST_FIELDS, what="fields of one answer")

    def levels(self) -> DescriptionTooLarge:
        """What is raised for one whose types lead deeper than can be followed."""
        return DescriptionTooLarge(source=self._source, place="the document", limit=100, what="levels of types")

    def operations(self, count: int) -> None:
        if count > MOST_OPERATIONS:
            raise DescriptionTooLarge(
                source=self._source, place="the document", limit=MOST_OPERATIONS, what="operations"
            )


def described_table(name: str, description: str, leaves: Sequence[Leaf]) -> Table:
    """A table of what one operation answers. Two leaves of one path (of alternatives) are one, optional, with the codes of both."""
    merged: dict[str, Leaf] = {}
    for leaf in leaves:
        known = merged.get(leaf.path)
        if known is None:
            merged[leaf.path] = leaf
        else:
            codes = tuple(dict.fromkeys([*known.codes, *leaf.codes])) if known.codes and leaf.codes else ()
            merged[leaf.path] = Leaf(
                leaf.path, known.type if known.type == leaf.type else "any", known.format if known.format == leaf.format else "",
                codes, known.description or leaf.description,
            )  # fmt: skip
    fields = tuple(_field(leaf, i) for i, leaf in enumerate(merged.values()))
    heads = tuple(ColumnHead(f.name, f.declared_type, f.description) for f in fields)
    shown = short_name(name)
    found = TableProfile(shown, _line(description), 0, 0, False, (), fields, described=True)
    return Table(shown, heads, lambda: iter(()), 0, description=found.description, described=found)


def _field(leaf: Leaf, position: int) -> FieldProfile:
    declared = f"{leaf.type}({leaf.format})" if leaf.format else leaf.type
    words = [declared, *(["required"] if leaf.required else []), *([leaf.note] if leaf.note else [])]
    kind = _TYPES.get(leaf.format) or _TYPES.get(leaf.type, "text")
    about = any(name_suggests_person(part) for part in leaf.path.replace("[]", "").split("."))
    plain = [] if about else [c for c in leaf.codes if len(c) <= _LONGEST_CODE and c.isprintable() and not personal(c)]
    codes = tuple((c, 0) for c in plain[:MOST_CODES])
    return FieldProfile(
        name=short_name(leaf.path), position=position, declared_type=", ".join(words), description=_line(leaf.description),
        rows=0, nulls=0, distinct=len(leaf.codes), min_length=leaf.min_length, max_length=leaf.max_length, type=kind,
        date_format="%Y-%m-%d" if kind == "date" else "", identifier="",
        personal=about,
        masks=(), codes=codes, codes_withheld=len(leaf.codes) - len(codes),
    )  # fmt: skip


def _line(text: str) -> str:
    """The first line or two of a description."""
    return " ".join(text.split())[:500]
