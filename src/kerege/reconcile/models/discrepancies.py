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
    """One field of one case that differs, or cannot be compared, between two registers. `owner`: the source of truth's register.

    `unread`: whose value could not be read (`left`, `right`, `both`). Of one case, field and pair one at most is not settled.
    `rule`, `rules_version`, `outcome`: what the stated rules made of it when a run settled it (`none`: no rule fits), `value_of` whose value
    counts, on the `legal_basis` declared then; all empty where no run settled it.
    """

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
    stale_by = models.CharField(max_length=16, default="", blank=True)
    settled_by_run = models.CharField(max_length=64, default="", blank=True)
    settled_reason = models.CharField(max_length=400, default="", blank=True)
    settled_by = models.CharField(max_length=64, default="", blank=True)
    unread = models.CharField(max_length=8, default="", blank=True)
    rule = models.CharField(max_length=64, default="", blank=True)
    rules_version = models.CharField(max_length=32, default="", blank=True)
    outcome = models.CharField(max_length=16, default="", blank=True)
    value_of = models.CharField(max_length=64, default="", blank=True)
    legal_basis = models.CharField(max_length=400, default="", blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["case_id", "field", "left_register", "right_register"],
                condition=models.Q(status__in=("open", "with_owner")),
                name="reconcile_open_once",
            ),
        )
        indexes = (
            models.Index(fields=["status", "field"], name="reconcile_queue"),
            models.Index(fields=["case_id"], name="reconcile_case"),
            models.Index(fields=["run", "status"], name="reconcile_run"),
        )

    def __str__(self) -> str:
        return self.discrepancy_id


class Finding(AppendOnly):
    """What was told to the register that holds the doubtful value, under which discrepancy, and by when it has to answer."""

    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="+")
    finding_id = models.CharField(max_length=64, unique=True, null=True)
    register = models.CharField(max_length=64)
    note_code = models.CharField(max_length=64)
    sent_by = models.CharField(max_length=64)
    sent_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.register} {self.note_code}"


class FindingAct(AppendOnly):
    """One step in a finding's life. Its status is computed from these (`findings.status_of`), never stored."""

    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="+")
    act = models.CharField(max_length=16)
    reason = models.CharField(max_length=400, default="", blank=True)
    run = models.CharField(max_length=64, default="", blank=True)
    by = models.CharField(max_length=64)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.act


class CatalogueFindingAct(AppendOnly):
    """One step in the life of a finding of the catalogue (drift, an unmapped code, ownership): the same life as a discrepancy's finding."""

    finding = models.ForeignKey("catalogue.Finding", on_delete=models.PROTECT, related_name="+")
    act = models.CharField(max_length=16)
    reason = models.CharField(max_length=400, default="", blank=True)
    by = models.CharField(max_length=64)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.act


class Workload(AppendOnly):
    """How much work one run's comparisons made, as written (before) and as meant (after), for a service, a pair and a field.

    `field` empty: whole records. `true_*` and `missed_*` are empty where nobody knows the truth.
    """

    run = models.CharField(max_length=64)
    service = models.CharField(max_length=64)
    left_register = models.CharField(max_length=64)
    right_register = models.CharField(max_length=64)
    field = models.CharField(max_length=64, default="", blank=True)
    compared = models.PositiveIntegerField()
    flagged_before = models.PositiveIntegerField()
    flagged_after = models.PositiveIntegerField()
    not_comparable_before = models.PositiveIntegerField()
    not_comparable_after = models.PositiveIntegerField()
    true_before = models.PositiveIntegerField(null=True)
    true_after = models.PositiveIntegerField(null=True)
    missed_before = models.PositiveIntegerField(null=True)
    missed_after = models.PositiveIntegerField(null=True)
    taken_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["run", "service", "left_register", "right_register", "field"], name="reconcile_workload_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.service} {self.left_register}~{self.right_register} {self.field}"
