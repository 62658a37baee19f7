from datetime import timedelta

import pytest

from kerege.exchange.ids import ClientId, SubsystemId
from kerege.exchange.permits import decide_permit, explain
from kerege.exchange.rules import Binding, Permit, Rules

from .conftest import NOW

ADMISSION = SubsystemId.parse("KG/GOV/70000003/admission")
BOUND = (Binding(ADMISSION, "grade1-admission"),)


def permit(state: str = "open", number: int = 1, service: str = "grade1-admission") -> Permit:
    return Permit(f"p{number}", ADMISSION, service, state, NOW, "criterion C4 fails")


def rules(*permits: Permit, bindings: tuple[Binding, ...] = BOUND) -> Rules:
    return Rules("KG", 1, bindings=bindings, permits=permits)


def test_a_client_bound_to_no_public_service_needs_no_permit() -> None:
    assert decide_permit(ClientId.parse("KG/GOV/70000003/emis"), rules(), NOW).reason == "not_bound"


def test_no_permit_no_traffic() -> None:
    decision = decide_permit(ADMISSION.client, rules(), NOW)
    assert (decision.allowed, decision.reason, decision.public_service) == (False, "no_permit", "grade1-admission")
    assert "ever" in explain(decision)


def test_an_open_permit_carries_traffic_until_its_last_second_inclusive() -> None:
    assert decide_permit(ADMISSION.client, rules(permit()), NOW + timedelta(milliseconds=999)).allowed
    after = decide_permit(ADMISSION.client, rules(permit()), NOW + timedelta(seconds=1))
    assert (after.allowed, after.reason) == (False, "expired")
    assert f"{NOW:%Y-%m-%d %H:%M:%SZ}" in explain(after)


def test_the_last_permit_published_counts() -> None:
    closed = decide_permit(ADMISSION.client, rules(permit(), permit("closed", 2)), NOW)
    assert closed.reason == "closed"
    assert "criterion C4" in explain(closed)
    assert decide_permit(ADMISSION.client, rules(permit("closed"), permit("open", 2)), NOW).allowed


def test_every_public_service_of_the_client_needs_its_own_permit() -> None:
    both = (*BOUND, Binding(ADMISSION, "transfer"))
    assert decide_permit(ADMISSION.client, rules(permit(), bindings=both), NOW).public_service == "transfer"
    assert decide_permit(
        ADMISSION.client, rules(permit(), permit(number=2, service="transfer"), bindings=both), NOW
    ).allowed


def test_a_naive_moment_is_a_bug() -> None:
    with pytest.raises(ValueError, match="aware"):
        decide_permit(ADMISSION.client, rules(), NOW.replace(tzinfo=None))
