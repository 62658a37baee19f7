"""The 90-day board: when it began, which datasets are critical and by whose word, and how it stood on each day."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from kerege.catalogue.models.inventory import Dataset
from kerege.ground.text import counted
from kerege.identity.appendonly import AppendOnly


class BoardStart(AppendOnly):
    """A board begun; the newest is the one that runs."""

    started_on = models.DateField()  # day 1, by the calendar people read
    days = models.PositiveIntegerField(default=90)
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.started_on} for {counted(self.days, 'day')}"


class CriticalDataset(models.Model):
    """A dataset marked as critical; an ended mark stays, with who ended it and why."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="critical_marks")
    reason = models.CharField(max_length=500)
    by = models.CharField(max_length=200)
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, blank=True)
    ended_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(ended_at=None), name="catalogue_marked_critical_once"
            ),
        )

    def __str__(self) -> str:
        return f"critical: {self.dataset}"


class BoardSnapshot(models.Model):
    """How the board stood on one day, as last looked at on that day."""

    start = models.ForeignKey(BoardStart, on_delete=models.PROTECT, related_name="snapshots")
    day = models.DateField()
    counts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    taken_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["start", "day"], name="catalogue_one_snapshot_a_day"),)

    def __str__(self) -> str:
        return f"{self.day}"
