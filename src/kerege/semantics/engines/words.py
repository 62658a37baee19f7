"""What the words of every table engine are made of: one letter table per operator, dates without a date parser, names quoted for SQL.

The closed tables of `folding`, `codes` and `kg.pin` are composed into one table per operator, so that an engine goes over a text once where
Python goes over it two or three times. No engine's own idea of case, blank, digit or calendar is used anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kerege.semantics.kg import pin
from kerege.semantics.mappings import dated, ir
from kerege.semantics.normalise import codes, dates, folding


@dataclass(frozen=True, slots=True)
class Letters:
    """Character for character: `pairs` become another one, `dropped` vanish, all else stays."""

    pairs: tuple[tuple[str, str], ...]
    dropped: str = ""

    def then(self, other: Letters) -> Letters:
        """First this table, then the other: one table."""
        mine, theirs = dict(self.pairs), dict(other.pairs)
        dropped = dict.fromkeys(self.dropped)
        pairs: dict[str, str] = {}
        for source, target in mine.items():
            if target in other.dropped:
                dropped[source] = None
            else:
                pairs[source] = theirs.get(target, target)
        for source in other.dropped:
            if source not in mine:
                dropped.setdefault(source)
        for source, target in theirs.items():
            if source not in mine and source not in dropped:
                pairs[source] = target
        return Letters(tuple((s, t) for s, t in pairs.items() if s != t), "".join(dropped))

    @property
    def source(self) -> str:
        """For `translate(text, source, target)`: what is longer than `target` is dropped."""
        return "".join(s for s, _ in self.pairs) + self.dropped

    @property
    def target(self) -> str:
        return "".join(t for _, t in self.pairs)

    def apply(self, text: str) -> str:
        """What the table does, in Python."""
        return text.translate(str.maketrans(self.source[: len(self.pairs)], self.target, self.dropped))


def _pairs(source: str, target: str) -> Letters:
    return Letters(tuple(zip(source, target, strict=True)))


UPPER: Final = _pairs(folding.LOWER, folding.UPPER)
LOWER: Final = _pairs(folding.UPPER, folding.LOWER)
BLANKS: Final = _pairs(folding.WHITESPACE, " " * len(folding.WHITESPACE))
NO_BLANKS: Final = Letters((), folding.WHITESPACE)
FOLD: Final = LOWER.then(Letters(_pairs(folding.FOLD_FROM, folding.FOLD_TO).pairs, folding.FOLD_DROP)).then(BLANKS)
PIN: Final = Letters((), pin.SEPARATORS)
_SCRIPTS: Final[dict[str, Letters]] = {
    "digits": Letters(()),
    "latin": _pairs(codes.CYRILLIC, codes.LATIN),
    "cyrillic": _pairs(codes.LATIN, codes.CYRILLIC),
}


@lru_cache(maxsize=8)
def code_letters(alphabet: codes.Alphabet) -> Letters:
    """Capitals, without separators, look-alikes in one script."""
    return UPPER.then(Letters((), codes.SEPARATORS)).then(_SCRIPTS[alphabet])


def remove_letters(node: ir.Remove) -> Letters:
    return Letters((), "".join(dict.fromkeys(node.characters)))


FIRST_YEAR: Final = str(dates.FIRST_YEAR)
LAST_YEAR: Final = str(dates.LAST_YEAR)
# Every day of a common year, and the leap years taken: a date exists when its day is listed, or is 29 February of such a year.
_LENGTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAYS: Final = tuple(f"{m:02}{d:02}" for m, size in enumerate(_LENGTHS, start=1) for d in range(1, size + 1))
LEAP_DAY: Final = "0229"
LEAP_YEARS: Final = tuple(
    str(y) for y in range(dates.FIRST_YEAR, dates.LAST_YEAR + 1) if y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
)


@dataclass(frozen=True, slots=True)
class Layout:
    """A date format of fixed places: the separators at their places (from 1), and where year, month and day begin."""

    size: int
    separators: tuple[tuple[int, str], ...]
    year: int
    month: int
    day: int
    open_ended: bool = False  # something may follow; the last separator is then any of its characters

    @property
    def digits(self) -> tuple[int, ...]:
        """The places that must be ASCII digits."""
        taken = {place for place, _ in self.separators}
        return tuple(place for place in range(1, self.size + 1) if place not in taken)


LAYOUTS: Final[dict[str, Layout]] = {
    "yyyy-mm-dd": Layout(10, ((5, "-"), (8, "-")), 1, 6, 9),
    "yyyy.mm.dd": Layout(10, ((5, "."), (8, ".")), 1, 6, 9),
    "dd.mm.yyyy": Layout(10, ((3, "."), (6, ".")), 7, 4, 1),
    "dd/mm/yyyy": Layout(10, ((3, "/"), (6, "/")), 7, 4, 1),
    "dd-mm-yyyy": Layout(10, ((3, "-"), (6, "-")), 7, 4, 1),
    "yyyymmdd": Layout(8, (), 1, 5, 7),
    "ddmmyyyy": Layout(8, (), 5, 3, 1),
    "timestamp": Layout(11, ((5, "-"), (8, "-"), (11, "T ")), 1, 6, 9, open_ended=True),
}
SHORT: Final = "d.m.yyyy"  # the one format whose places vary


def shape_of(layout: Layout) -> str:
    """A regular expression of digits and separators only, without quantifiers: the same in every dialect."""
    by_place = dict(layout.separators)
    parts = [f"[{by_place[p]}]" if p in by_place else "[0-9]" for p in range(1, layout.size + 1)]
    return "".join(parts)


# `ir.Together`: the parts of one text, and what stands for a null among them (see `dated`).
BETWEEN: Final = dated.SEPARATOR
NOTHING: Final = dated.NULL
APART: Final = Letters((), BETWEEN + NOTHING)  # neither can be in a later part, so that parts cannot be confused
