"""Data contracts in the catalogue: versions, where they are held on the wire, deprecations with their clock, who was told, runs over data."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from kerege.catalogue.models.inventory import Dataset


class ContractVersion(models.Model):
    """One version of one contract as it was read. What state it is in is the life cycle's (kind `contract`)."""

    contract = models.CharField(max_length=300)  # the contract's id
    version = models.CharField(max_length=60)
    name = models.CharField(max_length=300, blank=True)
    document: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    fingerprint = models.CharField(max_length=64)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="contracts")
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=200)  # who wrote the document that stands here
    # everybody who wrote of it, with how many actions it had had by then; empty on rows of earlier releases
    authors: models.JSONField[dict[str, int], dict[str, int]] = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["contract", "version"], name="catalogue_one_contract_version"),)

    def __str__(self) -> str:
        return f"{self.contract} {self.version}"


class ContractRoute(models.Model):
    """A data service whose answers a published version is held against; one contract per place."""

    contract = models.ForeignKey(ContractVersion, on_delete=models.PROTECT, related_name="routes")
    data_service = models.CharField(max_length=190)
    path = models.CharField(max_length=255)
    method = models.CharField(max_length=10, default="*")
    at = models.CharField(max_length=10)
    translate = models.CharField(max_length=10)
    since = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["data_service", "path", "method"], name="catalogue_one_contract_per_place"),
        )


class Deprecation(models.Model):
    """The clock of a version on its way out. One that was taken back stays, with the moment."""

    contract = models.ForeignKey(ContractVersion, on_delete=models.PROTECT, related_name="deprecations")
    announced_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # in force up to this second, inclusive
    reason = models.TextField()
    by = models.CharField(max_length=200)
    successor = models.CharField(max_length=60, blank=True)
    taken_back_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["contract"], condition=Q(taken_back_at=None), name="catalogue_one_deprecation_at_a_time"
            ),
        )


class DeprecationNotice(models.Model):
    """A consumer that was using the contract's data services when it was deprecated, or was found to later."""

    deprecation = models.ForeignKey(Deprecation, on_delete=models.PROTECT, related_name="notices")
    consumer = models.CharField(max_length=200)
    data_service = models.CharField(max_length=190)
    why = models.CharField(max_length=20)  # calls: seen in traffic; right: may call
    calls = models.BigIntegerField(default=0)
    last_call_at = models.DateTimeField(null=True)
    noted_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["deprecation", "consumer", "data_service"], name="catalogue_one_notice_per_consumer"
            ),
        )


class ContractRun(models.Model):
    """A contract held against data at rest: counts, never values."""

    contract = models.ForeignKey(ContractVersion, on_delete=models.PROTECT, related_name="runs")
    source = models.CharField(max_length=300)
    rows = models.BigIntegerField()
    broken_rows = models.BigIntegerField()
    kept = models.BooleanField()  # whether every rule was kept
    report: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    run_at = models.DateTimeField()
