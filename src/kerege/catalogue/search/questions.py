"""Search over the catalogue: typed, ranked hits with highlights and facets, in Kyrgyz, Russian and English alike.

Every typed word is first widened to the words of the index it may mean (`search.words.likeness`: the same key, a beginning, a word with endings
taken off, a slip of a letter). Entries that have one of each are found by the database (`search.engines`) in ever wider steps until there are
enough, and ranked here: how well the words fit, names before descriptions, datasets and concepts before single codes. When no entry has all
words, entries with some are given instead, and the answer says so. The index is kept by `search.index`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, cast

from kerege.catalogue.browse.organisations import spellings, together
from kerege.catalogue.errors import SearchNotBuilt
from kerege.catalogue.models import Dataset, Field, SearchEntry
from kerege.catalogue.search.engines import Engine, Wanted, engine
from kerege.catalogue.search.ids import Facet, facet_of, likely
from kerege.catalogue.search.index import rebuild, small
from kerege.catalogue.search.items import KINDS, Kind
from kerege.catalogue.search.words import EXACT, likeness, words
from kerege.membership.models import Member

LONGEST: Final = 200  # characters of a question that are read
MOST_WORDS: Final = 8
MOST_HITS: Final = 100
REACH: Final = 200  # candidates that are ranked; pages beyond them would be empty
_WIDE: Final = 24  # words of the index that one typed word is widened to
_NEAR: Final = 0.75  # at least this like: the same word, a beginning, one with an ending taken off

__all__ = ["KINDS", "Filters", "Found", "Hit", "Kind", "places", "search"]

Meant = Mapping[str, Mapping[str, float]]  # typed word -> words of the index it may mean, with how well


@dataclass(frozen=True)
class Filters:
    """What hits are narrowed to; empty means any. An organisation is meant in whatever way it is written (`browse.organisations`)."""

    kinds: tuple[str, ...] = ()
    organisation: str = ""
    personal: bool | None = None
    owned: bool | None = None
    public: bool = False  # only what may leave

    @cached_property
    def spelled(self) -> frozenset[str]:
        """Every way in which the organisation may be written; asked once."""
        return frozenset(spellings(self.organisation))

    def allow(self, facet: Facet) -> bool:
        """Whether entries with this facet are wanted."""
        return (
            (not self.kinds or facet.kind in self.kinds)
            and (not self.organisation or facet.organisation in self.spelled)
            and (self.personal is None or facet.personal is self.personal)
            and (self.owned is None or facet.owned is self.owned)
            and (facet.public or not self.public)
        )


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
    Raises SearchNotBuilt when there is no index and the catalogue is too large to make it on the way.
    """
    narrowed = filters or Filters()
    typed = list(dict.fromkeys(w.key for w in words(question[:LONGEST])))[:MOST_WORDS]
    if not typed:
        return Found(question)
    index = engine()
    facets = _facets(index)
    allowed = None if narrowed == Filters() else [n for n, facet in facets.items() if narrowed.allow(facet)]
    if allowed == []:
        return Found(question)
    meant = {word: _widened(index, word) for word in typed}
    groups = [list(found) for found in meant.values() if found]
    complete = every = len(groups) == len(typed)
    ids = _candidates(index, _all_words(meant, complete), allowed)
    every = every or bool(ids)
    if not ids and groups and len(typed) > 1:
        every = False
        ids = _candidates(index, _some_words(groups, len(typed)), allowed)
    if not ids:
        return Found(question, every=every)
    least = None if every else 1
    counts = Counter(index.counts(Wanted(groups, least=least), allowed) if complete or not every else {})
    if any(number not in facets for number in (*counts, *map(facet_of, ids))):
        facets = _facets(index)  # entries came with facets since these were read
    ranked, unseen = _ranked(index, ids, meant, facets)
    counts.update(unseen if every else {})
    page = ranked[max(0, offset) : max(0, offset) + min(limit, MOST_HITS)]
    entries = SearchEntry.objects.in_bulk([pk for _, pk in page])
    counted = _counted(counts, facets)
    hits = tuple(_hit(entries[pk], score, meant) for score, pk in page if pk in entries)
    return Found(question, hits, sum(counted["kind"].values()), counted, every)


def _facets(index: Engine) -> dict[int, Facet]:
    told = index.facets()
    if not told:
        if not small():
            raise SearchNotBuilt
        rebuild()
        told = index.facets()
    return {number: Facet.of(one) for number, one in told.items()}


def _widened(index: Engine, typed: str) -> dict[str, float]:
    """Words of the index that `typed` may mean, with how well; where one is the same word, slips are not looked for. Best first."""
    scored = {word: likeness(typed, word) for word in index.kin(typed)}
    least = _NEAR if scored.get(typed) == EXACT else 0.0
    best = sorted(((s, w) for w, s in scored.items() if s > least), key=lambda t: (-t[0], len(t[1]), t[1]))
    return {w: s for s, w in best[:_WIDE]}


