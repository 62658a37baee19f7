"""Profiling: what is in a table, told without its values.

Counts, nulls, distinct values, lengths, masks, likely types and identifiers; and candidate code lists, but only of columns that look like
codes and not like persons, and only values that at least `k` records share (docs/decisions/0021). One pass over the rows, in batches:
a value is looked at once per batch however often it comes. Memory is bounded by the number of rows a source hands over (its own limit).
Reading sources is `catalogue.sources`; comparing with what was known is `catalogue.plans`. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from kerege.catalogue.errors import KeyDuplicate
from kerege.catalogue.masks import date_format, identifier_of, mask, name_suggests_person, type_of
from kerege.semantics.suggest_columns import ColumnProfile

K_THRESHOLD: Final = 5  # a value that fewer records share is withheld
MOST_CODES: Final = 300
_CODE_LENGTH: Final = 80
_BATCH: Final = 20_000
_TOP_MASKS: Final = 8
_SKETCH: Final = 2048
_LOOKED: Final = 5000

_PERSONS: Final = 0.6  # of the values looked at
_NAME_END: Final = re.compile(r"(?:[оеё]ва?|[ое]вич|[ое]вна|ична|[oe]va?|[oe]vich|[oe]vna|уулу|кызы|uulu|kyzy)$")
_CHILD_OF: Final = ("уулу", "кызы", "uulu", "kyzy")

Cell = str | None
_BINARY: Final = "binary"


class Binary(str):
    """A binary cell as text people may see, "[binary, 12 bytes]". Two are equal when size and content are; the content is not kept."""

    __slots__ = ("_mark", "size")
    size: int
    _mark: int

    @classmethod
    def of(cls, size: int, content: bytes) -> Binary:
        """`content` (or what stands for it) is only hashed, under this process's own key."""
        made = cls(f"[binary, {size} bytes]")
        made.size, made._mark = size, hash((size, content))
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Binary) and self._mark == other._mark

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._mark


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

    def as_dict(self) -> dict[str, Any]:
        """For canonical JSON and storage; `from_dict` is the way back."""
        return {
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

    def as_dict(self) -> dict[str, Any]:
        return {
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


@dataclass(slots=True)
class _Tally:
    """Running counts of one column."""

    filled: int = 0
    nulls: int = 0
    shortest: int = 1 << 60
    longest: int = 0
    seen: set[int] = field(default_factory=set)
    masks: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    identifiers: Counter[str] = field(default_factory=Counter)
    persons: int = 0
    looked: int = 0
    codes: Counter[str] | None = field(default_factory=Counter)

    def take(self, values: Sequence[Cell]) -> None:
        for value, times in Counter(values).items():
            if isinstance(value, Binary):
                self._take_binary(value, times)
                continue
            text = value.strip() if value is not None else ""
            if not text:
                self.nulls += times
                continue
            self.filled += times
            self.shortest, self.longest = min(self.shortest, len(text)), max(self.longest, len(text))
            self.seen.add(hash(text))
            self.masks[mask(text)] += times
            kind = type_of(text)
            self.types[kind] += times
            if kind in ("date", "integer"):
                self.formats[date_format(text) or ""] += times
            if self.looked < _LOOKED:  # the costly question; some thousand different values answer it
                self.looked += 1
                self.identifiers[identifier_of(text)] += times
                self.persons += times * _reads_like_a_person(text)
            if self.codes is not None:
                self.codes[text] += times
        if self.codes is not None and len(self.codes) > 20 * MOST_CODES:
            self.codes = None
        if len(self.masks) > 5000:  # a free text column: keep what is common
            self.masks = Counter(dict(self.masks.most_common(500)))

    def _take_binary(self, value: Binary, times: int) -> None:
        """Size and number; no mask and no code, which could tell the content."""
        self.filled += times
        self.shortest, self.longest = min(self.shortest, value.size), max(self.longest, value.size)
        self.seen.add(hash(value))
        self.types[_BINARY] += times

    def field(self, head: ColumnHead, position: int, rows: int, k: int, share: bool) -> FieldProfile:
        filled = max(1, self.filled)
        kind, fmt, identifier = self._type(filled), "", ""
        if self.formats and self.formats.most_common(1)[0][0] and self.formats.most_common(1)[0][1] >= 0.9 * filled:
            fmt = self.formats.most_common(1)[0][0]
        found = [(n, name) for name, n in self.identifiers.items() if name and n >= 0.8 * self.identifiers.total()]
        if found:
            identifier = max(found)[1]
        persons = self.persons > 0 and self.persons >= _PERSONS * self.identifiers.total()
        personal = name_suggests_person(head.name) or identifier in ("pin", "phone", "email") or persons
        codes, withheld = self._codes(personal, kind, k, share)
        common = self.codes.most_common(50) if self.codes else []
        return FieldProfile(
            name=head.name, position=position, declared_type=head.declared_type, description=head.description,
            rows=rows, nulls=rows - self.filled, distinct=len(self.seen),
            min_length=self.shortest if self.filled else 0, max_length=self.longest,
            type="date" if fmt else kind, date_format=fmt, identifier=identifier, personal=personal,
            masks=tuple(_per_mille(self.masks, filled)[:_TOP_MASKS]),
            codes=codes, codes_withheld=withheld,
            frequency=tuple(n * 1000 // filled for _, n in common) if len(self.seen) < 0.9 * self.filled else (),
        )  # fmt: skip

    def _type(self, filled: int) -> str:
        if not self.filled:
            return "empty"
        for kind in ("integer", "date", "moment", _BINARY):
            if self.types[kind] >= 0.98 * filled:
                return kind
        if self.types["decimal"] + self.types["integer"] >= 0.98 * filled:
            return "decimal"
        return "text"

    def _codes(self, personal: bool, kind: str, k: int, share: bool) -> tuple[tuple[tuple[str, int], ...], int]:
        """Values many records share, of columns that look like codes. A column about a person gives none unless its owner shares it."""
        if self.codes is None or not self.codes or (not share and (personal or kind in ("date", "moment", "decimal"))):
            return (), 0
        small = len(self.codes) <= MOST_CODES and self.longest <= _CODE_LENGTH
        repeated = len(self.codes) <= max(2, self.filled // 4)
        if not small or not (repeated or share):
            return (), 0
        told = sorted(((v, n) for v, n in self.codes.items() if n >= k or share), key=lambda c: (-c[1], c[0]))
        return tuple(told), len(self.codes) - len(told)


def _reads_like_a_person(text: str) -> bool:
    """Two to four capitalised words, one of which ends as surnames and patronymics here do. A column of them says it, no single value."""
    words = text.split()
    if not 2 <= len(words) <= 4 or not all(w[0].isupper() or w in _CHILD_OF for w in words):
        return False
    return any(_NAME_END.search(w.casefold()) for w in words)


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
) -> TableProfile:
    """Profile `rows` (number, cells) of a table in one pass.

    key        columns that name a record; a second row with the same key raises KeyDuplicate, except in a sample
    share      columns whose values the owner allows to be told in full
    """
    tallies = [_Tally() for _ in heads]
    shared = set(share)
    key_at = [next(i for i, h in enumerate(heads) if h.name == k_name) for k_name in key]
    keys: dict[tuple[Cell, ...], int] = {}
    count = 0
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        for column, tally in zip(zip(*(cells for _, cells in batch), strict=True), tallies, strict=True):
            tally.take(column)
        if key_at and not sampled:
            for at, row in batch:
                identity = tuple(row[i] for i in key_at)
                if identity in keys:
                    raise KeyDuplicate(source=source or name, row=at, column=", ".join(key), first=keys[identity])
                keys[identity] = at
        count += len(batch)
    fields = tuple(
        tally.field(head, i, count, k, head.name in shared)
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
