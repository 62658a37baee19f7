"""Declared against planted: how much dirt is really in the registers and the forms, and how often each case is true.

Counts marks on records (`Record.planted` of `Record.open`), not throws of dice: a name without ң ө ү that "lost" them is in neither. Of a
lost record only its loss counts: other dirt in it shows nowhere.
Cases are counted from the truth, of the applications they can be true of.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from kerege.demo.world.demand import TOO_OLD, YOUNGEST, eligible
from kerege.demo.world.dirt import KINDS
from kerege.demo.world.model import World


def measure_dirt(world: World) -> dict[str, Any]:
    """`{"dirt": {kind: {agency: {"declared", "planted", "of", "measured"}}}, "cases": {...}, "world": {...}}`; measured is a
    share rounded to 4 digits, or None where there was nothing to plant it in."""
    planted: Counter[tuple[str, str]] = Counter()
    possible: Counter[tuple[str, str]] = Counter()
    for table, records in world.registers.items():
        agency = table.partition(".")[0]
        for record in (*records, *world.lost.get(table, ())):
            planted.update((kind, agency) for kind in record.planted)
            possible.update((kind, agency) for kind in record.open)
    for form in world.applications:
        planted.update((kind, "application") for kind in form.planted)
        possible.update((kind, "application") for kind in form.open)
    dirt = {
        kind: {
            agency: {
                "declared": world.dirt.rate(kind, agency),
                "planted": planted[(kind, agency)],
                "of": possible[(kind, agency)],
                "measured": _share(planted[(kind, agency)], possible[(kind, agency)]),
            }
            for agency in agencies
        }
        for kind, agencies in KINDS.items()
    }
    return {"dirt": dirt, "cases": _cases(world), "world": _size(world)}


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _cases(world: World) -> dict[str, dict[str, float | int | None]]:
    year = world.reference_date.year
    truth = world.truth
    ages = [year - t.birth_date.year - ((t.birth_date.month, t.birth_date.day) > (9, 1)) for t in truth]
    first = [t for t in truth if t.stage == 1]
    left = {school.code: school.free for school in world.schools}
    without_place = 0
    for facts in truth:
        if eligible(facts, year):
            left[facts.school_code] -= 1
            without_place += left[facts.school_code] < 0
    names = Counter(
        (p.name.surname_root, p.name.given, p.name.father, p.sex, p.name.surname_style)
        for p in world.persons
        if p.role == "child"
    )
    same = Counter(
        (p.name.surname_root, p.name.given, p.name.father, p.sex, p.birth_date)
        for p in world.persons
        if p.role == "child"
    )
    children = [world.persons[t.child] for t in truth]
    counts = {
        "too_young": (sum(age < YOUNGEST for age in ages), len(truth)),
        "over_age": (sum(age >= TOO_OLD for age in ages), len(truth)),
        "not_vaccinated": (sum(not t.vaccinated for t in truth), len(truth)),
        "enrolled_elsewhere": (sum(t.enrolled_elsewhere for t in truth), len(truth)),
        "not_guardian": (sum(not t.guardian for t in truth), len(truth)),
        "stage_two": (sum(t.stage == 2 for t in truth), len(truth)),
        "stage_one_out_of_catchment": (sum(not t.in_catchment for t in first), len(first)),
        "without_place": (without_place, len(truth)),
        "with_namesake": (
            sum(
                names[(c.name.surname_root, c.name.given, c.name.father, c.sex, c.name.surname_style)] > 1
                for c in children
            ),
            len(truth),
        ),
        "with_namesake_of_one_day": (
            sum(same[(c.name.surname_root, c.name.given, c.name.father, c.sex, c.birth_date)] > 1 for c in children),
            len(truth),
        ),
        "twins": (_twins(world), len(truth)),
        "born_abroad": (sum(c.born_abroad for c in children), len(truth)),
    }
    return {case: {"true": n, "of": of, "measured": _share(n, of)} for case, (n, of) in counts.items()}


def _twins(world: World) -> int:
    births = Counter((world.persons[t.child].household, t.birth_date) for t in world.truth)
    return sum(n for n in births.values() if n > 1)


def _size(world: World) -> dict[str, int | str]:
    return {
        "persons": len(world.persons),
        "households": len(world.households),
        "schools": len(world.schools),
        "areas": len(world.areas),
        "areas_from": world.soate_source,
        "applications": len(world.applications),
        **{table: len(records) for table, records in world.registers.items()},
    }
