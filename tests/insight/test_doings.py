"""Events are recorded whole or not at all; measurements can be taken again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from kerege.identity.errors import HistoryFixed
from kerege.identity.pseudonyms import PseudonymKey
from kerege.insight import doings, queries
from kerege.insight.cohorts import Cohort
from kerege.insight.errors import EventInvalid, EventKnown
from kerege.insight.events import ActorKind, EventFacts, EventType, case_ref
from kerege.insight.models import Event, StoredMeasurement

pytestmark = pytest.mark.django_db

T0 = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=60)
KEY = PseudonymKey(b"k" * 32)
SERVICE = "grade1-admission"


def journey(number: int, outcome: str = "granted", *, by: ActorKind = ActorKind.SYSTEM) -> list[EventFacts]:
    ref = case_ref(KEY, SERVICE, f"case-{number}")
    steps: list[tuple[EventType, ActorKind, dict[str, Any]]] = [
        (EventType.STARTED, ActorKind.CITIZEN, {}),
        (EventType.SUBMITTED, ActorKind.CITIZEN, {}),
        (EventType.CHECK_ANSWERED, ActorKind.SYSTEM, {"qualifier": "auto", "exchange_id": f"msg-{number}"}),
        (EventType.DECIDED, by, {"qualifier": outcome, "reason_code": "no-place" if outcome == "refused" else ""}),
    ]
    return [
        EventFacts(f"e-{number}-{place}", ref, SERVICE, kind, T0 + timedelta(hours=place), actor, **more)
        for place, (kind, actor, more) in enumerate(steps)
    ]


def test_events_come_back_as_they_were_recorded() -> None:
    events = journey(1)
    assert doings.record_events(events, NOW) == 4
    assert queries.events_of(SERVICE) == events


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"case_ref": "20101198500001"}, "case_ref"),
        ({"reason_code": "pin-20101198500001"}, "reason_code"),
        ({"reason_code": "Асанов Бакыт"}, "reason_code"),
        ({"step": "free text"}, "step"),
        ({"qualifier": "granted"}, "qualifier"),
        ({"occurred_at": datetime(2026, 1, 1)}, "occurred_at"),
        ({"type": EventType.RETRACTED}, "correction_of"),
        ({"area_soate": "Bishkek"}, "area_soate"),
        ({"event_id": ""}, "event_id"),
    ],
)
def test_one_faulty_event_refuses_the_batch_and_names_its_place(change: dict[str, Any], field: str) -> None:
    faulty = replace(journey(2)[0], **change)
    with pytest.raises(EventInvalid) as caught:
        doings.record_events([*journey(1)[:2], faulty], NOW)
    assert (caught.value.params["position"], caught.value.params["field"]) == (3, field)
    assert "20101198500001" not in str(caught.value)
    assert not Event.objects.exists()


def test_an_event_is_recorded_once() -> None:
    doings.record_events(journey(1), NOW)
    with pytest.raises(EventKnown) as caught:
        doings.record_events([*journey(2), *journey(1)[:1]], NOW)
    assert caught.value.params["position"] == 5
    assert Event.objects.count() == 4
    with pytest.raises(EventKnown):
        doings.record_events([journey(3)[0], journey(3)[0]], NOW)


def test_an_event_is_never_changed() -> None:
    doings.record_events(journey(1), NOW)
    with pytest.raises(HistoryFixed):
        Event.objects.filter(type="decided").update(qualifier="refused")
    with pytest.raises(HistoryFixed):
        Event.objects.all().delete()


def test_taking_a_measurement_again_gives_what_was_stored() -> None:
    doings.record_events([*journey(1), *journey(2, "refused"), *journey(3, by=ActorKind.OFFICIAL)], NOW)
    taken = {m.definition.id: m for m in doings.take_measurements(SERVICE, Cohort.everything(NOW), NOW)}
    assert (taken["M11"].values["numerator"], taken["M11"].n) == (2, 3)
    doings.record_events(journey(4), NOW)  # later events do not disturb earlier measurements
    checks = queries.check_stored(SERVICE)
    assert len(checks) == len(taken)
    assert all(check.same for check in checks)


def test_an_event_changed_behind_our_back_shows_in_the_check() -> None:
    doings.record_events([*journey(1), *journey(2, "refused")], NOW)
    doings.take_measurements(SERVICE, Cohort.everything(NOW), NOW)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE insight_event SET qualifier = 'granted' WHERE qualifier = 'refused'")
    changed = {check.measure for check in queries.check_stored(SERVICE) if not check.same}
    assert {"M01b", "M05"} <= changed


def test_a_stored_value_changed_behind_our_back_shows_in_the_check() -> None:
    doings.record_events(journey(1), NOW)
    doings.take_measurements(SERVICE, Cohort.everything(NOW), NOW)
    row = StoredMeasurement.objects.get(measure="M11")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE insight_storedmeasurement SET body = %s WHERE id = %s", ['{"id": "M11", "cohort": {}}', row.pk]
        )
    [bad] = [check for check in queries.check_stored(SERVICE) if not check.same]
    assert (bad.measure, bad.reason) == ("M11", "stored-value-changed")


def test_the_view_measures_without_storing() -> None:
    doings.record_events(journey(1), NOW)
    view = queries.measures_view(SERVICE, NOW)
    assert {m.definition.id: m.n for m in view.measurements}["M11"] == 1
    young = queries.measures_view(SERVICE, T0 + timedelta(days=2))
    assert {m.definition.id: dict(m.excluded) for m in young.measurements}["M01"] == {"immature": 1}
    at_once = queries.measures_view(SERVICE, T0 + timedelta(days=2), maturity=timedelta())
    assert {m.definition.id: m.n for m in at_once.measurements}["M11"] == 1
    assert not StoredMeasurement.objects.exists()


def test_a_case_reference_cannot_be_joined_across_public_services() -> None:
    assert case_ref(KEY, SERVICE, "case-1") != case_ref(KEY, "school-transfer", "case-1")
