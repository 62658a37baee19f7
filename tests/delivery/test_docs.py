"""What the reference says and what the code holds are the same."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import kerege
from kerege.delivery.criteria import load_gate
from kerege.ground.errors import KeregeError
from kerege.insight.events import EventType
from kerege.insight.measures import DEFINITIONS
from kerege.membership.states import PermitState

REFERENCE = Path(kerege.__file__).parents[2] / "docs" / "reference"
GATE = load_gate(Path(kerege.__file__).parent / "country" / "kg" / "gates" / "grade1-admission.yaml")


def _rows(page: str) -> dict[str, str]:
    """Table rows by their first cell."""
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("|")}


def test_every_criterion_stands_in_the_reference_with_its_facts_layer_and_sample() -> None:
    rows = _rows("gates.md")
    for criterion in GATE.criteria:
        row = rows[criterion.id]
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        assert cells[1] == criterion.layer.value
        assert (f"`{criterion.collector}`" in cells[2]) is criterion.measured
        assert all(f"`{condition.fact}`" in cells[3] for condition in criterion.conditions)
        assert cells[4] == str(criterion.minimum_sample)
        assert cells[5] == f"{criterion.fresh_for.days} days"
        assert cells[6] == ("yes" if criterion.waivable else "no")


def test_every_measure_stands_in_the_reference_with_its_version() -> None:
    rows = _rows("measures.md")
    for definition in DEFINITIONS.values():
        assert rows[definition.id].split("|")[2].strip() == str(definition.version)


def test_every_event_type_and_permit_state_stands_in_the_reference() -> None:
    measures = (REFERENCE / "measures.md").read_text(encoding="utf-8")
    assert [t.value for t in EventType if t.value not in measures] == []
    gates = (REFERENCE / "gates.md").read_text(encoding="utf-8")
    assert [s.value for s in PermitState if f"`{s.value}`" not in gates] == []


@pytest.mark.parametrize(
    ("room", "page"),
    [
        ("identity", "identity.md"),
        ("membership", "membership.md"),
        ("insight", "measures.md"),
        ("delivery", "gates.md"),
    ],
)
def test_every_error_code_stands_in_the_reference(room: str, page: str) -> None:
    importlib.import_module(f"kerege.{room}.errors")
    text = (REFERENCE / page).read_text(encoding="utf-8")
    codes = [code for code in KeregeError.catalogue() if code.startswith(f"{room}.")]
    assert len(codes) >= 4
    assert [code for code in codes if f"`{code}`" not in text] == []
