"""The declared public service: loaded whole, or refused with every fault named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import kerege
from kerege.services import definitions
from kerege.services.errors import DefinitionInvalid, DefinitionMissing, DefinitionUnreadable

FILE = Path(kerege.__file__).parent / "country" / "kg" / "services" / "grade1-admission.yaml"


def test_the_country_packs_definition_loads_with_all_its_parts() -> None:
    definition = definitions.of("grade1-admission", "kg")
    assert definition.rules.age_on == date(2026, 9, 1)
    assert definition.stages[1].by == "catchment"
    assert definition.evidence["person.registered_address"].register == "population"
    by_pin = definition.evidence["person.registered_address"].request("by_pin")
    assert (by_pin.method, by_pin.path, by_pin.query, by_pin.json) == ("POST", "search", (), (("pin", "{pin}"),))
    assert next(iter(definition.reasons)) == "not_guardian"
    assert definition.policy_owner.organisation == "70000003"


def test_every_reason_reads_in_three_languages_and_cites_an_act_of_the_legal_basis() -> None:
    definition = definitions.of("grade1-admission", "kg")
    for reason in definition.reasons.values():
        assert reason.legal_ref in definition.legal_basis
        assert len({reason.text.ky, reason.text.ru, reason.text.en}) == 3


def test_every_act_is_named_in_three_languages_and_none_claims_a_lawyers_check() -> None:
    acts = definitions.of("grade1-admission", "kg").legal_basis
    assert {"education-law", "admission-order", "civil-acts", "population-registration", "public-health"} <= set(acts)
    for act in acts.values():
        assert len({act.title.ky, act.title.ru, act.title.en}) == 3
        assert act.verified is False


def test_an_act_without_its_title_in_one_language_is_a_fault(tmp_path: Path) -> None:
    line = '      ky: "«Билим берүү жөнүндө» Кыргыз Республикасынын Мыйзамы"\n'
    text = FILE.read_text(encoding="utf-8")
    assert line in text
    file = tmp_path / "service.yaml"
    file.write_text(text.replace(line, ""), encoding="utf-8")
    with pytest.raises(DefinitionInvalid) as caught:
        definitions.load(file)
    assert "legal_basis.education-law.title" in str(caught.value)


@pytest.mark.parametrize(
    ("born", "expected"),
    [
        ("2020-09-02", "under"),
        ("2020-09-01", "ok"),
        ("2018-09-02", "ok"),
        ("2018-09-01", "over"),
        ("2020-02-29", "ok"),
    ],
)
def test_age_is_counted_in_full_years_on_the_first_of_september(born: str, expected: str) -> None:
    assert definitions.of("grade1-admission", "kg").rules.age_class(date.fromisoformat(born)) == expected


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    broken = FILE.read_text(encoding="utf-8")
    broken = broken.replace("age_under: 8", "age_under: 6").replace("legal_ref: education-law", "legal_ref: nowhere")
    broken = broken.replace("admission_year: 2026", "admission_year: soon")
    file = tmp_path / "service.yaml"
    file.write_text(broken, encoding="utf-8")
    with pytest.raises(DefinitionInvalid) as caught:
        definitions.load(file)
    text = str(caught.value)
    assert "rules.age_under" in text
    assert "rules.admission_year" in text
    assert "reasons.under_age.legal_ref" in text


def test_reasons_out_of_order_are_refused_because_the_order_is_the_law_of_decisions(tmp_path: Path) -> None:
    lines = FILE.read_text(encoding="utf-8").replace("  under_age:", "  xx:").replace("  over_age:", "  under_age:")
    file = tmp_path / "service.yaml"
    file.write_text(lines.replace("  xx:", "  over_age:"), encoding="utf-8")
    with pytest.raises(DefinitionInvalid, match="in this order"):
        definitions.load(file)


def test_a_text_without_one_of_the_three_languages_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(FILE.read_text(encoding="utf-8").replace("  ky: 1-класска кабыл алуу\n", ""), encoding="utf-8")
    with pytest.raises(DefinitionInvalid, match="titles"):
        definitions.load(file)


BY_PIN = 'by_pin: {method: POST, path: search, json: {pin: "{pin}"}}'


@pytest.mark.parametrize(
    ("request_line", "fault"),
    [
        ('by_pin: {method: GET, path: "{pin}"}', "requests.by_pin.path: has a placeholder"),
        ('by_pin: {method: GET, path: "by/{date}/x"}', "requests.by_pin.path: has a placeholder"),
        ('by_pin: {method: GET, query: {number: "{pin}"}}', "requests.by_pin.query.number: has a placeholder"),
        ('by_pin: {method: GET, query: {"{date}": "1"}}', "has a placeholder"),
        ('by_pin: {method: GET, query: {number: "{pin!r}"}}', "requests.by_pin.query.number: has a placeholder"),
        ('by_pin: {method: GET, json: {pin: "{pin}"}}', "requests.by_pin.method: expected POST"),
        ('by_pin: {method: POST, json: {pin: "{name}"}}', "requests.by_pin.json.pin: expected no other placeholders"),
        ('by_pin: {method: POST, json: {pin: "{pin.x}"}}', "requests.by_pin.json.pin: expected no other placeholders"),
        ('by_pin: {method: POST, json: {pin: "{pin:>{date}}"}}', "requests.by_pin.json.pin: expected no other"),
        ('by_pin: {method: POST, json: {pin: "{"}}', "requests.by_pin.json.pin: expected no other placeholders"),
        ('by_pin: {method: POST, json: ["{pin}"]}', "requests.by_pin.json: expected a mapping"),
        (
            'by_pin: {method: POST, json: {pin: "{pin}"}, soap: {namespace: "u", element: A, field: B}}',
            "requests.by_pin: expected json or soap, not both",
        ),
    ],
)
def test_a_request_that_would_put_a_person_into_an_address_or_a_body_nobody_reads_is_refused(
    tmp_path: Path, request_line: str, fault: str
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert text.count(BY_PIN) == 1
    file = tmp_path / "service.yaml"
    file.write_text(text.replace(BY_PIN, request_line), encoding="utf-8")
    with pytest.raises(DefinitionInvalid) as caught:
        definitions.load(file)
    assert f"{fault}" in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"a: [1,"])
def test_a_file_that_is_no_yaml_is_named_and_nothing_loads(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "service.yaml"
    file.write_bytes(content)
    with pytest.raises(DefinitionUnreadable, match=r"service\.yaml"):
        definitions.load(file)


@pytest.mark.parametrize("service", ["nothing-like-it", "../services/grade1-admission", ""])
def test_an_unknown_public_service_is_said_to_be_missing(service: str) -> None:
    with pytest.raises(DefinitionMissing):
        definitions.of(service, "kg")


def test_absence_of_a_certificate_is_asked_about_and_absence_of_an_enrolment_decides() -> None:
    definition = definitions.of("grade1-admission", "kg")
    asks = {name for name in definition.evidence if definition.asks_when_absent(name)}
    assert asks == {"child.birth", "person.registered_address", "child.vaccination"}


@pytest.mark.parametrize(
    ("line", "change", "fault"),
    [
        ("    absence: decides\n", "", "evidence.child.enrolment.absence: expected ask or decides"),
        ("    absence: decides\n", "    absence: never\n", "evidence.child.enrolment.absence: expected ask or decides"),
        ("    absence: ask\n", "    absence: decides\n", "evidence.child.birth.absence: expected ask"),
        (
            "      all: {method: GET}\n    absence: ask\n",
            "      all: {method: GET}\n",
            "evidence.child.vaccination.absence",
        ),
        (
            "      all: {method: GET, path: institution_places}\n",
            "      all: {method: GET, path: institution_places}\n    absence: ask\n",
            "evidence.school.places.absence: is only for a record of the child",
        ),
    ],
)
def test_a_definition_must_say_what_absence_means_where_it_means_something(
    line: str, change: str, fault: str, tmp_path: Path
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert line in text
    file = tmp_path / "service.yaml"
    file.write_text(text.replace(line, change, 1), encoding="utf-8")
    with pytest.raises(DefinitionInvalid) as caught:
        definitions.load(file)
    assert fault in str(caught.value)
