"""Who gets a place: allocation in order of stage, time and number, with holds for the undecided. Pure.

An application that is still undecided but might be admitted *holds* a place. A later one is admitted only when a place is free
however the held ones end, and refused for want of a place only when none is left however they end. Because one more admission
before you never leaves you more places, it is enough to follow two runs at once: fewest taken (all undecided fail) and most
taken (all undecided are admitted). With nothing undecided the two are one, and the same function gives the plain allocation.
Source: the stage rules of grade-1 admission; order of arrival at the server inside a stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

PLACE: Final = "place"
NO_PLACE: Final = "no-place"
OPEN: Final = "open"  # depends on an application under review, or the number of places is not known
NOT_ASKED: Final = "not-asked"  # the rules have refused already, or it is not yet known whether they will


@dataclass(frozen=True, slots=True)
class Claim:
    """One application before the allocation. `eligible`: True, False, or None while that is undecided."""

    application_id: str
    school_code: str
    stage: int
    submitted_at: datetime
    eligible: bool | None

    @property
    def order(self) -> tuple[int, datetime, str]:
        return (self.stage, self.submitted_at, self.application_id)


def allocate(claims: Iterable[Claim], free: Mapping[str, int | None]) -> dict[str, str]:
    """For each application: `place`, `no-place`, `open` or `not-asked`.

    free   places left at each school before the first claim; None or no entry: not known, then nothing there is sure
    """
    fewest: dict[str, int] = {}
    most: dict[str, int] = {}
    results: dict[str, str] = {}
    for claim in sorted(claims, key=lambda c: c.order):
        school = claim.school_code
        if claim.eligible is False:
            results[claim.application_id] = NOT_ASKED
            continue
        places = free.get(school)
        if places is None:
            results[claim.application_id] = OPEN if claim.eligible else NOT_ASKED
            continue
        places = max(places, 0)
        low, high = fewest.get(school, 0), most.get(school, 0)
        if claim.eligible is None:
            results[claim.application_id] = NOT_ASKED
        elif high < places:
            results[claim.application_id] = PLACE
        elif low >= places:
            results[claim.application_id] = NO_PLACE
        else:
            results[claim.application_id] = OPEN
        most[school] = min(places, high + 1)
        if claim.eligible:
            fewest[school] = min(places, low + 1)
    return results
