"""The approval life cycle: what was done to each version of what the steward publishes. Written once; the status is computed from it."""

from __future__ import annotations

from typing import Any

from django.db import models

from kerege.identity.appendonly import AppendOnly


class LifecycleAction(AppendOnly):
    """One action on one version of a dataset's entry, code list, crosswalk, contract ... `number` counts from 1 within the version.

    The number is unique within its version, so that of two people who act at the same moment on the same state one is told to look again.
    """

    kind = models.CharField(max_length=40)  # what is published: dataset, codelist, crosswalk, contract, ...
    subject = models.CharField(max_length=500)  # its id within the kind
    version = models.CharField(max_length=100)
    number = models.PositiveIntegerField()
    action = models.CharField(max_length=20)
    by = models.CharField(max_length=200)
    reason = models.TextField()
    evidence: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    at = models.DateTimeField()
    digest = models.CharField(max_length=64)
    ledger_index = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["kind", "subject", "version", "number"], name="catalogue_one_action_at_a_time"
            ),
        )
        indexes = (models.Index(fields=["kind", "action"], name="catalogue_lifecycle_kind"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} {self.version}: {self.action}"
