"""The desk's queue: disagreements between registers, what became of them, and what was sent to the owner of the value.

No value of a person stands here: a discrepancy names the case, the field, the two registers and the class. Counts of every class are kept
per run and pair, so that the share that needed a person can be told.
"""

from __future__ import annotations

from django.db import models

from kerege.identity.appendonly import AppendOnly


class FieldTally(AppendOnly):
    """How many comparisons of one field between two registers ended in one class, in one run."""

    run = models.CharField(max_length=64)
    field = models.CharField(max_length=64)
    left_register = models.CharField(max_length=64)
    right_register = models.CharField(max_length=64)
    cls = models.CharField(max_length=32)
    count = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["run", "field", "left_register", "right_register", "cls"], name="reconcile_tally_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.field} {self.cls} {self.count}"


class Discrepancy(models.Model):
    """One field of one case that differs, or cannot be compared, between two registers. `owner`: the source of truth's register."""

    STATUSES = ("open", "with_owner", "corrected", "accepted")

    discrepancy_id = models.CharField(max_length=64, unique=True)
    run = models.CharField(max_length=64)
    case_id = models.CharField(max_length=64)
    field = models.CharField(max_length=64)
    left_register = models.CharField(max_length=64)
    right_register = models.CharField(max_length=64)
    cls = models.CharField(max_length=32)
    owner = models.CharField(max_length=64)
    status = models.CharField(max_length=16, default="open")
    found_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(fields=["status", "field"], name="reconcile_queue"),
            models.Index(fields=["case_id"], name="reconcile_case"),
        )

    def __str__(self) -> str:
        return self.discrepancy_id


class Finding(AppendOnly):
    """What was told to the register that holds the doubtful value, and under which discrepancy."""

    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="+")
    register = models.CharField(max_length=64)
    note_code = models.CharField(max_length=64)
    sent_by = models.CharField(max_length=64)
    sent_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.register} {self.note_code}"