def _all_words(meant: Meant, complete: bool) -> Iterator[Wanted]:
    """Ever wider: called just so; its name has the words, then near ones, then likely ones; they stand anywhere.

    complete   each typed word may mean some word of the index; else only what is called just so can have all of them
    """
    yield Wanted([["".join(meant)]], "whole")
    if not complete:
        return
    wide = [list(found) for found in meant.values()]
    near = [[w for w, s in found.items() if s >= _NEAR] for found in meant.values()]
    if all(typed in found for typed, found in meant.items()):
        yield Wanted([[typed] for typed in meant], "head")
    if all(near):
        yield Wanted(near, "head")
    if wide != near:
        yield Wanted(wide, "head")
    yield Wanted(wide, "any")


def _some_words(groups: Sequence[Sequence[str]], typed: int) -> Iterator[Wanted]:
    """All but one of the words, then any one, in names first. What nobody has was left out of `groups` already."""
    most = len(groups) if len(groups) < typed else len(groups) - 1
    for least in dict.fromkeys((most, 1)):
        if least > 0:
            yield Wanted(groups, "head", least)
            yield Wanted(groups, "any", least)


def _candidates(index: Engine, steps: Iterator[Wanted], allowed: Sequence[int] | None) -> list[int]:
    """Ids by the first steps that have enough of them."""
    found: dict[int, None] = {}
    for wanted in steps:
        found.update(dict.fromkeys(index.entries(wanted, allowed, REACH)))
        if len(found) >= REACH:
            break
    return list(found)[:REACH]


def _ranked(
    index: Engine, ids: Sequence[int], meant: Meant, facets: Mapping[int, Facet]
) -> tuple[list[tuple[float, int]], Counter[int]]:
    """(score, id), best first; of equals the one that was found by the narrower step, or is likelier by itself. And of those that have none of
    the words and were found because they are called just so (`birthday` by `birth day`), how many each facet has: no count of words sees them.
    """
    question = "".join(meant)
    scores: dict[int, float] = {}
    unseen: Counter[int] = Counter()
    for pk, head, whole, body in index.texts(ids):
        in_head = set(head.split())
        in_body: set[str] | None = None
        total = 0.0
        for alternatives in meant.values():
            fit = _best(alternatives, in_head)
            if fit < 0.4:
                in_body = set(body.split()) if in_body is None else in_body
                fit = max(fit, 0.4 * _best(alternatives, in_body))
            total += fit
        called = question in whole.split()
        if called and not all((in_head | set(body.split())) & alternatives.keys() for alternatives in meant.values()):
            unseen[facet_of(pk)] += 1
            total = EXACT * len(meant)
        just_so = 1.0 if called else 0.85  # what is called just so comes before what has it among its names
        kind = facets[facet_of(pk)].kind if facet_of(pk) in facets else ""
        scores[pk] = just_so * total / len(meant) * likely(kind, len(in_head))
    order = {pk: n for n, pk in enumerate(ids)}
    return sorted(((s, pk) for pk, s in scores.items()), key=lambda r: (-round(r[0], 6), order[r[1]])), unseen


def _best(alternatives: Mapping[str, float], present: set[str]) -> float:
    for word, fit in alternatives.items():  # best first
        if word in present:
            return fit
    return 0.0


def _hit(entry: SearchEntry, score: float, meant: Meant) -> Hit:
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


def _whole(counts: Mapping[str, int]) -> Mapping[str, int]:
    """An organisation's number and its whole code counted as one."""
    if all("/" in code for code in counts):
        return counts
    return together(counts, Member.objects.values_list("code", flat=True))


def _counted(counts: Mapping[int, int], facets: Mapping[int, Facet]) -> dict[str, dict[str, int]]:
    kinds: Counter[str] = Counter()
    organisations: Counter[str] = Counter()
    personal: Counter[str] = Counter()
    owned: Counter[str] = Counter()
    for number, n in counts.items():
        facet = facets.get(number)
        if facet is None:  # came since the facets were read
            continue
        kinds[facet.kind] += n
        if facet.organisation:
            organisations[facet.organisation] += n
        for counter, value in ((personal, facet.personal), (owned, facet.owned)):
            if value is not None:
                counter["yes" if value else "no"] += n
    told = {"kind": kinds, "organisation": Counter(_whole(organisations)), "personal": personal, "owned": owned}
    return {name: dict(counter.most_common()) for name, counter in told.items()}


def places(hits: Sequence[Hit]) -> dict[tuple[Kind, str], str]:
    """What commands call the datasets and attributes found, by (kind, key): `SOURCE#TABLE` and `SOURCE#TABLE.COLUMN`; two queries."""
    of = {kind: [int(h.key) for h in hits if h.kind == kind] for kind in ("dataset", "field")}
    named: dict[tuple[Kind, str], str] = {
        ("dataset", str(d.pk)): str(d) for d in Dataset.objects.filter(pk__in=of["dataset"])
    }
    for row in Field.objects.filter(pk__in=of["field"]).select_related("dataset"):
        named["field", str(row.pk)] = f"{row.dataset}.{row.name}"
    return named
