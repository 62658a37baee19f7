"""Inducing a crosswalk from linked records: where the same school or person stands in two registers, their codes speak of each other.

Labels in two languages share no letters; linked records do not need them to. A code is accepted when at least `MIN_RECORDS` linked records
carry it and at least `MIN_SHARE` of them agree on one target code (the rule measured in the reference notes: 300 links recovered 52 of
60 districts, all right). A code that splits is left open with its split, because a real one-to-many needs a condition, not a vote.
`combine` puts labels and links together: they may confirm or contradict each other, and a contradiction is never accepted. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kerege.semantics.suggest.codes import Candidate, Decision, Suggestion

MIN_RECORDS: Final = 3
MIN_SHARE: Final = 0.80


@dataclass(frozen=True, slots=True)
class Induced:
    """What linked records say of one source code: `records` linked, of which `share` agree on `target`; `split` counts per target."""

    source_code: str
    target: str
    records: int
    share: float
    split: tuple[tuple[str, int], ...]
    decision: Decision
    reason: str


def induce_from_links(
    pairs: Iterable[tuple[str, str]], *, min_records: int = MIN_RECORDS, min_share: float = MIN_SHARE
) -> list[Induced]:
    """Codes induced from `pairs` of (source code, target code), one pair per linked record; sorted by source code.

    Empty codes on either side say nothing and are left out.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for source, target in pairs:
        if source and target:
            votes[source][target] += 1
    result = []
    for source in sorted(votes):
        split = tuple(sorted(votes[source].items(), key=lambda item: (-item[1], item[0])))
        records = sum(n for _, n in split)
        target, agreeing = split[0]
        share = agreeing / records
        if records < min_records:
            decision, reason = "unsure", "too-few-records"
        elif share < min_share:
            decision, reason = "unsure", "records-disagree"
        else:
            decision, reason = "accept", "linked-records"
        result.append(Induced(source, target, records, share, split, decision, reason))  # type: ignore[arg-type]
    return result


def combine(by_label: Sequence[Suggestion], by_links: Sequence[Induced]) -> list[Suggestion]:
    """One suggestion per code from both kinds of evidence.

    Both accept the same: accepted, "labels-and-links". Only one accepts: accepted unless the other accepts something else, which is
    "labels-and-links-disagree" and open. Links without any label (a code the label list does not hold) are added at the end.
    """
    links = {i.source_code: i for i in by_links}
    result = [_both(s, links.pop(s.source_code, None)) for s in by_label]
    result += [_both(Suggestion(i.source_code, (), "none", "no-label"), i) for i in links.values()]
    return result


def _both(label: Suggestion, link: Induced | None) -> Suggestion:
    if link is None:
        return label
    if label.decision == "accept" and link.decision == "accept":
        if label.best == link.target:
            return Suggestion(label.source_code, label.candidates, "accept", "labels-and-links")
        return Suggestion(label.source_code, _first(link, label), "unsure", "labels-and-links-disagree")
    if link.decision == "accept":
        return Suggestion(label.source_code, _first(link, label), "accept", link.reason)
    # links too few or split: they may still contradict a label, and then nobody should be sure
    if label.decision == "accept" and link.split and label.best != max(link.split, key=lambda pair: pair[1])[0]:
        return Suggestion(label.source_code, label.candidates, "unsure", "labels-and-links-disagree")
    if label.decision == "accept":
        return label
    return Suggestion(label.source_code, _first(link, label), "unsure", link.reason)


def _first(link: Induced, label: Suggestion) -> tuple[Candidate, ...]:
    rest = tuple(c for c in label.candidates if c.code != link.target)
    return (Candidate(link.target, round(link.share, 4)), *rest)
