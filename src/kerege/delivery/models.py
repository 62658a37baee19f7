"""The register of public services and their gates. All but the owners of an entry is written once."""

from __future__ import annotations

from typing import Any

from django.db import models

from kerege.delivery.criteria import Layer
from kerege.identity.appendonly import AppendOnly
from kerege.identity.models import Person


class PublicServiceEntry(models.Model):
    """A public service with exactly one policy owner and one technical owner, and a deputy for each."""

    public_service = models.CharField(max_length=100, unique=True)
    name_ky = models.CharField(max_length=300)
    name_ru = models.CharField(max_length=300)
    name_en = models.CharField(max_length=300)
    policy_owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    policy_deputy = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    technical_owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    technical_deputy = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(policy_owner=models.F("technical_owner")), name="delivery_owners_are_two_people"
            ),
        )

    def __str__(self) -> str:
        return self.public_service


class Release(AppendOnly):
    """One version of everything that decides how the public service behaves, under one digest."""

    entry = models.ForeignKey(PublicServiceEntry, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    content: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest[:12]


class CriterionVersion(AppendOnly):
    """One version of one criterion, as adopted: a version never says two things."""

    gate = models.CharField(max_length=100)
    criterion = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    adopted_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("gate", "criterion", "version"), name="delivery_one_text_per_version"),
        )

    def __str__(self) -> str:
        return f"{self.criterion} v{self.version}"


class GateEdition(AppendOnly):
    """A gate as adopted; the newest edition is in force. `eased` says in what it is looser than the one before."""

    gate = models.CharField(max_length=100)
    public_service = models.CharField(max_length=100)
    edition = models.PositiveIntegerField()
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    digest = models.CharField(max_length=64)
    eased: models.JSONField[list[str], list[str]] = models.JSONField()
    signed_by: models.JSONField[list[str], list[str]] = models.JSONField()
    adopted_at = models.DateTimeField()
    ledger_index = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("gate", "edition"), name="delivery_edition_once"),)

    def __str__(self) -> str:
        return f"{self.gate} edition {self.edition}"


class EvidenceRecord(AppendOnly):
    """A piece of evidence, see `facts.Evidence`."""

    criterion = models.CharField(max_length=40)
    public_service = models.CharField(max_length=100)
    release = models.CharField(max_length=64)
    facts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    sample = models.PositiveBigIntegerField()
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    collector = models.CharField(max_length=100)
    collected_at = models.DateTimeField()
    digest = models.CharField(max_length=64, unique=True)
    ledger_index = models.BigIntegerField()

    class Meta:
        indexes = (models.Index(fields=("public_service", "release", "criterion"), name="delivery_evidence_for"),)

    def __str__(self) -> str:
        return f"{self.criterion} {self.digest[:12]}"


class WaiverRecord(AppendOnly):
    """A signed exception, see `gates.Waiver`."""

    public_service = models.CharField(max_length=100)
    criterion = models.CharField(max_length=40)
    release = models.CharField(max_length=64)
    reason = models.TextField()
    control = models.TextField()
    signers: models.JSONField[list[list[str]], list[list[str]]] = models.JSONField()
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField()
    renewals = models.PositiveIntegerField()
    ledger_index = models.BigIntegerField()

    def __str__(self) -> str:
        return f"waiver of {self.criterion}"


class AssessmentRecord(AppendOnly):
    """One look at a gate, see `gates.Assessment`; `body` is what its digest and the signatures are over."""

    assessment_id = models.CharField(max_length=64, unique=True)
    gate = models.CharField(max_length=100)
    public_service = models.CharField(max_length=100)
    release = models.CharField(max_length=64)
    verdict = models.CharField(max_length=12)
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()
    ledger_index = models.BigIntegerField()

    def __str__(self) -> str:
        return self.assessment_id


class SignOffRecord(AppendOnly):
    """One person's signature for one layer of one assessment."""

    assessment = models.ForeignKey(AssessmentRecord, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    layer = models.CharField(max_length=10, choices=[(layer.value, layer.value) for layer in Layer])
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()
    ledger_index = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("assessment", "layer"), name="delivery_one_signature_per_layer"),
            models.UniqueConstraint(fields=("assessment", "person"), name="delivery_one_layer_per_person"),
        )

    def __str__(self) -> str:
        return f"{self.layer} on {self.assessment_id}"
