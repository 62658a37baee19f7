"""Suggesting which column of one register means which column of another: ranked candidates per source column.

Several weak witnesses, none of them trusted alone: words of the name and description (TF-IDF), spelling of the name, the concept's labels,
the shape of values (masks, lengths, type, identifier), the values themselves as far as the caller shares them (as text for code lists, as
keyed hashes otherwise), and how often each value comes (two codings of one thing have one distribution). They are blended as "at least
one of them is right": 1 - product of (1 - weight x likeness). The first suggestion is often wrong on real registers, so a steward gets
five; nothing here accepts anything. Order of columns is never used. Pure: rapidfuzz and the standard library only.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rapidfuzz import fuzz

from kerege.semantics.suggest.text import fold

# Weights say how far one witness alone may carry a pair (0..1).
WEIGHTS: Final[Mapping[str, float]] = {
    "concept": 0.90,
    "values": 0.85,
    "name": 0.75,
    "description": 0.55,
    "spelling": 0.50,
    "frequency": 0.45,
    "shape": 0.35,
    "identifier": 0.35,
}

LEAST: Final = 0.06  # one faint witness alone reaches this far by accident; at 0.10 a right first candidate of bench/evaluate.py is lost


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What is known of a column without its rows.

    masks       share of values per mask, 0..1 ("99.99.9999": 0.97)
    values      distinct values or a sample of their keyed hashes; empty when the owner shares none
    frequency   shares of the most frequent values, largest first, without the values
    identifier  "pin", "phone", "date", ... or ""
    """

    name: str
    table: str = ""
    description: str = ""
    concepts: tuple[str, ...] = ()
    type: str = "text"
    identifier: str = ""
    masks: Mapping[str, float] = field(default_factory=dict)
    values: frozenset[str] = frozenset()
    frequency: tuple[float, ...] = ()
    rows: int = 0
    distinct: int = 0
    filled: float = 1.0
    min_length: int = 0
    max_length: int = 0


@dataclass(frozen=True, slots=True)
class ColumnCandidate:
    """A target column with its score and what each witness said, for the steward to see why."""

    column: str
    table: str
    score: float
    witnesses: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ColumnSuggestion:
    """Ranked target columns for one source column."""

    column: str
    table: str
    candidates: tuple[ColumnCandidate, ...]


_CAMEL: Final = re.compile(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])")


def name_words(name: str) -> list[str]:
    """Words of a column name: `birthDate`, `BIRTH_DATE` and "Birth date" are the same two."""
    return fold(_CAMEL.sub(" ", name).replace("_", " ")).split()


def suggest_columns(
    source: Sequence[ColumnProfile], target: Sequence[ColumnProfile], *, top: int = 5
) -> list[ColumnSuggestion]:
    """For each column of `source` the `top` columns of `target` that most likely mean the same, best first, with the witnesses.

    What scores below `LEAST` is no suggestion: a column may have none.
    """
    names = _TfIdf([_name_terms(c) for c in (*source, *target)])
    texts = _TfIdf([fold(c.description).split() for c in (*source, *target)])
    scored: dict[tuple[int, int], tuple[float, tuple[tuple[str, float], ...]]] = {}
    for i, a in enumerate(source):
        for j, b in enumerate(target):
            scored[i, j] = _blend(a, b, names.cosine(i, len(source) + j), texts.cosine(i, len(source) + j))
    best_for_target = {j: max((scored[i, j][0] for i in range(len(source))), default=0.0) for j in range(len(target))}
    result = []
    for i, a in enumerate(source):
        ranked = []
        for j, b in enumerate(target):
            score, witnesses = scored[i, j]
            # a target that another source column fits better is a little less likely to be this one's
            taken = best_for_target[j] - score
            held = round(score * (1 - 0.3 * taken), 4)
            if held >= LEAST:
                ranked.append(ColumnCandidate(b.name, b.table, held, witnesses))
        ranked.sort(key=lambda c: (-c.score, c.table, c.column))
        result.append(ColumnSuggestion(a.name, a.table, tuple(ranked[:top])))
    return result


def _name_terms(column: ColumnProfile) -> list[str]:
    words = name_words(column.name)
    grams = [w[k : k + 4] for w in words if len(w) > 4 for k in range(len(w) - 3)]
    return words * 2 + grams


