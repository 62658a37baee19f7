"""Search over the catalogue: typed, ranked hits with highlights and facets, in Kyrgyz, Russian and English alike.

Every typed word is first widened to the words of the index it may mean (`search_words.likeness`: the same key, a beginning, a word with endings
taken off, a slip of a letter); entries that have one of each are found by the database (`search_engines`) and ranked here: how well the words
fit, names before descriptions, datasets and concepts before single codes. When no entry has all words, entries with some are given instead,
and the answer says so. The index is kept by `search_index`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from kerege.catalogue.models import SearchEntry
from kerege.catalogue.search_engines import Engine, Filters, engine
from kerege.catalogue.search_index import KINDS, Kind, rebuild
from kerege.catalogue.search_words import EXACT, likeness, words

LONGEST: Final = 200  # characters of a question that are read
MOST_WORDS: Final = 8
MOST_HITS: Final = 100
_RANKED: Final = 200  # candidates the database gives for ranking
_WIDE: Final = 24  # words of the index that one typed word is widened to
_BOOST: Final[dict[str, float]] = {
    "dataset": 1.15,
    "concept": 1.12,
    "codelist": 1.1,
    "crosswalk": 1.0,
    "owner": 1.05,
    "contract": 1.0,
    "field": 1.0,
    "code": 0.9,
}

__all__ = ["KINDS", "Filters", "Found", "Hit", "Kind", "search"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found.

    title        what it is called by language; {"": name} where it has one name for all
    highlights   (language, start, end) of the title's characters that answer the question; language "note" is `note`
    """

    kind: Kind
    key: str
    parent: str
    title: dict[str, str]
    note: str
    organisation: str
    personal: bool | None
    owned: bool | None
    score: float
    highlights: tuple[tuple[str, int, int], ...]

    def name(self, language: str) -> str:
        """The title in `language`, else in whatever language it has."""
        return self.title.get(language) or self.title.get("") or next(iter(self.title.values()), self.key)

    def marked(self, language: str) -> list[tuple[str, bool]]:
        """`name(language)` in pieces, True where it answers the question: for pages, which put their own marks."""
        name = self.name(language)
        spans = sorted((s, e) for lang, s, e in self.highlights if lang != "note" and self.title.get(lang) == name)
        pieces: list[tuple[str, bool]] = []
        at = 0
        for start, end in spans:
            if start < at:
                continue
            pieces += [(name[at:start], False)] if start > at else []
            pieces.append((name[start:end], True))
            at = end
        return [*pieces, (name[at:], False)] if at < len(name) else pieces


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question.

    total     how many things answer it, with the filters applied; `hits` is one page of them
    facets    "kind", "organisation", "personal", "owned" -> value -> how many
    every     False when nothing had all words and hits have only some of them
    """

    question: str
    hits: tuple[Hit, ...] = ()
    total: int = 0
    facets: dict[str, dict[str, int]] = field(default_factory=dict)
    every: bool = True


def search(question: str, filters: Filters | None = None, *, offset: int = 0, limit: int = 20) -> Found:
    """What answers `question`, best first. Words beyond `MOST_WORDS` and characters beyond `LONGEST` are not read.

    Ranking looks at the likeliest 200 entries: `offset` past them gives nothing, while `total` counts all.
    """
    narrowed = filters or Filters()
    typed = list(dict.fromkeys(w.key for w in words(question[:LONGEST])))[:MOST_WORDS]
    if not typed:
        return Found(question)
    if not SearchEntry.objects.exists():
        rebuild()
    index = engine()
    meant = {word: _widened(index, word) for word in typed}
    groups = [list(found) for found in meant.values() if found]
    every = len(groups) == len(typed)
    ids = index.entries(groups, True, narrowed, _RANKED) if every else []
    if not ids and groups and len(typed) > 1:
        every = False
        ids = index.entries(groups, False, narrowed, _RANKED)
    if not ids:
        return Found(question, every=every)
    ranked = _ranked(ids, meant, "".join(typed))
    page = ranked[max(0, offset) : max(0, offset) + min(limit, MOST_HITS)]
    entries = SearchEntry.objects.in_bulk([pk for _, pk in page])
    facets = _facets(index.counts(groups, every, narrowed))
    total = sum(facets["kind"].values())
    return Found(question, tuple(_hit(entries[pk], score, meant) for score, pk in page), total, facets, every)


def _widened(index: Engine, typed: str) -> dict[str, float]:
    """Words of the index that `typed` may mean, with how well; where one is the same word, slips are not looked for."""
    scored = {word: likeness(typed, word) for word in index.kin(typed)}
    least = 0.75 if scored.get(typed) == EXACT else 0.0
    best = sorted(((s, w) for w, s in scored.items() if s > least), key=lambda t: (-t[0], len(t[1]), t[1]))
    return {w: s for s, w in best[:_WIDE]}


def _ranked(ids: Sequence[int], meant: dict[str, dict[str, float]], whole: str) -> list[tuple[float, int]]:
    """(score, id), best first; of equals the one the database found likelier."""
    columns = SearchEntry.objects.filter(pk__in=ids).values_list("pk", "kind", "head", "body")
    scores: dict[int, float] = {}
    certain: list[int] = []
    for pk, kind, head, body in columns:
        in_head, in_body = frozenset(head.split()), frozenset(body.split())
        total, exact = 0.0, True
        for typed, alternatives in meant.items():
            named = _best(alternatives, in_head)
            exact = exact and typed in in_head
            total += max(named, 0.4 * _best(alternatives, in_body)) if named < 0.4 else named
        short = 1.0 / (1.0 + 0.02 * len(in_head))  # of two names that fit, the one with fewer other words
        scores[pk] = 0.85 * total / len(meant) * short * _BOOST.get(kind, 1.0)
        if exact:
            certain.append(pk)
    # what is called just so comes before what has it among its names
    for pk, kind, title, note in SearchEntry.objects.filter(pk__in=certain).values_list("pk", "kind", "title", "note"):
        others = note.split(", ") if kind in ("concept", "code") else ()
        if any("".join(w.key for w in words(name)) == whole for name in (*title.values(), *others)):
            scores[pk] /= 0.85
    order = {pk: n for n, pk in enumerate(ids)}
    return sorted(((score, pk) for pk, score in scores.items()), key=lambda r: (-round(r[0], 6), order[r[1]]))


def _best(alternatives: dict[str, float], present: frozenset[str]) -> float:
    return max((s for w, s in alternatives.items() if w in present), default=0.0)


def _hit(entry: SearchEntry, score: float, meant: dict[str, dict[str, float]]) -> Hit:
    wanted = {w for alternatives in meant.values() for w in alternatives}
    spans = [
        (language, w.start, w.end)
        for language, text in (*entry.title.items(), ("note", entry.note))
        for w in words(text)
        if w.key in wanted
    ]
    return Hit(
        cast(Kind, entry.kind), entry.key, entry.parent, dict(entry.title), entry.note, entry.organisation, entry.personal, entry.owned,
        round(score, 4), tuple(spans),
    )  # fmt: skip


def _facets(counts: Sequence[tuple[str, str, bool | None, bool | None, int]]) -> dict[str, dict[str, int]]:
    kinds: Counter[str] = Counter()
    organisations: Counter[str] = Counter()
    personal: Counter[str] = Counter()
    owned: Counter[str] = Counter()
    for kind, organisation, is_personal, is_owned, n in counts:
        kinds[kind] += n
        if organisation:
            organisations[organisation] += n
        for counter, value in ((personal, is_personal), (owned, is_owned)):
            if value is not None:
                counter["yes" if value else "no"] += n
    told = {"kind": kinds, "organisation": organisations, "personal": personal, "owned": owned}
    return {name: dict(counter.most_common()) for name, counter in told.items()}
