import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date

import pytest

from kerege.demo.world import Dirt, eligible, generate, load_dirt
from kerege.demo.world.errors import TooFewPeople
from kerege.demo.world.settling import in_catchment


def test_one_seed_makes_one_world_and_another_seed_another(small):
    again = generate(7, load_dirt(), soate_csv=None, persons=1500, applications=120)
    other = generate(8, load_dirt(), soate_csv=None, persons=1500, applications=120)
    assert again.registers == small.registers
    assert (again.applications, again.truth) == (small.applications, small.truth)
    assert other.applications != small.applications


def test_the_world_does_not_depend_on_the_process_that_makes_it(small):
    script = (
        "import json; from kerege.demo.world import generate, load_dirt\n"
        "w = generate(7, load_dirt(), soate_csv=None, persons=1500, applications=120)\n"
        "print(json.dumps([dict(a.raw) for a in w.applications]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": "4711"}
    )
    assert json.loads(done.stdout) == [dict(a.raw) for a in small.applications]


def test_every_pin_is_unique_and_carries_its_holders_birth_date_and_sex(world):
    pins = [p.pin for p in world.persons]
    assert len(set(pins)) == len(pins)
    for p in world.persons:
        assert len(p.pin) == 14
        assert p.pin[0] == {"M": "2", "F": "1"}[p.sex]
        assert p.pin[1:9] == f"{p.birth_date:%d%m%Y}"


def test_there_are_as_many_people_and_applications_as_asked_for(world):
    assert len(world.applications) == len(world.truth) == (120 if len(world.persons) < 3000 else 300)
    wanted = 1500 if len(world.persons) < 3000 else 4000
    assert wanted <= len(world.persons) < wanted + 12  # the last family may be large
    assert len({t.child for t in world.truth}) == len(world.truth)


def test_three_thousand_applications_fit_into_a_larger_world():
    world = generate(3, load_dirt(), soate_csv=None, persons=22_000, applications=3000)
    assert len(world.applications) == 3000


def test_more_applications_than_families_can_send_are_refused_with_the_number_needed():
    with pytest.raises(TooFewPeople, match="500 applications need about") as caught:
        generate(1, load_dirt(), soate_csv=None, persons=1500, applications=500)
    needed = caught.value.params["needed"]
    assert len(generate(1, load_dirt(), soate_csv=None, persons=needed, applications=500).truth) == 500


def test_families_have_parents_old_enough_and_children_of_one_name(world):
    for p in world.persons:
        if p.role != "child":
            continue
        assert p.mother is not None or p.father is not None
        for number in (p.mother, p.father):
            if number is not None:
                assert 17 <= (p.birth_date - world.persons[number].birth_date).days / 365.25 <= 60
        if p.father is not None:
            assert p.name.father == world.persons[p.father].name.given
    sizes = Counter(p.mother for p in world.persons if p.mother is not None)
    assert max(sizes.values()) <= 7  # six, or seven with a twin
    assert {1, 2, 3} <= set(sizes.values())


def test_twins_share_birthday_and_parents_but_not_the_given_name(world):
    by_birth = {}
    for t in world.truth:
        child = world.persons[t.child]
        by_birth.setdefault((child.mother, child.father, child.birth_date), []).append(child)
    twins = [both for both in by_birth.values() if len(both) == 2]
    assert twins
    for one, other in twins:
        assert one.name.given != other.name.given
        assert one.name.surname_root == other.name.surname_root


def test_an_application_names_a_school_that_exists_and_a_parent_who_signed_in(world):
    schools = {r.row["code"] for r in world.registers["education.institutions"]}
    for form, truth in zip(world.applications, world.truth, strict=True):
        assert form.id == truth.application_id
        assert form.raw["school_code"] == truth.school_code
        assert truth.school_code in schools
        assert form.raw["parent_pin"] == world.persons[truth.parent].pin
        assert set(form.raw) == {
            "child_name", "child_birth_date", "child_sex", "child_pin", "address_text", "parent_pin", "school_code",
            "stage", "submitted_at",
        }  # fmt: skip


def test_forms_come_in_one_order_no_two_at_one_moment(world):
    moments = [t.submitted_at for t in world.truth]
    assert moments == sorted(set(moments))
    assert max(t.submitted_at for t in world.truth if t.stage == 1) < min(
        t.submitted_at for t in world.truth if t.stage == 2
    )


def test_the_truth_of_a_catchment_is_the_clean_rule_on_the_registered_address(world):
    for t in world.truth:
        child = world.persons[t.child]
        address = world.households[child.household].registered
        assert (t.registered_soate, t.registered_street, t.registered_house) == (
            address.soate,
            address.street,
            address.house,
        )
        assert t.in_catchment == in_catchment(world.catchments, t.school_code, address)
        assert t.guardian == (t.parent in (child.mother, child.father))
        assert t.birth_date == child.birth_date


def test_every_registered_address_lies_in_exactly_one_schools_catchment(world):
    for home in world.households[:200]:
        schools = {line.school for line in world.catchments if in_catchment((line,), line.school, home.registered)}
        assert len(schools) == 1


