"""`generate`: the whole world from one seed, deterministic, without files of its own and without the time of day.

Order: areas, settlements, people, facts and truth, places, then the registers' copies and the forms. Only the registers and the
forms are dirty; see `dirt`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from kerege.demo.world import registers
from kerege.demo.world.addressing import AddressWriter
from kerege.demo.world.demand import count_places
from kerege.demo.world.dirt import Dirt
from kerege.demo.world.education_areas import education_trees
from kerege.demo.world.facts import establish
from kerege.demo.world.forms import fill_forms
from kerege.demo.world.model import World
from kerege.demo.world.naming import load_stems
from kerege.demo.world.people import Populator
from kerege.demo.world.places import load_country
from kerege.demo.world.settling import settle

REFERENCE_DATE: Final = date(2026, 4, 1)


def generate(
    seed: int,
    dirt: Dirt,
    *,
    soate_csv: Path | None,
    persons: int = 20_000,
    applications: int = 1_000,
    reference_date: date = REFERENCE_DATE,
) -> World:
    """A small country: about `persons` people, exactly `applications` forms for grade 1 of the reference date's year.

    soate_csv   the full area tree; None or a missing file: districts only
    Raises TooFewPeople when so many forms need more families, AreaFileBroken when the area file cannot be read whole.
    """
    stems = load_stems()
    country = load_country(soate_csv)
    settled = settle(country, stems, persons, seed)
    people = Populator(
        seed=seed, dirt=dirt, stems=stems, settled=settled, persons=persons, applications=applications,
        reference=reference_date,
    ).grow()  # fmt: skip
    facts = establish(people, settled, dirt, applications=applications, seed=seed, reference=reference_date)
    schools = count_places(
        settled.schools, facts.truth, over_demanded=dirt.cases["over_demanded"], seed=seed, year=reference_date.year
    )
    areas, zones, area_rows, zone_rows = education_trees(country, stems, dirt, seed)
    codes = {area.soate: area.code for area in areas if area.soate}
    source = registers.Source(
        seed=seed, dirt=dirt, reference=reference_date, persons=tuple(people.persons),
        households=tuple(people.households), facts=facts, writer=AddressWriter(country.areas, stems.districts_ky),
    )  # fmt: skip
    births, certificates = registers.births(source), registers.certificates(source)
    return World(
        seed=seed,
        reference_date=reference_date,
        dirt=dirt,
        soate_source=country.source,
        areas=country.areas,
        persons=source.persons,
        households=source.households,
        schools=schools,
        catchments=settled.catchments,
        education_areas=areas,
        education_zones=zones,
        registers={
            "civil.births": births.records,
            "population.persons": registers.residents(source),
            "education.institutions": registers.institutions(schools, areas, seed),
            "education.institution_students": registers.pupils(source, codes),
            "education.institution_places": registers.places(schools),
            "education.institution_catchments": registers.catchment_lines(settled.catchments, codes, dirt, seed),
            "education.area_administratives": area_rows,
            "education.areas": zone_rows,
            "health.certificates": certificates.records,
        },
        lost={"civil.births": births.lost, "health.certificates": certificates.lost},
        applications=fill_forms(source),
        truth=facts.truth,
    )
