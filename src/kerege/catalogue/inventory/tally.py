"""Counting one column while its rows stream by, in bounded memory and with most of the work in C.

Exact: rows filled and empty, lengths, records per value while there are few values, different values up to `EXACT`. Beyond that the
number of different values is estimated (HyperLogLog with 16,384 registers, standard error 0.8 %; Flajolet et al. 2007) and said to be.
What values look like (mask, type, date format, identifier) is asked of every different value while there are few, and of an evenly
spaced part of them after some thousands: asking is what profiling costs. Nothing here leaves this process; `profile` says what does.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from kerege.catalogue.inventory.masks import date_format, identifier_of, mask, type_of
from kerege.semantics.codelists.spreadsheets import FORMULA_STARTS, is_formula

MOST_CODES: Final = 300
EXACT: Final = 262_144  # different values counted one by one; a column's share of memory ends here
BINARY: Final = "binary"
_COUNTED: Final = 20 * MOST_CODES  # different values with a count each
_FREE: Final = 5_000  # different values looked at whatever they are
_PER_BATCH: Final = 250  # and so many of each batch after that, evenly spaced
_LOOKED: Final = 2_500  # at the costly questions
_MASKS: Final = 5_000
_REGISTERS: Final = 1 << 14

_SERIALS: Final = ("14611", "69999")  # 1940-01-01 to 2091 as spreadsheets count days
_NAME_END: Final = re.compile(r"(?:[оеё]ва?|[ое]вич|[ое]вна|ична|[oe]va?|[oe]vich|[oe]vna|уулу|кызы|uulu|kyzy)$")
_CHILD_OF: Final = ("уулу", "кызы", "uulu", "kyzy")

Cell = str | None


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


class Distinct:
    """How many different values went by: exactly up to `EXACT`, then an estimate. `many`: more than that may come."""

    def __init__(self, many: bool) -> None:
        self._seen: set[int] | None = set()
        self._registers: Any = None
        if many:
            import numpy as np

            self._registers = np.zeros(_REGISTERS, dtype=np.uint8)

    def add(self, values: Iterable[str]) -> None:
        known = list(values)
        if self._seen is not None:
            self._seen.update(map(hash, known))
        if self._registers is not None and known:
            self._estimate(known)
            if self._seen is not None and len(self._seen) > EXACT:
                self._seen = None

    def _estimate(self, values: list[str]) -> None:
        import numpy as np

        raw = np.fromiter(map(zlib.crc32, map(_bytes, values)), dtype=np.uint32, count=len(values))
        # A CRC is linear: counted-up numbers give patterns. This finish (of MurmurHash3, a bijection) takes them out.
        raw ^= raw >> np.uint32(16)
        raw *= np.uint32(0x85EBCA6B)
        raw ^= raw >> np.uint32(13)
        raw *= np.uint32(0xC2B2AE35)
        raw ^= raw >> np.uint32(16)
        place, rest = raw & np.uint32(_REGISTERS - 1), raw >> np.uint32(14)
        # leading zeros of the 18 bits left, plus one
        rank = np.where(rest == 0, 19, 18 - np.floor(np.log2(np.maximum(rest, 1))).astype(np.int64)).astype(np.uint8)
        np.maximum.at(self._registers, place, rank)

    @property
    def exact(self) -> bool:
        return self._seen is not None

    def __int__(self) -> int:
        if self._seen is not None:
            return len(self._seen)
        import math

        import numpy as np

        m = float(_REGISTERS)
        found = 0.7213 / (1 + 1.079 / m) * m * m / float(np.sum(np.exp2(-self._registers.astype(np.float64))))
        found = -(2.0**32) * math.log1p(-min(found, 4.2e9) / 2.0**32)  # two values of one 32-bit hash
        return max(EXACT, int(float(f"{found:.2g}")))


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


@dataclass(slots=True)
class Tally:
    """Running counts of one column. `weight` is how many records the values looked at stand for."""

    many: bool = False
    filled: int = 0
    shortest: int = 1 << 60
    longest: int = 0
    distinct: Distinct = field(init=False)
    examined: int = 0
    weight: int = 0
    masks: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    identifiers: Counter[str] = field(default_factory=Counter)
    persons: int = 0
    looked: int = 0
    passed_over: bool = False  # some values were not looked at, or what they look like was not kept
    formulas: int = 0
    serials: int = 0
    codes: Counter[str] | None = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.distinct = Distinct(self.many)

    def take(self, values: Sequence[Cell]) -> None:
        """Count a batch. A value is looked at once per batch however often it comes."""
        counts: Counter[Any] = Counter(values)
        counts.pop(None, None)
        binary = [v for v in counts if type(v) is Binary] if Binary in set(map(type, counts)) else []
        for value in binary:
            self._take_binary(value, counts.pop(value))
        keys = list(counts)
        bare = list(map(str.strip, keys))
        if bare != keys:
            merged: Counter[Any] = Counter()
            for text, key in zip(bare, keys, strict=True):
                merged[text] += counts[key]
            counts = merged
        counts.pop("", None)
        if not counts:
            return
        lengths = list(map(len, counts))
        self.shortest, self.longest = min(self.shortest, *lengths), max(self.longest, *lengths)
        self.filled += sum(counts.values())
        self.distinct.add(counts)
        if self.codes is not None:
            if len(counts) > _COUNTED:
                self.codes = None
            else:
                self.codes.update(counts)
                if len(self.codes) > _COUNTED:
                    self.codes = None
        self._examine(counts)
        if len(self.masks) > _MASKS:  # a free text column: keep what is common
            self.masks, self.passed_over = Counter(dict(self.masks.most_common(500))), True

    def _examine(self, counts: Counter[str]) -> None:
        room = max(_PER_BATCH, _FREE - self.examined)
        step = -(-len(counts) // room)
        self.passed_over = self.passed_over or step > 1
        self.examined += -(-len(counts) // step)
        for text, times in islice(counts.items(), 0, None, step):
            self.weight += times
            self.masks[mask(text)] += times
            kind = type_of(text)
            self.types[kind] += times
            if kind in ("date", "integer"):
                self.formats[date_format(text) or ""] += times
            if text[0] in FORMULA_STARTS and is_formula(text):
                self.formulas += times
            if kind == "integer" and len(text) == 5 and _SERIALS[0] <= text <= _SERIALS[1]:
                self.serials += times
            if self.looked < _LOOKED:  # the costly question; some thousand different values answer it
                self.looked += 1
                self.identifiers[identifier_of(text)] += times
                self.persons += times * reads_like_a_person(text)

    def _take_binary(self, value: Binary, times: int) -> None:
        """Size and number; no mask and no code, which could tell the content."""
        self.filled += times
        self.weight += times
        self.shortest, self.longest = min(self.shortest, value.size), max(self.longest, value.size)
        self.distinct.add([value])
        self.types[BINARY] += times


def reads_like_a_person(text: str, fewest: int = 2) -> bool:
    """Two (or `fewest`) to four capitalised words, one of which ends as surnames and patronymics here do. A column of them says it."""
    words = text.split()
    if not fewest <= len(words) <= 4 or not all(w[0].isupper() or w in _CHILD_OF for w in words):
        return False
    return any(_NAME_END.search(w.casefold()) for w in words)
