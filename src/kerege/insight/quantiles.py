"""Quantiles of durations when some have not ended yet (Kaplan and Meier 1958). Pure.

Leaving unfinished cases out makes a slow service look fast; here they count as "at least this long so far".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_EPSILON: Final = 1e-9  # the survival curve is a product of fractions; equal within this is equal


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A duration in whole seconds; `ended` is False when it was still running when looked at."""

    seconds: int
    ended: bool = True


def quantile(spans: Sequence[Span], share: float) -> int | None:
    """The shortest time by which at least `share` of the cases had ended, or None when that is not known yet.

    With every span ended this is the plain quantile (the lower of two middle values for an even median).
    """
    if not 0 < share <= 1:
        raise ValueError(f"a quantile lies in (0, 1], got {share}")
    at_risk = len(spans)
    surviving = 1.0
    # a span that ended at t was still running just before: ends count before the censored at the same time
    ordered = sorted(spans, key=lambda span: (span.seconds, not span.ended))
    place = 0
    while place < len(ordered):
        moment = ordered[place].seconds
        ends = censored = 0
        while place < len(ordered) and ordered[place].seconds == moment:
            ends += ordered[place].ended
            censored += not ordered[place].ended
            place += 1
        if ends:
            surviving *= (at_risk - ends) / at_risk
            if surviving <= 1 - share + _EPSILON:
                return moment
        at_risk -= ends + censored
    return None
