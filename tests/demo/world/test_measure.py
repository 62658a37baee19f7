import json
import math

import pytest

from kerege.demo.world import generate, load_dirt, measure_dirt
from kerege.demo.world.errors import TruthInReach
from kerege.demo.world.truth import write_truth


def test_what_is_planted_comes_close_to_what_is_declared():
    world = generate(21, load_dirt(), soate_csv=None, persons=6000, applications=400)
    checked = 0
    for kind, agencies in measure_dirt(world)["dirt"].items():
        for agency, rate in agencies.items():
            if rate["of"] < 100:
                continue
            checked += 1
            spread = math.sqrt(max(rate["declared"] * (1 - rate["declared"]), 0.001) / rate["of"])
            assert abs(rate["measured"] - rate["declared"]) < 4.5 * spread + 0.001, (kind, agency, rate)
    assert checked > 35


def test_the_measure_of_missing_pins_can_be_counted_by_hand(small):
    measured = measure_dirt(small)["dirt"]["pin_missing"]["education"]
    students = small.registers["education.institution_students"]
    assert measured["of"] == len(students)
    assert measured["planted"] == sum(r.row["identity_number"] is None for r in students)


def test_the_measure_of_lost_records_can_be_counted_by_hand(real):
    measured = measure_dirt(real)["dirt"]["record_missing"]
    births, lost = real.registers["civil.births"], real.lost["civil.births"]
    assert (measured["civil"]["planted"], measured["civil"]["of"]) == (len(lost), len(births) + len(lost))
    vaccinated = {r.person for r in real.registers["health.certificates"]}
    without = {r.person for r in real.lost["health.certificates"]}
    assert (measured["health"]["planted"], measured["health"]["of"]) == (len(without), len(vaccinated) + len(without))


def test_cases_are_counted_from_the_truth(small):
    cases = measure_dirt(small)["cases"]
    assert cases["not_guardian"]["true"] == sum(not t.guardian for t in small.truth)
    assert cases["stage_two"]["of"] == len(small.truth)
    assert cases["born_abroad"]["true"] == sum(small.persons[t.child].born_abroad for t in small.truth)
    assert json.dumps(measure_dirt(small))


def test_changing_one_rate_plants_nothing_else_in_the_other_registers(tmp_path):
    path = tmp_path / "dirt.yaml"
    path.write_text("version: 1\ndirt: {pin_missing: {education: 0.9}}\n", encoding="utf-8")
    one = generate(4, load_dirt(), soate_csv=None, persons=1500, applications=60)
    other = generate(4, load_dirt(path), soate_csv=None, persons=1500, applications=60)
    for table in ("civil.births", "population.persons", "health.certificates"):
        assert one.registers[table] == other.registers[table]
    assert one.truth == other.truth
    assert one.applications == other.applications


def test_the_truth_is_never_written_where_an_agency_can_read(small, tmp_path):
    agencies = tmp_path / "agencies"
    for folder in (agencies, agencies / "civil" / "truth", tmp_path):
        with pytest.raises(TruthInReach):
            write_truth(small, folder, agencies=agencies)
    write_truth(small, tmp_path / "truth", agencies=agencies)
    lines = (tmp_path / "truth" / "applications.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(small.truth)
    first = json.loads(lines[0])
    assert first["school_code"] == small.truth[0].school_code
    assert first["submitted_at"].endswith("Z")
    assert (tmp_path / "truth" / "links.csv").read_text(encoding="utf-8").count("\n") > len(small.persons)
    lost = (tmp_path / "truth" / "lost.csv").read_text(encoding="utf-8").splitlines()
    assert len(lost) == 1 + sum(map(len, small.lost.values()))
    assert not list((tmp_path / "truth").glob("*.part"))
