"""Whose application is it: hand-made births and people, one difficulty at a time."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from kerege.reconcile.link import Entry
from kerege.semantics.normalise import names
from kerege.services import definitions
from kerege.services.child import Child, Identifier
from kerege.services.evidence import Answer, Call, Gatherer

AT = datetime(2026, 4, 1, tzinfo=UTC)
DEFINITION = definitions.of("grade1-admission", "kg")
BORN = "2019-05-03"
MOTHER, FATHER, AUNT = "11001199012345", "20202198854321", "10303198576543"
Values = dict[str, str | None]


def named(surname: str | None, given: str | None, patronymic: str | None, **more: str | None) -> Values:
    return (
        {"surname": surname, "given_name": given, "patronymic": patronymic}
        | names.keys(surname, given, patronymic)
        | more
    )


def birth(given: str, act: str, **more: str | None) -> Values:
    base = named(
        "Асанов", given, "Бакытович", act_number=act, act_date="2019-06-01", birth_date=BORN, sex="1", pin=None
    )
    parents: Values = {
        "mother_pin": MOTHER, "mother_name": "АСАНОВА ГҮЛНАРА ЭРКИНОВНА",
        "father_pin": FATHER, "father_name": "АСАНОВ БАКЫТ ТЕМИРОВИЧ",
    }  # fmt: skip
    return base | parents | more


def resident(values: Values, pin: str, house: str = "5", **more: str | None) -> Values:
    return values | {"pin": pin, "soate": "417", "street_key": "manas", "house": house, "flat": None} | more


MOTHER_ROW = resident(named("Асанова", "Гүлнара", "Эркиновна", birth_date="1990-01-10", sex="2"), MOTHER)
CHILD_PIN = "20305201911111"
CHILD_ROW = resident(named("Асанов", "Үсөн", "Бакытович", birth_date=BORN, sex="1"), CHILD_PIN)


class Registers:
    """Civil and population registers of a few hand-made rows."""

    def __init__(self, births: list[Values], people: list[Values], broken: str = "") -> None:
        self.births, self.people, self.broken = births, people, broken

    def send(self, call: Call) -> Answer:
        if self.broken and self.broken in call.data_service:
            return Answer(0, AT, fault="services.exchange_unreachable")
        if "civil" in call.data_service:
            body = (call.body or b"").decode()
            if "ParentPin" in body:
                found = [b for b in self.births if f">{b['mother_pin']}<" in body or f">{b['father_pin']}<" in body]
            else:
                found = [b for b in self.births if f">{'.'.join(reversed(str(b['birth_date']).split('-')))}<" in body]
        else:
            ((asked, value),) = orjson.loads(call.body or b"").items()
            found = [p for p in self.people if p[{"pin": "pin", "dob": "birth_date"}[asked]] == value]
        return Answer(200, AT, "m", records=tuple(found), mapping_id="m", mapping_version="1", original_sha256="0" * 64)


def identify(registers: Registers, claim: Values, parent: str = MOTHER) -> Child:
    return Identifier(Gatherer(registers, DEFINITION, "A-1"), Entry(claim), parent).identify()


def claim(given: str = "Үсөн", patronymic: str | None = "Бакытович", pin: str | None = None) -> Values:
    return named("Асанов", given, patronymic, birth_date=BORN, sex="1", pin=pin)


def test_the_parents_pin_in_the_record_proves_parent_and_child() -> None:
    child = identify(
        Registers([birth("Үсөн", "1", pin=CHILD_PIN)], [CHILD_ROW, MOTHER_ROW]), claim("Uson", "Bakyt uulu")
    )
    assert child.guardian is True
    assert child.person is not None
    assert child.person.get("pin") == CHILD_PIN


def test_of_twins_the_one_is_meant_whose_name_is_the_same() -> None:
    twins = [birth("Хасан", "1", pin="20305201922222"), birth("Хусан", "2", pin="20305201933333")]
    child = identify(Registers(twins, [MOTHER_ROW]), claim("Хусан"))
    assert child.birth is not None
    assert child.birth.get("act_number") == "2"


def test_a_twin_whose_record_lacks_the_parents_pin_is_not_mistaken_for_the_other() -> None:
    twins = [birth("Асан", "1", mother_pin=None, father_pin=None), birth("Үсөн", "2")]
    child = identify(Registers(twins, [MOTHER_ROW]), claim("Асан", None))
    assert child.birth is not None
    assert child.birth.get("act_number") == "1"


def test_a_missing_parents_pin_is_made_good_by_full_name_and_one_address() -> None:
    births = [birth("Үсөн", "1", pin=CHILD_PIN, mother_pin=None, father_pin=None)]
    assert identify(Registers(births, [CHILD_ROW, MOTHER_ROW]), claim()).guardian is True
    elsewhere = MOTHER_ROW | {"house": "77"}
    assert identify(Registers(births, [CHILD_ROW, elsewhere]), claim()).guardian is None


def test_a_parents_pin_with_a_slip_and_the_full_name_is_enough() -> None:
    slip = MOTHER[:-2] + MOTHER[-1] + MOTHER[-2]
    births = [birth("Үсөн", "1", pin=CHILD_PIN, mother_pin=slip)]
    assert identify(Registers(births, [CHILD_ROW, MOTHER_ROW | {"house": "77"}]), claim()).guardian is True


def test_an_aunt_with_another_name_and_address_is_no_parent() -> None:
    aunt = resident(named("Жумаева", "Каныкей", "Асановна", birth_date="1985-03-03", sex="2"), AUNT, "77")
    registers = Registers([birth("Үсөн", "1", pin=CHILD_PIN)], [CHILD_ROW, aunt])
    assert identify(registers, claim(), AUNT).guardian is False


def test_an_aunt_in_the_same_house_is_left_to_a_person() -> None:
    aunt = resident(named("Жумаева", "Каныкей", "Асановна", birth_date="1985-03-03", sex="2"), AUNT)
    registers = Registers([birth("Үсөн", "1", pin=CHILD_PIN)], [CHILD_ROW, aunt])
    assert identify(registers, claim(), AUNT).guardian is None


def test_an_applicant_with_the_mothers_given_name_and_father_but_another_pin_is_left_to_a_person() -> None:
    near = resident(named("Жумаева", "Гүлнара", "Эркиновна", birth_date="1985-03-03", sex="2"), AUNT, "77")
    registers = Registers([birth("Үсөн", "1", pin=CHILD_PIN)], [CHILD_ROW, near])
    assert identify(registers, claim(), AUNT).guardian is None


def test_of_two_namesakes_without_pins_the_one_whose_parent_applies_is_meant() -> None:
    other = birth(
        "Үсөн",
        "2",
        mother_pin=None,
        mother_name="БЕКОВА АЙЗАДА НУРОВНА",
        father_pin=None,
        father_name="АСАНОВ БАКЫТ НУРОВИЧ",
    )
    mine = birth("Үсөн", "1", mother_pin=None, father_pin=None)
    child = identify(Registers([other, mine], [MOTHER_ROW]), claim())
    assert child.birth is not None
    assert child.birth.get("act_number") == "1"


def test_a_stranger_who_names_one_of_two_namesakes_is_left_to_a_person() -> None:
    births = [birth("Үсөн", "1"), birth("Үсөн", "2", mother_pin="10101199099999", father_pin=None, father_name=None)]
    aunt = resident(named("Жумаева", "Каныкей", "Асановна", birth_date="1985-03-03", sex="2"), AUNT, "77")
    child = identify(Registers(births, [aunt]), claim(), AUNT)
    assert child.birth is None
    assert "child_ambiguous" in child.reasons


def test_of_two_residents_of_one_name_and_date_the_one_in_the_applicants_home_is_meant() -> None:
    stranger = CHILD_ROW | {"pin": "20305201999999", "house": "99"}
    births = [birth("Үсөн", "1"), birth("Үсөн", "2", mother_pin="10101199099999", mother_name="БЕКОВА АЙЗАДА НУРОВНА")]
    child = identify(Registers(births, [stranger, CHILD_ROW, MOTHER_ROW]), claim())
    assert child.person is not None
    assert child.person.get("pin") == CHILD_PIN
    homeless = identify(Registers(births, [stranger, CHILD_ROW, MOTHER_ROW | {"house": "1"}]), claim())
    assert homeless.person is None
    assert "child_ambiguous" in homeless.reasons


def test_a_birth_record_with_another_childs_pin_is_left_to_a_person() -> None:
    other = resident(named("Жумаева", "Каухар", "Мирбековна", birth_date=BORN, sex="2"), "20305201944444")
    births = [birth("Үсөн", "1", pin="20305201944444")]
    child = identify(Registers(births, [other, CHILD_ROW, MOTHER_ROW]), claim())
    assert child.person is None
    assert child.guardian is True


def test_a_birth_record_whose_pin_has_a_slip_still_finds_the_child_by_name_and_date() -> None:
    births = [birth("Үсөн", "1", pin="20305201911112")]
    child = identify(Registers(births, [CHILD_ROW, MOTHER_ROW]), claim())
    assert child.person is not None
    assert {view.get("pin") for view in child.views()} == {CHILD_PIN}


def test_a_civil_register_that_is_down_leaves_everything_open() -> None:
    child = identify(Registers([birth("Үсөн", "1")], [CHILD_ROW], broken="civil"), claim())
    assert (child.birth, child.guardian, child.reasons) == (None, None, ["register_unavailable"])


def test_a_form_without_a_readable_name_or_date_asks_no_register() -> None:
    registers = Registers([], [], broken="civil")
    assert identify(registers, claim() | {"birth_date": None}).reasons == ["application_unreadable"]


# -- surely not there, or only not found ---------------------------------------------------------------------------------


def test_no_birth_of_that_day_is_a_record_that_is_surely_not_there() -> None:
    child = identify(Registers([], [MOTHER_ROW]), claim())
    assert (child.reasons, child.absent) == (["child_not_found"], {"child.birth"})


def test_the_applicants_own_child_of_that_name_and_a_near_date_is_a_doubt_and_no_absence() -> None:
    child = identify(Registers([birth("Үсөн", "1", birth_date="2019-03-05")], [MOTHER_ROW]), claim())
    assert (child.birth, child.reasons, child.absent) == (None, ["child_ambiguous"], set())


def test_a_child_nobody_registered_resembles_has_no_person_record() -> None:
    child = identify(Registers([birth("Үсөн", "1", pin=CHILD_PIN)], [MOTHER_ROW]), claim())
    assert (child.person, child.reasons, child.absent) == (None, ["record_not_found"], {"person.registered_address"})


def test_a_resident_with_the_childs_pin_under_another_name_is_a_doubt_and_no_absence() -> None:
    stranger = resident(named("Жумаева", "Каухар", "Мирбековна", birth_date="2018-01-01", sex="2"), CHILD_PIN)
    child = identify(Registers([birth("Үсөн", "1", pin=CHILD_PIN)], [stranger, MOTHER_ROW]), claim())
    assert (child.person, child.reasons, child.absent) == (None, ["child_ambiguous"], set())


# -- rivals ----------------------------------------------------------------------------------------------------------------

BORN_ABROAD = resident(named("Асанов", "Үсөн", "Бакытович", birth_date=BORN, sex="1"), "20305201977777", "99")


def rivals_of(registers: Registers) -> tuple[Entry, ...] | None:
    identifier = Identifier(Gatherer(registers, DEFINITION, "A-1"), Entry(claim()), MOTHER)
    identifier.identify()
    return identifier.rivals((BORN,))


def test_rivals_are_the_other_births_and_the_other_residents_of_that_day() -> None:
    births = [birth("Үсөн", "1", pin=CHILD_PIN), birth("Бермет", "2", sex="2")]
    rivals = rivals_of(Registers(births, [CHILD_ROW, BORN_ABROAD, MOTHER_ROW]))
    assert rivals is not None
    assert [(entry.get("act_number"), entry.get("pin")) for entry in rivals] == [("2", None), (None, "20305201977777")]


def test_while_the_childs_own_person_record_is_in_doubt_its_rivals_cannot_be_told() -> None:
    births = [birth("Үсөн", "1", mother_pin=None, father_pin=None)]
    assert rivals_of(Registers(births, [CHILD_ROW | {"house": "1"}, BORN_ABROAD, MOTHER_ROW])) is None


def test_of_a_child_without_a_person_record_everybody_registered_is_a_rival() -> None:
    other = resident(named("Жумаева", "Каухар", "Мирбековна", birth_date=BORN, sex="2"), "10305201944444")
    rivals = rivals_of(Registers([birth("Үсөн", "1")], [other, MOTHER_ROW]))
    assert rivals is not None
    assert [entry.get("pin") for entry in rivals] == ["10305201944444"]


def test_a_population_register_that_is_down_leaves_the_rivals_unknown() -> None:
    assert rivals_of(Registers([birth("Үсөн", "1")], [CHILD_ROW], broken="population")) is None


def test_a_child_born_abroad_is_not_refused_for_the_parents_of_a_namesake_born_here() -> None:
    stranger = resident(named("Жумаева", "Каныкей", "Асановна", birth_date="1985-03-03", sex="2"), AUNT, "99")
    here = [birth("Үсөн", "1", pin=CHILD_PIN)]
    assert identify(Registers(here, [CHILD_ROW, BORN_ABROAD, stranger]), claim(), AUNT).guardian is None
    assert identify(Registers(here, [CHILD_ROW, stranger]), claim(), AUNT).guardian is False
