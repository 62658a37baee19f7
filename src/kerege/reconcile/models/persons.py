"""Persons as keys that never move: a random key, the records it stands for, and every decision that joined or parted keys.

A record is named by a keyed pseudonym of its register's number (`identity.pseudonyms`), never by the number, and no value of a person
stands here. Rows are only added, but for the present place of a record.
"""

from __future__ import annotations

from django.db import models

from kerege.identity.appendonly import AppendOnly


class PersonKey(models.Model):
    """A key. `stands_for`: the key it was merged into, for as long as that holds; the key itself stays known for ever."""

    key = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    stands_for = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="aliases")
    split_from = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="parted")

    def __str__(self) -> str:
        return self.key


class PersonRecord(models.Model):
    """Which key a register's record was given. Only a split moves it."""

    register = models.CharField(max_length=64)
    record_ref = models.CharField(max_length=64)
    key = models.ForeignKey(PersonKey, on_delete=models.PROTECT, related_name="records")
    reasons = models.JSONField(default=list)
    placed_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["register", "record_ref"], name="reconcile_record_once"),)

    def __str__(self) -> str:
        return f"{self.register} {self.record_ref[:8]}"


class KeyDecision(AppendOnly):
    """A merge, a split, or a merge taken back: who, when, why, which keys and records."""

    decision_id = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=16)
    key = models.CharField(max_length=64)
    other = models.CharField(max_length=64)
    records = models.JSONField(default=list)
    reason = models.CharField(max_length=400)
    by = models.CharField(max_length=64)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.other}"
