"""What the four agencies keep: every register's rows, in its own fields, letters and codes, with the declared dirt.

civil: births of children, capitals, `dd.mm.yyyy`. population: everyone, true keys and addresses. education: schools, places,
catchments, pupils in Latin letters. health: certificates of children of four to ten, named as the parents wrote it. The field names are
those of the agencies' interfaces (docs/reference/agencies.md); databases and wire formats are made by `demo.agencies`. A table that
loses records comes as `Kept`: what stands there, and what should.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from kerege.demo.world.addressing import AddressWriter
from kerege.demo.world.copies import Marker, address_text, copy_pin, latin_habit, one_string, parts, spell
from kerege.demo.world.dice import stream
from kerege.demo.world.dirt import Dirt
from kerege.demo.world.facts import Facts, Vaccination
from kerege.demo.world.model import Catchment, EducationArea, Household, Person, Record, School, Value
from kerege.demo.world.regions import CIVIL, CIVIL_VARIANT, HEALTH, HEALTH_VARIANT, region_of
from kerege.demo.world.spelling import can_lose_letters, latin, lose_letters

_HEALTH_STATUS: dict[Vaccination, str] = {"valid": "Д", "expired": "П", "exempt": "О", "incomplete": "Н"}


@dataclass(frozen=True, slots=True)
class Source:
    """The clean world the registers are copied from."""

    seed: int
    dirt: Dirt
    reference: date
    persons: tuple[Person, ...]
    households: tuple[Household, ...]
    facts: Facts
    writer: AddressWriter

    def home(self, person: Person) -> Household:
        return self.households[person.household]


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of a table, and those the register lost: of a lost row only who it was of and that it is missing counts."""

    records: tuple[Record, ...]
    lost: tuple[Record, ...]


class _Loss:
    """Throws the die of `record_missing` once per person, from a stream of its own."""

    def __init__(self, source: Source, agency: str) -> None:
        self._dirt, self._agency, self._rng = source.dirt, agency, stream(source.seed, f"{agency}-lost")
        self.records: list[Record] = []
        self.lost: list[Record] = []

    def file(self, person: int, rows: list[Record]) -> None:
        """Put a person's rows into the register, or all of them among the lost; the first row bears the mark."""
        marker = Marker(self._dirt, self._agency, self._rng)
        gone = marker.chance("record_missing")
        planted, possible = marker.marks()
        if gone:
            self.lost.append(Record(rows[0].row, person, planted, possible))
            self.lost += [Record(row.row, person) for row in rows[1:]]
        else:
            self.records += [replace(rows[0], open=rows[0].open + possible), *rows[1:]]

    def kept(self) -> Kept:
        return Kept(tuple(self.records), tuple(self.lost))


def births(source: Source) -> Kept:
    rng, loss = stream(source.seed, "civil"), _Loss(source, "civil")
    numbers: dict[int, int] = {}
    for person in source.persons:
        if person.role != "child" or person.born_abroad:
            continue
        marker = Marker(source.dirt, "civil", rng)
        family, given, father = spell(marker, parts(marker, person.name, person.sex, may_miss=False))
        home = source.home(person)
        now, then = region_of(home.registered.soate), region_of(home.earlier.soate)
        region = then if marker.chance("stale_address", now != then) else now
        regions = CIVIL_VARIANT if marker.chance("region_variant") else CIVIL
        year = person.birth_date.year
        numbers[year] = numbers.get(year, 0) + 1
        act_date = min(person.birth_date + timedelta(days=rng.randint(2, 60)), source.reference - timedelta(days=1))
        row: dict[str, Value] = {
            "ActNo": f"{year}-{numbers[year]:05d}", "ActDate": f"{act_date:%d.%m.%Y}",
            "Fam": family.upper(), "Imya": given.upper(), "Otch": father.upper(),
            "DataRozhd": f"{person.birth_date:%d.%m.%Y}", "Pol": "М" if person.sex == "M" else "Ж",
            "Pin": copy_pin(marker, person.pin), "Oblast": regions[region],
        }  # fmt: skip
        for pin_field, name_field, number in (("MatPin", "MatFio", person.mother), ("OtPin", "OtFio", person.father)):
            row[pin_field] = row[name_field] = ""
            if number is not None:
                parent = source.persons[number]
                row[pin_field] = copy_pin(marker, parent.pin, "parent_")
                words = parts(marker, parent.name, parent.sex, may_miss=False)
                text = " ".join(word for word in spell(marker, words) if word)
                row[name_field] = text.upper()
        loss.file(person.id, [Record(row, person.id, *marker.marks())])
    return loss.kept()


def residents(source: Source) -> tuple[Record, ...]:
    rng = stream(source.seed, "population")
    records: list[Record] = []
    for person in source.persons:
        marker = Marker(source.dirt, "population", rng)
        family, given, father = spell(marker, parts(marker, person.name, person.sex, may_miss=False))
        address = source.home(person).registered
        row: dict[str, Value] = {
            "pin": person.pin, "lastName": family, "firstName": given, "middleName": father,
            "dob": person.birth_date.isoformat(), "gender": person.sex, "soate": address.soate,
            "text": address_text(marker, source.writer, address), "registeredSince": person.registered_since.isoformat(),
        }  # fmt: skip
        records.append(Record(row, person.id, *marker.marks()))
    return tuple(records)


