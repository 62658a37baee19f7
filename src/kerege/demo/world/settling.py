"""Where the world's people live and which schools they have: settlements, streets, schools and catchments.

Cities have several schools, each with streets of its own: whole streets, one side of a street (odd or even), or a range of houses.
Villages have one school whose catchment is the whole unit; a small neighbour without a school belongs to it. Villages that share
their name with another are taken on purpose: in the classifier two villages of five do. Places per grade come later (`demand`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from kerege.demo.world.dice import stream
from kerege.demo.world.model import Address, Area, Catchment
from kerege.demo.world.naming import Stems
from kerege.demo.world.places import Country

URBAN_SHARE: Final = 0.55
_PEOPLE_PER_VILLAGE: Final = 120
_PEOPLE_PER_CITY_SCHOOL: Final = 420
_PEOPLE_PER_CITY: Final = 350
_OSH_INNER: Final = "41700000000021"  # the classifier's second code for Osh: a unit without people here
_LAST_HOUSE: Final = 120


@dataclass(frozen=True, slots=True)
class SchoolSeat:
    """A school before its places are counted."""

    code: str
    number: int
    soate: str
    language: str
    named_after: str


@dataclass(frozen=True, slots=True)
class Settlement:
    soate: str
    kind: Literal["city", "village"]
    weight: float
    streets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    settlements: tuple[Settlement, ...]
    schools: tuple[SchoolSeat, ...]
    catchments: tuple[Catchment, ...]

    def address(self, rng: Random, settlement: Settlement) -> Address:
        """An address in `settlement`: some houses carry a letter, many in cities have flats."""
        house = str(rng.randint(1, _LAST_HOUSE)) + ("А" if rng.random() < 0.02 else "")
        flat = str(rng.randint(1, 60)) if settlement.kind == "city" and rng.random() < 0.6 else None
        return Address(settlement.soate, rng.choice(settlement.streets), house, flat)

    def pick(self, rng: Random) -> Settlement:
        return rng.choices(self.settlements, weights=[s.weight for s in self.settlements])[0]


def settle(country: Country, stems: Stems, persons: int, seed: int) -> Settled:
    """Choose units for `persons` people and give them streets, schools and catchments."""
    rng = stream(seed, "settling")
    cities = _cities(country, persons, rng)
    groups = _villages(country, persons, rng)
    settlements: list[Settlement] = []
    schools: list[SchoolSeat] = []
    catchments: list[Catchment] = []
    city_weight = sum(weight for _, weight in cities)
    for area, weight in cities:
        people = persons * URBAN_SHARE * weight / city_weight
        count = max(2, round(people / _PEOPLE_PER_CITY_SCHOOL))
        streets = tuple(rng.sample(stems.streets, min(len(stems.streets), count * 4 + 2)))
        settlements.append(Settlement(area.soate, "city", URBAN_SHARE * weight / city_weight, streets))
        own = [_school(rng, stems, len(schools) + i, area.soate) for i in range(count)]
        schools += own
        catchments += _street_catchments(rng, own, area.soate, streets)
    village_weight = sum(len(group) for group in groups)
    for group in groups:
        school = _school(rng, stems, len(schools), group[0].soate)
        schools.append(school)
        for area in group:
            streets = tuple(rng.sample(stems.streets, rng.randint(3, 6)))
            settlements.append(Settlement(area.soate, "village", (1 - URBAN_SHARE) / village_weight, streets))
            catchments.append(Catchment(school.code, area.soate, None, None, None, "all"))
    return Settled(tuple(settlements), tuple(schools), tuple(catchments))


def in_catchment(catchments: tuple[Catchment, ...], school: str, address: Address) -> bool:
    """The clean rule on clean data: does `address` lie in a line of `school`'s catchment?"""
    return any(line.school == school and covers(line, address) for line in catchments)


