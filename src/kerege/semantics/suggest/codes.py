"""Suggesting a crosswalk: which code of one list means which code of another, judged from labels and parents.

For every source code: ranked candidates, and a decision. "accept" is what a steward would have to undo, so it is given only where nothing
speaks against it; "unsure" is a queue at a desk; "none" means no candidate looks like it. The rules (docs/decisions/0020):

1. *Every word explained.* Each distinctive word on both sides has a partner that is equal after folding, or a spelling of it. Two words
   that both occur as words of the other list are two words and never a spelling of each other ("Sutton", "Dutton").
2. *Margin.* The best candidate is ahead of the next by at least `MARGIN`; two equal candidates are never settled by chance.
3. *Mutual best.* No other source code fits the candidate better.
4. *Context.* A kind that contradicts (district, village), a parent known to lie elsewhere, or another level of two trees that have
   equally many levels, stops the acceptance. Children accepted under one target speak for a parent whose name does not.

No threshold knows any data set. Evidence from linked records is `suggest.links`. Pure: rapidfuzz and the standard library only.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from rapidfuzz.distance import DamerauLevenshtein

from kerege.semantics.suggest.text import Label, read_label, trigrams

Decision = Literal["accept", "unsure", "none"]

ACCEPT: Final = 0.90  # at least this alike ...
MARGIN: Final = 0.08  # ... and this far ahead of the next candidate
NONE_BELOW: Final = 0.45  # below this nothing is suggested
SPELLING: Final = 0.75  # two words this alike may be two spellings of one
_CHILDREN: Final = 3  # children that speak for a parent ...
_AGREE: Final = 0.8  # ... and how many of them must agree
_POOL: Final = 40  # candidates looked at closely per code


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One code of a list. `parent` is a code of the same list; `also` other labels (languages, long forms); `kind` what it is in words."""

    code: str
    label: str
    parent: str | None = None
    also: tuple[str, ...] = ()
    kind: str = ""
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target code with its likeness 0..1."""

    code: str
    score: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the engine says of one source code: candidates best first, a decision, and the reason in a stable word plus detail."""

    source_code: str
    candidates: tuple[Candidate, ...]
    decision: Decision
    reason: str

    @property
    def best(self) -> str | None:
        """The first candidate's code."""
        return self.candidates[0].code if self.candidates else None


@dataclass(slots=True)
class _Entry:
    row: CodeRow
    labels: tuple[Label, ...]
    kinds: frozenset[str]
    office: frozenset[str]


@dataclass(slots=True)
class _Pair:
    """One source against one target: likeness and whether every distinctive word found a partner."""

    score: float
    explained: bool
    exact: bool
    kind_conflict: bool = False
    off_parent: bool = False
    off_level: bool = False


