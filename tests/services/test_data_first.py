"""The data-first way on a hand-made country of one street: what is there, what is not, and what cannot be told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from kerege.reconcile.link import Entry
from kerege.semantics.normalise import names
from kerege.services import definitions
from kerege.services.admission import Application, Processed
from kerege.services.data_first import DataFirst
from kerege.services.definitions import AdmissionDefinition
from kerege.services.evidence import Answer, Call
from kerege.services.run import process_all

AT = datetime(2026, 4, 1, tzinfo=UTC)
DEFINITION = definitions.of("grade1-admission", "kg")
BORN, CHILD_PIN, MOTHER = "2019-05-03", "20305201911111", "11001199012345"
Values = dict[str, str | None]
CONTRADICTS = {"pin": "semantics.pin_contradicts"}


def named(surname: str, given: str, patronymic: str | None, **more: str | None) -> Values:
    spelled: Values = {"surname": surname, "given_name": given, "patronymic": patronymic}
    return spelled | names.keys(surname, given, patronymic) | more


CHILD = named("Асанов", "Үсөн", "Бакытович", birth_date=BORN, sex="1", pin=CHILD_PIN)
HOME: Values = {"soate": "417", "street_key": "manas", "house": "5", "flat": None}
BIRTH = CHILD | {
    "act_number": "1", "act_date": "2019-06-01", "mother_pin": MOTHER, "mother_name": "АСАНОВА ГҮЛНАРА ЭРКИНОВНА",
    "father_pin": None, "father_name": None,
}  # fmt: skip
PERSON = CHILD | HOME
MOTHER_ROW = named("Асанова", "Гүлнара", "Эркиновна", birth_date="1990-01-10", sex="2", pin=MOTHER) | HOME
CERTIFICATE = CHILD | {"certificate_no": "V-1", "status": "valid", "issued": "2026-01-10"}
PUPIL = CHILD | {"pupil_id": "P-1", "school_code": "KGS-9", "grade": "1", "status": "enrolled"}
NAMESAKE_PIN = "20305201977777"  # of one name and day, born abroad: in no birth record, but registered here


@dataclass
class Country:
    """Canonical records of the four registers; a row may carry its own problems under `flagged`."""

    births: list[Values] = field(default_factory=lambda: [BIRTH])
    people: list[Values] = field(default_factory=lambda: [PERSON, MOTHER_ROW])
    certificates: list[Values] = field(default_factory=lambda: [CERTIFICATE])
    pupils: list[Values] = field(default_factory=list)
    flagged: dict[str, dict[str, str]] = field(default_factory=dict)  # record number -> field -> problem code
    free: int = 10
    unread: frozenset[str] = frozenset()  # registers that hold back a record they could not read

    def send(self, call: Call) -> Answer:
        register = call.data_service.split("/")[3]
        rows = getattr(self, f"_{register}")(call)
        problems: list[dict[str, Any]] = [
            {"record": place, "field": name, "code": code, "severity": "flag"}
            for place, row in enumerate(rows)
            for name, code in self.flagged.get(str(row.get("pupil_id") or row.get("certificate_no")), {}).items()
        ]
        withheld = (len(rows),) if register in self.unread else ()
        return Answer(200, AT, "m", records=tuple(rows), problems=tuple(problems), withheld=withheld, mapping_id="m")

    def _civil(self, call: Call) -> list[Values]:
        body = (call.body or b"").decode()
        if "ParentPin" in body:
            return [row for row in self.births if f">{row['mother_pin']}<" in body]
        return [row for row in self.births if f">{'.'.join(reversed(str(row['birth_date']).split('-')))}<" in body]

    def _population(self, call: Call) -> list[Values]:
        ((asked, value),) = orjson.loads(call.body or b"").items()
        return [row for row in self.people if row[{"pin": "pin", "dob": "birth_date"}[asked]] == value]

    def _health(self, call: Call) -> list[Values]:
        return self.certificates

    def _emis(self, call: Call) -> list[Values]:
        if call.path == "institution_catchments":
            line = {"soate": "417", "street_key": None, "house_from": None, "house_to": None, "parity": "all"}
            return [{"school_code": "KGS-1", **line}]
        if call.path == "institution_places":
            return [{"school_code": "KGS-1", "grade": "1", "capacity": str(self.free), "taken": "0"}]
        ((asked, value),) = orjson.loads(call.body or b"").items()
        column = {"identity_number": "pin", "date_of_birth": "birth_date"}[asked]
        return [row for row in self.pupils if row[column] == value]


def form(number: str = "A-1", parent: str = MOTHER, **claim: str | None) -> Application:
    raw: Values = {**CHILD, "pin": None, "parent_pin": parent, **claim}
    return Application(number, raw, "KGS-1", 1, AT)


def process(country: Country, *forms: Application, definition: AdmissionDefinition = DEFINITION) -> list[Processed]:
    way = DataFirst(country, definition, lambda raw: Entry(raw))
    return list(process_all(forms or (form(),), way, definition, workers=1).processed)


def one(country: Country, *forms: Application, definition: AdmissionDefinition = DEFINITION) -> Processed:
    (done,) = process(country, *forms, definition=definition)
    return done


def decided(done: Processed) -> tuple[str, tuple[str, ...]] | None:
    return (done.decision.kind, done.decision.reasons) if done.decision is not None else None


def asked(done: Processed) -> bool:
    return done.kind == "asked_again" and done.decision is None


def test_a_child_whose_records_are_all_in_order_is_admitted() -> None:
    assert decided(one(Country())) == ("admit", ("admitted",))


# -- a record that is not there -----------------------------------------------------------------------------------------


def test_a_certificate_that_is_in_no_list_is_asked_of_the_parent_and_refuses_nobody() -> None:
    done = one(Country(certificates=[]))
    assert asked(done)
    assert done.reasons == ("record_not_found",)
    assert done.facts.vaccinated is None


@pytest.mark.parametrize("status", ["expired", "incomplete"])
def test_a_certificate_that_is_there_and_does_not_count_refuses(status: str) -> None:
    assert decided(one(Country(certificates=[CERTIFICATE | {"status": status}]))) == ("refuse", ("not_vaccinated",))


def test_a_certificate_that_does_not_count_and_may_be_anothers_goes_to_a_person() -> None:
    doubtful = CERTIFICATE | {"status": "expired", "birth_date": "2019-03-05", "pin": None}
    done = one(Country(certificates=[doubtful]))
    assert (done.kind, done.reasons) == ("manual", ("vaccinated",))


def test_nobody_is_asked_for_a_paper_while_the_list_has_a_row_that_could_not_be_read() -> None:
    done = one(Country(certificates=[], unread=frozenset({"health"})))
    assert (done.kind, done.reasons) == ("manual", ("vaccinated",))


def test_a_missing_certificate_does_not_put_off_a_refusal_for_another_reason() -> None:
    country = Country(certificates=[], pupils=[PUPIL])
    assert decided(one(country)) == ("refuse", ("enrolled_elsewhere",))


def test_what_a_person_must_look_at_is_not_asked_of_the_parent_first() -> None:
    doubtful = PUPIL | {"birth_date": "2019-03-05"}
    country = Country(certificates=[], pupils=[doubtful], flagged={"P-1": CONTRADICTS})
    done = one(country)
    assert done.kind == "manual"
    assert set(done.reasons) == {"enrolled_elsewhere", "record_not_found"}


def test_no_pupil_record_is_a_fact_because_the_register_is_what_enrols() -> None:
    assert one(Country()).facts.enrolled_elsewhere is False


def with_absence(evidence_id: str, absence: str) -> AdmissionDefinition:
    evidence = {**DEFINITION.evidence}
    evidence[evidence_id] = replace(evidence[evidence_id], absence=absence)
    return replace(DEFINITION, evidence=evidence)


def test_what_absence_means_is_the_definitions_to_say() -> None:
    strict = with_absence("child.vaccination", "decides")
    assert decided(one(Country(certificates=[]), definition=strict)) == ("refuse", ("not_vaccinated",))
    asking = with_absence("child.enrolment", "ask")
    assert asked(one(Country(), definition=asking))


def test_a_child_without_a_birth_record_is_asked_about_and_not_refused() -> None:
    done = one(Country(births=[]))
    assert asked(done)
    assert done.reasons == ("child_not_found",)


def test_a_child_without_a_registered_address_is_asked_about() -> None:
    done = one(Country(people=[MOTHER_ROW]))
    assert asked(done)
    assert done.reasons == ("record_not_found",)


def test_an_application_that_waits_for_a_paper_holds_its_place() -> None:
    brother = (
        CHILD | {"given_name": "Бермет", "pin": "10305201922222", "sex": "2"} | names.keys("Асанова", "Бермет", None)
    )
    country = Country(
        births=[BIRTH, BIRTH | brother | {"act_number": "2"}],
        people=[PERSON, PERSON | brother, MOTHER_ROW],
        certificates=[CERTIFICATE | brother | {"certificate_no": "V-2"}],
        free=1,
    )
    later = replace(form("A-2", **brother), submitted_at=AT.replace(hour=9))
    first, second = process(country, form(), later)
    assert asked(first)
    assert (second.kind, second.reasons) == ("manual", ("place",))
    _, alone = process(replace(country, free=2), form(), later)
    assert decided(alone) == ("admit", ("admitted",))


# -- whose record it is -------------------------------------------------------------------------------------------------


def test_a_pupil_under_a_miswritten_date_is_found_by_the_pin() -> None:
    country = Country(pupils=[PUPIL | {"birth_date": "2018-11-20"}])
    assert decided(one(country)) == ("refuse", ("enrolled_elsewhere",))
    flagged = Country(pupils=[PUPIL | {"birth_date": "2018-11-20"}], flagged={"P-1": CONTRADICTS})
    assert one(flagged).reasons == ("enrolled_elsewhere",)


def test_a_pupil_kept_under_the_pin_of_the_birth_record_is_found_although_the_child_has_another_now() -> None:
    slip = "20305201911112"
    country = Country(births=[BIRTH | {"pin": slip}], pupils=[PUPIL | {"pin": slip, "birth_date": "2019-05-08"}])
    assert one(country).reasons == ("enrolled_elsewhere",)


def test_a_pupil_with_a_row_at_each_of_two_schools_is_seen_at_both() -> None:
    left = PUPIL | {"status": "transferred", "school_code": "KGS-8"}
    assert decided(one(Country(pupils=[left, PUPIL]))) == ("refuse", ("enrolled_elsewhere",))


NAMESAKE = PERSON | {"pin": NAMESAKE_PIN, "house": "99"}


@pytest.mark.parametrize("pin", [None, NAMESAKE_PIN])
def test_a_namesake_born_abroad_does_not_lend_the_child_a_certificate(pin: str | None) -> None:
    country = Country(people=[PERSON, NAMESAKE, MOTHER_ROW], certificates=[CERTIFICATE | {"pin": pin}])
    assert one(country).decision is None


@pytest.mark.parametrize("pin", [None, NAMESAKE_PIN])
def test_a_namesake_born_abroad_who_is_at_school_does_not_cost_the_child_its_place(pin: str | None) -> None:
    done = one(Country(people=[PERSON, NAMESAKE, MOTHER_ROW], pupils=[PUPIL | {"pin": pin}]))
    assert decided(done) in {None, ("admit", ("admitted",))}
    assert done.facts.enrolled_elsewhere is (None if pin is None else False)