class _TfIdf:
    """Cosine between short texts, rare terms first; built once per run over both sides."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        seen = Counter(term for text in texts for term in set(text))
        total = len(texts)
        self._vectors = []
        for text in texts:
            vector = {term: n * (math.log((1 + total) / (1 + seen[term])) + 1) for term, n in Counter(text).items()}
            norm = math.sqrt(sum(v * v for v in vector.values())) or 1.0
            self._vectors.append({term: v / norm for term, v in vector.items()})

    def cosine(self, i: int, j: int) -> float:
        a, b = self._vectors[i], self._vectors[j]
        return sum(v * b[term] for term, v in a.items() if term in b)


def _blend(
    a: ColumnProfile, b: ColumnProfile, name: float, description: float
) -> tuple[float, tuple[tuple[str, float], ...]]:
    witnesses = {
        "concept": 1.0 if set(a.concepts) & set(b.concepts) else 0.0,
        "values": _value_overlap(a.values, b.values),
        "name": name,
        "description": description,
        "spelling": _spelling(a.name, b.name),
        "frequency": _frequency(a, b),
        "shape": _shape(a, b),
        "identifier": 1.0 if a.identifier and a.identifier == b.identifier else 0.0,
    }
    doubt = 1.0
    for witness, likeness in witnesses.items():
        doubt *= 1 - WEIGHTS[witness] * likeness
    score = 1 - doubt
    if a.identifier and b.identifier and a.identifier != b.identifier:
        score *= 0.3
    if a.rows and b.rows and not _types_agree(a.type, b.type):
        score *= 0.7
    told = tuple(
        (w, round(v, 3)) for w, v in sorted(witnesses.items(), key=lambda x: -WEIGHTS[x[0]] * x[1]) if v > 0.05
    )
    return score, told


def _spelling(a: str, b: str) -> float:
    left, right = " ".join(name_words(a)), " ".join(name_words(b))
    if not left or not right:
        return 0.0
    likeness = fuzz.token_sort_ratio(left, right) / 100
    return max(0.0, (likeness - 0.4) / 0.6)


def _value_overlap(a: frozenset[str], b: frozenset[str]) -> float:
    """How much of the smaller set stands in the other, held down where the sets are tiny (two flags overlap by accident)."""
    if not a or not b:
        return 0.0
    smaller = min(len(a), len(b))
    shared = len(a & b)
    contained, together = shared / smaller, shared / len(a | b)
    confidence = min(1.0, smaller / 4)
    return confidence * (0.5 * contained + 0.5 * together)


def _frequency(a: ColumnProfile, b: ColumnProfile) -> float:
    """Likeness of two distributions without their values; says nothing of columns where nearly every value is its own."""
    if len(a.frequency) < 2 or len(b.frequency) < 2 or _unique(a) or _unique(b):
        return 0.0
    length = max(len(a.frequency), len(b.frequency))
    pad_a = (*a.frequency, *(0.0,) * (length - len(a.frequency)))
    pad_b = (*b.frequency, *(0.0,) * (length - len(b.frequency)))
    distance = 0.5 * sum(abs(x - y) for x, y in zip(pad_a, pad_b, strict=True))
    sizes = min(a.distinct, b.distinct) / max(a.distinct, b.distinct, 1)
    return max(0.0, 1 - 4 * distance) * sizes


def _unique(column: ColumnProfile) -> bool:
    return column.distinct > 0.9 * column.rows * column.filled


def _shape(a: ColumnProfile, b: ColumnProfile) -> float:
    if not a.masks or not b.masks:
        return 0.0
    dot = sum(share * b.masks.get(mask, 0.0) for mask, share in a.masks.items())
    norm = math.sqrt(sum(s * s for s in a.masks.values()) * sum(s * s for s in b.masks.values()))
    masks = dot / norm if norm else 0.0
    widths = _ratio(a.max_length, b.max_length)
    filled = 1 - abs(a.filled - b.filled)
    unique = 1 - abs(_uniqueness(a) - _uniqueness(b))
    return masks * 0.5 + 0.5 * widths * filled * unique


def _uniqueness(column: ColumnProfile) -> float:
    return column.distinct / (column.rows * column.filled) if column.rows and column.filled else 0.0


def _ratio(a: int, b: int) -> float:
    return min(a, b) / max(a, b) if max(a, b) else 1.0


def _types_agree(a: str, b: str) -> bool:
    numbers = {"integer", "decimal"}
    return a == b or {a, b} <= numbers or "empty" in (a, b)