@dataclass(slots=True)
class _List:
    entries: list[_Entry]
    vocabulary: frozenset[str]
    index: dict[str, list[int]] = field(default_factory=dict)
    ancestors: dict[str, frozenset[str]] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Levels of the tree; 0 for a flat list."""
        return max((len(line) for line in self.ancestors.values()), default=0)


def _prepare(rows: Sequence[CodeRow]) -> _List:
    entries = []
    for row in rows:
        labels = tuple(dict.fromkeys(read_label(t) for t in (row.label, *row.also) if t.strip()))
        # a word of `kind` ("Non-metropolitan district") speaks as loudly as one in the label
        told = read_label(row.kind) if row.kind else None
        kinds = frozenset().union(*(x.kinds for x in labels), told.kinds if told else frozenset())
        office = frozenset().union(*(x.office for x in labels), told.office if told else frozenset())
        entries.append(_Entry(row, labels, kinds, office))
    index: dict[str, list[int]] = defaultdict(list)
    for i, entry in enumerate(entries):
        for gram in frozenset().union(*(trigrams(x.key) for x in entry.labels)):
            index[gram].append(i)
    parent = {row.code: row.parent for row in rows}
    ancestors = {}
    for code in parent:
        line: list[str] = []
        up = parent.get(code)
        while up is not None and up not in line:  # a loop in a tree is somebody's mistake, not a reason to hang
            line.append(up)
            up = parent.get(up)
        ancestors[code] = frozenset(line)
    vocabulary = frozenset(w for e in entries for label in e.labels for w in label.roots)
    return _List(entries, vocabulary, dict(index), ancestors, parent)


def suggest_codes(source: Sequence[CodeRow], target: Sequence[CodeRow], *, top: int = 5) -> list[Suggestion]:
    """Suggest for each code of `source` the code of `target` that means the same.

    Returns one Suggestion per source row, in the order given; `top` candidates each. Parents are settled first, so a village is looked
    for inside its district wherever the district could be accepted. Nothing is accepted by score alone: see the rules above.
    """
    left, right = _prepare(source), _prepare(target)
    weights = _word_weights(left, right)
    settled: dict[str, str] = {}  # source code -> accepted target code
    same_levels = 0 < left.depth == right.depth
    result: dict[int, Suggestion] = {}
    for level in _by_level(left):
        pairs = {i: _candidates(left.entries[i], left, right, weights, settled, same_levels) for i in level}
        suggestions = _decide(level, pairs, left, right, top)
        for i, suggestion in suggestions.items():
            result[i] = suggestion
            if suggestion.decision == "accept" and suggestion.best is not None:
                settled[left.entries[i].row.code] = suggestion.best
    _hear_children(left, right, result)
    return [result[i] for i in range(len(left.entries))]


def _hear_children(left: _List, right: _List, result: dict[int, Suggestion]) -> None:
    """A parent whose name could not be settled is known by its children, and children strayed from their siblings are doubted.

    At least `_CHILDREN` accepted children, `_AGREE` of them under one target that is among the parent's own candidates and nobody
    else's. Where not even that is known, and no ancestor is settled, a child's acceptance rests on its name in the whole country: reopened.
    """
    at = {entry.row.code: i for i, entry in enumerate(left.entries)}
    parents = right.parents
    taken = {s.best for s in result.values() if s.decision == "accept"}
    families: dict[int, list[int]] = defaultdict(list)
    for i, entry in enumerate(left.entries):
        if entry.row.parent in at and result[at[entry.row.parent]].decision != "accept":
            families[at[entry.row.parent]].append(i)
    for home, children in families.items():
        accepted = [i for i in children if result[i].decision == "accept"]
        votes = Counter(parents.get(result[i].best or "") for i in accepted)
        known = {c.code for c in result[home].candidates} - taken
        chosen, agreeing = votes.most_common(1)[0] if votes else (None, 0)
        if chosen in known and agreeing >= _CHILDREN and agreeing >= _AGREE * len(accepted):
            front = [c for c in result[home].candidates if c.code == chosen]
            rest = [c for c in result[home].candidates if c.code != chosen]
            result[home] = replace(result[home], candidates=(*front, *rest), decision="accept", reason="children-agree")
            strayed = [i for i in accepted if parents.get(result[i].best or "") != chosen]
        else:
            line = left.ancestors[left.entries[home].row.code]
            rootless = not any(result[at[a]].decision == "accept" for a in line if a in at)
            strayed = accepted if rootless else []
        for i in strayed:
            result[i] = reopened(result[i], "parent-open")


def _by_level(rows: _List) -> list[list[int]]:
    """Indexes grouped by depth in the tree, roots first."""
    levels: dict[int, list[int]] = defaultdict(list)
    for i, entry in enumerate(rows.entries):
        levels[len(rows.ancestors[entry.row.code])].append(i)
    return [levels[depth] for depth in sorted(levels)]


def _word_weights(left: _List, right: _List) -> dict[str, float]:
    """How much a word distinguishes: rare words weigh 1, a word of a tenth of the labels little, from the lists themselves."""
    frequency: dict[str, int] = defaultdict(int)
    for entry in (*left.entries, *right.entries):
        for word in {w for label in entry.labels for w in label.roots}:
            frequency[word] += 1
    total = len(left.entries) + len(right.entries)
    scale = math.log(1 + total / 2)
    return {w: max(0.25, math.log(1 + total / max(2, n)) / scale) for w, n in frequency.items()}


def _candidates(
    entry: _Entry, left: _List, right: _List, weights: dict[str, float], settled: dict[str, str], same_levels: bool
) -> list[tuple[int, _Pair]]:
    """Target indexes with their pair, best first."""
    votes: dict[int, float] = defaultdict(float)
    total = len(right.entries) + 1
    for gram in frozenset().union(*(trigrams(x.key) for x in entry.labels)) if entry.labels else ():
        postings = right.index.get(gram, ())
        rarity = math.log(total / (1 + len(postings))) + 0.1
        for i in postings:
            votes[i] += rarity
    home = _settled_home(entry.row, left, settled)
    if home is not None:  # inside the parent nothing is too unlike to be looked at
        for i in votes:
            if home in right.ancestors[right.entries[i].row.code]:
                votes[i] += 1000.0
    pool = sorted(votes, key=lambda i: (-votes[i], i))[:_POOL]
    scored = []
    for i in pool:
        pair = _compare(entry, right.entries[i], left, right, weights)
        code = right.entries[i].row.code
        if same_levels and len(right.ancestors[code]) != len(left.ancestors[entry.row.code]):
            pair.off_level = True
            pair.score *= 0.8
        if home is not None:
            inside = home in right.ancestors[code]
            pair.off_parent = not inside
            if not inside:
                pair.score *= 0.8
        scored.append((i, pair))
    scored.sort(key=lambda item: (-round(item[1].score, 6), right.entries[item[0]].row.retired, item[0]))
    return scored


def _settled_home(row: CodeRow, left: _List, settled: dict[str, str]) -> str | None:
    """The target code of the nearest settled ancestor."""
    up = row.parent
    seen: set[str] = set()
    while up is not None and up not in seen:
        if up in settled:
            return settled[up]
        seen.add(up)
        up = left.parents.get(up)
    return None


def _compare(a: _Entry, b: _Entry, left: _List, right: _List, weights: dict[str, float]) -> _Pair:
    best = _Pair(0.0, explained=False, exact=False)
    for x in a.labels:
        for y in b.labels:
            pair = _compare_labels(x, y, left, right, weights)
            if (pair.explained, pair.score) > (best.explained, best.score):
                best = pair
    if a.kinds and b.kinds:
        if a.kinds & b.kinds:
            best.score = min(1.0, best.score + 0.02)
        else:
            best.kind_conflict = True
            best.score *= 0.85
    elif a.kinds or b.kinds:
        best.score *= 0.98  # one side does not say what it is: a tie goes to the one that does
    if a.office and b.office:  # "borough" beside "borough": only ever settles a tie
        best.score *= 1.0 if a.office & b.office else 0.995
    if b.row.retired:
        best.score *= 0.97
    return best


def _compare_labels(x: Label, y: Label, left: _List, right: _List, weights: dict[str, float]) -> _Pair:
    if x.words == y.words:
        return _Pair(1.0, explained=True, exact=True)
    if x.roots == y.roots:
        return _Pair(0.97, explained=True, exact=True)
    if x.key == y.key:
        return _Pair(0.96, explained=True, exact=True)
    # words of x against words of y, best partners first
    found = sorted(
        ((_alike(p, q, left, right), i, j) for i, p in enumerate(x.roots) for j, q in enumerate(y.roots)),
        key=lambda t: (-t[0], abs(t[1] - t[2])),
    )
    used_x: dict[int, float] = {}
    used_y: dict[int, float] = {}
    for likeness, i, j in found:
        if likeness < 0.5 or i in used_x or j in used_y:
            continue
        used_x[i], used_y[j] = likeness, likeness
    weigh = sum(weights.get(w, 1.0) for w in (*x.roots, *y.roots))
    gain = sum(weights.get(w, 1.0) * used_x.get(i, 0.0) for i, w in enumerate(x.roots))
    gain += sum(weights.get(w, 1.0) * used_y.get(j, 0.0) for j, w in enumerate(y.roots))
    explained = (
        len(used_x) == len(x.roots)
        and len(used_y) == len(y.roots)
        and all(v >= SPELLING for v in (*used_x.values(), *used_y.values()))
    )
    # the same words in another order are nearly, not quite, the same name
    ceiling = 0.95
    score = min(ceiling, gain / weigh if weigh else 0.0)
    if not explained:
        # a run-together spelling ("Southendonsea") has no word partners but is letter for letter close
        whole = DamerauLevenshtein.normalized_similarity(x.key, y.key)
        if whole > 0.9 and len(x.roots) != len(y.roots):
            return _Pair(max(score, min(ceiling, whole)), explained=True, exact=False)
        score = max(score, whole * 0.85)
    return _Pair(score, explained, exact=False)


def _alike(p: str, q: str, left: _List, right: _List) -> float:
    """Likeness of two words: 1 when equal; a spelling at 0.75 and more; two words known to both lists at most 0.6."""
    if p == q:
        return 1.0
    if (p.endswith("in") and q == p[:-2] + "a") or (q.endswith("in") and p == q[:-2] + "a"):
        return 0.95  # Russian "Ата" -> "Атинский": the adjective's root against the name
    if p + "i" == q or q + "i" == p:
        return 0.95  # "Ой" -> "Ойский": whether the glide is the name's or the ending's cannot be seen
    likeness = DamerauLevenshtein.normalized_similarity(p, q)
    if q in left.vocabulary or p in right.vocabulary:
        return min(0.6, likeness)
    if p[0] != q[0]:
        likeness -= 0.1  # spellings differ inside and at the end more often than at the front
    if min(len(p), len(q)) >= 3 and (p.startswith(q) or q.startswith(p)):
        likeness = max(likeness, 0.7)  # an abbreviation ranks, but is not a spelling
    if any(c.isdigit() for c in p + q):
        return min(0.4, likeness)  # numbers are never misspelt into one another
    return likeness


def _decide(
    level: Iterable[int], pairs: dict[int, list[tuple[int, _Pair]]], left: _List, right: _List, top: int
) -> dict[int, Suggestion]:
    best_for: dict[int, float] = defaultdict(float)  # target index -> best score of any source of this level
    for found in pairs.values():
        for j, pair in found[:top]:
            best_for[j] = max(best_for[j], pair.score)
    result = {}
    for i in level:
        found = [(j, p) for j, p in pairs[i] if p.score > 0.2]
        ranked = tuple(Candidate(right.entries[j].row.code, round(p.score, 4)) for j, p in found[:top])
        decision, reason = _verdict(found, best_for)
        result[i] = Suggestion(left.entries[i].row.code, ranked, decision, reason)
    return result


def _verdict(found: list[tuple[int, _Pair]], best_for: dict[int, float]) -> tuple[Decision, str]:
    if not found or found[0][1].score < NONE_BELOW:
        return "none", "nothing-alike"
    j, first = found[0]
    second = found[1][1].score if len(found) > 1 else 0.0
    if first.kind_conflict:
        return "unsure", "kind-differs"
    if first.off_parent:
        return "unsure", "outside-parent"
    if first.off_level:
        return "unsure", "another-level"
    if not first.explained:
        return "unsure", "word-unexplained"
    if first.score < ACCEPT:
        return "unsure", "not-alike-enough"
    # an equal name outruns a merely similar one; a tie between equals stays a tie
    rival_equal = any(p.exact and not (p.kind_conflict or p.off_parent or p.off_level) for _, p in found[1:2])
    needed = MARGIN if (not first.exact or rival_equal) else MARGIN / 2
    if first.score - second < needed:
        return "unsure", "too-close-to-call"
    if best_for[j] > first.score + 1e-9 and not first.exact:
        return "unsure", "another-code-fits-better"
    return "accept", "same-name" if first.exact else "spelling"


def only_accepted(suggestions: Iterable[Suggestion]) -> dict[str, str]:
    """Accepted suggestions as a plain table source code -> target code."""
    return {s.source_code: s.best for s in suggestions if s.decision == "accept" and s.best is not None}


def reopened(suggestion: Suggestion, reason: str) -> Suggestion:
    """`suggestion` as an open question, for callers who know something the labels do not."""
    return replace(suggestion, decision="unsure", reason=reason)
