"""What others may ask this room, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.dateparse import parse_datetime

from kerege.ground.ids import digest
from kerege.insight.cases import fold
from kerege.insight.cohorts import MATURITY, Cohort
from kerege.insight.events import ActorKind, EventFacts, EventType
from kerege.insight.measures import DEFINITIONS, MEASURES, Measurement, measure
from kerege.insight.models import Event, StoredMeasurement


@dataclass(frozen=True, slots=True)
class MeasuresView:
    """Every measure of one public service, taken now from the events."""

    public_service: str
    cohort: Cohort
    events: int
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """A stored measurement taken again: `same` is False when the events no longer give what was stored."""

    measure: str
    public_service: str
    taken_at: datetime
    same: bool
    reason: str


def measures_view(
    public_service: str, now: datetime, cohort: Cohort | None = None, *, maturity: timedelta = MATURITY
) -> MeasuresView:
    """Every measure as of `now`; without a cohort, of all cases older than `maturity`."""
    chosen = cohort or Cohort.everything(now, maturity)
    events = events_of(public_service)
    cases = fold(events, chosen.as_of)
    return MeasuresView(public_service, chosen, len(events), tuple(measure(name, cases, chosen) for name in MEASURES))


def public_services() -> tuple[str, ...]:
    """The public services that have events."""
    return tuple(Event.objects.order_by("public_service").values_list("public_service", flat=True).distinct())


def events_of(public_service: str, last: int | None = None) -> list[EventFacts]:
    """The events of a public service, up to and with row `last`."""
    rows = Event.objects.filter(public_service=public_service)
    if last is not None:
        rows = rows.filter(pk__lte=last)
    return [_facts(row) for row in rows.order_by("pk").iterator(chunk_size=2000)]


def check_stored(public_service: str) -> tuple[StoredCheck, ...]:
    """Take every stored measurement again from its events and its cohort, and compare."""
    checks = []
    for row in StoredMeasurement.objects.filter(public_service=public_service).order_by("pk"):
        definition = DEFINITIONS.get(row.measure)
        if definition is None or definition.version != row.version:
            same, reason = False, "definition-changed"
        elif digest(row.body) != row.digest:
            same, reason = False, "stored-value-changed"
        else:
            events = events_of(public_service, row.last_event)
            cohort = _cohort(row.body["cohort"])
            again = measure(row.measure, fold(events, cohort.as_of), cohort)
            same = len(events) == row.events and digest(again.as_dict()) == row.digest
            reason = "" if same else "events-changed"
        checks.append(StoredCheck(row.measure, public_service, row.taken_at, same, reason))
    return tuple(checks)


def _cohort(raw: dict[str, object]) -> Cohort:
    start, end, as_of = (parse_datetime(str(raw[name])) for name in ("start", "end", "as_of"))
    assert start is not None
    assert end is not None
    assert as_of is not None
    return Cohort(start, end, as_of, timedelta(seconds=int(str(raw["maturity_seconds"]))))


def _facts(row: Event) -> EventFacts:
    return EventFacts(
        event_id=row.event_id,
        case_ref=row.case_ref,
        public_service=row.public_service,
        type=EventType(row.type),
        occurred_at=row.occurred_at,
        actor_kind=ActorKind(row.actor_kind),
        qualifier=row.qualifier,
        release=row.release,
        step=row.step,
        reason_code=row.reason_code,
        channel=row.channel,
        area_soate=row.area_soate,
        org_id=row.org_id,
        exchange_id=row.exchange_id,
        trace_id=row.trace_id,
        prev_case_ref=row.prev_case_ref,
        correction_of=row.correction_of,
        synthetic=row.synthetic,
    )
