"""Education's own two area trees: own codes, Latin names by several habits, no SOATE anywhere.

The administrative tree (KGA-...) repeats the state's units as the ministry once typed them; the educational tree (KGE-...) has the
regional and district departments of education. Numbers follow the ministry's own alphabetical order, so they say nothing of SOATE.
"""

from __future__ import annotations

import re
from collections import defaultdict
from random import Random

from kerege.demo.world.copies import Marker
from kerege.demo.world.dice import stream
from kerege.demo.world.dirt import Dirt
from kerege.demo.world.model import Area, EducationArea, Record
from kerege.demo.world.naming import Stems
from kerege.demo.world.places import Country
from kerege.demo.world.regions import KYRGYZ, region_of
from kerege.demo.world.spelling import Habit, latin


def education_trees(
    country: Country, stems: Stems, dirt: Dirt, seed: int
) -> tuple[tuple[EducationArea, ...], tuple[EducationArea, ...], tuple[Record, ...], tuple[Record, ...]]:
    """The administrative and the educational tree, and both as the register's rows."""
    rng = stream(seed, "education areas")
    children: dict[str | None, list[Area]] = defaultdict(list)
    for area in country.areas:
        children[area.parent].append(area)
    named: dict[str, tuple[str, Marker]] = {area.soate: _name(area, stems, dirt, rng) for area in country.areas}
    administrative: list[EducationArea] = []
    records: list[Record] = []

    def walk(parent: str | None, parent_code: str | None) -> None:
        for index, area in enumerate(sorted(children[parent], key=lambda a: (named[a.soate][0], a.soate)), start=1):
            joint = "KGA-" if parent_code is None else parent_code + ("" if area.level == 2 else "-")
            unit = EducationArea(f"{joint}{index:02d}", named[area.soate][0], parent_code, area.level, area.soate)
            administrative.append(unit)
            records.append(_record(unit, *named[area.soate][1].marks()))
            walk(area.soate, unit.code)

    walk(None, None)
    zones = [EducationArea("KGE-0", "Ministry of Education and Science", None, 1, None)]
    for unit in administrative:
        if unit.level == 1:
            zones.append(EducationArea("KGE-" + unit.code[4:], f"{unit.name}: OblUO", "KGE-0", 2, unit.soate))
        elif unit.level == 2 and unit.parent is not None:
            zones.append(
                EducationArea("KGE-" + unit.code[4:], f"{unit.name}: RUO", "KGE-" + unit.parent[4:], 3, unit.soate)
            )
    return tuple(administrative), tuple(zones), tuple(records), tuple(_record(zone) for zone in zones)


def _record(unit: EducationArea, planted: tuple[str, ...] = (), possible: tuple[str, ...] = ()) -> Record:
    row = {"code": unit.code, "name": unit.name, "parent_code": unit.parent, "level": unit.level}
    return Record(row, None, planted, possible)


def _name(area: Area, stems: Stems, dirt: Dirt, rng: Random) -> tuple[str, Marker]:
    """The unit's Latin name: from Kyrgyz or from Russian, by one of the habits."""
    marker = Marker(dirt, "education", rng)
    careful: Habit = "passport" if rng.random() < 0.5 else "bgn"
    habit: Habit = "sloppy" if marker.chance("area_sloppy") else careful
    kyrgyz = _kyrgyz(area, stems)
    text = area.name_ru
    if marker.chance("area_kyrgyz", kyrgyz is not None) and kyrgyz is not None:
        text = kyrgyz
    if habit != "passport":  # Kyrgyz ears hear one sound where Russian letters write two
        text = text.replace("Дж", "Ж").replace("дж", "ж")
    return latin(text, habit), marker


def _kyrgyz(area: Area, stems: Stems) -> str | None:
    if area.level == 1:
        return KYRGYZ.get(region_of(area.soate))
    if area.level == 2:
        return stems.districts_ky.get(area.soate)
    if area.level == 3 and (match := re.fullmatch(r"(.+)ский айылный аймак", area.name_ru)):
        return f"{match[1]} айыл аймагы"
    return None
