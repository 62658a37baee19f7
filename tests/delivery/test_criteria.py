"""Gates as data: read strictly, versioned, never eased in silence."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

import kerege
from kerege.delivery.criteria import Condition, Gate, Layer, load_gate, loosened, parse_gate
from kerege.delivery.errors import GateFileInvalid
from kerege.ground.text import LANGUAGES

FILE = Path(kerege.__file__).parent / "country" / "kg" / "gates" / "grade1-admission.yaml"
RAW = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def changed(edit: str, value: Any) -> Gate:
    """The gate with one thing changed, such as `criteria.3.minimum_sample`."""
    raw = copy.deepcopy(RAW)
    *path, last = edit.split(".")
    target: Any = raw
    for step in path:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return parse_gate(raw, "test")


def test_the_pilot_gate_has_ten_criteria_of_which_five_are_measured() -> None:
    gate = load_gate(FILE)
    assert len(gate.criteria) == 10
    assert {c.collector for c in gate.criteria if c.measured} == {
        "owners",
        "contract-tests",
        "message-log",
        "code-lists",
        "access-denials",
    }
    assert gate.layers == (Layer.TECH, Layer.POL, Layer.LEGAL, Layer.DPO)


def test_privacy_security_and_legal_criteria_cannot_be_waived() -> None:
    gate = load_gate(FILE)
    assert {c.id for c in gate.criteria if not c.waivable} == {"G1-01", "G1-03", "G2-04", "G2-05", "G2-07", "G2-09"}


def test_every_criterion_speaks_three_languages() -> None:
    for criterion in load_gate(FILE).criteria:
        assert len({criterion.title.in_(language) for language in LANGUAGES}) == 3


def test_a_gate_survives_being_stored() -> None:
    gate = load_gate(FILE)
    again = parse_gate(gate.as_dict(), "stored")
    assert again == gate
    assert again.digest() == gate.digest()


@pytest.mark.parametrize(
    ("edit", "value", "where"),
    [
        ("opens", "open", "gate.opens"),
        ("opens", "closed", "opens"),
        ("title", {"ky": "а", "ru": "б"}, "gate.title"),
        ("permit_days", 0, "gate.permit_days"),
        ("permit_days", True, "gate.permit_days"),
        ("colour", "red", "gate.colour"),
        ("criteria", {}, "gate.criteria"),
        ("criteria.0", "G1-01", "criteria\\[0\\]"),
        ("criteria.0.layer", "BOSS", "criteria\\[0\\].layer"),
        ("criteria.0.collector", "horoscope", "criteria\\[0\\].collector"),
        ("criteria.0.conditions", [], "criteria\\[0\\].conditions"),
        ("criteria.0.conditions.0", {"fact": "named"}, "criteria\\[0\\].conditions"),
        ("criteria.0.conditions.0", {"fact": "named", "almost": 4}, "criteria\\[0\\].conditions"),
        ("criteria.0.conditions.0", {"fact": "named", "at_least": True}, "criteria\\[0\\].conditions"),
        ("criteria.0.conditions.0", {"fact": "named", "at_least": 0.5}, "criteria\\[0\\].conditions"),
        ("criteria.0.minimum_sample", 0, "criteria\\[0\\].minimum_sample"),
        ("criteria.0.waivable", "no", "criteria\\[0\\].waivable"),
        ("criteria.1.id", "G1-01", "criteria"),
    ],
)
def test_a_faulty_file_is_refused_with_the_place(edit: str, value: Any, where: str) -> None:
    with pytest.raises(GateFileInvalid, match=f"test, {where}"):
        changed(edit, value)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_bytes(b"gate: [")
    with pytest.raises(GateFileInvalid, match="whole file"):
        load_gate(tmp_path / "g.yaml")
    with pytest.raises(GateFileInvalid, match="whole file"):
        load_gate(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("edit", "value", "clause"),
    [
        ("criteria.3.minimum_sample", 7, "G2-01 smaller sample"),
        ("criteria.3.fresh_for_hours", 169, "G2-01 older evidence"),
        ("criteria.4.waivable", True, "G2-04 waivable"),
        ("criteria.3.collector", None, "G2-01 measured otherwise"),
        ("criteria.3.layer", "ADM", "G2-01 signed by another layer"),
        ("criteria.3.conditions.0", {"fact": "failed", "at_most": 1}, "G2-01 no longer asks failed at most 0"),
        ("criteria.1.conditions.0", {"fact": "elements", "at_least": 0}, "G1-03 no longer asks elements at least 1"),
        (
            "criteria.1.conditions.2",
            {"fact": "act_in_force", "equals": False},
            "G1-03 no longer asks act_in_force equals True",
        ),
        ("permit_days", 91, "longer permit"),
    ],
)
def test_an_easing_is_named(edit: str, value: Any, clause: str) -> None:
    assert loosened(load_gate(FILE), changed(edit, value)) == (clause,)


def test_leaving_a_criterion_out_is_an_easing() -> None:
    assert loosened(load_gate(FILE), changed("criteria", RAW["criteria"][1:])) == ("G1-01 left out",)


@pytest.mark.parametrize(
    ("edit", "value"),
    [
        ("criteria.3.minimum_sample", 80),
        ("criteria.3.fresh_for_hours", 24),
        ("criteria.3.waivable", False),
        ("criteria.1.conditions.0", {"fact": "elements", "at_least": 5}),
        ("permit_days", 30),
    ],
)
def test_a_tightening_is_not_an_easing(edit: str, value: Any) -> None:
    assert loosened(load_gate(FILE), changed(edit, value)) == ()


def test_a_boolean_is_never_compared_with_a_number() -> None:
    assert Condition("failed", "at_most", 0).holds(False) is None
    assert Condition("closed", "equals", True).holds(1) is None
    assert Condition("failed", "at_most", 0).holds("0") is None
