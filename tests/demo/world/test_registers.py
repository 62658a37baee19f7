import re
from collections import Counter

from kerege.demo.world.regions import CIVIL, CIVIL_VARIANT, HEALTH, HEALTH_VARIANT
from kerege.demo.world.spelling import can_lose_letters


def rows(world, table):
    return [(r.row, world.persons[r.person]) for r in world.registers[table]]


def test_the_civil_registry_writes_capitals_and_days_with_points(world):
    for row, person in rows(world, "civil.births"):
        assert row["Fam"] == row["Fam"].upper()
        assert row["Imya"] == row["Imya"].upper()
        assert row["DataRozhd"] == f"{person.birth_date:%d.%m.%Y}"
        assert row["Pol"] == {"M": "М", "F": "Ж"}[person.sex]
        assert row["Oblast"] in {*CIVIL.values(), *CIVIL_VARIANT.values()}
        assert re.fullmatch(r"\d{2}\.\d{2}\.\d{4}", row["ActDate"])


def test_the_population_register_is_never_wrong_about_its_key_and_address(world):
    records = rows(world, "population.persons")
    assert len(records) == len(world.persons)
    for row, person in records:
        assert row["pin"] == person.pin
        assert row["dob"] == person.birth_date.isoformat()
        assert row["gender"] == person.sex
        registered = world.households[person.household].registered
        assert row["soate"] == registered.soate
        assert registered.house in row["text"]


def test_the_three_ways_of_an_address_are_all_met(world):
    texts = [row["text"] for row, _ in rows(world, "population.persons")]
    assert any("ул. " in t for t in texts)
    assert any("көчөсү" in t for t in texts)
    assert any("ул. " not in t and "көчөсү" not in t for t in texts)


def test_education_writes_latin_its_own_area_codes_and_sex_as_a_number(world):
    codes = {a.code for a in world.education_areas}
    for row, person in rows(world, "education.institution_students"):
        text = f"{row['first_name']}{row['middle_name']}{row['last_name']}{row['address']}"
        assert not any("Ѐ" <= letter <= "ӿ" for letter in text)
        assert row["gender_id"] == {"M": 1, "F": 2}[person.sex]
        assert row["area_administrative_code"] in codes
        assert row["date_of_birth"] == person.birth_date.isoformat()
    institutions = [r.row for r in world.registers["education.institutions"]]
    zones = {r.row["code"] for r in world.registers["education.areas"]}
    assert all(i["area_administrative_code"] in codes and i["area_code"] in zones for i in institutions)


def test_educations_area_tree_hangs_together_and_says_nothing_of_soate(world):
    tree = {r.row["code"]: r.row for r in world.registers["education.area_administratives"]}
    assert len(tree) == len(world.areas)
    for code, row in tree.items():
        assert re.fullmatch(r"KGA-\d{2}(\d{2}(-\d{2}){0,2})?", code)
        assert row["parent_code"] is None or tree[row["parent_code"]]["level"] == row["level"] - 1
        assert set(row) == {"code", "name", "parent_code", "level"}


def test_some_area_names_are_shared_so_that_only_the_parent_tells_them_apart(real):
    names = Counter(a.name_ru for a in real.areas if a.level == 4)
    lived_in = {t.registered_soate for t in real.truth}
    units = {a.soate: a.name_ru for a in real.areas}
    assert any(names[units[soate]] > 1 for soate in lived_in)


def test_health_keeps_its_own_region_names_and_four_states(world):
    found = rows(world, "health.certificates")
    assert {row["STATUS"] for row, _ in found} == set("ДПОН")
    assert {row["POL"] for row, _ in found} == {"муж", "жен"}
    assert all(row["OBLAST"] in {*HEALTH.values(), *HEALTH_VARIANT.values()} for row, _ in found)
    numbers = [row["N_SPR"] for row, _ in found]
    assert len(set(numbers)) == len(numbers)


def test_the_certificates_say_what_is_true_of_the_applicants(world):
    certificates = (*world.registers["health.certificates"], *world.lost["health.certificates"])
    valid = {r.person for r in certificates if r.row["STATUS"] in "ДО"}
    enrolled = {
        r.person
        for r in world.registers["education.institution_students"]
        if r.row["student_status"] == "CURRENT" and r.row["education_grade"] != "0"
    }
    for t in world.truth:
        assert t.vaccinated == (t.child in valid)
        assert t.enrolled_elsewhere == (t.child in enrolled)


def test_a_mistyped_pin_differs_from_the_true_one_in_one_digit_or_one_swap(world):
    seen = 0
    for table, field in (("civil.births", "Pin"), ("education.institution_students", "identity_number"), ("health.certificates", "PIN")):  # fmt: skip
        for record in world.registers[table]:
            true, written = world.persons[record.person].pin, record.row[field]
            if "pin_missing" in record.planted:
                assert not written
            elif "pin_mistyped" in record.planted:
                seen += 1
                wrong = [i for i in range(14) if true[i] != written[i]]
                assert len(written) == 14
                assert len(wrong) == 1 or (
                    len(wrong) == 2 and wrong[1] == wrong[0] + 1 and written[wrong[0]] == true[wrong[1]] and written[wrong[1]] == true[wrong[0]]
                )  # fmt: skip
            else:
                assert written == true
    assert seen


def test_marks_agree_with_what_can_be_seen_in_the_rows(real):
    for form in real.applications:
        name = form.raw["child_name"]
        assert ("stray_blanks" in form.planted) == (name != " ".join(name.split()))
        assert ("latin" in form.planted) == (not any("Ѐ" <= letter <= "ӿ" for letter in name))
        if "spelling_loss" in form.planted:
            assert not can_lose_letters(name)
        assert ("pin_missing" in form.planted) == (form.raw["child_pin"] == "")
    missing = [r for r in real.registers["education.institution_students"] if "patronymic_missing" in r.planted]
    assert missing
    assert all(r.row["middle_name"] == "" for r in missing)


def test_every_child_born_here_has_its_birth_record_or_lost_it_and_one_born_abroad_never_had_any(world):
    births = [r.person for r in world.registers["civil.births"]]
    lost = [r.person for r in world.lost["civil.births"]]
    born_here = {p.id for p in world.persons if p.role == "child" and not p.born_abroad}
    assert len(set(births)) == len(births)
    assert set(births) | set(lost) == born_here
    assert not set(births) & set(lost)
    assert lost
    abroad = {p.pin for p in world.persons if p.born_abroad}
    assert abroad <= {row["pin"] for row, _ in rows(world, "population.persons")}


def test_a_child_loses_all_certificates_or_none(world):
    kept = {r.person for r in world.registers["health.certificates"]}
    lost = {r.person for r in world.lost["health.certificates"]}
    assert lost
    assert not kept & lost
    numbers = [r.row["N_SPR"] for r in (*world.registers["health.certificates"], *world.lost["health.certificates"])]
    assert len(set(numbers)) == len(numbers)