def pupils(source: Source, areas: dict[str, str]) -> tuple[Record, ...]:
    """`areas`: SOATE to education's own code."""
    rng = stream(source.seed, "education")
    records: list[Record] = []
    for number, enrolments in sorted(source.facts.enrolments.items()):
        person = source.persons[number]
        for enrolment in enrolments:
            marker = Marker(source.dirt, "education", rng)
            habit = latin_habit(marker)
            last, first, middle = (latin(word, habit) for word in parts(marker, person.name, person.sex))
            if marker.chance("order_swapped"):
                last, first = first, last
            home = source.home(person)
            address = home.earlier if marker.chance("stale_address") else home.registered
            row: dict[str, Value] = {
                "student_id": f"S{len(records) + 100_001}", "first_name": first, "middle_name": middle, "last_name": last,
                "gender_id": 1 if person.sex == "M" else 2, "date_of_birth": person.birth_date.isoformat(),
                "identity_number": copy_pin(marker, person.pin) or None,
                "institution_code": enrolment.school, "education_grade": enrolment.grade,
                "student_status": enrolment.status, "area_administrative_code": areas[address.soate],
                "address": latin(address_text(marker, source.writer, address), habit),
            }  # fmt: skip
            records.append(Record(row, person.id, *marker.marks()))
    return tuple(records)


def institutions(schools: tuple[School, ...], areas: tuple[EducationArea, ...], seed: int) -> tuple[Record, ...]:
    rng = stream(seed, "institutions")
    unit = {area.soate: area for area in areas if area.soate}
    records: list[Record] = []
    for school in schools:
        kind = {"ky": "orto mektebi", "ru": "srednyaya shkola", "uz": "o'rta maktabi"}[school.language]
        name = latin(school.named_after, rng.choice(("passport", "bgn", "sloppy")))
        text = f"{name} atyndagy No {school.number} {kind}" if school.language != "ru" else f"{kind} No {school.number}"
        code = unit[school.soate].code
        row: dict[str, Value] = {
            "code": school.code, "name": text[0].upper() + text[1:], "area_code": "KGE-" + code[4:8].rstrip("-"),
            "area_administrative_code": code, "language": school.language,
        }  # fmt: skip
        records.append(Record(row))
    return tuple(records)


def places(schools: tuple[School, ...]) -> tuple[Record, ...]:
    return tuple(
        Record({"institution_code": s.code, "grade": "1", "capacity": s.capacity, "taken": s.taken}) for s in schools
    )


def catchment_lines(lines: tuple[Catchment, ...], areas: dict[str, str], dirt: Dirt, seed: int) -> tuple[Record, ...]:
    rng = stream(seed, "catchments")
    records: list[Record] = []
    for line in lines:
        marker = Marker(dirt, "education", rng)
        habit = latin_habit(marker)
        row: dict[str, Value] = {
            "institution_code": line.school, "area_administrative_code": areas[line.soate],
            "street": latin(line.street, habit) if line.street else None,
            "house_from": line.house_from, "house_to": line.house_to, "parity": line.parity,
        }  # fmt: skip
        records.append(Record(row, None, *(marker.marks() if line.street else ((), ()))))
    return tuple(records)


def certificates(source: Source) -> Kept:
    rng, loss = stream(source.seed, "health"), _Loss(source, "health")
    serial = 0
    for number, status in sorted(source.facts.vaccinations.items()):
        marker = Marker(source.dirt, "health", rng)
        issued = source.reference - timedelta(days=rng.randint(20, 500))
        rows: list[Record] = []
        if marker.chance("certificate_reissued", status == "valid"):
            older = Marker(source.dirt, "health", rng)
            rows.append(_certificate(source, number, "П", issued - timedelta(days=730), older, serial))
        rows.append(_certificate(source, number, _HEALTH_STATUS[status], issued, marker, serial + len(rows)))
        serial += len(rows)
        loss.file(number, rows)
    return loss.kept()


def _certificate(source: Source, number: int, status: str, issued: date, marker: Marker, serial: int) -> Record:
    person = source.persons[number]
    region = region_of(source.home(person).registered.soate)
    regions = HEALTH_VARIANT if marker.chance("region_variant") else HEALTH
    row: dict[str, Value] = {
        "N_SPR": f"{region[3:]}-{serial + 1:06d}", "FIO": one_string(marker, person.name, person.sex),
        "DATA_R": person.birth_date.isoformat(), "POL": "муж" if person.sex == "M" else "жен",
        "OBLAST": regions[region], "PIN": copy_pin(marker, person.pin),
        "DATA_VYD": max(issued, person.birth_date).isoformat(), "STATUS": status,
    }  # fmt: skip
    return Record(row, person.id, *marker.marks())


def written_by_parent(rng: Random, text: str) -> str:
    """Half of the parents type on a Russian keyboard wherever an address has ң ө ү."""
    return lose_letters(text) if can_lose_letters(text) and rng.random() < 0.5 else text
