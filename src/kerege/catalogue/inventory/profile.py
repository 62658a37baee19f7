"""Profiling: what is in a table, told without its values.

Counts, nulls, distinct values, lengths, masks, likely types and identifiers; and candidate code lists, but only of columns that look like
codes and not like persons, and only values that at least `k` records share (docs/decisions/0021). One pass over the rows, in batches.
Counting is `tally`, whose memory is bounded however many rows and different values come. Reading sources is `catalogue.sources`;
comparing with what was known is `catalogue.inventory.plans`. Pure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Final

from kerege.catalogue.errors import KeyDuplicate
from kerege.catalogue.inventory.masks import PERSONAL, name_suggests_person
from kerege.catalogue.inventory.masks import personal as names_a_person
from kerege.catalogue.inventory.tally import BINARY, EXACT, MOST_CODES, Tally
from kerege.catalogue.inventory.tally import Binary as Binary
from kerege.catalogue.inventory.tally import Cell as Cell
from kerege.semantics.suggest.columns import ColumnProfile

K_THRESHOLD: Final = 5  # a value that fewer records share is withheld
_CODE_LENGTH: Final = 80
_BATCH: Final = 20_000
_TOP_MASKS: Final = 8
_SKETCH: Final = 2048

_PERSONS: Final = 0.6  # of the values looked at


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """One column. Shares are whole per mille, so that a profile has canonical bytes."""

    name: str
    position: int
    declared_type: str
    description: str
    rows: int
    nulls: int
    distinct: int
    min_length: int
    max_length: int
    type: str
    date_format: str
    identifier: str
    personal: bool
    masks: tuple[tuple[str, int], ...]  # mask, per mille of filled values
    codes: tuple[tuple[str, int], ...]  # candidate code list: value, records; empty when it does not look like codes
    codes_withheld: int  # distinct values left out because too few records share them
    frequency: tuple[int, ...] = ()  # per mille of the most frequent values, without the values
    distinct_about: bool = False  # `distinct` is an estimate, to two figures
    formulas: int = 0  # records whose value begins as a spreadsheet formula does
    serials: bool = False  # nearly all values are numbers of the size of a spreadsheet's days
    masks_withheld: int = 0  # masks that are not among the few that are told
    passed_over: bool = False  # what values look like was asked of a part of them

    def as_dict(self) -> dict[str, Any]:
        """For canonical JSON and storage; `from_dict` is the way back. What is seldom there is left out when it is not."""
        rare = {"distinct_about": self.distinct_about, "formulas": self.formulas, "serials": self.serials}
        rare |= {"masks_withheld": self.masks_withheld, "passed_over": self.passed_over}
        return {key: value for key, value in rare.items() if value} | {
            "name": self.name, "position": self.position, "declared_type": self.declared_type,
            "description": self.description, "rows": self.rows, "nulls": self.nulls, "distinct": self.distinct,
            "min_length": self.min_length, "max_length": self.max_length, "type": self.type,
            "date_format": self.date_format, "identifier": self.identifier, "personal": self.personal,
            "masks": [list(m) for m in self.masks], "codes": [list(c) for c in self.codes],
            "codes_withheld": self.codes_withheld, "frequency": list(self.frequency),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> FieldProfile:
        """A field as stored."""
        known = {**raw, "frequency": tuple(raw.get("frequency", ()))}
        known["masks"] = tuple((str(m), int(n)) for m, n in raw["masks"])
        known["codes"] = tuple((str(c), int(n)) for c, n in raw["codes"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class TableProfile:
    """One table of a source. `sampled`: the counts are of a sample, `total_rows` is the register's own count or estimate."""

    name: str
    description: str
    total_rows: int
    rows: int
    sampled: bool
    key: tuple[str, ...]
    fields: tuple[FieldProfile, ...]
    described: bool = False  # from a description, with no record read

    def as_dict(self) -> dict[str, Any]:
        return ({"described": True} if self.described else {}) | {
            "name": self.name, "description": self.description, "total_rows": self.total_rows, "rows": self.rows,
            "sampled": self.sampled, "key": list(self.key), "fields": [f.as_dict() for f in self.fields],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> TableProfile:
        fields = tuple(FieldProfile.from_dict(f) for f in raw["fields"])
        return cls(**{**raw, "key": tuple(raw["key"]), "fields": fields})


@dataclass(frozen=True, slots=True)
class ColumnHead:
    """What a source says of a column before any row is read."""

    name: str
    declared_type: str = ""
    description: str = ""


def _field(tally: Tally, head: ColumnHead, position: int, rows: int, k: int, share: bool) -> FieldProfile:
    """What may be told of a column that was counted."""
    seen = max(1, tally.weight)
    kind, fmt, identifier = _type(tally), "", ""
    if tally.formats and tally.formats.most_common(1)[0][0] and tally.formats.most_common(1)[0][1] >= 0.9 * seen:
        fmt = tally.formats.most_common(1)[0][0]
    found = [(n, name) for name, n in tally.identifiers.items() if name and n >= 0.8 * tally.identifiers.total()]
    if found:
        identifier = max(found)[1]
    persons = tally.persons > 0 and tally.persons >= _PERSONS * tally.identifiers.total()
    personal = name_suggests_person(head.name) or identifier in PERSONAL or persons
    codes, withheld = _codes(tally, personal, kind, k, share)
    masks = _per_mille(tally.masks, seen)[:_TOP_MASKS]
    common = tally.codes.most_common(50) if tally.codes else []
    distinct = int(tally.distinct)
    return FieldProfile(
        name=head.name, position=position, declared_type=head.declared_type, description=head.description,
        rows=rows, nulls=rows - tally.filled, distinct=distinct,
        min_length=tally.shortest if tally.filled else 0, max_length=tally.longest,
        type="date" if fmt else kind, date_format=fmt, identifier=identifier, personal=personal,
        masks=tuple(masks), masks_withheld=len(tally.masks) - len(masks), passed_over=tally.passed_over,
        codes=codes, codes_withheld=withheld,
        frequency=tuple(n * 1000 // tally.filled for _, n in common) if distinct < 0.9 * tally.filled else (),
        distinct_about=not tally.distinct.exact, formulas=tally.formulas, serials=tally.serials >= 0.9 * seen,
    )  # fmt: skip


def _type(tally: Tally) -> str:
    if not tally.filled:
        return "empty"
    for kind in ("integer", "date", "moment", BINARY):
        if tally.types[kind] >= 0.98 * tally.weight:
            return kind
    if tally.types["decimal"] + tally.types["integer"] >= 0.98 * tally.weight:
        return "decimal"
    return "text"


def _codes(tally: Tally, personal: bool, kind: str, k: int, share: bool) -> tuple[tuple[tuple[str, int], ...], int]:
    """Values many records share, of columns that look like codes. A column about a person gives none unless its owner shares it.

    A value that by itself names a person is withheld however many records share it (one person's records are many), and so is one that
    cannot be printed, which is no code and could move a terminal.
    """
    codes = tally.codes
    if codes is None or not codes or (not share and (personal or kind in ("date", "moment", "decimal"))):
        return (), 0
    small = len(codes) <= MOST_CODES and tally.longest <= _CODE_LENGTH
    repeated = len(codes) <= max(2, tally.filled // 4)
    if not small or not (repeated or share):
        return (), 0
    plain = [(v, n) for v, n in codes.items() if v.isprintable()]
    told = sorted(
        ((v, n) for v, n in plain if share or (n >= k and not names_a_person(v))), key=lambda c: (-c[1], c[0])
    )
    return tuple(told), len(codes) - len(told)


def _per_mille(counts: Counter[str], filled: int) -> list[tuple[str, int]]:
    return [
        (m, n * 1000 // filled) for m, n in sorted(counts.items(), key=lambda c: (-c[1], c[0])) if n * 1000 // filled
    ]


def profile_table(
    name: str,
    heads: Sequence[ColumnHead],
    rows: Iterable[tuple[int, Sequence[Cell]]],
    *,
    total_rows: int | None = None,
    sampled: bool = False,
    key: Sequence[str] = (),
    description: str = "",
    k: int = K_THRESHOLD,
    share: Iterable[str] = (),
    source: str = "",
    most: int | None = None,
    key_kept: bool = False,
) -> TableProfile:
    """Profile `rows` (number, cells) of a table in one pass.

    key        columns that name a record; a second row with the same key raises KeyDuplicate, except in a sample
    key_kept   the register itself keeps the key (a primary key of a database), so that nobody need look
    share      columns whose values the owner allows to be told in full
    most       most rows that can come, when that is known
    """
    many = (most is None or most > EXACT) and (total_rows is None or sampled or total_rows > EXACT)
    tallies = [Tally(many) for _ in heads]
    shared = set(share)
    key_at = [next(i for i, h in enumerate(heads) if h.name == k_name) for k_name in key]
    keys: dict[int, int] = {}  # hash of a key -> its row
    count = 0
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        for column, tally in zip(zip(*map(itemgetter(1), batch), strict=True), tallies, strict=True):
            tally.take(column)
        if key_at and not sampled and not key_kept:
            for at, row in batch:
                identity = hash(tuple(row[i] for i in key_at))
                if identity in keys:
                    raise KeyDuplicate(source=source or name, row=at, column=", ".join(key), first=keys[identity])
                keys[identity] = at
        count += len(batch)
    fields = tuple(
        _field(tally, head, i, count, k, head.name in shared)
        for i, (head, tally) in enumerate(zip(heads, tallies, strict=True))
    )
    return TableProfile(
        name, description, count if total_rows is None else total_rows, count, sampled, tuple(key), fields
    )


def sketch(values: Iterable[Cell], key: bytes) -> frozenset[str]:
    """The smallest `_SKETCH` keyed hashes of the distinct values: enough to see that two columns hold the same, kept by nobody."""
    hashes = {
        hashlib.blake2b(v.strip().casefold().encode(), key=key, digest_size=8).hexdigest()
        for v in set(values)
        if v and v.strip() and not isinstance(v, Binary)
    }
    return frozenset(sorted(hashes)[:_SKETCH])


def as_column(
    profile: FieldProfile, table: str, values: frozenset[str], concepts: tuple[str, ...] = ()
) -> ColumnProfile:
    """A field as the suggestion engine wants it."""
    return ColumnProfile(
        name=profile.name, table=table, description=profile.description, concepts=concepts, type=profile.type,
        identifier=profile.identifier, masks={m: n / 1000 for m, n in profile.masks}, values=values,
        frequency=tuple(n / 1000 for n in profile.frequency), rows=profile.rows, distinct=profile.distinct,
        filled=1 - profile.nulls / profile.rows if profile.rows else 0.0,
        min_length=profile.min_length, max_length=profile.max_length,
    )  # fmt: skip
