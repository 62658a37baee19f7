"""What is true of the children and of those who apply: certificates, enrolment, who applies where, and the truth of each.

The truth is computed here, by the clean rule on clean data, before any register is written; no register is read back. Deciding
(age limits, order, places) is the public service's work; only `demand` repeats the order, to make places run short on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final, Literal

from kerege.demo.world.dice import stream
from kerege.demo.world.dirt import Dirt
from kerege.demo.world.model import Address, Catchment, Person, TruthFacts
from kerege.demo.world.people import People
from kerege.demo.world.settling import Settled, covers

Vaccination = Literal["valid", "exempt", "expired", "incomplete"]
PREPARATORY: Final = "0"


@dataclass(frozen=True, slots=True)
class Enrolment:
    school: str
    grade: str
    status: Literal["CURRENT", "TRANSFERRED", "GRADUATED", "WITHDRAWN", "PENDING_TRANSFER"]


@dataclass(frozen=True, slots=True)
class Facts:
    vaccinations: dict[int, Vaccination]
    enrolments: dict[int, tuple[Enrolment, ...]]
    truth: tuple[TruthFacts, ...]
    under_actual: frozenset[str]  # applications whose form gives the address where the family really lives


class _Catchments:
    """Lines by unit and by street, because every household asks."""

    def __init__(self, lines: tuple[Catchment, ...]) -> None:
        self._by_place: dict[tuple[str, str | None], list[Catchment]] = defaultdict(list)
        for line in lines:
            self._by_place[(line.soate, line.street)].append(line)

    def of(self, address: Address) -> tuple[str, ...]:
        lines = self._by_place[(address.soate, address.street)] + self._by_place[(address.soate, None)]
        return tuple(dict.fromkeys(line.school for line in lines if covers(line, address)))


def establish(people: People, settled: Settled, dirt: Dirt, *, applications: int, seed: int, reference: date) -> Facts:
    """Draw the facts of every child, choose who applies where, and write down the truth."""
    rng = stream(seed, "facts")
    catchments = _Catchments(settled.catchments)
    candidates = set(people.candidates)
    # Half of the children who share name and birthday with another are pupils already and do not apply: taking the applicant
    # for the pupil, or the pupil for the applicant, is the mistake they are here to provoke. Never so many that too few are left to apply.
    pupils = [child for child in sorted(people.same_birth_date) if rng.random() < 0.5]
    hidden = set(pupils[: len(people.candidates) - applications])
    vaccinations: dict[int, Vaccination] = {}
    enrolments: dict[int, tuple[Enrolment, ...]] = {}
    for person in people.persons:
        if person.role != "child":
            continue
        own = catchments.of(people.households[person.household].registered)[0]
        if status := _vaccination(rng, dirt, reference.year - person.birth_date.year):
            vaccinations[person.id] = status
        if found := _enrolments(
            rng, dirt, person, own, settled, person.id in candidates, person.id in hidden, reference
        ):
            enrolments[person.id] = found
    chosen = _choose(rng, people, hidden, applications)
    truth, under_actual = _apply(rng, people, settled, catchments, dirt, chosen, vaccinations, enrolments, reference)
    return Facts(vaccinations, enrolments, truth, under_actual)


def _vaccination(rng: Random, dirt: Dirt, age: int) -> Vaccination | None:
    dice = [rng.random() for _ in range(4)]
    if not 4 <= age <= 10 or dice[0] < dirt.cases["unvaccinated"]:
        return None
    if dice[1] < dirt.cases["vaccination_incomplete"]:
        return "incomplete"
    if dice[2] < dirt.cases["vaccination_expired"]:
        return "expired"
    return "exempt" if dice[3] < dirt.cases["vaccination_exempt"] else "valid"


def _enrolments(
    rng: Random, dirt: Dirt, person: Person, own: str, settled: Settled, candidate: bool, hidden: bool, reference: date
) -> tuple[Enrolment, ...]:
    dice = [rng.random() for _ in range(4)]
    elsewhere = rng.choice(settled.schools).code
    if hidden or (candidate and dice[0] < dirt.cases["enrolled_elsewhere"]):
        return (Enrolment(elsewhere, "1", "CURRENT"),)
    if candidate:
        if dice[1] < dirt.cases["withdrawn_before"]:
            return (Enrolment(elsewhere, "1", "WITHDRAWN"),)
        return (Enrolment(own, PREPARATORY, "CURRENT"),) if dice[2] < dirt.cases["preparatory_year"] else ()
    grade = _age_on(person.birth_date, date(reference.year - 1, 9, 1)) - 5
    if grade < 1:
        return ()
    if grade > 11:
        return (Enrolment(own, "11", "GRADUATED"),)
    if dice[3] < 0.03:
        return (Enrolment(elsewhere, str(grade), "TRANSFERRED"), Enrolment(own, str(grade), "CURRENT"))
    return (Enrolment(own, str(grade), "PENDING_TRANSFER" if dice[3] > 0.995 else "CURRENT"),)


def _age_on(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _choose(rng: Random, people: People, hidden: set[int], count: int) -> list[int]:
    """Exactly `count` who apply: planned candidates before those who happen to be of the age, twins together where there is room."""
    pool = [child for child in people.candidates if child not in hidden and child not in people.twin_of]
    rng.shuffle(pool)
    other_twin = {first: second for second, first in people.twin_of.items()}
    pool.sort(key=lambda child: child not in people.planned)  # stable: shuffled within both halves
    chosen: list[int] = []
    for child in pool:
        both = [child, other_twin[child]] if child in other_twin else [child]
        if len(chosen) + len(both) <= count:
            chosen += both
        if len(chosen) == count:
            return chosen
    # Room for one, and only twins are left: one of them applies alone.
    taken = set(chosen)
    return chosen + [child for child in pool if child not in taken][: count - len(chosen)]


def _apply(
    rng: Random, people: People, settled: Settled, catchments: _Catchments, dirt: Dirt, chosen: list[int],
    vaccinations: dict[int, Vaccination], enrolments: dict[int, tuple[Enrolment, ...]], reference: date,
) -> tuple[tuple[TruthFacts, ...], frozenset[str]]:  # fmt: skip
    cases = dirt.cases
    adults = [p.id for p in people.persons if p.role == "adult"]
    picked: list[tuple[int, datetime, int, int, str, bool]] = []
    twin_school: dict[int, tuple[int, datetime, int, str, bool]] = {}
    for child in chosen:
        person = people.persons[child]
        first = people.twin_of.get(child)
        if first is not None and first in twin_school:  # the second form a few minutes after the first
            stage, at, parent, school, actual = twin_school[first]
            picked.append((child, at + timedelta(minutes=4), stage, parent, school, actual))
            continue
        home = people.households[person.household]
        stage = 2 if rng.random() < cases["stage_two"] else 1
        own = catchments.of(home.registered)[0]
        dice = [rng.random() for _ in range(3)]
        school, actual = own, False
        other = _other_school(rng, settled, home.registered.soate, own)
        if stage == 2:
            school = own if dice[0] < 0.45 else other
        elif dice[1] < cases["out_of_catchment"]:
            school = other
        elif home.actual is not None and dice[2] * 0.15 < cases["actual_address"]:
            school, actual = catchments.of(home.actual)[0], True
        parent = _applicant(rng, people, person, adults, cases["not_guardian"])
        at = _moment(rng, stage, reference)
        twin_school[child] = (stage, at, parent, school, actual)
        picked.append((child, at, stage, parent, school, actual))
    picked.sort(key=lambda row: (row[1], row[0]))
    truth: list[TruthFacts] = []
    under_actual: set[str] = set()
    last = datetime.min.replace(tzinfo=UTC)
    for index, (child, at, stage, parent, school, actual) in enumerate(picked, start=1):
        at = max(at, last + timedelta(seconds=1))  # the order is total: no two forms in one second
        last = at
        number = f"A-{index:05d}"
        person = people.persons[child]
        address = people.households[person.household].registered
        truth.append(
            TruthFacts(
                application_id=number, child=child, parent=parent, birth_date=person.birth_date,
                registered_soate=address.soate, registered_street=address.street, registered_house=address.house,
                in_catchment=school in catchments.of(address),
                vaccinated=vaccinations.get(child) in ("valid", "exempt"),
                enrolled_elsewhere=any(e.status == "CURRENT" and e.grade != PREPARATORY for e in enrolments.get(child, ())),
                guardian=parent in (person.mother, person.father),
                school_code=school, stage=stage, submitted_at=at,
            )
        )  # fmt: skip
        if actual:
            under_actual.add(number)
    return tuple(truth), frozenset(under_actual)


def _other_school(rng: Random, settled: Settled, soate: str, own: str) -> str:
    """Another school: of the same unit, else of the same district, else anywhere."""
    for near in (soate, soate[:8], soate[:5], ""):
        others = [s.code for s in settled.schools if s.code != own and s.soate.startswith(near)]
        if others:
            return rng.choice(others)
    return own


def _applicant(rng: Random, people: People, child: Person, adults: list[int], strangers: float) -> int:
    home = set(people.households[child.household].members)
    parents = [p for p in (child.mother, child.father) if p is not None]
    at_home = [p for p in parents if p in home] or parents
    stranger = rng.choice(adults)
    first = at_home[0] if rng.random() < 0.65 else at_home[-1]
    return stranger if rng.random() < strangers and stranger not in parents else first


def _moment(rng: Random, stage: int, reference: date) -> datetime:
    """Stage 1 in the first 45 days, stage 2 from the 90th to the 135th; by day, as people fill forms."""
    start = datetime.combine(reference, time(2, 0), tzinfo=UTC)  # 08:00 in Bishkek
    day = rng.randint(0, 44) + (90 if stage == 2 else 0)
    return start + timedelta(days=day, seconds=rng.randint(0, 14 * 3600))
