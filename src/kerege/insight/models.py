"""Events as they were recorded, and measurements as they were taken. Both are written once."""

from __future__ import annotations

from typing import Any

from django.db import models

from kerege.identity.appendonly import AppendOnly
from kerege.insight.events import ActorKind, EventType


class Event(AppendOnly):
    """One event of one case; see `events.EventFacts` for what each field means."""

    event_id = models.CharField(max_length=100, unique=True)
    case_ref = models.CharField(max_length=64)
    prev_case_ref = models.CharField(max_length=64, blank=True)
    public_service = models.CharField(max_length=100)
    release = models.CharField(max_length=100, blank=True)
    step = models.CharField(max_length=100, blank=True)
    type = models.CharField(max_length=20, choices=[(t.value, t.value) for t in EventType])
    qualifier = models.CharField(max_length=20, blank=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10, choices=[(a.value, a.value) for a in ActorKind])
    channel = models.CharField(max_length=100)
    area_soate = models.CharField(max_length=14, blank=True)
    org_id = models.CharField(max_length=190, blank=True)
    reason_code = models.CharField(max_length=100, blank=True)
    exchange_id = models.CharField(max_length=190, blank=True)
    trace_id = models.CharField(max_length=190, blank=True)
    correction_of = models.CharField(max_length=100, blank=True)
    synthetic = models.BooleanField(default=False)

    class Meta:
        indexes = (models.Index(fields=("public_service", "case_ref"), name="insight_event_case"),)

    def __str__(self) -> str:
        return self.event_id


class StoredMeasurement(AppendOnly):
    """One measurement with what is needed to take it again: cohort, and the last event it knew."""

    measure = models.CharField(max_length=10)
    version = models.PositiveIntegerField()
    public_service = models.CharField(max_length=100)
    last_event = models.BigIntegerField()
    events = models.PositiveBigIntegerField()
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    digest = models.CharField(max_length=64)
    taken_at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("public_service", "measure", "-taken_at"), name="insight_measurement_newest"),)

    def __str__(self) -> str:
        return f"{self.measure} v{self.version}"
