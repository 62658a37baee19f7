"""Suggesting a crosswalk from an agency's own area tree to the country's: level by level, each child only within its parent.

Names of places repeat (704 of 1,855 Kyrgyz villages do not have a unique one), so a flat comparison of labels cannot be sure; within one
parent they hardly repeat. The walk starts at the roots and goes down through settled parents only:

1. Keys (`gazetteer.place_keys`: spelling, script and the Russian adjective undone) that are equal and single on both sides are accepted.
2. What is left may differ by a spelling: accepted when alike enough, clearly ahead of the next, and best for each other.
3. Everything else stays open, and so does everything below it. A kind that contradicts (district, city) excludes a pair.

Never by elimination: the last two left over are not the same place because they are left over. A tree may name a unit twice, as its own only
child (a city of region rank as region and as district): such a child is never accepted, but the parent's unit is offered to whoever decides. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from rapidfuzz.distance import DamerauLevenshtein

from kerege.semantics.normalise.folding import collapse, latin_key
from kerege.semantics.normalise.gazetteer import KIND_WORDS, Gazetteer, Place, place_keys
from kerege.semantics.suggest.codes import Candidate, CodeRow, Decision, Suggestion

ALIKE: Final = 0.8  # a spelling of the same name within one parent
AHEAD: Final = 0.15  # distance to the next candidate, seen from either side
# Words for kinds of places by their key, so that "rayonu", "raionu" and "району" are one word in any script.
_KIND_KEYS: Final = {latin_key(word): kind for word, kind in KIND_WORDS.items()}


def suggest_places(source: Sequence[CodeRow], gazetteer: Gazetteer) -> list[Suggestion]:
    """One suggestion per source row, in the order given. A row's `parent` is a code of the same list or None."""
    codes = {row.code for row in source}
    below: dict[str | None, list[CodeRow]] = defaultdict(list)
    for row in source:
        below[row.parent if row.parent in codes else None].append(row)
    found: dict[str, Suggestion] = {}
    _walk(None, None, below, gazetteer, found)
    return [found.get(row.code) or Suggestion(row.code, (), "none", "parent-open") for row in source]


def _walk(
    parent: str | None,
    unit: str | None,
    below: dict[str | None, list[CodeRow]],
    gazetteer: Gazetteer,
    found: dict[str, Suggestion],
) -> None:
    own = gazetteer.get(unit) if unit is not None else None
    for suggestion in _siblings(below.get(parent, []), gazetteer.children(unit), own):
        if suggestion.source_code in found:  # a loop in somebody's tree
            continue
        found[suggestion.source_code] = suggestion
        if suggestion.decision == "accept":
            _walk(suggestion.source_code, suggestion.best, below, gazetteer, found)


def _siblings(rows: Sequence[CodeRow], places: Sequence[Place], own: Place | None) -> list[Suggestion]:
    likeness = {
        (i, j): score
        for i, row in enumerate(rows)
        for j, place in enumerate(places)
        if not _kinds_differ(row, place) and (score := _alike(row, place)) > 0
    }
    suggestions = []
    for i, row in enumerate(rows):
        ranked = sorted(((s, j) for (k, j), s in likeness.items() if k == i), key=lambda t: (-t[0], t[1]))
        candidates = tuple(Candidate(places[j].soate, round(score, 4)) for score, j in ranked[:5])
        decision, reason = _verdict(i, ranked, likeness)
        if decision == "none" and own is not None and not _kinds_differ(row, own) and _alike(row, own) == 1.0:
            candidates = (Candidate(own.soate, 1.0), *candidates[:4])
            decision, reason = "unsure", "same-as-parent"
        suggestions.append(Suggestion(row.code, candidates, decision, reason))
    return suggestions


def _verdict(
    i: int, ranked: Sequence[tuple[float, int]], likeness: dict[tuple[int, int], float]
) -> tuple[Decision, str]:
    if not ranked or ranked[0][0] < 0.5:
        return "none", "nothing-alike"
    score, j = ranked[0]
    next_here = ranked[1][0] if len(ranked) > 1 else 0.0
    next_there = max((s for (k, m), s in likeness.items() if m == j and k != i), default=0.0)
    if score == 1.0:
        return ("accept", "same-name") if next_here < 1.0 and next_there < 1.0 else ("unsure", "too-close-to-call")
    if score < ALIKE:
        return "unsure", "not-alike-enough"
    if score - next_here < AHEAD or score - next_there < AHEAD:
        return "unsure", "too-close-to-call"
    return "accept", "spelling"


def _alike(row: CodeRow, place: Place) -> float:
    ours = {key for label in (row.label, *row.also) for key in place_keys(_bare(label))}
    theirs = {key for name in place.names() for key in place_keys(_bare(name))}
    if ours & theirs:
        return 1.0
    best = max((DamerauLevenshtein.normalized_similarity(a, b) for a in ours for b in theirs), default=0.0)
    return min(best, 0.99)


def _kinds_differ(row: CodeRow, place: Place) -> bool:
    ours = _kind(row.kind) or _kind(row.label)
    theirs = _kind(place.name_ru) or ("city" if place.is_city() else None)
    return ours is not None and theirs is not None and ours != theirs


def _words(label: str) -> list[tuple[str, str | None]]:
    """The words of a label, each with the kind of place it stands for; a single letter ("g.", "с.") only with its full stop."""
    words = collapse(label.replace(".", ". ")).split(" ")
    return [(w, _KIND_KEYS.get(latin_key(w)) if len(w.rstrip(".")) > 1 or w.endswith(".") else None) for w in words]


def _bare(label: str) -> str:
    """The label without its words for a kind of place; the label itself when nothing else is in it."""
    return " ".join(word for word, kind in _words(label) if kind is None) or label


def _kind(label: str) -> str | None:
    return next((kind for _, kind in _words(label) if kind), None)
