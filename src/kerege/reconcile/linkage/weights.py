"""The match weight of one pair and how it came about, step by step: Splink's waterfall as data. Pure; no Splink, no database.

The weight is a sum of bits (Fellegi and Sunter): the prior, then log2(m / u) of the level each comparison falls on, and, where the values
are equal and their frequency counts, the difference between how often two strangers agree on *any* value and on *this* one. A field that a
side lacks says nothing and weighs nothing. A property test holds it equal to Splink's own weights on the same pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from kerege.ground.text import Text
from kerege.reconcile.linkage.definition import (
    DAY_MONTH,
    EDITS,
    EXACT,
    FIRST,
    JARO_WINKLER,
    SWAPPED,
    Comparison,
    Level,
    LinkageDefinition,
)
from kerege.reconcile.linkage.model import Model
from kerege.semantics.normalise import folding

Values = Mapping[str, str | None]

ELSE: Final = "else"
ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of the waterfall. `weight` in bits, the frequency's part in `rarity` besides; `words` say the level to a clerk."""

    comparison: str
    titles: Text
    level: str
    weight: float
    rarity: float
    words: Text

    @property
    def total(self) -> float:
        return self.weight + self.rarity

    def as_dict(self) -> dict[str, object]:
        return {
            "comparison": self.comparison, "titles": self.titles.as_dict(), "level": self.level,
            "weight": round(self.weight, 4), "rarity": round(self.rarity, 4), "words": self.words.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A pair's weight, explained. `weight` is the sum of `prior` and all steps, in bits; `probability` the same as a probability."""

    prior: float
    steps: tuple[Step, ...]

    @property
    def weight(self) -> float:
        return self.prior + sum(step.total for step in self.steps)

    @property
    def probability(self) -> float:
        weight = max(-1000.0, min(1000.0, self.weight))
        return float(1 / (1 + 2.0**-weight))

    def as_dict(self) -> dict[str, object]:
        return {
            "prior": round(self.prior, 4), "weight": round(self.weight, 4), "probability": round(self.probability, 6),
            "steps": [step.as_dict() for step in self.steps],
        }  # fmt: skip


def explain(definition: LinkageDefinition, model: Model, left: Values, right: Values) -> Waterfall:
    """Weigh one pair by the trained model, telling each comparison's part."""
    return Waterfall(model.prior_weight, tuple(_step(c, model, left, right) for c in definition.comparisons))


def level_of(comparison: Comparison, left: Values, right: Values) -> str:
    """The label of the level a pair falls on: the first that holds, `else` when none does, `absent` when a side has no value."""
    a, b = told(left, comparison.field), told(right, comparison.field)
    if a is None or b is None:
        return ABSENT
    for level in comparison.levels:
        if _holds(level, comparison.field, a, b, left, right):
            return level.label
    return ELSE


def _holds(level: Level, name: str, a: str, b: str, left: Values, right: Values) -> bool:
    value = level.value
    if level.kind == EXACT:
        return a == b
    if level.kind == JARO_WINKLER:
        return JaroWinkler.similarity(a, b) >= float(value or 0)
    if level.kind == EDITS:
        return DamerauLevenshtein.distance(a, b) <= int(value or 0)
    if level.kind == FIRST:
        return a[: int(value or 0)] == b[: int(value or 0)]
    if level.kind == DAY_MONTH:
        return a[:4] == b[:4] and a[5:7] == b[8:10] and a[8:10] == b[5:7]
    assert level.kind == SWAPPED
    other = str(value)
    return a == told(right, other) and told(left, other) == b


def told(values: Values, name: str) -> str | None:
    """A value; None where it is blank, as it is null in the tables that are linked (`bulk`)."""
    value = values.get(name)
    return value if value and folding.trim(value) else None


def _step(comparison: Comparison, model: Model, left: Values, right: Values) -> Step:
    label = level_of(comparison, left, right)
    if label == ABSENT:
        return Step(comparison.name, comparison.titles, label, 0.0, 0.0, words(label))
    trained = {level.label: level for level in model.levels[comparison.name]}
    found = trained[label]
    rarity = 0.0
    exact = trained.get(EXACT)
    if label == EXACT and comparison.frequency and exact is not None and exact.u:
        value = str(left.get(comparison.field))
        seen = model.frequencies.get(comparison.field, {}).get(value, 0.0)
        rarity = math.log2(exact.u) - math.log2(max(seen, model.least_frequency))
    return Step(comparison.name, comparison.titles, label, found.weight, rarity, words(label))


def words(label: str) -> Text:
    """A level in words, for the desk."""
    kind, _, value = label.partition(":")
    if kind == JARO_WINKLER:
        n = f"{100 * float(value):.0f}"
        return Text(
            f"жазылышы окшош ({n} % же андан көп)",
            f"написание похоже (на {n} % или больше)",
            f"spelt alike ({n} % or more)",
        )
    if kind == EDITS:
        return Text(
            f"{value} белгиден ашык айырмасы жок",
            f"отличается не более чем на {value} зн.",
            f"at most {value} {'character' if value == '1' else 'characters'} apart",
        )
    if kind == FIRST:
        return Text(
            f"алгачкы {value} белгиси бирдей",
            f"совпадают первые {value} зн.",
            "the first character is equal" if value == "1" else f"the first {value} characters are equal",
        )
    return _WORDS[kind]


_WORDS: Final = {
    EXACT: Text("бирдей", "совпадает", "equal"),
    DAY_MONTH: Text("күнү менен айы алмашкан", "переставлены день и месяц", "day and month changed round"),
    SWAPPED: Text("башка талаа менен алмашкан", "переставлено с другим полем", "changed round with another field"),
    ELSE: Text("башка", "отличается", "different"),
    ABSENT: Text("бир тарабында жок", "с одной стороны отсутствует", "one side has none"),
}
