"""The rules part of the configuration: the same tables, the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kerege.membership.picture import ContractRow, PermitRow, Picture, RightRow
from kerege.membership.states import PermitState

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ADMISSION = "KG/GOV/70000003/admission"
RIGHTS = tuple(
    RightRow(ADMISSION, f"KG/GOV/7000000{n}/x/y", "GET", "/api/**", NOW + timedelta(days=n)) for n in range(1, 5)
)
PERMIT = PermitRow(
    "grade1-admission",
    ADMISSION,
    PermitState.PILOT,
    ("KG/GOV/70000002/population/persons", "KG/GOV/70000001/civil/birth-records"),
    NOW + timedelta(days=90),
    7,
    "ab" * 32,
    NOW,
)
PICTURE = Picture(
    "KG",
    (),
    (ADMISSION,),
    (),
    RIGHTS,
    (PERMIT,),
    (("grade1-admission", ADMISSION),),
    (ContractRow("KG/GOV/70000002/population/persons", "/", "kg:population.person", "consumer", "o", "law"),),
)


def test_the_rules_have_the_shape_the_nodes_read() -> None:
    rules = json.loads(PICTURE.rules_bytes())
    assert set(rules) == {"rights", "permits", "public_services", "contracts"}
    assert rules["rights"][0] == {
        "holder": ADMISSION,
        "data_service": "KG/GOV/70000001/x/y",
        "method": "GET",
        "path": "/api/**",
        "until": "2026-11-23T04:00:00Z",
    }
    assert rules["permits"] == [
        {
            "public_service": "grade1-admission",
            "client": ADMISSION,
            "state": "pilot",
            "data_services": ["KG/GOV/70000001/civil/birth-records", "KG/GOV/70000002/population/persons"],
            "until": "2027-02-20T04:00:00Z",
            "verdict": {"index": 7, "leaf": "ab" * 32},
        }
    ]
    assert rules["public_services"] == [{"id": "grade1-admission", "client": ADMISSION}]
    assert rules["contracts"] == [
        {
            "data_service": "KG/GOV/70000002/population/persons",
            "path": "/",
            "mapping": "kg:population.person",
            "at": "consumer",
        }
    ]


@given(st.permutations(RIGHTS))
def test_the_order_of_the_tables_changes_no_byte(rights: list[RightRow]) -> None:
    other = replace(PICTURE, rights=tuple(rights))
    assert other.rules_bytes() == PICTURE.rules_bytes()
    assert other.digest() == PICTURE.digest()


def test_closing_a_permit_changes_the_digest() -> None:
    closed = replace(PICTURE, permits=(replace(PERMIT, state=PermitState.CLOSED),))
    assert closed.digest() != PICTURE.digest()


def test_only_none_and_closed_carry_nothing() -> None:
    assert [state.value for state in PermitState if not state.carries] == ["none", "closed"]
