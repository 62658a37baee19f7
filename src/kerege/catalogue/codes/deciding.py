"""A decision on a code as it is taken at a desk or the command line: what it needs besides being one, so that nobody decides by a slip.

    taken("kg:education-area--soate", {"41705258804010"})   target -> the codes that already lead there
    decide(...)                                              as `decisions.decide`, with what it takes a reason for

A target that another code leads to already, and one of several candidates that nothing told apart, are taken with a reason only: two codes
onto one place are seldom meant, and a choice between equals is nobody's but the steward's. A crosswalk of wordings is another thing: there many
spellings of one value are its purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from kerege.catalogue.codes import decisions
from kerege.catalogue.codes.crosswalk_desk import base_of
from kerege.catalogue.errors import DecisionNeedsReason, DecisionNeedsTarget
from kerege.catalogue.models import CodeDecision, CodeSuggestion
from kerege.semantics.crosswalks.sssom import Row


def taken(crosswalk: str, targets: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Of `targets` those that some code already leads to, with these codes: by the newest version and by what was decided. One query."""
    rows = _rows(crosswalk)
    if not targets or _wordings(rows):
        return {}
    leading = {
        (row.subject, str(row.object)) for row in rows if row.translates and row.subject and row.object in targets
    }
    settled = CodeDecision.objects.filter(crosswalk=crosswalk).exclude(verdict=decisions.REFUSED)
    touched = settled.filter(target__in=targets).values("code")
    last: dict[str, str] = {}
    for code, verdict, target in (
        settled.filter(Q(code__in={code for code, _ in leading}) | Q(code__in=touched))
        .order_by("pk")
        .values_list("code", "verdict", "target")
    ):
        last[code] = target if verdict == decisions.ACCEPTED else ""
    leading = {(code, target) for code, target in leading if code not in last}
    leading |= {(code, target) for code, target in last.items() if target in targets}
    found: dict[str, tuple[str, ...]] = {}
    for code, target in sorted(leading):
        found[target] = (*found.get(target, ()), code)
    return found


def _rows(crosswalk: str) -> tuple[Row, ...]:
    base = base_of(crosswalk)
    return base.rows if base is not None else ()


def _wordings(rows: tuple[Row, ...]) -> bool:
    """Whether the crosswalk maps spellings of values, of which many mean one thing."""
    return any(row.literal for row in rows)


def tied(candidates: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing tells the first candidates apart (`target`, `score`), best first: their scores are the same."""
    return len(candidates) > 1 and round(candidates[0]["score"], 4) == round(candidates[1]["score"], 4)


@transaction.atomic
def decide(
    crosswalk: str, code: str, verdict: str, by: str, now: datetime, *, target: str = "", reason: str = ""
) -> CodeDecision:
    """Keep a steward's decision, as `decisions.decide`, which says what is refused besides.

    Raises DecisionNeedsTarget where no candidate is chosen and none is named; DecisionNeedsReason where the target is another code's
    already, or is one of several that nothing told apart.
    """
    if verdict != decisions.NO_COUNTERPART and not target:
        raise DecisionNeedsTarget(code_given=repr(code[:40]), crosswalk=crosswalk)
    if verdict == decisions.ACCEPTED and not reason.strip():
        others = [other for other in taken(crosswalk, {target}).get(target, ()) if other != code]
        if others:
            why = f"{target} is already the target of {', '.join(others[:3])}"
            raise DecisionNeedsReason(code_given=repr(code[:40]), crosswalk=crosswalk, why=why)
        equal = _equals(crosswalk, code)
        if target in equal:
            why = f"nothing tells {' and '.join(equal[:3])} apart"
            raise DecisionNeedsReason(code_given=repr(code[:40]), crosswalk=crosswalk, why=why)
    return decisions.decide(crosswalk, code, verdict, by, now, target=target, reason=reason)


def _equals(crosswalk: str, code: str) -> list[str]:
    """The first candidates of the newest suggestion that are equally good and nobody refused; empty where one is ahead."""
    newest = CodeSuggestion.objects.filter(crosswalk=crosswalk, code=code).order_by("-pk").first()
    if newest is None:
        return []
    refused = set(
        CodeDecision.objects.filter(crosswalk=crosswalk, code=code, verdict=decisions.REFUSED).values_list(
            "target", flat=True
        )
    )
    base = base_of(crosswalk)
    left: list[dict[str, Any]] = [
        {"target": c.target, "score": c.score}
        for c in newest.candidates.all()
        if c.target not in refused and not (base is not None and base.denies(code, c.target))
    ]
    if not tied(left):
        return []
    return [c["target"] for c in left if round(c["score"], 4) == round(left[0]["score"], 4)]


def accept_sure(crosswalk: str, suggestions: Iterable[CodeSuggestion], by: str, now: datetime) -> int:
    """`decisions.accept_sure` without what would lead two codes to one target: those wait, each to be looked at. Gives how many were accepted."""
    asked = list(suggestions)
    first = {s.pk: next((c.target for c in s.candidates.all()), "") for s in asked}
    there = taken(crosswalk, set(first.values()) - {""})
    times: Counter[str] = Counter() if _wordings(_rows(crosswalk)) else Counter(first.values())
    alone = [s for s in asked if set(there.get(first[s.pk], ())) <= {s.code} and times[first[s.pk]] < 2]
    return decisions.accept_sure(alone, by, now)