def test_cities_have_several_schools_and_villages_one_for_the_whole_unit(real):
    by_unit = {}
    for line in real.catchments:
        by_unit.setdefault(line.soate, []).append(line)
    cities = [lines for lines in by_unit.values() if lines[0].street is not None]
    villages = [lines for lines in by_unit.values() if lines[0].street is None]
    assert len(villages) >= 12
    assert all(len(lines) == 1 for lines in villages)
    assert all(len({line.school for line in lines}) >= 2 for lines in cities)
    assert {line.parity for lines in cities for line in lines} == {"all", "odd", "even"}
    assert any(line.house_to is not None for lines in cities for line in lines)


def test_places_run_short_for_about_the_declared_share(real):
    left = {s.code: s.free for s in real.schools}
    without = 0
    for t in real.truth:
        if eligible(t, real.reference_date.year):
            left[t.school_code] -= 1
            without += left[t.school_code] < 0
    assert abs(without - 0.10 * len(real.truth)) <= 2
    assert all(0 <= s.taken <= s.capacity and s.capacity % 30 == 0 for s in real.schools)


def test_every_kind_of_case_is_among_the_applicants(real):
    year = real.reference_date.year
    six = date(year - 6, 9, 1)
    assert any(t.birth_date > six for t in real.truth)
    assert any(t.birth_date <= date(year - 8, 9, 1) for t in real.truth)
    for fact in ("in_catchment", "vaccinated", "enrolled_elsewhere", "guardian"):
        assert {getattr(t, fact) for t in real.truth} == {True, False}
    assert {t.stage for t in real.truth} == {1, 2}


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_world_can_be_all_clean_or_all_dirty(rate):
    world = generate(5, Dirt.uniform(rate, cases=rate), soate_csv=None, persons=1500, applications=80)
    assert len(world.applications) == 80
    records = [r for rows in world.registers.values() for r in rows]
    assert all((set(r.planted) == set(r.open)) if rate else not r.planted for r in records)


def overlaid(**cases):
    shipped = load_dirt()
    return Dirt(rates=shipped.rates, cases={**shipped.cases, **cases}, source="test")


@pytest.mark.parametrize(
    "cases",
    [
        {"namesake": 0.9},
        {"namesake": 0.9, "namesake_same_birth_date": 0.9},
        {"namesake": 1.0, "namesake_same_birth_date": 1.0, "twins": 1.0},
        {"namesake": 0.0, "twins": 1.0},
    ],
)
@pytest.mark.parametrize("applications", [1, 80, 101])
def test_there_are_as_many_applications_as_asked_for_however_many_namesakes_and_twins(cases, applications):
    for seed in (1, 2, 3):
        world = generate(seed, overlaid(**cases), soate_csv=None, persons=1500, applications=applications)
        assert len(world.applications) == len({t.child for t in world.truth}) == applications


def test_namesakes_of_one_day_are_pupils_as_long_as_enough_others_apply():
    world = generate(
        1, overlaid(namesake=0.4, namesake_same_birth_date=1.0), soate_csv=None, persons=2500, applications=120
    )
    twice = Counter((p.name.surname_root, p.name.given, p.name.father, p.birth_date) for p in world.persons)
    alike = {p.id for p in world.persons if twice[p.name.surname_root, p.name.given, p.name.father, p.birth_date] > 1}
    pupils = {r.person for r in world.registers["education.institution_students"] if r.row["education_grade"] == "1"}
    assert len(alike & pupils - {t.child for t in world.truth}) > 5


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_lost_records_and_births_abroad_change_no_truth(rate):
    shipped = load_dirt()
    rates = {key: rate if key[0] == "record_missing" else share for key, share in shipped.rates.items()}
    dirt = Dirt(rates=rates, cases={**shipped.cases, "born_abroad": rate}, source="test")
    world = generate(4, dirt, soate_csv=None, persons=1500, applications=60)
    plain = generate(4, load_dirt(), soate_csv=None, persons=1500, applications=60)
    assert (world.truth, world.applications) == (plain.truth, plain.applications)
    assert world.registers["population.persons"] == plain.registers["population.persons"]
    assert all(p.born_abroad is bool(rate and p.role == "child") for p in world.persons)
    assert not world.registers["civil.births"] if rate else not world.lost["civil.births"]
    assert not world.registers["health.certificates"] if rate else not world.lost["health.certificates"]


def test_a_child_born_abroad_may_have_a_namesake_born_the_same_day():
    dirt = overlaid(namesake=0.9, namesake_same_birth_date=1.0, born_abroad=0.3)
    world = generate(6, dirt, soate_csv=None, persons=1500, applications=80)
    of = {}
    for p in world.persons:
        of.setdefault((p.name.surname_root, p.name.given, p.name.father, p.birth_date), set()).add(p.born_abroad)
    applicants = [world.persons[t.child] for t in world.truth if not world.persons[t.child].born_abroad]
    assert any(of[p.name.surname_root, p.name.given, p.name.father, p.birth_date] == {True, False} for p in applicants)


def test_another_reference_date_moves_the_whole_school_year():
    world = generate(2, load_dirt(), soate_csv=None, persons=1500, applications=50, reference_date=date(2031, 4, 1))
    assert {t.submitted_at.year for t in world.truth} == {2031}
    assert all(2022 <= t.birth_date.year <= 2026 for t in world.truth)
    assert all(p.birth_date < date(2031, 4, 1) for p in world.persons)
