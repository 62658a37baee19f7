"""A register's requests (establish, take into use, modify, close) and what its reviewers said of them. Written once."""

from __future__ import annotations

from typing import Any

from django.db import models

from kerege.identity.appendonly import AppendOnly


class RegisterRequest(AppendOnly):  # type: ignore[django-manager-missing, unused-ignore] # reviews are read, and written once
    """One request with the description of the register that it asks for. `number` counts from 1 within the register."""

    request_id = models.CharField(max_length=40, unique=True)
    register = models.CharField(max_length=100)  # the register's short name
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    description: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    organisation = models.CharField(max_length=20)  # member code of the register's owner, who asks
    by = models.CharField(max_length=200)
    reason = models.TextField()
    reviewers: models.JSONField[list[str], list[str]] = (
        models.JSONField()
    )  # roles whose word is needed, as the pack had them
    due = models.DateTimeField()  # until when they must have spoken
    at = models.DateTimeField()
    digest = models.CharField(max_length=64)
    ledger_index = models.BigIntegerField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["register", "number"], name="catalogue_request_number"),)

    def __str__(self) -> str:
        return self.request_id


class RegisterReview(AppendOnly):
    """What one reviewer decided, for one role; or the asker's own withdrawal (role empty)."""

    request = models.ForeignKey(RegisterRequest, on_delete=models.PROTECT, related_name="reviews")
    role = models.CharField(max_length=60, blank=True)
    by = models.CharField(max_length=200)
    decision = models.CharField(max_length=20)
    reason = models.TextField()
    terms = models.TextField(blank=True)  # what the approval is bound to
    at = models.DateTimeField()
    digest = models.CharField(max_length=64)
    ledger_index = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["request", "role"], name="catalogue_one_decision_per_role"),
            models.UniqueConstraint(fields=["request", "by"], name="catalogue_one_role_per_reviewer"),
        )

    def __str__(self) -> str:
        return f"{self.role} on {self.request_id}"
