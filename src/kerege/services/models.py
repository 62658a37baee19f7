"""Cases of public services: what was asked, what happened, on which values, what was decided, what was issued.

A case is its append-only actions; its status is computed from them (`cases.status_of`). Values that registers gave stand here with
their provenance, in the hub's own database and nowhere else; the person behind a case is a keyed pseudonym.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from kerege.identity.appendonly import AppendOnly


class Case(AppendOnly):
    """One application to one public service."""

    case_id = models.CharField(max_length=64, unique=True)
    public_service = models.CharField(max_length=64)
    definition_version = models.CharField(max_length=32)
    application_no = models.CharField(max_length=64)
    run = models.CharField(max_length=64, blank=True)
    holder = models.CharField(max_length=64, help_text="Keyed pseudonym of the applicant")
    school_code = models.CharField(max_length=64)
    stage = models.PositiveSmallIntegerField()
    submitted_at = models.DateTimeField()
    synthetic = models.BooleanField(default=False)

    class Meta:
        indexes = (
            models.Index(fields=["holder"], name="services_case_holder"),
            models.Index(fields=["run", "submitted_at"], name="services_case_run"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["public_service", "run", "application_no"], name="services_case_once_per_run"
            ),
        )

    def __str__(self) -> str:
        return self.case_id


class CaseAction(AppendOnly):
    """Something that happened to a case. `codes` are reasons of the definition, never free text about a person."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    place = models.PositiveIntegerField()
    kind = models.CharField(max_length=32)
    at = models.DateTimeField()
    actor = models.CharField(max_length=64, default="system")
    codes: models.JSONField[list[str], list[str]] = models.JSONField(default=list)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["case", "place"], name="services_action_order"),)

    def __str__(self) -> str:
        return f"{self.case_id}/{self.place} {self.kind}"


class EvidenceRecord(AppendOnly):
    """One value a decision used, and where it came from. `came_as`: the register's own letters, where they were looked at."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    concept = models.CharField(max_length=64)
    field = models.CharField(max_length=64)
    value = models.TextField(null=True)
    came_as = models.TextField(null=True)
    register = models.CharField(max_length=64)
    data_service = models.CharField(max_length=190)
    message_id = models.CharField(max_length=190)
    mapping_id = models.CharField(max_length=128, blank=True)
    mapping_version = models.CharField(max_length=64, blank=True)
    original_sha256 = models.CharField(max_length=64, blank=True)
    fetched_at = models.DateTimeField()
    record_no = models.CharField(max_length=190, blank=True)
    problems: models.JSONField[list[str], list[str]] = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.concept}.{self.field}"


class Decision(AppendOnly):
    """A decision; a later one (an officer's, an appeal's) stands beside it and wins. `facts` are verdicts, not values."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=32)
    reasons: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    definition_version = models.CharField(max_length=32)
    automatic = models.BooleanField()
    facts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    decided_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.decided_at:%Y-%m-%d}"


class Document(AppendOnly):
    """A document issued from a decision: the reference to the credential, not the credential."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=64)
    credential_ref = models.CharField(max_length=190, unique=True)
    issued_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.credential_ref
