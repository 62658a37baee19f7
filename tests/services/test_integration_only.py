"""The yardstick: a careful clerk's script, exact PINs, trimmed and case-folded words, nothing harmonised."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest

from kerege.services import definitions
from kerege.services.admission import Application, Processed
from kerege.services.evidence import Answer, Call
from kerege.services.integration_only import IntegrationOnly, same_names, script_date

AT = datetime(2026, 4, 1, tzinfo=UTC)
DEFINITION = definitions.of("grade1-admission", "kg")
PIN = "20305201911111"
FORM = {
    "child_name": "Асанов Усон Бакытович", "child_birth_date": "03.05.2019", "child_sex": "М", "child_pin": PIN,
    "address_text": "г. Бишкек, ул. Манаса, д. 5", "parent_pin": "11001199012345", "school_code": "KGS-1", "stage": "2",
    "submitted_at": "2026-06-01T04:00:00Z",
}  # fmt: skip
BIRTH = {
    "ActNo": "1",
    "Fam": "АСАНОВ",
    "Imya": "УСОН",
    "Otch": "БАКЫТОВИЧ",
    "DataRozhd": "03.05.2019",
    "Pol": "М",
    "Pin": PIN,
}
CERTIFICATE = f"02-1;Асанов Усон;2019-05-03;муж;Бишкек ш.;{PIN};2024-01-01;Д"
PERSON = {
    "pin": PIN, "lastName": "Асанов", "firstName": "Усон", "middleName": "", "dob": "2019-05-03", "gender": "M",
    "address": {"soate": "41711000000000", "text": "ул. Манаса, 5"},
}  # fmt: skip


class Agencies:
    def __init__(self, births: list[dict[str, str]], certificates: list[str], pupils: list[dict[str, str]]) -> None:
        self.births, self.certificates, self.pupils = births, certificates, pupils

    def send(self, call: Call) -> Answer:
        assert not call.canonical
        return Answer(200, AT, "m", body=self._body(call))

    def _body(self, call: Call) -> bytes:
        if "civil" in call.data_service:
            rows = "".join(
                "<Birth>" + "".join(f"<{k}>{v}</{k}>" for k, v in row.items()) + "</Birth>" for row in self.births
            )
            return (
                '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                f'<ListBirthsResponse xmlns="urn:kg:zags:v2">{rows}</ListBirthsResponse></s:Body></s:Envelope>'
            ).encode()
        if "health" in call.data_service:
            head = "N_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS"
            return "\n".join([head, *self.certificates, f"#ROWS;{len(self.certificates)}"]).encode()
        if "population" in call.data_service:
            return orjson.dumps({"items": [PERSON]})
        places = [{"institution_code": "KGS-1", "grade": "1", "capacity": 30, "taken": 1}]
        lines = [{"institution_code": "KGS-1", "area_administrative_code": "KGA-01", "street": None, "parity": "all"}]
        tables: dict[str, list[Any]] = {
            "institution_places": places,
            "institution_catchments": lines,
            "institution_students": self.pupils,
        }
        found = tables[call.path.removesuffix("/search")]
        return orjson.dumps({"data": found, "total": len(found)})


def process(
    form: dict[str, str] = FORM,
    *,
    births: tuple[dict[str, str], ...] = (BIRTH,),
    certificates: tuple[str, ...] = (CERTIFICATE,),
    pupils: tuple[dict[str, str], ...] = (),
) -> Processed:
    way = IntegrationOnly(Agencies(list(births), list(certificates), list(pupils)), DEFINITION)
    way.prepare()
    assert way.free_places() == {"KGS-1": 29}
    return way.process(Application.of("A-1", form))


def test_values_that_agree_as_written_go_straight_through() -> None:
    done = process()
    assert (done.kind, done.outcome.kind) == ("straight_through", "admit")


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"child_name": "Асанов Үсөн Бакытович"}, "manual", "field_differs"),
        ({"child_name": "Asanov Uson"}, "manual", "field_differs"),
        ({"child_pin": "20305201911112"}, "manual", "field_differs"),
        ({"child_birth_date": "04.05.2019"}, "asked_again", "record_not_found"),
        ({"stage": "1"}, "manual", "field_not_comparable"),
    ],
)
def test_what_differs_as_written_goes_to_a_person_and_what_is_not_found_to_the_citizen(
    change: dict[str, str], kind: str, reason: str
) -> None:
    done = process(FORM | change)
    assert done.kind == kind
    assert reason in done.reasons
    assert done.decision is None


def test_a_certificate_without_the_pin_is_asked_of_the_citizen() -> None:
    assert process(certificates=(CERTIFICATE.replace(PIN, ""),)).kind == "asked_again"


def test_a_pupil_without_a_pin_is_overlooked_as_such_scripts_do() -> None:
    assert process(pupils=()).outcome.kind == "admit"


def test_a_pupil_with_the_pin_in_latin_letters_cannot_be_compared() -> None:
    pupil = {
        "identity_number": PIN,
        "last_name": "Asanov",
        "first_name": "Uson",
        "student_status": "CURRENT",
        "education_grade": "1",
    }
    done = process(pupils=(pupil,))
    assert (done.kind, "field_not_comparable" in done.reasons) == ("manual", True)
    assert process(pupils=(pupil | {"education_grade": "0"},)).kind == "straight_through"
    assert process(pupils=(pupil | {"student_status": "WITHDRAWN"},)).kind == "straight_through"


def test_the_script_reads_the_two_date_formats_of_its_sources_and_no_other() -> None:
    assert script_date(" 03.05.2019 ") == script_date("2019-05-03") == date(2019, 5, 3)
    assert script_date("05/03/2019") is None
    assert script_date(None) is None


def test_names_are_compared_word_for_word_in_any_order() -> None:
    assert same_names(BIRTH, "Fam", "Imya", " усон АСАНОВ ")
    assert not same_names(BIRTH, "Fam", "Imya", "Асанова Усон")
    assert not same_names({}, "Fam", "Imya", "Асанов Усон")
