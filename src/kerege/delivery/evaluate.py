"""One criterion against its evidence: PASS, FAIL or NO-EVIDENCE. Pure, and the only place that decides it.

PASS needs evidence for this release, from where the criterion says it comes, inside its freshness, on at least its minimum
sample, with every fact present and every condition holding. What is missing is never taken for good: other gates have passed with
nothing checked because an empty set of complaints looked like a clean one. Source: delivery discipline, section 3.4.

The newest evidence counts, so a repeated measurement can both break and mend. That none was taken out in between is what the
ledger shows: every piece of evidence has its entry there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kerege.delivery.criteria import Criterion, FactValue
from kerege.delivery.facts import Evidence
from kerege.ground.clock import require_utc


class Verdict(StrEnum):
    """Three values; only PASS opens."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    NO_EVIDENCE = "NO-EVIDENCE"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict on one criterion with the facts it rests on. `reasons` are stable codes, some with a detail after a colon."""

    criterion: str
    version: int
    verdict: Verdict
    reasons: tuple[str, ...]
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    sample: int = 0
    evidence: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "criterion": self.criterion,
            "version": self.version,
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "facts": dict(self.facts),
            "sample": self.sample,
            "evidence": self.evidence,
        }


def evaluate(criterion: Criterion, evidence: Iterable[Evidence], now: datetime, *, release: str) -> Evaluation:
    """Judge `criterion` for `release` at `now` on the newest piece of `evidence` that is about it.

    Reasons: `holds`; `does-not-hold: <condition>, measured <value>`; and for NO-EVIDENCE `none`, `other-release`,
    `collected-otherwise`, `from-the-future`, `stale`, `sample-too-small`, `fact-missing: <fact>`, `fact-unreadable: <fact>`.
    """
    require_utc(now)
    about = [piece for piece in evidence if piece.criterion == criterion.id]
    ours = [piece for piece in about if piece.subject.release == release]
    if not ours:
        return _none(criterion, None, "other-release" if about else "none")
    newest = max(ours, key=lambda piece: (piece.collected_at, piece.digest()))
    unusable = _unusable(criterion, newest, now)
    if unusable:
        return _none(criterion, newest, unusable)
    broken, unknown = [], []
    for condition in criterion.conditions:
        if condition.fact not in newest.facts:
            unknown.append(f"fact-missing: {condition.fact}")
            continue
        measured = newest.facts[condition.fact]
        holds = condition.holds(measured)
        if holds is None:
            unknown.append(f"fact-unreadable: {condition.fact}")
        elif not holds:
            broken.append(f"does-not-hold: {condition}, measured {measured}")
    if broken:  # what was measured to be wrong is wrong, whatever else is missing
        return _judged(criterion, newest, Verdict.FAIL, (*broken, *unknown))
    if unknown or not criterion.conditions:
        return _none(criterion, newest, *(unknown or ["none"]))
    return _judged(criterion, newest, Verdict.PASS, ("holds",))


def _unusable(criterion: Criterion, piece: Evidence, now: datetime) -> str:
    """Why this evidence says nothing now, or empty. Age counts from the end of the window, not from when it was filed."""
    wanted = f"platform:{criterion.collector}" if criterion.measured else "person:"
    if not piece.collector.startswith(wanted) or (criterion.measured and piece.collector != wanted):
        return "collected-otherwise"
    if piece.collected_at > now or piece.subject.window_end > piece.collected_at:
        return "from-the-future"
    if now - piece.subject.window_end > criterion.fresh_for:
        return "stale"
    if piece.sample < criterion.minimum_sample:
        return f"sample-too-small: {piece.sample} of {criterion.minimum_sample}"
    return ""


def _none(criterion: Criterion, piece: Evidence | None, *reasons: str) -> Evaluation:
    return _judged(criterion, piece, Verdict.NO_EVIDENCE, reasons)


def _judged(criterion: Criterion, piece: Evidence | None, verdict: Verdict, reasons: tuple[str, ...]) -> Evaluation:
    return Evaluation(
        criterion=criterion.id,
        version=criterion.version,
        verdict=verdict,
        reasons=reasons,
        facts=dict(piece.facts) if piece else {},
        sample=piece.sample if piece else 0,
        evidence=piece.digest() if piece else None,
    )