def covers(line: Catchment, address: Address) -> bool:
    if line.soate != address.soate or (line.street is not None and line.street != address.street):
        return False
    number = int("".join(c for c in address.house if c.isdigit()))
    if line.house_from is not None and number < line.house_from:
        return False
    if line.house_to is not None and number > line.house_to:
        return False
    return line.parity == "all" or (line.parity == "odd") == (number % 2 == 1)


def _cities(country: Country, persons: int, rng: Random) -> list[tuple[Area, float]]:
    units: list[tuple[Area, float]] = []
    rest: list[tuple[Area, float]] = []
    by_soate = country.by_soate()
    inside_city = {a.soate for a in country.areas if a.parent and by_soate[a.parent].name_ru.startswith("г. ")}
    for area in country.areas:
        if area.soate in inside_city and area.level == 2 and area.soate != _OSH_INNER:
            units.append((area, 7.0))
        elif area.level == 1 and area.name_ru == "г. Ош":
            units.append((area, 8.0))
        elif area.level == 2 and area.name_ru.startswith("г. "):
            rest.append((area, 1.5 + 2 * rng.random()))
    rng.shuffle(rest)
    return (units + rest)[: max(2, int(persons * URBAN_SHARE / _PEOPLE_PER_CITY))]


def _villages(country: Country, persons: int, rng: Random) -> list[tuple[Area, ...]]:
    """Groups of villages with one school between them; where the tree has no villages, whole districts stand in."""
    villages = [area for area in country.areas if area.level == 4]
    if not villages:
        by_soate = country.by_soate()
        villages = [
            a for a in country.areas
            if a.level == 2 and not a.name_ru.startswith("г") and a.parent and not by_soate[a.parent].name_ru.startswith("г. ")
        ]  # fmt: skip
    wanted = min(len(villages), max(3, int(persons * (1 - URBAN_SHARE) / _PEOPLE_PER_VILLAGE)))
    by_name: dict[str, list[Area]] = defaultdict(list)
    by_parent: dict[str | None, list[Area]] = defaultdict(list)
    for area in villages:
        by_name[area.name_ru].append(area)
        by_parent[area.parent].append(area)
    taken: dict[str, Area] = {}
    groups: list[tuple[Area, ...]] = []
    for area in rng.sample(villages, len(villages)):
        if len(taken) >= wanted:
            break
        if area.soate in taken:
            continue
        neighbours = [
            n for n in by_parent[area.parent] if n.soate != area.soate and n.soate not in taken and n.level == 4
        ]
        group = (area, rng.choice(neighbours)) if neighbours and rng.random() < 0.2 else (area,)
        groups.append(group)
        taken |= {a.soate: a for a in group}
        mates = [m for m in by_name[area.name_ru] if m.soate not in taken]
        if mates and rng.random() < 0.2:
            mate = rng.choice(mates)
            groups.append((mate,))
            taken[mate.soate] = mate
    return groups


def _school(rng: Random, stems: Stems, index: int, soate: str) -> SchoolSeat:
    language = rng.choices(("ky", "ru", "uz"), weights=(70, 25, 5))[0]
    return SchoolSeat(f"KGS-{index + 1:04d}", rng.randint(1, 98), soate, language, rng.choice(stems.male))


def _street_catchments(rng: Random, own: list[SchoolSeat], soate: str, streets: tuple[str, ...]) -> list[Catchment]:
    """Every house of every street belongs to exactly one school; schools take streets in turn, so that none is left without."""
    lines: list[Catchment] = []
    for index, street in enumerate(streets):
        school, other = own[index % len(own)].code, own[(index + 1) % len(own)].code
        dice = rng.random()
        if dice < 0.6:
            lines.append(Catchment(school, soate, street, None, None, "all"))
        elif dice < 0.8:
            lines.append(Catchment(school, soate, street, None, None, "odd"))
            lines.append(Catchment(other, soate, street, None, None, "even"))
        else:
            border = rng.randint(20, _LAST_HOUSE - 20)
            lines.append(Catchment(school, soate, street, 1, border, "all"))
            lines.append(Catchment(other, soate, street, border + 1, None, "all"))
    return lines
