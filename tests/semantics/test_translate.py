"""The pack and whole payloads: every mapping of the country on what its agency sends."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from kerege.semantics import Crosswalk, Policy, load_pack, translate
from kerege.semantics.crosswalks.sssom import Row, write_sssom
from kerege.semantics.errors import CodeListUnknown, CrosswalkUnknown, MappingUnknown, PackInvalid, PayloadIncomplete

from .support import COUNTRY, country_pack

KEYS = {"surname_key": "asanov", "given_name_key": "azamat", "patronymic_key": "bakit"}


def births(**changes: str) -> bytes:
    cells = {"ActNo": "12", "ActDate": "01.02.2019", "Fam": "АСАНОВ", "Imya": "АЗАМАТ", "Otch": "БАКЫТОВИЧ"}
    cells |= {
        "DataRozhd": "01.01.2019",
        "Pol": "М",
        "Pin": "20101201900011",
        "MatPin": "",
        "MatFio": "АСАНОВА АЙГУЛЬ ЭРКИНОВНА",
    }
    cells |= {"OtPin": "20202198500012", "OtFio": "АСАНОВ БАКЫТ ТОКТОБАЕВИЧ", "Oblast": "ЧУЙСКАЯ ОБЛ."} | changes
    inside = "".join(f"<{tag}>{text}</{tag}>" for tag, text in cells.items())
    return (
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        f'<ListBirthsResponse xmlns="urn:kg:zags:v2"><Birth>{inside}</Birth></ListBirthsResponse></soap:Body></soap:Envelope>'
    ).encode()


def test_a_birth_record_of_the_civil_registry() -> None:
    payload = births()
    found = translate(country_pack(), "kg:civil.birth-record", payload, "text/xml; charset=utf-8")
    assert found.problems == []
    assert found.records == [
        {
            "act_number": "12", "act_date": "2019-02-01", "birth_date": "2019-01-01", "sex": "1", "pin": "20101201900011",
            "surname": "Асанов", "given_name": "Азамат", "patronymic": "Бакытович", **KEYS,
            "mother_pin": None, "mother_name": "Асанова Айгуль Эркиновна", "mother_key": "asanova aigul erkin",
            "father_pin": "20202198500012", "father_name": "Асанов Бакыт Токтобаевич", "father_key": "asanov bakit toktob",
            "region_soate": "41708000000000",
        }
    ]  # fmt: skip
    assert found.original_sha256 == hashlib.sha256(payload).hexdigest()
    assert found.mapping_version == country_pack().version("kg:civil.birth-record")


def test_a_person_of_the_population_register() -> None:
    person = {
        "pin": "20101201900011", "lastName": "Асанов", "firstName": "Азамат", "middleName": "Бакыт уулу", "dob": "2019-01-01",
        "gender": "M", "address": {"soate": "41700000000021", "text": "Ош ш., Ленин көч. 5-7"}, "registeredSince": "2019-02-03",
    }  # fmt: skip
    for payload in (orjson.dumps(person), orjson.dumps({"items": [person]})):
        (record,) = translate(country_pack(), "kg:population.person", payload, "application/json").records
        assert {k: record[k] for k in KEYS} == KEYS
        assert record["soate"] == "41721000000000", "the second code of Osh is the city"
        assert (record["street_key"], record["house"], record["flat"], record["sex"]) == ("lenin", "5", "7", "1")


PUPIL = {
    "student_id": "S1", "first_name": "Azamat", "middle_name": "Bakytovich", "last_name": "ASANOV", "gender_id": 1,
    "date_of_birth": "2019-01-01", "identity_number": None, "institution_code": "kgs-0001", "education_grade": "01",
    "student_status": "CURRENT", "area_administrative_code": "KGA-0412-03", "address": "Toktogul st. 125 apt 14, Bishkek",
}  # fmt: skip


def pupils(*changes: dict[str, object]) -> bytes:
    return orjson.dumps({"data": [PUPIL | change for change in changes], "total": len(changes)})


def test_a_pupil_of_the_education_register() -> None:
    found = translate(country_pack(), "kg:education.pupil", pupils({}), "application/json")
    (record,) = found.records
    assert {k: record[k] for k in KEYS} == KEYS
    assert (record["sex"], record["grade"], record["status"], record["school_code"]) == (
        "1",
        "1",
        "enrolled",
        "KGS-0001",
    )
    assert (record["street_key"], record["house"], record["flat"], record["pin"]) == ("toktogul", "125", "14", None)
    unmapped = {"record": 0, "field": "area_soate", "code": "semantics.unmapped_code", "source_code": "KGA-0412-03"}
    assert found.problems == [unmapped]


def test_a_record_with_an_unknown_status_is_withheld_and_said_to_be() -> None:
    found = translate(
        country_pack(), "kg:education.pupil", pupils({}, {"student_status": "ASLEEP"}, {"student_id": "S3"})
    )
    assert [r["pupil_id"] for r in found.records] == ["S1", "S3"]
    assert found.places == [0, 2]
    assert found.withheld == [{"record": 1, "verdict": "quarantined"}]
    assert not found.complete
    assert {
        "record": 1,
        "field": "status",
        "code": "semantics.unmapped_code",
        "source_code": "ASLEEP",
        "severity": "quarantine",
    } in (found.problems)


def test_schools_places_catchments_and_areas_of_the_education_register() -> None:
    pack = country_pack()
    area = {"code": "KGA-01", "name": " Bishkek  city ", "parent_code": None, "level": 1}
    school = {"code": "kgs-1", "name": "No 5", "area_administrative_code": "KGA-01", "language": "KY"}
    places = {"institution_code": "KGS-1", "grade": "1", "capacity": 60, "taken": 0}
    catchment = {
        "institution_code": "KGS-1",
        "area_administrative_code": "KGA-01",
        "street": "Toktogula",
        "house_from": 1,
    }
    catchment |= {"house_to": 99, "parity": "odd"}

    def one(mapping_id: str, record: dict[str, object]) -> dict[str, str | None]:
        return translate(pack, mapping_id, orjson.dumps({"data": [record]})).records[0]

    assert one("kg:education.area", area) == {
        "code": "KGA-01",
        "name": "Bishkek city",
        "parent_code": None,
        "level": "1",
    }
    assert one("kg:education.school", school) == {
        "school_code": "KGS-1",
        "name": "No 5",
        "area_soate": None,
        "language": "ky",
    }
    assert one("kg:education.places", places) == {"school_code": "KGS-1", "grade": "1", "capacity": "60", "taken": "0"}
    found = one("kg:education.catchment", catchment)
    assert (found["street_key"], found["house_from"], found["house_to"], found["parity"]) == (
        "toktogul",
        "1",
        "99",
        "odd",
    )
    assert one("kg:education.catchment", catchment | {"street": None})["street_key"] is None


HEALTH = "\ufeffN_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\n"


def test_certificates_of_the_nightly_health_file() -> None:
    rows = (
        "1;Азамат Бакыт уулу Асанов;2019-01-01;муж;Чуй облусу;20101201900011;2024-05-06;Д\n"
        "2;ASANOV AZAMAT BAKYTOVICH;2019-01-01;МУЖ;Бишкек ш.;;2024-05-06;О\n"
        "3;Эсен Айдай;2019-02-30;жен;Чүй;1;2024-05-06;?\n"
    )
    found = translate(country_pack(), "kg:health.vaccination", (HEALTH + rows + "#ROWS;3\n").encode(), "text/csv")
    assert [{k: r[k] for k in KEYS} for r in found.records[:2]] == [KEYS, KEYS]
    assert [(r["status"], r["region_soate"]) for r in found.records[:2]] == [
        ("valid", "41708000000000"),
        ("exempt", "41711000000000"),
    ]
    assert [(p["field"], p["code"].removeprefix("semantics.")) for p in found.problems] == [
        ("given_name", "name_unsure"),
        ("birth_date", "date_unreadable"),
        ("birth_date", "required_missing"),
        ("pin", "pin_malformed"),
        ("status", "unmapped_code"),
        ("status", "required_missing"),
    ]


def test_half_a_nightly_file_gives_nothing() -> None:
    with pytest.raises(PayloadIncomplete):
        translate(
            country_pack(), "kg:health.vaccination", (HEALTH + "1;A B;2019-01-01;муж;Чуй;;2024-05-06;Д\n").encode()
        )


@pytest.mark.parametrize(
    ("sex", "date", "address"),
    [
        ("М", "01.01.2019", "г. Бишкек, ул. Токтогула, д. 125, кв. 14"),
        ("Э", "1.1.2019", "Бишкек ш., Токтогул көч. 125-14"),
        ("1", "2019-01-01", "Toktogul st. 125 apt 14, Bishkek"),
    ],
)
def test_an_application_in_any_of_three_ways_of_writing(sex: str, date: str, address: str) -> None:
    form = {
        "child_name": "Азамат Асанов Бакыт уулу",
        "child_birth_date": date,
        "child_sex": sex,
        "child_pin": "",
        "stage": "1",
    }
    form |= {"address_text": address, "parent_pin": "20202198500012", "school_code": "KGS-0001", "submitted_at": ""}
    found = translate(country_pack(), "kg:application", orjson.dumps(form))
    (record,) = found.records
    assert found.problems == []
    assert {k: record[k] for k in KEYS} == KEYS
    assert (record["birth_date"], record["sex"], record["soate"]) == ("2019-01-01", "1", "41711000000000")
    assert (record["street_key"], record["house"], record["flat"]) == ("toktogul", "125", "14")


@pytest.mark.parametrize(
    ("changes", "kept", "problem"),
    [
        ({"DataRozhd": "02.01.2019"}, True, "semantics.pin_contradicts"),
        ({"Pol": "Ж"}, True, "semantics.pin_contradicts"),
        ({"Pin": "2010120190001"}, False, "semantics.pin_malformed"),
        ({"Pin": ""}, False, None),
    ],
)
def test_a_pin_at_odds_with_its_record_is_kept_and_flagged(
    changes: dict[str, str], kept: bool, problem: str | None
) -> None:
    found = translate(country_pack(), "kg:civil.birth-record", births(**changes))
    assert (found.records[0]["pin"] is not None) is kept
    assert [p["code"] for p in found.problems] == ([problem] if problem else [])


def test_an_unknown_wording_of_a_region_is_null_flagged_and_counted() -> None:
    pack = load_pack(COUNTRY)
    for _ in range(2):
        found = translate(pack, "kg:civil.birth-record", births(Oblast="ОШ"))
    assert found.records[0]["region_soate"] is None
    assert pack.unmapped() == {"kg:civil-region--soate": {"ОШ": 2}}


def test_problems_never_carry_a_personal_value() -> None:
    found = translate(country_pack(), "kg:civil.birth-record", births(Pin="12345", DataRozhd="когда-то", OtPin="99"))
    assert {key for problem in found.problems for key in problem} <= {"record", "field", "code", "severity"}


def test_an_overlay_wins_and_changes_the_version(tmp_path: Path) -> None:
    walk = Crosswalk(
        "kg:education-area--soate", (Row("KGA-0412-03", "41708203000000"),), policy=Policy("null-and-flag")
    )
    (tmp_path / "area.sssom.tsv").write_bytes(write_sssom(walk))
    pack = load_pack(COUNTRY, overlay=tmp_path)
    found = translate(pack, "kg:education.pupil", pupils({}))
    assert found.records[0]["area_soate"] == "41708203000000"
    assert found.problems == []
    assert pack.version("kg:education.pupil") != country_pack().version("kg:education.pupil")
    assert pack.version("kg:civil.birth-record") == country_pack().version("kg:civil.birth-record")


def test_unknown_ids_name_the_known_ones() -> None:
    pack = country_pack()
    for ask, error in (
        (pack.mapping, MappingUnknown),
        (pack.codelist, CodeListUnknown),
        (pack.crosswalk, CrosswalkUnknown),
    ):
        with pytest.raises(error, match="known: kg:"):
            ask("kg:nothing")


def test_a_pack_that_does_not_hang_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackInvalid, match=r"soate-top\.csv"):
        load_pack(tmp_path)
    for name in ("soate-top.csv", "mappings", "codelists"):
        (tmp_path / name).symlink_to(COUNTRY / name)
    with pytest.raises(PackInvalid, match="unknown crosswalk"):
        load_pack(tmp_path)
    (tmp_path / "crosswalks").mkdir()
    for path in (COUNTRY / "crosswalks").glob("*.tsv"):
        (tmp_path / "crosswalks" / path.name).write_bytes(path.read_bytes())
    assert load_pack(tmp_path).mappings
    astray = Crosswalk("kg:other", (Row("a", "7"),), object_source="kg:sex")
    (tmp_path / "crosswalks" / "other.sssom.tsv").write_bytes(write_sssom(astray))
    with pytest.raises(PackInvalid, match="codes that kg:sex does not have: 7"):
        load_pack(tmp_path)


def test_every_concept_of_the_pack_names_lists_and_mappings_that_exist() -> None:
    pack = country_pack()
    concepts = pack.concepts["concepts"]
    assert len(concepts) >= 25
    for concept in concepts:
        assert set(concept["label"]) == {"ky", "ru", "en"}, concept["id"]
        if "codelist" in concept:
            assert concept["codelist"] in pack.codelists
        for place in concept["fields"]:
            mapping_id, _, name = place.partition("#")
            assert name in {field.name for field in pack.mapping(mapping_id).fields}, place


def test_the_engine_imports_alone() -> None:
    program = (
        "import sys; import kerege.semantics; "
        "bad = [m for m in sys.modules if m.split('.')[0] in ('django', 'sqlalchemy', 'psycopg')]; sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
