"""What changes in this room: events are recorded, measurements are taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from kerege.ground.clock import require_utc
from kerege.ground.ids import digest
from kerege.insight.cases import fold
from kerege.insight.cohorts import Cohort
from kerege.insight.errors import EventInvalid, EventKnown
from kerege.insight.events import EventFacts
from kerege.insight.measures import MEASURES, Measurement, measure
from kerege.insight.models import Event, StoredMeasurement
from kerege.insight.queries import events_of


@transaction.atomic
def record_events(events: Sequence[EventFacts], now: datetime) -> int:
    """Record a batch, all of it or nothing, and say how many.

    Raises EventInvalid with the position and field of the first faulty event, EventKnown when one was recorded before.
    """
    require_utc(now)
    positions: dict[str, int] = {}
    for position, event in enumerate(events, start=1):
        for field, expected in event.faults():
            raise EventInvalid(position=position, field=field, expected=expected)
        if event.event_id in positions:
            raise EventKnown(count=1, position=position)
        positions[event.event_id] = position
    ids = list(positions)
    known: list[str] = []
    for start in range(0, len(ids), 500):
        chunk = ids[start : start + 500]
        known += Event.objects.filter(event_id__in=chunk).values_list("event_id", flat=True)
    if known:
        raise EventKnown(count=len(known), position=min(positions[event_id] for event_id in known))
    Event.objects.bulk_create(
        [
            Event(
                event_id=e.event_id,
                case_ref=e.case_ref,
                prev_case_ref=e.prev_case_ref,
                public_service=e.public_service,
                release=e.release,
                step=e.step,
                type=e.type.value,
                qualifier=e.qualifier,
                occurred_at=e.occurred_at,
                recorded_at=now,
                actor_kind=e.actor_kind.value,
                channel=e.channel,
                area_soate=e.area_soate,
                org_id=e.org_id,
                reason_code=e.reason_code,
                exchange_id=e.exchange_id,
                trace_id=e.trace_id,
                correction_of=e.correction_of,
                synthetic=e.synthetic,
            )
            for e in events
        ],
        batch_size=500,
    )
    return len(events)


@transaction.atomic
def take_measurements(public_service: str, cohort: Cohort, now: datetime) -> tuple[Measurement, ...]:
    """Take every measure of the cohort from the events there are, and store the results."""
    require_utc(now)
    last = Event.objects.filter(public_service=public_service).aggregate(Max("pk"))["pk__max"] or 0
    events = events_of(public_service, last)
    cases = fold(events, cohort.as_of)
    taken = tuple(measure(name, cases, cohort) for name in MEASURES)
    StoredMeasurement.objects.bulk_create(
        [
            StoredMeasurement(
                measure=result.definition.id,
                version=result.definition.version,
                public_service=public_service,
                last_event=last,
                events=len(events),
                body=result.as_dict(),
                digest=digest(result.as_dict()),
                taken_at=now,
            )
            for result in taken
        ]
    )
    return taken
