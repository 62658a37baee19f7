"""Events folded into case histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerege.insight.cases import CaseHistory, fold
from kerege.insight.events import ActorKind, EventFacts, EventType

T0 = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
LATER = T0 + timedelta(days=100)
REF = "ab" * 32


def event(kind: EventType, hours: float, actor: ActorKind = ActorKind.SYSTEM, **more: Any) -> EventFacts:
    facts: dict[str, Any] = {
        "event_id": f"e-{kind.value}-{int(hours * 3600)}",
        "case_ref": REF,
        "public_service": "grade1-admission",
        "type": kind,
        "occurred_at": T0 + timedelta(hours=hours),
        "actor_kind": actor,
    }
    return EventFacts(**facts | more)


STRAIGHT = [
    event(EventType.STARTED, 0, ActorKind.CITIZEN),
    event(EventType.SUBMITTED, 1, ActorKind.CITIZEN),
    event(EventType.CHECK_REQUESTED, 1),
    event(EventType.CHECK_ANSWERED, 1, qualifier="auto"),
    event(EventType.DECIDED, 2, qualifier="granted"),
]


def one(events: list[EventFacts], as_of: datetime = LATER) -> CaseHistory:
    [history] = fold(events, as_of)
    return history


def test_a_case_decided_by_rules_alone_has_no_manual_step() -> None:
    history = one(STRAIGHT)
    assert (history.manual_steps, history.outcome, history.finally_decided) == (0, "granted", True)
    assert history.submitted_at == T0 + timedelta(hours=1)
    assert history.decided_at == T0 + timedelta(hours=2)


def test_a_reconciliation_by_an_official_is_a_manual_step_and_names_its_fields() -> None:
    history = one(
        [*STRAIGHT, event(EventType.RECONCILED, 1.5, ActorKind.OFFICIAL, reason_code="street:civil-population")]
    )
    assert history.manual_steps == 1
    assert history.reconciled_by_hand == ("street:civil-population",)


def test_a_reconciliation_by_rule_is_not_manual() -> None:
    history = one([*STRAIGHT, event(EventType.RECONCILED, 1.5, reason_code="street:civil-population")])
    assert (history.manual_steps, history.reconciled_by_hand) == (0, ())


def test_asking_the_applicant_again_is_a_step_of_a_person_even_when_the_system_asks() -> None:
    history = one([*STRAIGHT, event(EventType.INFO_REQUESTED, 1.2, reason_code="once-only:population")])
    assert history.manual_steps == 1
    assert history.asked_despite_register == ("population",)


def test_a_case_handed_to_a_desk_is_no_longer_straight_through_and_names_why() -> None:
    handed = event(EventType.CHECK_REQUESTED, 1.5, step="manual", reason_code="address_conflict")
    history = one([*STRAIGHT[:4], handed])
    assert (history.manual_steps, history.reconciled_by_hand) == (1, ("address_conflict",))
    commission = one([*STRAIGHT[:4], event(EventType.CHECK_REQUESTED, 1.5, step="commission")])
    assert (commission.manual_steps, commission.reconciled_by_hand) == (1, ())
    assert one([*STRAIGHT[:4], event(EventType.CHECK_REQUESTED, 1.5, step="civil")]).manual_steps == 0


def test_an_event_is_made_from_plain_data() -> None:
    plain = {
        "event_id": "run-1/data_first/a-1/1",
        "case_ref": REF,
        "public_service": "grade1-admission",
        "type": "decided",
        "qualifier": "granted",
        "occurred_at": T0,
        "actor_kind": "system",
    }
    facts = EventFacts.of(plain)
    assert (facts.type, facts.actor_kind, facts.faults()) == (EventType.DECIDED, ActorKind.SYSTEM, [])
    with pytest.raises(ValueError, match="levitated"):
        EventFacts.of(plain | {"type": "levitated"})


def test_waiting_for_the_applicant_ends_with_the_answer_and_else_with_the_decision() -> None:
    asked = event(EventType.INFO_REQUESTED, 1.25)
    assert one([*STRAIGHT, asked, event(EventType.INFO_RECEIVED, 1.75, ActorKind.CITIZEN)]).waiting == timedelta(
        hours=0.5
    )
    assert one([*STRAIGHT, asked]).waiting == timedelta(hours=0.75)


def test_an_official_who_looks_after_the_decision_does_not_make_it_manual() -> None:
    assert one([*STRAIGHT, event(EventType.NOTIFIED, 3, ActorKind.OFFICIAL)]).manual_steps == 0
    assert one([*STRAIGHT, event(EventType.RECONCILED, 3, ActorKind.OFFICIAL)]).manual_steps == 0


def test_a_correction_stands_in_place_of_what_it_corrects() -> None:
    wrong = STRAIGHT[-1]
    right = event(
        EventType.DECIDED, 2, qualifier="refused", reason_code="no-place", event_id="e-9", correction_of=wrong.event_id
    )
    history = one([*STRAIGHT, right])
    assert (history.outcome, history.decision_reason) == ("refused", "no-place")


def test_a_retraction_takes_an_event_back() -> None:
    history = one([*STRAIGHT, event(EventType.RETRACTED, 3, correction_of=STRAIGHT[-1].event_id)])
    assert history.decided_at is None


def test_a_reopened_case_keeps_its_start_and_waits_for_its_next_decision() -> None:
    reopened = [*STRAIGHT, event(EventType.REOPENED, 10, ActorKind.OFFICIAL)]
    assert (one(reopened).started_at, one(reopened).decided_at) == (T0, None)
    again = one([*reopened, event(EventType.DECIDED, 12, qualifier="refused", reason_code="x")])
    assert (again.outcome, again.decided_at) == ("refused", T0 + timedelta(hours=12))
    assert again.manual_steps == 1


def test_what_happened_after_the_moment_of_looking_is_not_known_yet() -> None:
    assert one(STRAIGHT, T0 + timedelta(hours=1.5)).decided_at is None


def test_two_public_services_never_share_a_case() -> None:
    other = [event(EventType.STARTED, 0, event_id="e-o", public_service="school-transfer")]
    assert len(fold([*STRAIGHT, *other], LATER)) == 2


@settings(max_examples=50)
@given(st.permutations(STRAIGHT))
def test_the_order_in_which_events_arrive_does_not_matter(events: list[EventFacts]) -> None:
    assert fold(events, LATER) == fold(STRAIGHT, LATER)
