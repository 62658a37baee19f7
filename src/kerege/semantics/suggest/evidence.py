"""One set of candidates per code from both kinds of evidence: labels that are alike, and records that are linked.

`suggest.codes` and `suggest.places` judge labels, `suggest.links` counts linked records; `combine` there decides. Here the decision is kept and every
candidate carries what spoke for it, ranked: what was accepted first, then by strength. Strength is "at least one of the two is right",
1 - (1 - label)(1 - share x certainty), where few records are little certainty. A steward sees both numbers, never the strength alone. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from kerege.semantics.suggest.codes import Candidate, Decision, Suggestion
from kerege.semantics.suggest.links import Induced, combine

CERTAIN: Final = 10  # linked records after which their number adds nothing


@dataclass(frozen=True, slots=True)
class Evidenced:
    """One candidate: `label` likeness 0..1 (None: the labels did not name it), `records` linked records that lead there, their `share`."""

    code: str
    strength: float
    label: float | None
    records: int
    share: float

    def evidence(self) -> dict[str, Any]:
        """What spoke for it, as it is kept."""
        out: dict[str, Any] = {} if self.label is None else {"label": self.label}
        return out | ({"links": {"records": self.records, "share": round(self.share, 4)}} if self.records else {})


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """What is suggested for one source code: candidates best first, the decision, and its reason in a stable word."""

    source_code: str
    candidates: tuple[Evidenced, ...]
    decision: Decision
    reason: str

    @property
    def best(self) -> str | None:
        """The first candidate's code."""
        return self.candidates[0].code if self.candidates else None


def candidate_sets(
    by_label: Sequence[Suggestion], by_links: Sequence[Induced] = (), *, top: int = 5
) -> list[CandidateSet]:
    """One CandidateSet per code, in the order of `by_label`, codes known from links alone at the end; at most `top` candidates each."""
    labels = {s.source_code: {c.code: c.score for c in s.candidates} for s in by_label}
    links = {i.source_code: i for i in by_links}
    out = []
    for suggestion in combine(by_label, by_links):
        code = suggestion.source_code
        alike, link = labels.get(code, {}), links.get(code)
        split = dict(link.split) if link is not None else {}
        total = link.records if link is not None else 0
        found = [_evidenced(target, alike.get(target), split.get(target, 0), total) for target in {*alike, *split}]
        first = suggestion.best if suggestion.decision == "accept" else None
        order = {c.code: n for n, c in enumerate(suggestion.candidates)}
        found.sort(key=lambda e: (e.code != first, -round(e.strength, 6), order.get(e.code, len(order)), e.code))
        out.append(CandidateSet(code, tuple(found[:top]), suggestion.decision, suggestion.reason))
    return out


def _evidenced(target: str, label: float | None, records: int, total: int) -> Evidenced:
    share = records / total if total else 0.0
    certainty = min(1.0, records / CERTAIN)
    strength = 1 - (1 - (label or 0.0)) * (1 - share * certainty)
    return Evidenced(target, round(strength, 4), label, records, share)


def without(sets: Sequence[CandidateSet], denied: Callable[[str, str], bool]) -> list[CandidateSet]:
    """The sets without what somebody said is not so; what rested on it is no longer accepted by itself.

    denied   of a code and a target; of a code and "" whether it has no counterpart at all, and nobody is to be asked again
    """
    out = []
    for one in sets:
        if denied(one.source_code, ""):
            continue
        kept = tuple(c for c in one.candidates if not denied(one.source_code, c.code))
        if len(kept) < len(one.candidates):
            first = kept[:1] == one.candidates[:1]
            decision: Decision = one.decision if first else "unsure" if kept else "none"
            one = replace(one, candidates=kept, decision=decision, reason=one.reason if first else "best-denied")
        out.append(one)
    return out


def as_suggestions(sets: Sequence[CandidateSet]) -> list[Suggestion]:
    """The sets as plain suggestions, for what makes a crosswalk of them."""
    return [
        Suggestion(s.source_code, tuple(Candidate(c.code, c.strength) for c in s.candidates), s.decision, s.reason)
        for s in sets
    ]
