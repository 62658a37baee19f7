"""Places of grade 1: enough in most schools, and too few in some, so that the declared share of applications meets a full school.

To know how many places are too few, the applications are put through the clean rule in their order; that is the only reason for the
rule to stand here as well as in the public service.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from random import Random
from typing import Final

from kerege.demo.world.dice import stream
from kerege.demo.world.model import School, TruthFacts
from kerege.demo.world.settling import SchoolSeat

YOUNGEST: Final = 6
TOO_OLD: Final = 8
_CLASS: Final = 30


def eligible(truth: TruthFacts, year: int) -> bool:
    """All but the place: old enough, not a case for the commission, catchment in stage 1, certificate, not a pupil, a parent."""
    day = date(year, 9, 1)
    born = truth.birth_date
    age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    return (
        YOUNGEST <= age < TOO_OLD
        and (truth.stage == 2 or truth.in_catchment)
        and truth.vaccinated
        and not truth.enrolled_elsewhere
        and truth.guardian
    )


def count_places(
    seats: tuple[SchoolSeat, ...], truth: tuple[TruthFacts, ...], *, over_demanded: float, seed: int, year: int
) -> tuple[School, ...]:
    """Schools with capacity and taken places; about `over_demanded` of all applications find no place left."""
    rng = stream(seed, "places")
    demand: dict[str, int] = defaultdict(int)
    for facts in truth:
        demand[facts.school_code] += eligible(facts, year)
    short = _shortages(rng, demand, round(over_demanded * len(truth)))
    schools: list[School] = []
    for seat in seats:
        if seat.code in short:
            free = demand[seat.code] - short[seat.code]
        else:
            free = demand[seat.code] + rng.randint(2, 12)
        taken = rng.randint(0, 20)
        capacity = -(-(free + taken) // _CLASS) * _CLASS  # whole classes; what is over was taken before
        schools.append(
            School(seat.code, seat.number, seat.soate, seat.language, seat.named_after, capacity, capacity - free)
        )
    return tuple(schools)


def _shortages(rng: Random, demand: dict[str, int], wanted: int) -> dict[str, int]:
    """How many must go without, by school; busy schools first, a third to a half of their demand, more only when rates ask."""
    short: dict[str, int] = {}
    busy = sorted((code for code in demand if demand[code] >= 3), key=lambda code: (-demand[code], code))
    rng.shuffle(busy)
    for share in (0.45, 1.0):
        for code in busy:
            left = wanted - sum(short.values())
            if left <= 0:
                return short
            most = int(demand[code] * share)
            short[code] = min(left + short.get(code, 0), max(most, short.get(code, 0)))
    return {code: n for code, n in short.items() if n}
