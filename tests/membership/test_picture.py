"""The rules part of the configuration: the same tables, the same bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.exchange import rules
from kerege.exchange.ids import DataServiceId, SubsystemId
from kerege.exchange.permits import decide_permit
from kerege.membership.picture import ContractRow, PermitRow, Picture, RightRow
from kerege.membership.states import PermitState

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ADMISSION = "KG/GOV/70000003/admission"
ADMISSION_ID = SubsystemId.parse(ADMISSION)
PERSONS = DataServiceId("KG", "GOV", "70000002", "population", "persons")
RIGHTS = tuple(
    RightRow(
        ADMISSION, f"KG/GOV/7000000{n}/population/persons", "GET", "/api/**", NOW + timedelta(days=n), f"right-{n}"
    )
    for n in range(1, 5)
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


def test_the_rules_survive_the_journey_to_the_nodes() -> None:
    parsed = rules.parse(rules.build(PICTURE.rules(3)))
    assert parsed == PICTURE.rules(3)
    assert (parsed.version, parsed.bindings[0].public_service) == (3, "grade1-admission")
    contract = parsed.contract_for(PERSONS, "/api/persons", "GET")
    assert contract is not None
    assert contract.mapping == "kg:population.person"


def test_a_permit_that_carries_traffic_is_open_and_names_its_ground() -> None:
    [permit] = PICTURE.rules().permits
    assert (permit.state, permit.id, permit.reason) == ("open", "permit-7", "pilot, ledger entry 7")
    assert decide_permit(ADMISSION_ID.client, PICTURE.rules(), NOW).allowed


@pytest.mark.parametrize("state", list(PermitState))
def test_the_nodes_refuse_exactly_where_the_state_carries_nothing(state: PermitState) -> None:
    picture = replace(PICTURE, permits=(replace(PERMIT, state=state),))
    assert decide_permit(ADMISSION_ID.client, picture.rules(), NOW).allowed is state.carries


def test_without_a_permit_the_bound_client_is_refused() -> None:
    assert decide_permit(ADMISSION_ID.client, replace(PICTURE, permits=()).rules(), NOW).reason == "no_permit"


def test_while_it_carries_a_permit_narrows_the_rights_to_its_data_services() -> None:
    assert {str(r.service) for r in PICTURE.rules().rights} == {str(PERSONS)}
    assert len(replace(PICTURE, permits=()).rules().rights) == len(RIGHTS)


def test_rights_of_other_holders_are_not_narrowed() -> None:
    other = replace(RIGHTS[0], holder="KG/GOV/70000004/health")
    assert other.as_rule() in replace(PICTURE, rights=(*RIGHTS, other)).rules().rights


@given(st.permutations(RIGHTS))
def test_the_order_of_the_tables_changes_no_byte(rights: list[RightRow]) -> None:
    other = replace(PICTURE, rights=tuple(rights))
    assert other.rules() == PICTURE.rules()
    assert other.digest() == PICTURE.digest()


def test_closing_a_permit_changes_the_digest() -> None:
    closed = replace(PICTURE, permits=(replace(PERMIT, state=PermitState.CLOSED),))
    assert closed.digest() != PICTURE.digest()


def test_only_none_and_closed_carry_nothing() -> None:
    assert [state.value for state in PermitState if not state.carries] == ["none", "closed"]
