"""What the demo's world is made of: areas, people, schools, what each register wrote about them, and the truth.

Everything above `Record` is the clean world, known to no agency as a whole. A `Record` is one row as one register keeps it, in
that register's own fields and coding, with the dirt that was planted in it. `TruthFacts` is what a perfect clerk would know
of an application. Plain frozen values; made by `build`, written by `agencies.write` and `truth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from kerege.demo.world.dirt import Dirt

Sex = Literal["M", "F"]
Value = str | int | None


@dataclass(frozen=True, slots=True)
class Area:
    """One unit of the state classifier, its Russian name cleaned of blanks and doubled words."""

    soate: str
    name_ru: str
    level: int  # 1 oblast or city of the republic, 2 district or city, 3 aiyl aimak, 4 village
    parent: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a household is; `street` None where a unit has no street names. `house` may carry a letter (12А)."""

    soate: str
    street: str | None
    house: str
    flat: str | None


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in Kyrgyz spelling, as the person's passport has it. `father` is the father's given name, for the patronymic."""

    surname_root: str
    surname_style: Literal["ov", "uulu"]
    given: str
    father: str | None
    patronymic_style: Literal["ovich", "uulu"]


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    pin: str
    sex: Sex
    name: PersonName
    birth_date: date
    household: int
    registered_since: date
    mother: int | None = None
    father: int | None = None
    role: Literal["adult", "child"] = "adult"
    born_abroad: bool = False  # the civil registry never wrote a record of the birth


@dataclass(frozen=True, slots=True)
class Household:
    """`registered` is what the population register has now; `earlier` where stale copies still place the family."""

    id: int
    registered: Address
    earlier: Address
    actual: Address | None
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class School:
    code: str
    number: int
    soate: str
    language: str
    named_after: str
    capacity: int
    taken: int

    @property
    def free(self) -> int:
        """Places of grade 1 nobody has yet when the first application comes."""
        return self.capacity - self.taken


@dataclass(frozen=True, slots=True)
class Catchment:
    """One line of a school's catchment; without a street it is the whole unit."""

    school: str
    soate: str
    street: str | None
    house_from: int | None
    house_to: int | None
    parity: Literal["all", "odd", "even"]


@dataclass(frozen=True, slots=True)
class EducationArea:
    """A unit of one of education's two own area trees; `soate` is the truth and stays out of the register."""

    code: str
    name: str
    parent: str | None
    level: int
    soate: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """One row of one register. `planted` names the dirt in it, `open` the dirt that could have shown (see `measure`)."""

    row: Mapping[str, Value]
    person: int | None = None
    planted: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Application:
    """The form as a parent filled it: the raw fields of `kg:application`. `parent_pin` comes from the sign-in and is true."""

    id: str
    raw: Mapping[str, str]
    planted: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TruthFacts:
    """What is true of one application; nothing here is a decision."""

    application_id: str
    child: int
    parent: int
    birth_date: date
    registered_soate: str
    registered_street: str | None
    registered_house: str
    in_catchment: bool  # of the school applied to, by the registered address
    vaccinated: bool  # a valid or an exempting certificate exists
    enrolled_elsewhere: bool  # a current pupil of grade 1 or higher in some school
    guardian: bool  # the applicant is the child's mother or father
    school_code: str
    stage: int
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class World:
    seed: int
    reference_date: date
    dirt: Dirt
    soate_source: str
    areas: tuple[Area, ...]
    persons: tuple[Person, ...]
    households: tuple[Household, ...]
    schools: tuple[School, ...]
    catchments: tuple[Catchment, ...]
    education_areas: tuple[EducationArea, ...]  # administrative tree, KGA-...
    education_zones: tuple[EducationArea, ...]  # educational tree, KGE-...
    registers: Mapping[str, tuple[Record, ...]]  # table -> rows, see `build.TABLES`
    lost: Mapping[str, tuple[Record, ...]]  # table -> rows that should stand there and do not
    applications: tuple[Application, ...]
    truth: tuple[TruthFacts, ...]
